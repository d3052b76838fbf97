package config

import (
	"regexp"
	"slices"
	"strings"
)

// settable are the keys that an environment variable can set. Lists of components
// come from the file only.
var settable = []string{
	"public.listen", "public.base_url", "admin.listen", "gateway.listen",
	"storage", "storage_file", "allow_unsafe_storage", "spill_file",
	"master_key", "master_key_file",
	"refresh.workers", "refresh.rate",
	"wechat.api_base_urls", "wechat.mp_base_url", "wechat.open_base_url",
	"limits.key", "limits.authorizer", "limits.quota_floor", "oauth.return_urls",
	"delivery.allow_networks", "delivery.retention_days", "delivery.max_events",
	"console.totp", "console.base_url",
	"console.oidc.name", "console.oidc.issuer", "console.oidc.client_id", "console.oidc.client_secret", "console.oidc.client_secret_file",
	"console.oidc.role_claim", "console.oidc.roles", "console.oidc.default_role",
	"bootstrap.api_key", "bootstrap.api_key_file",
	"log.level", "log.format",
}

// serviceLink matches the variables that Kubernetes makes up for a Service whose
// name begins with "tuoguan". They are not meant for us.
var serviceLink = regexp.MustCompile(`^TUOGUAN_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_[0-9]+_(TCP|UDP|SCTP).*)?)$`)

// fromEnvironment returns what the environment sets, by key. A variable that begins
// like one of ours and is none is a mistake: it would be ignored silently. Other
// names, such as the ones of the client commands, are left alone. An empty variable
// counts as unset.
func fromEnvironment(environ []string) (map[string]any, Mistakes) {
	layer := make(map[string]any)
	var mistakes Mistakes
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, EnvPrefix) || value == "" {
			continue
		}
		i := slices.IndexFunc(settable, func(key string) bool { return envName(key) == name })
		switch {
		case i >= 0:
			layer[settable[i]] = value
		case strings.HasPrefix(name, EnvPrefix+"BOOTSTRAP_COMPONENTS"):
			mistakes.add(name, "components cannot be set by the environment", "list them in the file; secrets may stand in files of their own (secret_file)")
		case looksLikeOurs(name) && !serviceLink.MatchString(name):
			mistakes.add(name, "no such setting", "correct the name"+didYouMean(name, envNames())+", or unset it")
		}
	}
	return layer, mistakes
}

func envName(key string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

func envNames() []string {
	names := make([]string, len(settable))
	for i, key := range settable {
		names[i] = envName(key)
	}
	return names
}

func looksLikeOurs(name string) bool {
	for _, key := range settable {
		section, _, _ := strings.Cut(key, ".")
		if strings.HasPrefix(name, envName(section)+"_") || name == envName(section) {
			return true
		}
	}
	return false
}
