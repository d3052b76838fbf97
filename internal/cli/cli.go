// Package cli is the command line: the server, the doctor that looks for what is
// wrong, and the REST API from a shell.
//
// Exit codes: 0 success; 1 what was asked for did not succeed; 2 wrong usage or
// configuration; 3 the doctor found something that does not work.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan/client"
	"github.com/tuoguan/tuoguan/internal/config"
)

// The exit codes.
const (
	exitOK = iota
	exitFailed
	exitUsage
	exitUnwell
)

// Process is what the commands see of the process they run in.
type Process struct {
	Args           []string // without the program's name
	Environ        []string // as of os.Environ
	Stdout, Stderr io.Writer
}

// Main runs the command that p names and returns the exit code. More are commands
// that are added to the ones of this package. When ctx ends, the command stops.
func Main(ctx context.Context, p Process, more ...*cobra.Command) int {
	root := newRoot(&p)
	root.AddCommand(more...)
	root.SetArgs(p.Args)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	command, err := root.ExecuteContextC(ctx)
	return report(p.Stderr, command, err)
}

// report tells about an error and returns the exit code for it.
func report(stderr io.Writer, command *cobra.Command, err error) int {
	var usage usageError
	var mistakes config.Mistakes
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUnwell):
		return exitUnwell
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "tuoguan: %v\nTry: %s --help\n", err, command.CommandPath())
		return exitUsage
	case errors.As(err, &mistakes):
		fmt.Fprintf(stderr, "tuoguan: the configuration is wrong (配置有误，共 %d 处):\n", len(mistakes))
		for _, m := range mistakes {
			fmt.Fprintf(stderr, "  %v\n", m)
		}
		return exitUsage
	}
	fmt.Fprintf(stderr, "tuoguan: %v\n", err)
	if refused, ok := errors.AsType[*client.Error](err); ok && refused.DetailZh != "" {
		fmt.Fprintf(stderr, "  %s\n", refused.DetailZh)
	}
	return exitFailed
}

// usageError is a command line that cannot be understood.
type usageError string

func (e usageError) Error() string { return string(e) }

func newRoot(p *Process) *cobra.Command {
	root := &cobra.Command{
		Use:   "tuoguan",
		Short: "keeps the authorizations that merchants give to a WeChat third-party platform · 微信第三方平台授权托管",
		Long: `Tuoguan keeps the authorizations that merchants give to a WeChat third-party
platform: it receives WeChat's pushes, exchanges codes, keeps every token fresh
and hands tokens to your own services over REST.

托管保管商家对微信第三方平台的授权：接收推送、换取授权、持续刷新令牌，并通过 REST
提供给您自己的服务。

Exit codes · 退出码: 0 success 成功, 1 failed 失败, 2 wrong usage or configuration
用法或配置错误, 3 the doctor found a problem 诊断发现问题.`,
		Example: `  tuoguan serve --config /etc/tuoguan/config.yaml
  tuoguan doctor --config /etc/tuoguan/config.yaml
  tuoguan link create --component wx0123456789abcdef --reference shop-1
  tuoguan key create --name crm --operation tokens:refresh --operation gateway:call
  tuoguan token get wxaaaaaaaaaaaaaaaa`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err.Error()) })
	root.AddCommand(
		newServe(p), newConfig(p), newDoctor(p), newVersion(),
		newBackup(p), newRestore(p), newRekey(p), newMigrate(p),
		newComponent(p), newAuthorizer(p), newToken(p), newLink(p), newEvent(p), newSubscription(p), newDelivery(p), newKey(p), newUser(p), newAudit(p),
		newCall(p), newAPI(p),
	)
	return root
}

// group returns a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var names []string
			for _, sub := range c.Commands() {
				names = append(names, sub.Name())
			}
			return usageError("say what to do: " + strings.Join(names, ", "))
		},
	}
	c.AddCommand(commands...)
	return c
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	c.SuggestionsMinimumDistance = 2
	message := fmt.Sprintf("unknown command or argument %q for %s", args[0], c.CommandPath())
	if similar := c.SuggestionsFor(args[0]); len(similar) > 0 {
		message += "; did you mean " + strings.Join(similar, " or ") + "?"
	}
	return usageError(message)
}

// oneArg demands one argument, named as in the usage line.
func oneArg(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError(fmt.Sprintf("%s takes one argument, %s", c.CommandPath(), name))
		}
		return nil
	}
}

// variable returns the value of an environment variable, "" if it is not set.
func (p *Process) variable(name string) string {
	for _, entry := range p.Environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}
