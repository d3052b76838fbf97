package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan/client"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/storage"
)

// errUnwell: the doctor has told what is wrong already.
var errUnwell = errors.New("something does not work")

// The outcomes of a check.
const (
	checkOK      = "ok"
	checkWarning = "warning" // works, but should be looked at
	checkFailed  = "failed"
	checkSkipped = "skipped"
)

// check is one thing looked at, with what to do about it.
type check struct {
	Name     string `json:"name"`
	Status   string `json:"status"`
	Detail   string `json:"detail"`
	DetailZh string `json:"detail_zh"`
	Action   string `json:"action,omitempty"`
	ActionZh string `json:"action_zh,omitempty"`
}

// doctor looks at one installation, beside a server that runs or in place of one
// that does not.
type doctor struct {
	cfg     config.Config
	checks  []check
	running bool               // the server answers on its admin listener
	address string             // of the server's admin listener
	opened  *storage.Opened    // nil where only the server may have it open, or it could not be
	known   []client.Component // what the running server says about components
}

func (d *doctor) add(name, status, detail, detailZh string) *check {
	d.checks = append(d.checks, check{Name: name, Status: status, Detail: detail, DetailZh: detailZh})
	return &d.checks[len(d.checks)-1]
}

// advise adds what to do.
func (c *check) advise(action, actionZh string) { c.Action, c.ActionZh = action, actionZh }

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
		d := &doctor{cfg: cfg}
		if err := d.examine(c.Context()); err != nil {
			return err
		}
		well := true
		for _, check := range d.checks {
			well = well && check.Status != checkFailed
		}
		if *asJSON {
			err = printJSON(c, map[string]any{"ok": well, "checks": d.checks})
		} else {
			err = printChecks(c.OutOrStdout(), d.checks, chinese(*lang, p))
		}
		if err == nil && !well {
			err = errUnwell
		}
		return err
	}
	return c
}

func chinese(lang string, p *Process) bool {
	return strings.HasPrefix(cmp.Or(lang, p.variable("LC_ALL"), p.variable("LC_MESSAGES"), p.variable("LANG")), "zh")
}

func printChecks(w io.Writer, checks []check, chinese bool) error {
	marks := map[string]string{checkOK: "✓", checkWarning: "!", checkFailed: "✗", checkSkipped: "-"}
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

// examine makes all checks.
func (d *doctor) examine(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d.add("configuration", checkOK, "no mistakes", "无误")
	d.masterKey()
	d.server(ctx)
	defer func() {
		if d.opened != nil {
			err = errors.Join(err, d.opened.Close())
		}
	}()
	d.storage(ctx)
	d.spill()
	components, err := d.components(ctx)
	if err != nil {
		return err
	}
	d.clock(ctx)
	for _, component := range components {
		d.credentials(ctx, component)
		d.ticket(ctx, component.AppID)
	}
	d.public(ctx, components)
	return nil
}
