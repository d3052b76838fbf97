package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
)

func newLink(p *Process) *cobra.Command {
	return group("link", "authorization links · 授权链接", newLinkCreate(p), newLinkList(p), newLinkGet(p))
}

func newLinkCreate(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "create",
		Short: "make an authorization link and print its address · 创建授权链接",
		Long: `Make an authorization link and print its address, for the merchant to open in a browser
or to scan. It works once.

创建授权链接并输出其地址，供商家在浏览器打开或扫码，仅可使用一次。`,
		Example: `  tuoguan link create --component wx0123456789abcdef --reference shop-1 --return-url https://app.example.com/
  tuoguan link create --component wx0123456789abcdef --permission-set 1,2,7 --expires-in 24h`,
		Args: noArgs,
	}
	connect := addClientFlags(c, p)
	var n client.NewLink
	flags := c.Flags()
	flags.StringVar((*string)(&n.ComponentAppID), "component", "", "AppID of the component, required · 第三方平台 AppID")
	flags.IntVar(&n.AuthType, "auth-type", 0, "which kinds of accounts WeChat offers: 1 official, 2 mini programs, 3 both, … · 账号类型")
	flags.StringVar((*string)(&n.BizAppID), "biz-appid", "", "only this account · 仅限此账号")
	sets := flags.IntSlice("permission-set", nil, "ids of permission sets · 权限集 ID")
	flags.StringVar(&n.Reference, "reference", "", "your own name for the tenant · 租户标识")
	flags.StringVar(&n.ReturnURL, "return-url", "", "where the result page leads back to · 完成后返回的地址")
	flags.DurationVar(&n.ExpiresIn, "expires-in", 0, "how long it can be used, such as 24h; 7 days if not given · 有效期")
	asJSON := flags.Bool("json", false, "as JSON")
	completeFlag(c, "component", componentIDs(connect))
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case n.ComponentAppID == "":
			return usageError("--component is required")
		case flags.Changed("expires-in") && n.ExpiresIn < 1e9:
			return usageError("--expires-in must be a second at least")
		case flags.Changed("auth-type") && n.AuthType < 1:
			return usageError("--auth-type must be 1 at least")
		}
		for _, set := range *sets {
			n.PermissionSets = append(n.PermissionSets, tuoguan.PermissionSet(set))
		}
		api, err := connect()
		if err != nil {
			return err
		}
		made, err := api.CreateLink(c.Context(), n)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c, made)
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), made.URL)
		return err
	}
	return c
}

func newLinkList(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "list authorization links · 列出授权链接",
		Example: `  tuoguan link list --component wx0123456789abcdef
  tuoguan link list --limit 20 --json`,
		Args: noArgs,
	}
	connect := addClientFlags(c, p)
	component := c.Flags().String("component", "", "of this component · 第三方平台 AppID")
	limit := c.Flags().Int("limit", 0, "at most this many; 0 is all · 最多条数")
	asJSON := c.Flags().Bool("json", false, "as JSON")
	completeFlag(c, "component", componentIDs(connect))
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		return table[client.Link]{"ID\tSTATE\tCOMPONENT\tREFERENCE\tEXPIRES\tUSED BY", func(l client.Link) []any {
			return []any{l.ID, l.State, l.ComponentAppID, l.Reference, showInstant(&l.ExpiresAt), l.UsedBy}
		}}.print(c, p, api.Links(c.Context(), tuoguan.ComponentAppID(*component)), *limit, *asJSON)
	}
	return c
}

func newLinkGet(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:     "get ID",
		Short:   "show one authorization link, as JSON · 查看一个授权链接",
		Example: `  tuoguan link get 4Zr1mXbq0Yd2cT7e`,
		Args:    oneArg("ID"),
	}
	connect := addClientFlags(c, p)
	c.Flags().Bool("json", true, "as JSON; there is no other form")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		found, err := api.Link(c.Context(), args[0])
		if err != nil {
			return err
		}
		return printJSON(c, found)
	}
	return c
}
