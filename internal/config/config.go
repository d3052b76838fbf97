// Package config reads, checks and prints the configuration of the server: one
// struct, filled from a YAML file, then from the environment, then from flags,
// the later winning. It is the only place that reads the environment.
//
// An unknown key is a mistake, and all mistakes are reported at once, each with
// its key and what to do about it; see [Mistakes].
package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"

	"github.com/tuoguan/tuoguan"
)

// EnvPrefix begins the name of every environment variable read: public.listen is
// TUOGUAN_PUBLIC_LISTEN.
const EnvPrefix = "TUOGUAN_"

// Config is the configuration of one server. Paths are relative to the working
// directory of the process.
type Config struct {
	// Public is what WeChat and merchants' browsers reach.
	Public Public `yaml:"public"`
	// Admin is for operators and for the company's own services. Defaults to 127.0.0.1:8081.
	Admin Listener `yaml:"admin"`
	// Gateway is where services call WeChat through us. Defaults to 127.0.0.1:8082.
	Gateway Listener `yaml:"gateway"`
	// Storage says where the truth is kept: sqlite:///absolute/path,
	// postgres://user:password@host/database or mysql://user:password@host/database.
	// Required. It may hold a password: print the Config, or what Redacted returns,
	// but never this.
	Storage string `yaml:"storage"`
	// StorageFile is read for Storage.
	StorageFile string `yaml:"storage_file"`
	// AllowUnsafeStorage lets the server start on a database that may lose what it
	// has acknowledged. Every start logs it.
	AllowUnsafeStorage bool `yaml:"allow_unsafe_storage"`
	// SpillFile is a file of this process alone, on a local disk, that keeps tokens
	// while the storage cannot. See [Config.SpillPath] for the default.
	SpillFile string `yaml:"spill_file"`
	// MasterKey seals every secret in the storage: 32 bytes in hexadecimal or base64.
	// Either it or MasterKeyFile is required.
	MasterKey tuoguan.Secret `yaml:"master_key"`
	// MasterKeyFile holds the master key. It is made, with mode 0400, on the first
	// start, unless the storage holds something already.
	MasterKeyFile string `yaml:"master_key_file"`
	// Refresh says how much is refreshed at a time.
	Refresh Refresh `yaml:"refresh"`
	// WeChat says where the platform is.
	WeChat WeChat `yaml:"wechat"`
	// Limits bounds what callers may ask for.
	Limits Limits `yaml:"limits"`
	// OAuth is about users of merchants' accounts who log in with WeChat.
	OAuth OAuth `yaml:"oauth"`
	// Delivery is about what subscribers are told.
	Delivery Delivery `yaml:"delivery"`
	// Console is about the people who use the console.
	Console Console `yaml:"console"`
	// Bootstrap is what an installation begins with.
	Bootstrap Bootstrap `yaml:"bootstrap"`
	// Log says what is logged, and how.
	Log Log `yaml:"log"`
}

// Public configures the public listener.
type Public struct {
	// Listen is host:port. Defaults to ":8080".
	Listen string `yaml:"listen"`
	// BaseURL is what browsers and WeChat see, without a slash at the end. Its host
	// is the authorization entry domain set in the component's console. Required;
	// https, except on a loopback host.
	BaseURL string `yaml:"base_url"`
}

// Listener configures a listener.
type Listener struct {
	Listen string `yaml:"listen"` // host:port
}

// WeChat holds the base URLs of the platform. Plain http is for loopback hosts only.
type WeChat struct {
	// APIBaseURLs are tried in order of preference. Defaults to
	// https://api.weixin.qq.com and https://api2.weixin.qq.com.
	APIBaseURLs []string `yaml:"api_base_urls"`
	// MPBaseURL has the authorization page for PCs. Defaults to https://mp.weixin.qq.com.
	MPBaseURL string `yaml:"mp_base_url"`
	// OpenBaseURL has the authorization page inside WeChat. Defaults to https://open.weixin.qq.com.
	OpenBaseURL string `yaml:"open_base_url"`
}

// Refresh bounds the background refresh of one process. Zero stands for the default
// of [github.com/tuoguan/tuoguan/keeper.Config].
type Refresh struct {
	Workers int `yaml:"workers"` // refreshes at once. Defaults to 128.
	Rate    int `yaml:"rate"`    // refreshes that begin per second, at the most, by all replicas together. Defaults to 500.
}

// Limits bounds callers. Rates are requests per second, at each replica; twice as many at
// once. The key of bootstrap.api_key has none.
type Limits struct {
	Key        int `yaml:"key"`        // by one API key whose scope does not say so. Defaults to 50; -1: any number.
	Authorizer int `yaml:"authorizer"` // for one authorizer, by all keys together. Defaults to 20; -1: any number.
	// QuotaFloor is how many calls of an interface are left to each account every day:
	// once WeChat has shown that no more remain, the gateway makes none. Defaults to 0.
	QuotaFloor int `yaml:"quota_floor"`
}

// OAuth configures the relay of web authorizations.
type OAuth struct {
	// ReturnURLs are where users may be sent after they have logged in: each stands for
	// all URLs that begin with it, host and path. Without any the relay sends nobody
	// anywhere.
	ReturnURLs []string `yaml:"return_urls"`
}

// Delivery configures how events leave, and for how long they are kept.
type Delivery struct {
	// AllowNetworks are private networks that webhooks and brokers may be in, such as
	// 10.0.0.0/8. All others that are not public are refused, whatever name leads there;
	// and so is plain http to anywhere else.
	AllowNetworks []string `yaml:"allow_networks"`
	// RetentionDays is how long events are kept, with what became of their deliveries.
	// One that is still to be delivered is kept longer. Defaults to 7; at least 4, for
	// pushes that WeChat repeats are known by it.
	RetentionDays int `yaml:"retention_days"`
	// MaxEvents bounds how many events are kept; the oldest go first. Defaults to 0: any number.
	MaxEvents int `yaml:"max_events"`
}

// Networks returns AllowNetworks, without those that are none.
func (d Delivery) Networks() []netip.Prefix {
	var networks []netip.Prefix
	for _, text := range d.AllowNetworks {
		if n, err := network(text); err == nil {
			networks = append(networks, n)
		}
	}
	return networks
}

// network reads a network, or an address, which stands for itself.
func network(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	n, err := netip.ParsePrefix(text)
	return n.Masked(), err
}

// Console configures how people sign in to the console, which the admin listener serves.
type Console struct {
	// TOTP says whose password needs the code of an authenticator app beside it:
	// admins (owners among them), all or off. Defaults to admins.
	TOTP string `yaml:"totp"`
	// BaseURL is what browsers see of the admin listener, without a slash at the end,
	// such as https://tuoguan.example.com. Required with OIDC alone.
	BaseURL string `yaml:"base_url"`
	// OIDC is an identity provider that people may sign in with.
	OIDC OIDC `yaml:"oidc"`
}

// OIDC configures an identity provider. Its redirect URL is Console.BaseURL with
// /console/oidc/callback.
type OIDC struct {
	Name             string         `yaml:"name"`   // as the button says it. Defaults to the issuer's host.
	Issuer           string         `yaml:"issuer"` // "" for none
	ClientID         string         `yaml:"client_id"`
	ClientSecret     tuoguan.Secret `yaml:"client_secret"`
	ClientSecretFile string         `yaml:"client_secret_file"`
	// RoleClaim names the claim of the ID token that Roles are looked up by: a text or a
	// list of texts. Defaults to groups.
	RoleClaim string `yaml:"role_claim"`
	// Roles are entries such as "platform-team=admin"; of several that match the one with
	// the most rights counts.
	Roles []string `yaml:"roles"`
	// DefaultRole is for those whom no entry matches. Without one they stay outside.
	DefaultRole string `yaml:"default_role"`
}

// roles are those that Roles and DefaultRole may name.
var roles = []string{"owner", "admin", "operator", "auditor", "viewer"}

// Role is an entry of [OIDC.Roles].
type Role struct{ Group, Role string }

// Mapping returns Roles, taken apart.
func (o OIDC) Mapping() []Role {
	var mapping []Role
	for _, text := range o.Roles {
		if group, role, ok := cutRole(text); ok {
			mapping = append(mapping, Role{group, role})
		}
	}
	return mapping
}

// cutRole takes an entry apart at its last "=": groups may have one in their names.
func cutRole(text string) (group, role string, ok bool) {
	at := strings.LastIndex(text, "=")
	if at <= 0 {
		return "", "", false
	}
	group, role = strings.TrimSpace(text[:at]), strings.TrimSpace(text[at+1:])
	return group, role, group != "" && slices.Contains(roles, role)
}

// Bootstrap is what a new installation starts with.
type Bootstrap struct {
	// APIKey may do everything: at least 32 printable characters. With it the first keys
	// are made.
	APIKey tuoguan.Secret `yaml:"api_key"`
	// APIKeyFile is read for APIKey.
	APIKeyFile string `yaml:"api_key_file"`
	// Components are added, or changed, once for each version of what is said here: a
	// start does not undo what was changed through the API since.
	Components []Component `yaml:"components"`
}

// Component is a third-party platform as set in its console. Each secret may be
// given inline or as the name of a file.
type Component struct {
	AppID                      tuoguan.ComponentAppID `yaml:"appid"`
	Secret                     tuoguan.Secret         `yaml:"secret"`
	SecretFile                 string                 `yaml:"secret_file"`
	Token                      tuoguan.Secret         `yaml:"token"`
	TokenFile                  string                 `yaml:"token_file"`
	EncodingAESKey             tuoguan.Secret         `yaml:"encoding_aes_key"`
	EncodingAESKeyFile         string                 `yaml:"encoding_aes_key_file"`
	PreviousToken              tuoguan.Secret         `yaml:"previous_token"`
	PreviousTokenFile          string                 `yaml:"previous_token_file"`
	PreviousEncodingAESKey     tuoguan.Secret         `yaml:"previous_encoding_aes_key"`
	PreviousEncodingAESKeyFile string                 `yaml:"previous_encoding_aes_key_file"`
}

// Log configures logging, which goes to standard error.
type Log struct {
	Level  string `yaml:"level"`  // info or debug. Defaults to info.
	Format string `yaml:"format"` // json or text. Defaults to json.
}

// Default returns the configuration before anything is read. It is not complete:
// public.base_url, storage and the master key have no default.
func Default() Config {
	return Config{
		Public:  Public{Listen: ":8080"},
		Admin:   Listener{Listen: "127.0.0.1:8081"},
		Gateway: Listener{Listen: "127.0.0.1:8082"},
		WeChat: WeChat{
			APIBaseURLs: []string{"https://api.weixin.qq.com", "https://api2.weixin.qq.com"},
			MPBaseURL:   "https://mp.weixin.qq.com",
			OpenBaseURL: "https://open.weixin.qq.com",
		},
		Delivery: Delivery{RetentionDays: 7},
		Console:  Console{TOTP: "admins", OIDC: OIDC{RoleClaim: "groups"}},
		Log:      Log{Level: "info", Format: "json"},
	}
}

// Sources says what the configuration is read from.
type Sources struct {
	// File is the YAML file; "" for none.
	File string
	// Environ is the environment, as of os.Environ.
	Environ []string
	// Flags holds the flags that were set, by key ("log.level").
	Flags map[string]string
}

// Load reads the configuration from all sources and checks it. An error holds
// every mistake found, as [Mistakes]; the configuration returned beside it is then
// good for nothing but [Config.Redacted].
func Load(src Sources) (Config, error) {
	var mistakes Mistakes
	layers := koanf.New(".")
	if src.File != "" {
		mistakes.addAll(loadFile(layers, src.File))
	}
	env, unknown := fromEnvironment(src.Environ)
	mistakes.addAll(unknown)
	for _, layer := range []map[string]any{env, fromFlags(src.Flags)} {
		// What a later layer says about a secret replaces all that an earlier one
		// said, whichever of the two forms was used.
		for key := range layer {
			if plain, isFile := strings.CutSuffix(key, "_file"); isFile {
				layers.Delete(plain)
			} else {
				layers.Delete(key + "_file")
			}
		}
		if err := layers.Load(confmap.Provider(layer, "."), nil); err != nil {
			return Config{}, err
		}
	}

	cfg := Default()
	mistakes.addAll(decode(layers.Raw(), &cfg))
	cfg.trimSlashes()
	mistakes.addAll(cfg.readFiles())
	// What is absent because it could not be read has been reported already.
	mistakes.addUnlessReported(cfg.check())
	return cfg, mistakes.err()
}

func loadFile(layers *koanf.Koanf, name string) Mistakes {
	raw, err := os.ReadFile(name)
	if err != nil {
		return Mistakes{{Key: "--config", Problem: pathError(err), Fix: "name a YAML file that can be read"}}
	}
	if err := layers.Load(rawbytes.Provider(raw), yaml.Parser()); err != nil {
		return Mistakes{{Key: "--config", Problem: name + " is not valid YAML: " + yamlError(err), Fix: "correct the file"}}
	}
	return nil
}

// yamlError describes a YAML error without quoting the file, which may hold secrets.
func yamlError(err error) string {
	text, _, quotes := strings.Cut(err.Error(), "`")
	if quotes {
		return "the file has to be a mapping of keys to values"
	}
	return strings.TrimPrefix(text, "yaml: ")
}

// pathError describes a failed file operation without repeating the operation's name.
func pathError(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return fmt.Sprintf("%s: %v", pe.Path, pe.Err)
	}
	return err.Error()
}

// trimSlashes makes https://open.example.com/ the same as https://open.example.com.
func (c *Config) trimSlashes() {
	trim := func(base *string) { *base = strings.TrimSuffix(*base, "/") }
	trim(&c.Public.BaseURL)
	trim(&c.WeChat.MPBaseURL)
	trim(&c.WeChat.OpenBaseURL)
	trim(&c.Console.BaseURL)
	for i := range c.WeChat.APIBaseURLs {
		trim(&c.WeChat.APIBaseURLs[i])
	}
}

func fromFlags(flags map[string]string) map[string]any {
	layer := make(map[string]any, len(flags))
	for key, value := range flags {
		layer[key] = value
	}
	return layer
}

// readFiles fills the secrets whose values are in files.
func (c *Config) readFiles() Mistakes {
	var mistakes Mistakes
	content := func(key string, given bool, file string) (text string, ok bool) {
		switch {
		case file == "":
			return "", false
		case given:
			mistakes.add(key, "is given both inline and as "+key+"_file", "keep one of them")
			return "", false
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			mistakes.add(key+"_file", pathError(err), "name a file that the server may read")
			return "", false
		}
		text = strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
		if text == "" {
			mistakes.add(key+"_file", file+" is empty", "put the value into it")
			return "", false
		}
		return text, true
	}
	read := func(key string, value *tuoguan.Secret, file string) {
		if text, ok := content(key, !value.IsZero(), file); ok {
			*value = tuoguan.NewSecret(text)
		}
	}
	if text, ok := content("storage", c.Storage != "", c.StorageFile); ok {
		c.Storage = text
	}
	read("console.oidc.client_secret", &c.Console.OIDC.ClientSecret, c.Console.OIDC.ClientSecretFile)
	read("bootstrap.api_key", &c.Bootstrap.APIKey, c.Bootstrap.APIKeyFile)
	for i := range c.Bootstrap.Components {
		component, at := &c.Bootstrap.Components[i], componentKey(i)
		read(at+"secret", &component.Secret, component.SecretFile)
		read(at+"token", &component.Token, component.TokenFile)
		read(at+"encoding_aes_key", &component.EncodingAESKey, component.EncodingAESKeyFile)
		read(at+"previous_token", &component.PreviousToken, component.PreviousTokenFile)
		read(at+"previous_encoding_aes_key", &component.PreviousEncodingAESKey, component.PreviousEncodingAESKeyFile)
	}
	return mistakes
}

func componentKey(i int) string { return fmt.Sprintf("bootstrap.components[%d].", i) }

// Mistake is one thing wrong with a configuration.
type Mistake struct {
	Key     string // where: "public.base_url"
	Problem string // what is wrong; never the value of a secret
	Fix     string // what to do
}

func (m Mistake) String() string { return m.Key + ": " + m.Problem + "; " + m.Fix }

// Mistakes are all the things wrong with a configuration.
type Mistakes []Mistake

// Error lists the mistakes, one per line.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, mistake := range m {
		lines[i] = mistake.String()
	}
	return strings.Join(lines, "\n")
}

func (m *Mistakes) add(key, problem, fix string) {
	*m = append(*m, Mistake{Key: key, Problem: problem, Fix: fix})
}

func (m *Mistakes) addAll(more Mistakes) { *m = append(*m, more...) }

// addUnlessReported adds what concerns keys of which nothing has been said yet.
func (m *Mistakes) addUnlessReported(more Mistakes) {
	reported := *m
	for _, mistake := range more {
		if !slices.ContainsFunc(reported, func(r Mistake) bool {
			return strings.TrimSuffix(r.Key, "_file") == strings.TrimSuffix(mistake.Key, "_file")
		}) {
			*m = append(*m, mistake)
		}
	}
}

func (m Mistakes) err() error {
	if len(m) == 0 {
		return nil
	}
	return m
}
