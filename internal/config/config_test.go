package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/config"
)

const aesKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

const complete = `
public:  {listen: ":8080", base_url: "https://open.example.com"}
admin:   {listen: "127.0.0.1:8081"}
gateway: {listen: "127.0.0.1:8082"}
storage: sqlite:///var/lib/tuoguan/tuoguan.db
master_key_file: /etc/tuoguan/master.key
wechat:
  api_base_urls: [https://api.weixin.qq.com, https://api2.weixin.qq.com]
  mp_base_url: https://mp.weixin.qq.com
  open_base_url: https://open.weixin.qq.com
bootstrap:
  api_key: 0123456789abcdef0123456789abcdef
  components:
    - {appid: wx0123456789abcdef, secret: app-secret, token: pushtoken, encoding_aes_key: ` + aesKey + `}
log: {level: debug, format: text}
`

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	t.Parallel()
	secret := tuoguan.NewSecret
	full := config.Default()
	full.Public.BaseURL = "https://open.example.com"
	full.Storage = "sqlite:///var/lib/tuoguan/tuoguan.db"
	full.MasterKeyFile = "/etc/tuoguan/master.key"
	full.Bootstrap.APIKey = secret("0123456789abcdef0123456789abcdef")
	full.Bootstrap.Components = []config.Component{{
		AppID: "wx0123456789abcdef", Secret: secret("app-secret"), Token: secret("pushtoken"), EncodingAESKey: secret(aesKey),
	}}
	full.Log = config.Log{Level: "debug", Format: "text"}

	keyFile := write(t, "key", "ffffffffffffffffffffffffffffffff\n")
	urlFile := write(t, "url", "mysql://u:p@h:3306/d?tls=true\n")
	tests := map[string]struct {
		file    string
		environ []string
		flags   map[string]string
		want    func(config.Config) config.Config
	}{
		"the file alone": {file: complete, want: func(c config.Config) config.Config { return c }},
		"environment over file": {
			file:    complete,
			environ: []string{"TUOGUAN_PUBLIC_LISTEN=:9090", "TUOGUAN_WECHAT_API_BASE_URLS=http://127.0.0.1:1, http://[::1]:2", "TUOGUAN_LOG_LEVEL=info", "TUOGUAN_ADMIN_LISTEN="},
			want: func(c config.Config) config.Config {
				c.Public.Listen, c.Log.Level = ":9090", "info"
				c.WeChat.APIBaseURLs = []string{"http://127.0.0.1:1", "http://[::1]:2"}
				return c
			},
		},
		"flags over environment": {
			file: complete, environ: []string{"TUOGUAN_LOG_LEVEL=info"}, flags: map[string]string{"log.level": "debug", "public.listen": "127.0.0.1:0"},
			want: func(c config.Config) config.Config { c.Public.Listen = "127.0.0.1:0"; return c },
		},
		"a secret's file in the environment over an inline one": {
			file: complete, environ: []string{"TUOGUAN_BOOTSTRAP_API_KEY_FILE=" + keyFile},
			want: func(c config.Config) config.Config {
				c.Bootstrap.APIKey, c.Bootstrap.APIKeyFile = secret("ffffffffffffffffffffffffffffffff"), keyFile
				return c
			},
		},
		"an inline secret in the environment over a file": {
			file:    strings.Replace(complete, "api_key: 0123456789abcdef0123456789abcdef", "api_key_file: /does/not/exist", 1),
			environ: []string{"TUOGUAN_BOOTSTRAP_API_KEY=ffffffffffffffffffffffffffffffff"},
			want: func(c config.Config) config.Config {
				c.Bootstrap.APIKey = secret("ffffffffffffffffffffffffffffffff")
				return c
			},
		},
		"names that are not ours": {
			file: complete, environ: []string{"TUOGUAN_SERVER=http://127.0.0.1:8081", "TUOGUAN_PORT=tcp://10.0.0.1:80", "TUOGUAN_ADMIN_SERVICE_HOST=10.0.0.1", "TUOGUAN_PUBLIC_PORT_8080_TCP_ADDR=10.0.0.1"},
			want: func(c config.Config) config.Config { return c },
		},
		"a slash at the end of a base URL": {
			file: strings.Replace(complete, "https://open.example.com", "https://open.example.com/", 1), want: func(c config.Config) config.Config { return c },
		},
		"a database server, from outside": {
			file: complete, environ: []string{"TUOGUAN_STORAGE=postgres://u:p@h/d", "TUOGUAN_MASTER_KEY=000102", "TUOGUAN_ALLOW_UNSAFE_STORAGE=true", "TUOGUAN_REFRESH_WORKERS=8", "TUOGUAN_SPILL_FILE=/x"},
			want: func(c config.Config) config.Config {
				c.Storage, c.MasterKey, c.MasterKeyFile = "postgres://u:p@h/d", secret("000102"), ""
				c.AllowUnsafeStorage, c.Refresh.Workers, c.SpillFile = true, 8, "/x"
				return c
			},
		},
		"a database server whose URL is in a file": {
			file: complete, environ: []string{"TUOGUAN_STORAGE_FILE=" + urlFile},
			want: func(c config.Config) config.Config {
				c.Storage, c.StorageFile = "mysql://u:p@h:3306/d?tls=true", urlFile
				return c
			},
		},
		"numbers and truth": {
			file: complete + "refresh: {workers: 4, rate: 90}\nallow_unsafe_storage: true\n",
			want: func(c config.Config) config.Config {
				c.Refresh, c.AllowUnsafeStorage = config.Refresh{Workers: 4, Rate: 90}, true
				return c
			},
		},
		"networks and retention": {
			file: complete + "delivery: {retention_days: 30, max_events: 500000}\n", environ: []string{"TUOGUAN_DELIVERY_ALLOW_NETWORKS=10.0.0.0/8, 127.0.0.1"},
			want: func(c config.Config) config.Config {
				c.Delivery = config.Delivery{AllowNetworks: []string{"10.0.0.0/8", "127.0.0.1"}, RetentionDays: 30, MaxEvents: 500_000}
				return c
			},
		},
		"an identity provider": {
			file:    complete + "console: {base_url: https://tuoguan.example.com/, oidc: {issuer: https://login.example.com, client_id: console, client_secret: oidc-secret, default_role: viewer}}\n",
			environ: []string{"TUOGUAN_CONSOLE_TOTP=all", "TUOGUAN_CONSOLE_OIDC_ROLES=cn=ops=operator, platform-team=admin"},
			want: func(c config.Config) config.Config {
				c.Console = config.Console{TOTP: "all", BaseURL: "https://tuoguan.example.com", OIDC: config.OIDC{
					Issuer: "https://login.example.com", ClientID: "console", ClientSecret: tuoguan.NewSecret("oidc-secret"), RoleClaim: "groups",
					Roles: []string{"cn=ops=operator", "platform-team=admin"}, DefaultRole: "viewer",
				}}
				return c
			},
		},
		"plain http on loopback": {
			file: strings.Replace(complete, "https://open.example.com", "http://localhost:8080", 1),
			want: func(c config.Config) config.Config { c.Public.BaseURL = "http://localhost:8080"; return c },
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Load(config.Sources{File: write(t, "config.yaml", tt.file), Environ: tt.environ, Flags: tt.flags})
			if err != nil {
				t.Fatal(err)
			}
			equal := cmp.Comparer(func(a, b tuoguan.Secret) bool { return a.Equal(b) })
			if diff := cmp.Diff(tt.want(full), got, equal); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	d := config.Delivery{AllowNetworks: []string{"10.1.2.3/8", "127.0.0.1", "::ffff:10.9.8.7", "fd00::/8", "nonsense"}}
	if got, want := fmt.Sprint(d.Networks()), "[10.0.0.0/8 127.0.0.1/32 10.9.8.7/32 fd00::/8]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestComponentSecretsFromFiles(t *testing.T) {
	t.Parallel()
	file := write(t, "config.yaml", fmt.Sprintf(`
public: {base_url: "https://open.example.com"}
storage: sqlite:///var/lib/tuoguan.db
master_key_file: /etc/master.key
bootstrap:
  components:
    - appid: wx0123456789abcdef
      secret_file: %s
      token_file: %s
      encoding_aes_key_file: %s
      previous_token: oldtoken
      previous_encoding_aes_key_file: %s
`, write(t, "secret", "app-secret\r\n"), write(t, "token", "pushtoken"), write(t, "key", aesKey+"\n"), write(t, "old", strings.ToLower(aesKey)+"\n")))
	cfg, err := config.Load(config.Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	got := cfg.Bootstrap.Components[0]
	for name, pair := range map[string][2]string{
		"secret": {got.Secret.Reveal(), "app-secret"}, "token": {got.Token.Reveal(), "pushtoken"},
		"encoding_aes_key": {got.EncodingAESKey.Reveal(), aesKey}, "previous_token": {got.PreviousToken.Reveal(), "oldtoken"},
		"previous_encoding_aes_key": {got.PreviousEncodingAESKey.Reveal(), strings.ToLower(aesKey)},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", name, pair[0], pair[1])
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	replace := func(old, new string) string {
		if !strings.Contains(complete, old) {
			panic("not in the sample: " + old)
		}
		return strings.Replace(complete, old, new, 1)
	}
	tests := map[string]struct {
		file    string
		environ []string
		keys    []string // of the mistakes, in order
		say     string   // in one of them
	}{
		"nothing at all": {file: "{}", keys: []string{"public.base_url", "storage", "master_key_file"}},
		"several at once": {
			file: "public: {listen: nonsense, base_url: 'http://open.example.com'}\nstorage: /tmp/x\nlog: {level: loud}\nadmn: {}\n",
			keys: []string{"admn", "public.listen", "public.base_url", "storage", "master_key_file", "log.level"},
		},
		"unknown key, nested":            {file: replace("level: debug", "levle: debug"), keys: []string{"log.levle"}, say: "did you mean level?"},
		"unknown key of a component":     {file: replace("token: pushtoken", "token: pushtoken, name: x"), keys: []string{"bootstrap.components[0].name"}},
		"key with a dot":                 {file: complete + "public.listen: x\n", keys: []string{"public.listen"}, say: "unknown key"},
		"unknown variable":               {file: complete, environ: []string{"TUOGUAN_PUBLIC_LISTN=:1"}, keys: []string{"TUOGUAN_PUBLIC_LISTN"}, say: "TUOGUAN_PUBLIC_LISTEN"},
		"component in the environment":   {file: complete, environ: []string{"TUOGUAN_BOOTSTRAP_COMPONENTS_0_SECRET=x"}, keys: []string{"TUOGUAN_BOOTSTRAP_COMPONENTS_0_SECRET"}},
		"key given twice":                {file: complete + "storage: sqlite:///x\n", keys: []string{"--config", "public.base_url", "storage", "master_key_file"}, say: "already defined"},
		"not a mapping":                  {file: "app-secret-of-somebody", keys: []string{"--config", "public.base_url", "storage", "master_key_file"}},
		"number for a text":              {file: replace("token: pushtoken", "token: 01234"), keys: []string{"bootstrap.components[0].token"}, say: "put the value in quotes"},
		"text for a mapping":             {file: replace("log: {level: debug, format: text}", "log: debug"), keys: []string{"log"}},
		"mapping for a list":             {file: replace("[https://api.weixin.qq.com, https://api2.weixin.qq.com]", "{a: b}"), keys: []string{"wechat.api_base_urls"}},
		"public and admin share a port":  {file: replace("127.0.0.1:8081", "127.0.0.1:8080"), keys: []string{"admin.listen"}, say: "public.listen"},
		"gateway shares a port":          {file: replace("127.0.0.1:8082", ":8081"), keys: []string{"gateway.listen"}, say: "admin.listen"},
		"PostgreSQL without a name":      {file: replace("sqlite:///var/lib/tuoguan/tuoguan.db", "postgres://u:app-secret@h/"), keys: []string{"storage"}, say: "does not name a database"},
		"MySQL without a host":           {file: replace("sqlite:///var/lib/tuoguan/tuoguan.db", "mysql:///d"), keys: []string{"storage"}, say: "does not name a host"},
		"password that is not escaped":   {file: replace("sqlite:///var/lib/tuoguan/tuoguan.db", "'mysql://u:app-secret%@h/d'"), keys: []string{"storage"}, say: "%"},
		"password cut off by its #":      {file: replace("sqlite:///var/lib/tuoguan/tuoguan.db", "'mysql://h/d?x=app-secret#word'"), keys: []string{"storage"}, say: "%23"},
		"password as a parameter":        {file: replace("sqlite:///var/lib/tuoguan/tuoguan.db", "postgres://u@h/d?password=app-secret"), keys: []string{"storage"}, say: "among its parameters"},
		"another database":               {file: replace("sqlite:///var/lib/tuoguan/tuoguan.db", "oracle://u:app-secret@h/d"), keys: []string{"storage"}},
		"parameters for SQLite":          {file: replace("tuoguan.db", "tuoguan.db?mode=ro"), keys: []string{"storage"}, say: "no parameters"},
		"storage twice":                  {file: complete + "storage_file: /x\n", keys: []string{"storage"}, say: "both"},
		"file of the storage is missing": {file: replace("storage: sqlite:///var/lib/tuoguan/tuoguan.db", "storage_file: /does/not/exist"), keys: []string{"storage_file"}},
		"master key twice":               {file: complete + "master_key: app-secret\n", keys: []string{"master_key"}, say: "both"},
		"neither true nor false":         {file: complete + "allow_unsafe_storage: maybe\n", keys: []string{"allow_unsafe_storage"}},
		"neither true nor false, outside": {
			file: complete, environ: []string{"TUOGUAN_ALLOW_UNSAFE_STORAGE=1"}, keys: []string{"allow_unsafe_storage"},
		},
		"not a number":          {file: complete + "refresh: {workers: many, rate: 1.5}\n", keys: []string{"refresh.rate", "refresh.workers"}},
		"numbers out of range":  {file: complete + "refresh: {workers: -1, rate: -1}\n", keys: []string{"refresh.workers", "refresh.rate"}},
		"delivery out of range": {file: complete + "delivery: {allow_networks: [10.0.0.0/8, example.com], retention_days: 3, max_events: 9999}\n", keys: []string{"delivery.allow_networks[1]", "delivery.retention_days", "delivery.max_events"}, say: "10.0.0.0/8"},
		"console": {file: complete + "console: {totp: sometimes, oidc: {issuer: login.example.com, roles: [ops, =admin, ops=root], default_role: guest}}\n",
			keys: []string{"console.totp", "console.base_url", "console.oidc.issuer", "console.oidc.client_id", "console.oidc.roles[0]", "console.oidc.roles[1]", "console.oidc.roles[2]", "console.oidc.default_role"}, say: "platform-team=admin"},
		"relative path of the database":  {file: replace("sqlite:///var", "sqlite://var"), keys: []string{"storage"}},
		"plain http elsewhere":           {file: replace("https://mp.weixin.qq.com", "http://mp.weixin.qq.com"), keys: []string{"wechat.mp_base_url"}, say: "loopback"},
		"host that only looks loopback":  {file: replace("https://open.example.com", "http://127.0.0.1.example.com"), keys: []string{"public.base_url"}},
		"base URL with a query":          {file: replace("https://open.example.com", "https://open.example.com?x=1"), keys: []string{"public.base_url"}},
		"short API key":                  {file: replace("0123456789abcdef0123456789abcdef", "app-secret"), keys: []string{"bootstrap.api_key"}, say: "32"},
		"API key with a space":           {file: replace("0123456789abcdef0123456789abcdef", "'0123456789abcdef 0123456789abcdef'"), keys: []string{"bootstrap.api_key"}},
		"API key twice":                  {file: replace("  components:", "  api_key_file: /x\n  components:"), keys: []string{"bootstrap.api_key"}, say: "both"},
		"AES key too short":              {file: replace(aesKey, aesKey[1:]), keys: []string{"bootstrap.components[0].encoding_aes_key"}, say: "42 characters"},
		"secret with a space at its end": {file: replace("secret: app-secret", "secret: 'app-secret '"), keys: []string{"bootstrap.components[0].secret"}},
		"not an AppID":                   {file: replace("wx0123456789abcdef", "gh_123456789abc"), keys: []string{"bootstrap.components[0].appid"}},
		"component twice": {
			file: replace("  components:\n", "  components:\n    - {appid: wx0123456789abcdef, secret: app-secret, token: pushtoken, encoding_aes_key: "+aesKey+"}\n"),
			keys: []string{"bootstrap.components[1].appid"}, say: "twice",
		},
		"file of a secret is missing": {file: replace("secret: app-secret", "secret_file: /does/not/exist"), keys: []string{"bootstrap.components[0].secret_file"}, say: "/does/not/exist"},
		"empty component":             {file: replace("{appid: wx0123456789abcdef, secret: app-secret, token: pushtoken, encoding_aes_key: "+aesKey+"}", "{}"), keys: []string{"bootstrap.components[0].appid", "bootstrap.components[0].secret", "bootstrap.components[0].token", "bootstrap.components[0].encoding_aes_key"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(config.Sources{File: write(t, "config.yaml", tt.file), Environ: tt.environ})
			var mistakes config.Mistakes
			if !errors.As(err, &mistakes) {
				t.Fatalf("got error %v, want mistakes", err)
			}
			var keys []string
			for _, m := range mistakes {
				keys = append(keys, m.Key)
				if m.Problem == "" || m.Fix == "" {
					t.Errorf("%q does not say what is wrong and what to do", m)
				}
			}
			if diff := cmp.Diff(tt.keys, keys); diff != "" {
				t.Errorf("%s\n%v", diff, err)
			}
			if !strings.Contains(err.Error(), tt.say) {
				t.Errorf("%q does not say %q", err, tt.say)
			}
			if strings.Contains(err.Error(), "app-secret") || strings.Contains(err.Error(), aesKey[1:]) {
				t.Errorf("a secret is in the error: %q", err)
			}
		})
	}
}

func TestMissingFile(t *testing.T) {
	t.Parallel()
	_, err := config.Load(config.Sources{File: "/does/not/exist.yaml"})
	if err == nil || !strings.Contains(err.Error(), "/does/not/exist.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestRedacted(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(config.Sources{File: write(t, "config.yaml", complete)})
	if err != nil {
		t.Fatal(err)
	}
	cfg.MasterKey = tuoguan.NewSecret("app-secret")
	for _, storage := range []string{
		"postgres://user:app-secret@host/db?sslmode=require", "mysql://user:app-secret%@host/db", "postgres://host/db?Password=app-secret&x=y",
	} {
		cfg.Storage = storage
		encoded, err := json.Marshal(cfg.Redacted())
		if err != nil {
			t.Fatal(err)
		}
		printed := fmt.Sprintf("%v %+v %#v %s %d", cfg, cfg, &cfg, cfg, cfg)
		var logged bytes.Buffer
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "config", cfg)
		out := string(encoded) + printed + logged.String() + cfg.StorageName()
		for _, secret := range []string{"app-secret", "pushtoken", aesKey, "0123456789abcdef0123456789abcdef"} {
			if strings.Contains(out, secret) {
				t.Errorf("%q is in %s", secret, out)
			}
		}
		for _, plain := range []string{"wx0123456789abcdef", "https://open.example.com", `"level":"debug"`, `"secret":"redacted"`, `"master_key":"redacted"`} {
			if !strings.Contains(out, plain) {
				t.Errorf("%q is not in %s", plain, out)
			}
		}
	}
}

func TestStorage(t *testing.T) {
	t.Parallel()
	for storage, want := range map[string]struct {
		engine            config.Engine
		name, path, spill string
	}{
		"sqlite:///var/lib/x/../y.db":    {config.SQLite, "/var/lib/y.db", "/var/lib/y.db", "/var/lib/y.db.spill"},
		"postgres://u:p@h:1/d?a=b":       {config.PostgreSQL, "postgres://h:1/d", "", "/var/lib/tuoguan/*.spill"},
		"postgresql:///d?host=/run/post": {config.PostgreSQL, "postgresql:///d", "", "/var/lib/tuoguan/*.spill"},
		"mysql://u:p@h/d":                {config.MySQL, "mysql://h/d", "", "/var/lib/tuoguan/*.spill"},
		"oracle://h/d":                   {"", "oracle://h/d", "", "/var/lib/tuoguan/*.spill"},
	} {
		c := config.Config{Storage: storage}
		if c.Engine() != want.engine || c.StorageName() != want.name || c.SQLitePath() != want.path {
			t.Errorf("%s: %q %q %q", storage, c.Engine(), c.StorageName(), c.SQLitePath())
		}
		if ok, _ := filepath.Match(want.spill, c.SpillPath()); !ok {
			t.Errorf("%s spills into %s", storage, c.SpillPath())
		}
	}
}

func TestStorageVerified(t *testing.T) {
	t.Parallel()
	for storage, want := range map[string]bool{
		"sqlite:///var/lib/x.db":                                  true,
		"postgres://u:p@127.0.0.1/d":                              true,
		"postgres:///d?host=/run/postgresql":                      true,
		"postgres://u:p@db.example.com/d":                         false,
		"postgres://u:p@db.example.com/d?sslmode=require":         false,
		"postgres://u:p@db.example.com/d?sslmode=verify-full":     true,
		"postgres:///d?host=db.example.com&sslmode=verify-full":   true,
		"postgres:///d?host=db.example.com":                       false,
		"mysql://u:p@localhost/d":                                 true,
		"mysql://u:p@db.example.com/d":                            false,
		"mysql://u:p@db.example.com/d?tls=preferred":              false,
		"mysql://u:p@db.example.com/d?tls=true":                   true,
		"mysql://u:p@db.example.com/d?ca=/etc/tuoguan/db.example": true,
	} {
		if got := (config.Config{Storage: storage}).StorageVerified(); got != want {
			t.Errorf("%s: %t", storage, got)
		}
	}
}
