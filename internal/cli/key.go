package cli

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
)

func newKey(p *Process) *cobra.Command {
	return group("key", "API keys of your services · API 密钥", newKeyCreate(p), newKeyList(p), newKeyGet(p), newKeyRotate(p), newKeyRevoke(p))
}

const operations = `Operations · 操作: components:read components:write authorizers:read authorizers:write
tokens:read tokens:refresh links:read links:write events:read events:replay
subscriptions:read subscriptions:write jobs:read jobs:run keys:read keys:write audit:read
users:read users:write gateway:call oauth:relay, and * for everything.`

func newKeyCreate(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "create",
		Short: "make an API key and print it, this once · 创建 API 密钥，仅显示一次",
		Long: `Make an API key for one of your services and print it. It is shown this once; the server
keeps a hash. What the key may do is the sum of its operations, for the accounts that
all of the other flags leave. It can do no more than the key that makes it.

tokens:read alone hands out tokens that are valid, and never causes a refresh: for test
environments. tokens:refresh includes it.

为您的某个服务创建 API 密钥并输出。密钥仅显示这一次，服务端只保存哈希。权限为所列操作，范围由其余参数
限定，且不得超出创建者自身的权限。仅有 tokens:read 的密钥只读取有效令牌，绝不触发刷新，适合测试环境。

` + operations,
		Example: `  tuoguan key create --name crm --operation tokens:refresh --operation gateway:call > crm.key
  tuoguan key create --name staging --operation tokens:read --tag trial --expires-in 720h
  tuoguan key create --name menus --operation gateway:call --path '/cgi-bin/menu/*' --network 10.0.0.0/8`,
		Args: noArgs,
	}
	connect := addClientFlags(c, p)
	flags := c.Flags()
	var n client.NewAPIKey
	flags.StringVar(&n.Name, "name", "", "for people, required · 名称")
	flags.StringSliceVar(&n.Scope.Operations, "operation", nil, "what it may do, required; may be repeated · 操作")
	components := flags.StringSlice("component", nil, "only these components · 仅限第三方平台")
	accounts := flags.StringSlice("authorizer", nil, "only these accounts · 仅限账号")
	flags.StringSliceVar(&n.Scope.Tags, "tag", nil, "only accounts with one of these tags · 仅限带有标签的账号")
	flags.StringSliceVar(&n.Scope.Paths, "path", nil, "only these WeChat paths through the gateway, /* at the end for all below · 仅限网关路径")
	networks := flags.StringSlice("network", nil, "only from these networks, CIDR · 仅限来源网段")
	flags.Float64Var(&n.Scope.Rate, "rate", 0, "requests per second; 0 is the default · 每秒请求数")
	flags.DurationVar(&n.Expires.In, "expires-in", 0, "how long it is valid; 90 days if not given · 有效期")
	flags.BoolVar(&n.Expires.Never, "never-expires", false, "valid until it is revoked · 永不过期")
	asJSON := flags.Bool("json", false, "as JSON, with the key")
	completeFlag(c, "operation", cobra.FixedCompletions(strings.Fields(strings.NewReplacer("Operations · 操作:", "", ", and * for everything.", " *").Replace(operations)), cobra.ShellCompDirectiveNoFileComp))
	completeFlag(c, "component", componentIDs(connect))
	completeFlag(c, "authorizer", authorizerIDs(connect))
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case n.Name == "":
			return usageError("--name is required")
		case len(n.Scope.Operations) == 0:
			return usageError("--operation is required; see --help for what there is")
		case n.Expires.Never && flags.Changed("expires-in"):
			return usageError("--never-expires and --expires-in cannot both be")
		case flags.Changed("expires-in") && n.Expires.In < time.Second:
			return usageError("--expires-in must be a second at least")
		}
		for _, id := range *components {
			n.Scope.Components = append(n.Scope.Components, tuoguan.ComponentAppID(id))
		}
		for _, id := range *accounts {
			n.Scope.Authorizers = append(n.Scope.Authorizers, tuoguan.AuthorizerAppID(id))
		}
		for _, text := range *networks {
			network, err := netip.ParsePrefix(text)
			if err != nil {
				return usageError("--network: " + err.Error())
			}
			n.Scope.Networks = append(n.Scope.Networks, network)
		}
		api, err := connect()
		if err != nil {
			return err
		}
		made, err := api.CreateAPIKey(c.Context(), n)
		if err != nil {
			return err
		}
		return printKey(c, p.Stderr, made, *asJSON)
	}
	return c
}

// printKey prints a key that is not shown again.
func printKey(c *cobra.Command, stderr io.Writer, made client.MadeAPIKey, asJSON bool) error {
	fmt.Fprintf(stderr, "key %s (%s), until %s: it is shown this once, keep it where secrets are kept\n密钥仅显示这一次，请妥善保存\n", made.ID, plain(made.Name), until(made.ExpiresAt))
	if asJSON {
		return printJSON(c, struct {
			client.APIKey
			Key string `json:"key"`
		}{made.APIKey, made.Key.Reveal()})
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), made.Key.Reveal())
	return err
}

func until(t *time.Time) string {
	if t == nil {
		return "it is revoked"
	}
	return showInstant(t)
}

func newKeyList(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "list API keys · 列出 API 密钥",
		Long: `List the API keys, revoked and expired ones included, without the keys themselves.

列出全部 API 密钥（含已吊销和已过期的），不含密钥本身。`,
		Example: `  tuoguan key list
  tuoguan key list --json`,
		Args: noArgs,
	}
	connect := addClientFlags(c, p)
	limit := c.Flags().Int("limit", 0, "at most this many; 0 is all · 最多条数")
	asJSON := c.Flags().Bool("json", false, "as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		now := time.Now()
		return table[client.APIKey]{"ID\tNAME\tSTATE\tEXPIRES\tLAST USED\tOPERATIONS", func(k client.APIKey) []any {
			return []any{k.ID, k.Name, keyState(k, now), showInstant(k.ExpiresAt), showInstant(k.LastUsedAt), strings.Join(k.Scope.Operations, ",")}
		}}.print(c, p, api.APIKeys(c.Context()), *limit, *asJSON)
	}
	return c
}

func keyState(k client.APIKey, now time.Time) string {
	switch {
	case k.RevokedAt != nil:
		return "revoked"
	case k.ExpiresAt != nil && !now.Before(*k.ExpiresAt):
		return "expired"
	}
	return "valid"
}

func newKeyGet(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:     "get ID",
		Short:   "show one API key with its scope, as JSON · 查看一个 API 密钥",
		Example: `  tuoguan key get 0a1b2c3d4e5f`,
		Args:    oneArg("ID"),
	}
	connect := addClientFlags(c, p)
	c.Flags().Bool("json", true, "as JSON; there is no other form")
	c.ValidArgsFunction = firstArg(keyIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		found, err := api.APIKey(c.Context(), args[0])
		if err != nil {
			return err
		}
		return printJSON(c, found)
	}
	return c
}

func newKeyRotate(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "rotate ID",
		Short: "replace an API key and print the new one, this once · 轮换 API 密钥",
		Long: `Replace an API key and print the new one, which may do the same. The old one stays valid
for a day, or as long as --grace says, so that the service can be given the new one.

轮换密钥并输出新密钥，权限不变。旧密钥默认继续有效一天（可用 --grace 指定），以便服务切换。`,
		Example: `  tuoguan key rotate 0a1b2c3d4e5f > crm.key
  tuoguan key rotate 0a1b2c3d4e5f --grace 0s`,
		Args: oneArg("ID"),
	}
	connect := addClientFlags(c, p)
	grace := c.Flags().Duration("grace", 24*time.Hour, "how long the old key stays valid, at most 720h · 旧密钥保留时间")
	var how client.Rotation
	c.Flags().DurationVar(&how.Expires.In, "expires-in", 0, "until when the key is valid from now; as before if not given · 新的有效期")
	asJSON := c.Flags().Bool("json", false, "as JSON, with the key")
	c.ValidArgsFunction = firstArg(keyIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		if *grace < 0 {
			return usageError("--grace must not be negative")
		}
		if how.Grace = *grace; how.Grace == 0 {
			how.Grace = -1
		}
		api, err := connect()
		if err != nil {
			return err
		}
		made, err := api.RotateAPIKey(c.Context(), args[0], how)
		if err != nil {
			return err
		}
		return printKey(c, p.Stderr, made, *asJSON)
	}
	return c
}

func newKeyRevoke(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "revoke ID",
		Short: "take an API key back for ever · 永久吊销 API 密钥",
		Long: `Take an API key back for ever. Every replica refuses it within seconds, and so are the
tokens refused that the gateway made for it.

永久吊销 API 密钥。数秒内所有实例都会拒绝该密钥及网关为其签发的令牌。`,
		Example: `  tuoguan key revoke 0a1b2c3d4e5f`,
		Args:    oneArg("ID"),
	}
	connect := addClientFlags(c, p)
	asJSON := c.Flags().Bool("json", false, "as JSON")
	c.ValidArgsFunction = firstArg(keyIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		revoked, err := api.RevokeAPIKey(c.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c, revoked)
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "key %s (%s) is revoked · 已吊销\n", revoked.ID, plain(revoked.Name))
		return err
	}
	return c
}
