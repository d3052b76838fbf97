package cli

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/internal/server"
)

// configFlags are the flags that set a key of the configuration.
var configFlags = []struct{ flag, key, usage string }{
	{"public-listen", "public.listen", "address of the public listener · 公网监听地址"},
	{"public-base-url", "public.base_url", "what browsers and WeChat see · 公网访问地址"},
	{"admin-listen", "admin.listen", "address of the admin listener · 管理监听地址"},
	{"gateway-listen", "gateway.listen", "address of the gateway listener · 网关监听地址"},
	{"storage", "storage", "where the data is kept, sqlite:///path · 数据存储"},
	{"master-key-file", "master_key_file", "file of the key that seals secrets · 主密钥文件"},
	{"log-level", "log.level", "info or debug · 日志级别"},
	{"log-format", "log.format", "json or text · 日志格式"},
}

// addConfigFlags adds --config and the flags above, and returns what reads the
// configuration once they are parsed.
func addConfigFlags(c *cobra.Command, p *Process) func() (config.Config, error) {
	file := c.Flags().StringP("config", "c", "", "YAML file (or TUOGUAN_CONFIG) · 配置文件")
	for _, f := range configFlags {
		c.Flags().String(f.flag, "", f.usage)
	}
	return func() (config.Config, error) {
		src := config.Sources{File: *file, Environ: p.Environ, Flags: make(map[string]string)}
		if src.File == "" {
			src.File = p.variable("TUOGUAN_CONFIG")
		}
		for _, f := range configFlags {
			if flag := c.Flags().Lookup(f.flag); flag.Changed {
				src.Flags[f.key] = flag.Value.String()
			}
		}
		return config.Load(src)
	}
}

func newServe(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "run the server · 运行服务",
		Long: `Run the server until SIGINT or SIGTERM; then it finishes what is under way, for
up to ten seconds. A second signal ends it at once.

Settings come from the file, then from the environment (public.listen is
TUOGUAN_PUBLIC_LISTEN; secrets also from files, TUOGUAN_BOOTSTRAP_API_KEY_FILE),
then from flags, the later winning. Logs go to standard error.

运行服务，收到 SIGINT 或 SIGTERM 后最多用十秒完成手头工作。配置优先级：文件 < 环境变量 < 参数。`,
		Example: `  tuoguan serve --config /etc/tuoguan/config.yaml
  TUOGUAN_LOG_LEVEL=debug tuoguan serve -c config.yaml --public-listen 127.0.0.1:8080`,
		Args: noArgs,
	}
	load := addConfigFlags(c, p)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		s, err := server.New(c.Context(), server.Options{Config: cfg, Logger: obs.NewLogger(p.Stderr, cfg.Log.Level, cfg.Log.Format)})
		if err != nil {
			return err
		}
		return s.Run(c.Context())
	}
	return c
}

func newConfig(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Short:   "check the configuration and print what is in force, without secrets · 检查并显示生效的配置",
		Example: `  tuoguan config --config /etc/tuoguan/config.yaml`,
		Args:    noArgs,
	}
	load := addConfigFlags(c, p)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		encoder := yaml.NewEncoder(c.OutOrStdout())
		encoder.SetIndent(2)
		if err := encoder.Encode(cfg.Redacted()); err != nil {
			return err
		}
		return encoder.Close()
	}
	return c
}

func newVersion() *cobra.Command {
	c := &cobra.Command{
		Use:     "version",
		Short:   "print the version · 显示版本",
		Example: `  tuoguan version --json`,
		Args:    noArgs,
	}
	asJSON := c.Flags().Bool("json", false, "as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		platform := runtime.GOOS + "/" + runtime.GOARCH
		if *asJSON {
			return json.NewEncoder(c.OutOrStdout()).Encode(map[string]string{
				"version": obs.Version(), "go": runtime.Version(), "platform": platform,
			})
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "tuoguan %s (%s, %s)\n", obs.Version(), runtime.Version(), platform)
		return err
	}
	return c
}
