package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
)

func newComponent(p *Process) *cobra.Command {
	return group("component", "third-party platforms kept here · 第三方平台", newComponentList(p), newComponentGet(p), newComponentPut(p), newComponentRotate(p))
}

func newComponentList(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "list components · 列出第三方平台",
		Example: `  tuoguan component list
  tuoguan component list --json`,
		Args: noArgs,
	}
	connect := addClientFlags(c, p)
	asJSON := c.Flags().Bool("json", false, "as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		return table[client.Component]{"APPID\tTICKET\tTOKEN UNTIL\tACTIVE\tPROBLEM", func(item client.Component) []any {
			return []any{item.AppID, showInstant(item.TicketReceivedAt), showInstant(item.TokenExpiresAt), item.Authorizers[tuoguan.StateActive], item.Problem}
		}}.print(c, p, all(api.Components(c.Context())), 0, *asJSON)
	}
	return c
}

func newComponentGet(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:     "get APPID",
		Short:   "show one component, as JSON · 查看一个第三方平台",
		Example: `  tuoguan component get wx0123456789abcdef`,
		Args:    oneArg("APPID"),
	}
	connect := addClientFlags(c, p)
	c.Flags().Bool("json", true, "as JSON; there is no other form")
	c.ValidArgsFunction = firstArg(componentIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		found, err := api.Component(c.Context(), tuoguan.ComponentAppID(args[0]))
		if err != nil {
			return err
		}
		return printJSON(c, found)
	}
	return c
}

func newComponentPut(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "put APPID",
		Short: "add a component, or replace all its credentials · 登记第三方平台或替换凭据",
		Long: `Add a component, or replace all credentials of one, effective at once. They are in the
console of the WeChat Open Platform. Each is read from a file, so that it stands in no
command line. The Token and the EncodingAESKey that are replaced stay valid for pushes.

登记第三方平台，或立即替换其全部凭据（见微信开放平台控制台）。凭据从文件读取，不出现在命令行中；
被替换的 Token 与 EncodingAESKey 仍可用于接收推送。`,
		Example: `  tuoguan component put wx0123456789abcdef --secret-file secret --token-file token --encoding-aes-key-file aeskey`,
		Args:    oneArg("APPID"),
	}
	connect := addClientFlags(c, p)
	flags := c.Flags()
	secret := flags.String("secret-file", "", "file with the AppSecret, required")
	token := flags.String("token-file", "", "file with the Token, required")
	key := flags.String("encoding-aes-key-file", "", "file with the EncodingAESKey, required")
	asJSON := flags.Bool("json", false, "as JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		put := client.Credentials{AppID: tuoguan.ComponentAppID(args[0])}
		for _, f := range []struct {
			flag, path string
			to         *tuoguan.Secret
		}{{"secret-file", *secret, &put.Secret}, {"token-file", *token, &put.Token}, {"encoding-aes-key-file", *key, &put.EncodingAESKey}} {
			if f.path == "" {
				return usageError("--" + f.flag + " is required")
			}
			value, err := readSecret(f.path)
			if err != nil {
				return err
			}
			*f.to = value
		}
		api, err := connect()
		if err != nil {
			return err
		}
		stored, err := api.PutComponent(c.Context(), put)
		if err != nil {
			return err
		}
		return printComponent(c, stored, *asJSON)
	}
	return c
}

func newComponentRotate(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "rotate APPID",
		Short: "replace single credentials of a component · 轮换凭据",
		Long: `Replace single credentials of a component, each read from a file.

Before the AppSecret is reset in WeChat's console, or just after, stage the new one: it
is tried once WeChat refuses the present one, so no call fails meanwhile. The Token and
the EncodingAESKey that are replaced go on being taken from pushes, until they are
replaced again or forgotten.

轮换单项凭据，均从文件读取。在微信控制台重置 AppSecret 前后，可用 --staged-secret-file 预置新值：微信
拒绝现有值后自动启用，期间调用不中断。被替换的 Token 与 EncodingAESKey 仍用于接收推送，直到再次替换
或用 --forget-previous 停用。`,
		Example: `  tuoguan component rotate wx0123456789abcdef --staged-secret-file new-secret
  tuoguan component rotate wx0123456789abcdef --encoding-aes-key-file new-aeskey
  tuoguan component rotate wx0123456789abcdef --forget-previous`,
		Args: oneArg("APPID"),
	}
	connect := addClientFlags(c, p)
	flags := c.Flags()
	var change client.ComponentChange
	files := []struct {
		path *string
		to   **tuoguan.Secret
	}{
		{flags.String("staged-secret-file", "", "the AppSecret to come · 待启用的 AppSecret"), &change.StagedSecret},
		{flags.String("secret-file", "", "the AppSecret, at once · 立即替换 AppSecret"), &change.Secret},
		{flags.String("token-file", "", "the Token"), &change.Token},
		{flags.String("encoding-aes-key-file", "", "the EncodingAESKey"), &change.EncodingAESKey},
	}
	forget := flags.Bool("forget-previous", false, "take the previous Token and EncodingAESKey no more · 停用旧值")
	asJSON := flags.Bool("json", false, "as JSON")
	c.ValidArgsFunction = firstArg(componentIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		changes := *forget
		for _, f := range files {
			if *f.path == "" {
				continue
			}
			value, err := readSecret(*f.path)
			if err != nil {
				return err
			}
			*f.to, changes = &value, true
		}
		switch {
		case !changes:
			return usageError("say what is to be replaced: --staged-secret-file, --secret-file, --token-file, --encoding-aes-key-file or --forget-previous")
		case *forget && (change.Token != nil || change.EncodingAESKey != nil):
			return usageError("--forget-previous would end what is replaced at once, while WeChat may still use it; do it later")
		case *forget:
			change.PreviousToken, change.PreviousEncodingAESKey = new(tuoguan.Secret), new(tuoguan.Secret)
		}
		api, err := connect()
		if err != nil {
			return err
		}
		stored, err := api.ChangeComponent(c.Context(), tuoguan.ComponentAppID(args[0]), change, "")
		if err != nil {
			return err
		}
		return printComponent(c, stored, *asJSON)
	}
	return c
}

// printComponent tells of a component that was stored.
func printComponent(c *cobra.Command, stored client.Component, asJSON bool) error {
	if asJSON {
		return printJSON(c, stored)
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), `%s is stored · 已保存
  authorization event URL · 授权事件接收 URL: %s
  message and event URL · 消息与事件接收 URL: %s
`, stored.AppID, stored.EventURL, stored.MessageURL)
	return err
}
