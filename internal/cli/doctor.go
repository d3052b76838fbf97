package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/doctor"
)

// errUnwell: the doctor has told what is wrong already.
var errUnwell = errors.New("something does not work")

func newDoctor(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor",
		Short: "look for what is wrong and say what to do · 诊断",
		Long: `Look for what is wrong: configuration, master key, storage, spill file, clock, the IP whitelist
and the AppSecret as WeChat sees them, age of the verify ticket, and the public
address as seen through it. It may run beside the server, and it changes nothing.
One call to WeChat is made for each component.

检查配置、主密钥、存储、溢写文件、时钟、IP 白名单与 AppSecret、ticket 时效以及公网地址。可在服务运行
时执行，不改变任何数据；每个第三方平台会调用一次微信接口。

Exit code · 退出码: 0 all is well 正常, 2 the configuration is wrong 配置有误, 3 something
does not work 存在问题.`,
		Example: `  tuoguan doctor --config /etc/tuoguan/config.yaml
  tuoguan doctor -c config.yaml --json`,
		Args: noArgs,
	}
	load := addConfigFlags(c, p)
	asJSON := c.Flags().Bool("json", false, "as JSON, in both languages")
	lang := c.Flags().String("lang", "", "zh or en; the default follows LANG · 语言")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err // names every mistake, and what to do
		}
		report, err := doctor.Outside{
			Config: cfg, AdminURL: "http://" + dialable(cfg.Admin.Listen), Components: componentsOf(cfg),
		}.Examine(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(c, report)
		} else {
			err = printChecks(c.OutOrStdout(), report.Checks, chinese(*lang, p))
		}
		if err == nil && !report.OK {
			err = errUnwell
		}
		return err
	}
	return c
}

func chinese(lang string, p *Process) bool {
	return strings.HasPrefix(cmp.Or(lang, p.variable("LC_ALL"), p.variable("LC_MESSAGES"), p.variable("LANG")), "zh")
}

func printChecks(w io.Writer, checks []doctor.Check, chinese bool) error {
	marks := map[doctor.Status]string{doctor.OK: "✓", doctor.Warning: "!", doctor.Failed: "✗", doctor.Skipped: "-"}
	for _, c := range checks {
		detail, action := c.Detail, c.Action
		if chinese {
			detail, action = c.DetailZh, c.ActionZh
		}
		if _, err := fmt.Fprintf(w, "%s %-16s %s\n", marks[c.Status], c.Name, detail); err != nil {
			return err
		}
		if action != "" {
			if _, err := fmt.Fprintf(w, "  %-16s → %s\n", "", action); err != nil {
				return err
			}
		}
	}
	return nil
}

// componentsOf returns how to ask a running server for its components: nil without a
// key for that.
func componentsOf(cfg config.Config) func(context.Context) ([]doctor.Component, error) {
	if cfg.Bootstrap.APIKey.IsZero() {
		return nil
	}
	return func(ctx context.Context) ([]doctor.Component, error) {
		api, err := connect("http://"+dialable(cfg.Admin.Listen), cfg.Bootstrap.APIKey)
		if err != nil {
			return nil, err
		}
		listed, err := api.Components(ctx)
		known := make([]doctor.Component, len(listed))
		for i, c := range listed {
			known[i].AppID = c.AppID
			if c.TicketReceivedAt != nil {
				known[i].TicketReceivedAt = *c.TicketReceivedAt
			}
		}
		return known, err
	}
}
