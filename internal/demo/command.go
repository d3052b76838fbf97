package demo

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan/internal/obs"
)

// Commands returns "demo", and the hidden command by which it starts the server in
// a process of its own.
func Commands() []*cobra.Command {
	var o Options
	demo := &cobra.Command{
		Use:   "demo",
		Short: "simulator and server together, to try everything · 模拟器与服务一键体验",
		Long: `Run WeChat's side (the simulator) and Tuoguan in one process, on an embedded
database, already connected with each other. It prints links to open: authorize an
account with a simulated phone, write to it, let hours pass.

With --auto it walks the whole path unattended, from a merchant's scan to a token
that stays fresh, prints what it has checked at each step, and ends with exit code
0 only if all of it held.

With --first-run nothing is set up: the console asks for the set-up token and leads
through the rest.

在一个进程内运行模拟的微信与托管服务，按提示打开链接即可体验；加 --auto 则无人值守地走完全程；加 --first-run
则从控制台的首次设置向导开始。`,
		Example: `  tuoguan demo
  tuoguan demo --auto
  tuoguan demo --first-run
  tuoguan demo --auto --faults hostile --seed 7`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.Out = c.OutOrStdout()
			return Run(c.Context(), o)
		},
	}
	f := demo.Flags()
	f.BoolVar(&o.Auto, "auto", false, "walk the journey unattended · 无人值守")
	f.BoolVar(&o.FirstRun, "first-run", false, "begin as a new installation does, with the console's wizard · 从全新安装开始")
	f.StringVar(&o.Dir, "dir", "", "keep the data here (default: a directory that is removed) · 数据目录")
	f.Uint64Var(&o.Seed, "seed", 1, "decides what the simulator does · 随机种子")
	f.StringVar(&o.Faults, "faults", "default", "off, default or hostile · 故障预设")
	demo.MarkFlagsMutuallyExclusive("auto", "first-run")

	var file string
	var offset time.Duration
	child := &cobra.Command{
		Use:    ChildCommand,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return RunChild(c.Context(), file, offset, obs.NewLogger(c.ErrOrStderr(), "debug", "json"))
		},
	}
	child.Flags().StringVar(&file, "config", "", "configuration file")
	child.Flags().DurationVar(&offset, "clock-offset", 0, "how far the clock is ahead")
	return []*cobra.Command{demo, child}
}
