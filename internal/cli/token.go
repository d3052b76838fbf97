package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
)

func newToken(p *Process) *cobra.Command {
	return group("token", "access tokens · 令牌", newTokenGet(p), newTokenInvalid(p), newTokenRefresh(p))
}

func newTokenGet(p *Process) *cobra.Command {
	return tokenCommand(p, &cobra.Command{
		Use:   "get APPID",
		Short: "print a valid access token of an account · 获取有效的 access token",
		Long: `Print a valid access token of an account. Who reads it can act for the merchant:
do not leave it in a shell's history or in a log.

输出某账号当前有效的 access token。请勿留在命令历史或日志中。`,
		Example: `  curl "https://api.weixin.qq.com/cgi-bin/get_api_domain_ip?access_token=$(tuoguan token get wxaaaaaaaaaaaaaaaa)"`,
	}, func(ctx context.Context, api *client.Client, owner tuoguan.TokenOwner, _ io.Reader) (tuoguan.AccessToken, error) {
		return api.Token(ctx, owner)
	})
}

func newTokenInvalid(p *Process) *cobra.Command {
	return tokenCommand(p, &cobra.Command{
		Use:   "invalid APPID",
		Short: "report a token that WeChat refused and print the one to use instead · 上报失效令牌",
		Long: `Report a token that WeChat refused with 40001, 40014 or 42001. It is read from standard
input, a line, so that it stands in no command line. The server refreshes only if that
one is still the current one, so everybody may report. The token to use now is printed.

上报被微信以 40001、40014 或 42001 拒绝的令牌（从标准输入读取一行，不出现在命令行中）。仅当它仍是
当前令牌时才会刷新，因此可重复上报。输出现在应使用的令牌。`,
		Example: `  tuoguan token invalid wxaaaaaaaaaaaaaaaa < refused.txt`,
	}, func(ctx context.Context, api *client.Client, owner tuoguan.TokenOwner, in io.Reader) (tuoguan.AccessToken, error) {
		scanner := bufio.NewScanner(in)
		scanner.Scan()
		refused := strings.TrimSpace(scanner.Text())
		if scanner.Err() != nil || refused == "" {
			return tuoguan.AccessToken{}, usageError("the token that was refused is read from standard input, and there is none")
		}
		return api.Invalidate(ctx, owner, tuoguan.NewSecret(refused))
	})
}

func newTokenRefresh(p *Process) *cobra.Command {
	return tokenCommand(p, &cobra.Command{
		Use:   "refresh APPID",
		Short: "refresh the token of an account now and print it · 立即刷新令牌",
		Long: `Refresh the access token of an account even though the present one may be good, and
print the new one. There is rarely a reason: the server refreshes by itself.

立即刷新某账号的令牌并输出新令牌。通常无需使用：服务会自动刷新。`,
		Example: `  tuoguan token refresh wxaaaaaaaaaaaaaaaa --json`,
	}, func(ctx context.Context, api *client.Client, owner tuoguan.TokenOwner, _ io.Reader) (tuoguan.AccessToken, error) {
		return api.Refresh(ctx, owner)
	})
}

// tokenCommand completes a command that prints a token.
func tokenCommand(p *Process, c *cobra.Command, fetch func(context.Context, *client.Client, tuoguan.TokenOwner, io.Reader) (tuoguan.AccessToken, error)) *cobra.Command {
	c.Args = oneArg("APPID")
	connect := addClientFlags(c, p)
	component := addComponentFlag(c, connect)
	asJSON := c.Flags().Bool("json", false, "as JSON, with expires_at")
	c.ValidArgsFunction = firstArg(authorizerIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		token, err := fetch(c.Context(), api, tuoguan.AuthorizerToken(tuoguan.ComponentAppID(*component), tuoguan.AuthorizerAppID(args[0])), c.InOrStdin())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c, struct {
				AccessToken string    `json:"access_token"`
				ExpiresAt   time.Time `json:"expires_at"`
			}{token.Value.Reveal(), token.ExpiresAt})
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), token.Value.Reveal())
		return err
	}
	return c
}
