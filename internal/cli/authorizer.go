package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
)

func newAuthorizer(p *Process) *cobra.Command {
	return group("authorizer", "accounts that have authorized · 授权账号", newAuthorizerList(p), newAuthorizerGet(p), newAuthorizerTag(p))
}

func newAuthorizerList(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "list authorizers · 列出授权账号",
		Long: `List the accounts that have authorized, all of them or those that match every filter.

列出授权账号；多个筛选条件须同时满足。`,
		Example: `  tuoguan authorizer list --state needs_reauthorization
  tuoguan authorizer list --tag production --component wx0123456789abcdef
  tuoguan authorizer list --query coffee --json`,
		Args: noArgs,
	}
	connect := addClientFlags(c, p)
	var query client.AuthorizerQuery
	flags := c.Flags()
	flags.StringVar((*string)(&query.Component), "component", "", "of this component · 第三方平台 AppID")
	flags.StringVar((*string)(&query.State), "state", "", "active, needs_reauthorization or revoked · 状态")
	flags.StringVar((*string)(&query.Kind), "kind", "", "official_account or mini_program · 类型")
	flags.IntVar((*int)(&query.PermissionSet), "permission-set", 0, "with this permission set · 权限集 ID")
	flags.StringVar(&query.Tag, "tag", "", "with this tag · 标签")
	flags.StringVar(&query.Text, "query", "", "part of the name, or an AppID · 名称或 AppID")
	limit := flags.Int("limit", 0, "at most this many; 0 is all · 最多条数")
	asJSON := flags.Bool("json", false, "as JSON")
	completeFlag(c, "component", componentIDs(connect))
	completeFlag(c, "state", cobra.FixedCompletions([]string{string(tuoguan.StateActive), string(tuoguan.StateNeedsReauthorization), string(tuoguan.StateRevoked)}, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(c, "kind", cobra.FixedCompletions([]string{string(tuoguan.KindOfficialAccount), string(tuoguan.KindMiniProgram)}, cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		return table[client.Authorizer]{"APPID\tSTATE\tKIND\tCOMPONENT\tREFERENCE\tTAGS\tNAME", func(a client.Authorizer) []any {
			return []any{a.AppID, a.State, a.Kind, a.ComponentAppID, a.Reference, strings.Join(a.Tags, ","), a.NickName}
		}}.print(c, p, api.Authorizers(c.Context(), query), *limit, *asJSON)
	}
	return c
}

func newAuthorizerGet(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "get APPID",
		Short: "show one authorizer, as JSON · 查看一个授权账号",
		Example: `  tuoguan authorizer get wxaaaaaaaaaaaaaaaa
  tuoguan authorizer get wxaaaaaaaaaaaaaaaa --component wx0123456789abcdef`,
		Args: oneArg("APPID"),
	}
	connect := addClientFlags(c, p)
	component := addComponentFlag(c, connect)
	c.Flags().Bool("json", true, "as JSON; there is no other form")
	c.ValidArgsFunction = firstArg(authorizerIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		found, err := api.Authorizer(c.Context(), authorization(*component, args[0]))
		if err != nil {
			return err
		}
		return printJSON(c, found)
	}
	return c
}

func newAuthorizerTag(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "tag APPID",
		Short: "show or change the tags of an authorizer · 查看或修改标签",
		Long: `Show the tags of an account, or change them. An API key may be bounded to accounts
with a tag, so that a change of tags changes what such keys reach.

查看或修改账号标签。API 密钥可限定为带某标签的账号，修改标签即改变这些密钥的访问范围。`,
		Example: `  tuoguan authorizer tag wxaaaaaaaaaaaaaaaa --add production --remove trial
  tuoguan authorizer tag wxaaaaaaaaaaaaaaaa --set production,coffee
  tuoguan authorizer tag wxaaaaaaaaaaaaaaaa`,
		Args: oneArg("APPID"),
	}
	connect := addClientFlags(c, p)
	component := addComponentFlag(c, connect)
	flags := c.Flags()
	add := flags.StringSlice("add", nil, "tags to add · 添加")
	remove := flags.StringSlice("remove", nil, "tags to remove · 移除")
	set := flags.StringSlice("set", nil, "exactly these tags instead; --set= removes all · 替换为")
	asJSON := flags.Bool("json", false, "the authorizer as JSON")
	c.ValidArgsFunction = firstArg(authorizerIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		if flags.Changed("set") && (flags.Changed("add") || flags.Changed("remove")) {
			return usageError("--set stands alone: it replaces all tags")
		}
		api, err := connect()
		if err != nil {
			return err
		}
		who := authorization(*component, args[0])
		var found client.Authorizer
		switch {
		case flags.Changed("set"):
			found, err = api.SetTags(c.Context(), who, *set, "")
		case flags.Changed("add") || flags.Changed("remove"):
			found, err = changeTags(c, api, who, *add, *remove)
		default:
			found, err = api.Authorizer(c.Context(), who)
		}
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c, found)
		}
		for _, tag := range found.Tags {
			if _, err := fmt.Fprintln(c.OutOrStdout(), tag); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

// changeTags adds and removes tags. Somebody else may do so at the same time.
func changeTags(c *cobra.Command, api *client.Client, who tuoguan.Authorization, add, remove []string) (client.Authorizer, error) {
	for attempt := 1; ; attempt++ {
		found, err := api.Authorizer(c.Context(), who)
		if err != nil {
			return client.Authorizer{}, err
		}
		tags := slices.DeleteFunc(append(slices.Clone(found.Tags), add...), func(tag string) bool { return slices.Contains(remove, tag) })
		slices.Sort(tags)
		changed, err := api.SetTags(c.Context(), who, slices.Compact(tags), found.ETag)
		if attempt == 5 || !errors.Is(err, client.ErrPreconditionFailed) {
			return changed, err
		}
	}
}

func authorization(component, appID string) tuoguan.Authorization {
	return tuoguan.Authorization{Component: tuoguan.ComponentAppID(component), Authorizer: tuoguan.AuthorizerAppID(appID)}
}

func addComponentFlag(c *cobra.Command, connect func() (*client.Client, error)) *string {
	component := c.Flags().String("component", "", "which component, if the account authorizes several · 第三方平台 AppID")
	completeFlag(c, "component", componentIDs(connect))
	return component
}
