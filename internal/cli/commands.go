package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// page is a page of a list.
type page struct {
	Items      []json.RawMessage `json:"items"`
	NextCursor string            `json:"next_cursor"`
}

type authorizerItem struct {
	AppID          string     `json:"appid"`
	ComponentAppID string     `json:"component_appid"`
	State          string     `json:"state"`
	Kind           string     `json:"kind"`
	NickName       string     `json:"nick_name"`
	Reference      string     `json:"reference"`
	TokenExpiresAt *time.Time `json:"token_expires_at"`
}

func newAuthorizer(p *Process) *cobra.Command {
	return group("authorizer", "accounts that have authorized · 授权账号", newAuthorizerList(p), newAuthorizerGet(p))
}

func newAuthorizerList(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "list authorizers · 列出授权账号",
		Example: `  tuoguan authorizer list --state needs_reauthorization
  tuoguan authorizer list --query coffee --json`,
		Args: noArgs,
	}
	connect := addClientFlags(c, p)
	filters := map[string]*string{
		"component": c.Flags().String("component", "", "of this component · 第三方平台 AppID"),
		"state":     c.Flags().String("state", "", "active, needs_reauthorization or revoked · 状态"),
		"kind":      c.Flags().String("kind", "", "official_account or mini_program · 类型"),
		"q":         c.Flags().String("query", "", "part of the name, or an AppID · 名称或 AppID"),
	}
	limit := c.Flags().Int("limit", 0, "at most this many; 0 is all · 最多条数")
	asJSON := c.Flags().Bool("json", false, "as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		query := url.Values{"limit": {"500"}}
		for name, value := range filters {
			if *value != "" {
				query.Set(name, *value)
			}
		}
		all := page{Items: []json.RawMessage{}}
		for {
			var next page
			if err := api.call(c.Context(), http.MethodGet, "/v1/authorizers?"+query.Encode(), nil, &next); err != nil {
				return err
			}
			all.Items = append(all.Items, next.Items...)
			if next.NextCursor == "" || *limit > 0 && len(all.Items) >= *limit {
				break
			}
			query.Set("cursor", next.NextCursor)
		}
		if *limit > 0 && len(all.Items) > *limit {
			all.Items = all.Items[:*limit]
		}
		if *asJSON {
			return printJSON(c, all.Items)
		}
		w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "APPID\tSTATE\tKIND\tCOMPONENT\tREFERENCE\tNAME")
		for _, raw := range all.Items {
			var item authorizerItem
			if err := json.Unmarshal(raw, &item); err != nil {
				return err
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", item.AppID, item.State, item.Kind, item.ComponentAppID, item.Reference, item.NickName)
		}
		return w.Flush()
	}
	return c
}

func newAuthorizerGet(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:     "get APPID",
		Short:   "show one authorizer, as JSON · 查看一个授权账号",
		Example: `  tuoguan authorizer get wxaaaaaaaaaaaaaaaa`,
		Args:    oneArg("APPID"),
	}
	connect := addClientFlags(c, p)
	component := addComponentFlag(c)
	c.Flags().Bool("json", true, "as JSON; there is no other form")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		var found json.RawMessage
		if err := api.call(c.Context(), http.MethodGet, authorizerPath(args[0], "", *component), nil, &found); err != nil {
			return err
		}
		return printJSON(c, found)
	}
	return c
}

func addComponentFlag(c *cobra.Command) *string {
	return c.Flags().String("component", "", "which component, if the account authorizes several · 第三方平台 AppID")
}

// authorizerPath returns a path of the API about one authorizer.
func authorizerPath(appID, rest, component string) string {
	path := "/v1/authorizers/" + url.PathEscape(appID) + rest
	if component != "" {
		path += "?" + url.Values{"component": {component}}.Encode()
	}
	return path
}

func newToken(p *Process) *cobra.Command {
	get := &cobra.Command{
		Use:   "get APPID",
		Short: "print a valid access token of an account · 获取有效的 access token",
		Long: `Print a valid access token of an account. Who reads it can act for the merchant:
do not leave it in a shell's history or in a log.

输出某账号当前有效的 access token。请勿留在命令历史或日志中。`,
		Example: `  curl "https://api.weixin.qq.com/cgi-bin/get_api_domain_ip?access_token=$(tuoguan token get wxaaaaaaaaaaaaaaaa)"`,
		Args:    oneArg("APPID"),
	}
	connect := addClientFlags(get, p)
	component := addComponentFlag(get)
	asJSON := get.Flags().Bool("json", false, "as JSON, with expires_at")
	get.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		var token struct {
			AccessToken string    `json:"access_token"`
			ExpiresAt   time.Time `json:"expires_at"`
		}
		if err := api.call(c.Context(), http.MethodGet, authorizerPath(args[0], "/access-token", *component), nil, &token); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c, token)
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), token.AccessToken)
		return err
	}
	return group("token", "access tokens · 令牌", get)
}

func newLink(p *Process) *cobra.Command {
	create := &cobra.Command{
		Use:   "create",
		Short: "make an authorization link and print its address · 创建授权链接",
		Example: `  tuoguan link create --component wx0123456789abcdef --reference shop-1 --return-url https://app.example.com/
  tuoguan link create --component wx0123456789abcdef --permission-set 1,2,7 --expires-in 24h`,
		Args: noArgs,
	}
	connect := addClientFlags(create, p)
	flags := create.Flags()
	component := flags.String("component", "", "AppID of the component, required · 第三方平台 AppID")
	authType := flags.Int("auth-type", 0, "which kinds of accounts WeChat offers: 1 official, 2 mini programs, 3 both, … · 账号类型")
	bizAppID := flags.String("biz-appid", "", "only this account · 仅限此账号")
	sets := flags.IntSlice("permission-set", nil, "ids of permission sets · 权限集 ID")
	reference := flags.String("reference", "", "your own name for the tenant · 租户标识")
	returnURL := flags.String("return-url", "", "where the result page leads back to · 完成后返回的地址")
	expiresIn := flags.Duration("expires-in", 0, "how long it can be used, such as 24h · 有效期")
	asJSON := flags.Bool("json", false, "as JSON")
	create.RunE = func(c *cobra.Command, _ []string) error {
		if *component == "" {
			return usageError("--component is required")
		}
		api, err := connect()
		if err != nil {
			return err
		}
		body := map[string]any{"component_appid": *component, "biz_appid": *bizAppID, "reference": *reference, "return_url": *returnURL}
		if flags.Changed("auth-type") {
			body["auth_type"] = *authType
		}
		if len(*sets) > 0 {
			body["permission_sets"] = *sets
		}
		if flags.Changed("expires-in") {
			body["expires_in"] = int64(*expiresIn / time.Second)
		}
		var raw json.RawMessage
		if err := api.call(c.Context(), http.MethodPost, "/v1/authorization-links", body, &raw); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c, raw)
		}
		var link struct {
			URL string `json:"url"`
		}
		if err := json.Unmarshal(raw, &link); err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), link.URL)
		return err
	}
	return group("link", "authorization links · 授权链接", create)
}

type componentItem struct {
	AppID            string           `json:"appid"`
	TicketReceivedAt *time.Time       `json:"ticket_received_at"`
	TokenExpiresAt   *time.Time       `json:"token_expires_at"`
	Problem          string           `json:"problem"`
	Authorizers      map[string]int64 `json:"authorizers"`
}

func newComponent(p *Process) *cobra.Command {
	list := &cobra.Command{
		Use:     "list",
		Short:   "list components · 列出第三方平台",
		Example: `  tuoguan component list --json`,
		Args:    noArgs,
	}
	connect := addClientFlags(list, p)
	asJSON := list.Flags().Bool("json", false, "as JSON")
	list.RunE = func(c *cobra.Command, _ []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		var found page
		if err := api.call(c.Context(), http.MethodGet, "/v1/components", nil, &found); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c, found.Items)
		}
		w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "APPID\tTICKET\tTOKEN UNTIL\tACTIVE\tPROBLEM")
		for _, raw := range found.Items {
			var item componentItem
			if err := json.Unmarshal(raw, &item); err != nil {
				return err
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", item.AppID, showInstant(item.TicketReceivedAt), showInstant(item.TokenExpiresAt), strconv.FormatInt(item.Authorizers["active"], 10), item.Problem)
		}
		return w.Flush()
	}
	return group("component", "third-party platforms kept here · 第三方平台", list)
}

func showInstant(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
