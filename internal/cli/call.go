package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
)

func newCall(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "call APPID ENDPOINT",
		Short: "call an endpoint of WeChat's as an account · 代账号调用微信接口",
		Long: `Call an endpoint of WeChat's as an account that has authorized, through the gateway of
the server. ENDPOINT is an id that "tuoguan api list" shows, or a path. The reply is
printed without tokens; where WeChat answers with an errcode, it is explained and the
exit code is 1.

以授权账号的身份通过网关调用微信接口。ENDPOINT 为 tuoguan api list 列出的 id，或接口路径。
输出应答（其中的令牌已遮盖）；微信返回错误码时给出说明，退出码为 1。`,
		Example: `  tuoguan call wxaaaaaaaaaaaaaaaa get_account_basic_info
  tuoguan call wxaaaaaaaaaaaaaaaa user_info --query openid=oABC
  tuoguan call wxaaaaaaaaaaaaaaaa custom_message_send --data '{"touser":"oABC","msgtype":"text","text":{"content":"hi"}}'
  tuoguan call wxaaaaaaaaaaaaaaaa /cgi-bin/user/get --method GET
  tuoguan call wx0123456789abcdef get_templates --own`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError("tuoguan call takes two arguments, APPID and ENDPOINT")
			}
			return nil
		},
	}
	connect := addClientFlags(c, p)
	component := addComponentFlag(c, connect)
	flags := c.Flags()
	own := flags.Bool("own", false, "APPID is a component, and the call its own · APPID 为第三方平台，调用其自身接口")
	method := flags.String("method", "", "GET or POST, with a path; the default is POST with --data, else GET · 请求方法")
	query := flags.StringToString("query", nil, "query parameters, name=value · 查询参数")
	data := flags.String("data", "", "the body as JSON, @FILE for a file, or - for the input · 请求体 JSON")
	asJSON := flags.Bool("json", false, "all that is known of the call, as JSON")
	output := flags.String("output", "", "write a reply that is a file to FILE · 将文件应答写入 FILE")
	c.ValidArgsFunction = firstArg(authorizerIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		call := client.WeChatCall{Authorizer: tuoguan.AuthorizerAppID(args[0]), Component: tuoguan.ComponentAppID(*component), Query: *query}
		if *own {
			call.Authorizer, call.Component = "", tuoguan.ComponentAppID(args[0])
		}
		body, err := readBody(c, *data)
		if err != nil {
			return err
		}
		call.Body = body
		if call.Endpoint = args[1]; strings.HasPrefix(args[1], "/") {
			call.Endpoint, call.Path, call.Method = "", args[1], *method
			if call.Method == "" {
				call.Method = "GET"
				if len(body) > 0 {
					call.Method = "POST"
				}
			}
		} else if *method != "" {
			return usageError("--method is for a path; an endpoint has its own")
		}
		api, err := connect()
		if err != nil {
			return err
		}
		reply, err := api.CallWeChat(c.Context(), call)
		if err != nil {
			return err
		}
		if err := printReply(c, reply, *asJSON, *output); err != nil {
			return err
		}
		if e := reply.Explanation; e != nil {
			return fmt.Errorf("WeChat answered with errcode %d: %s; %s\n  %s；%s", e.Code, e.Meaning, e.Action, e.MeaningZh, e.ActionZh)
		}
		return nil
	}
	return c
}

// readBody returns the JSON that a flag gives or names.
func readBody(c *cobra.Command, data string) (json.RawMessage, error) {
	text := []byte(data)
	var err error
	if data == "-" {
		text, err = io.ReadAll(c.InOrStdin())
	} else if file, ok := strings.CutPrefix(data, "@"); ok {
		text, err = os.ReadFile(file)
	}
	switch {
	case err != nil:
		return nil, usageError(err.Error())
	case len(text) > 0 && !json.Valid(text):
		return nil, usageError("--data is not JSON")
	}
	return text, nil
}

// printReply prints what WeChat has answered.
func printReply(c *cobra.Command, reply client.WeChatReply, asJSON bool, output string) error {
	switch {
	case asJSON:
		return printJSON(c, reply)
	case reply.TooLong:
		return fmt.Errorf("the reply has more than 1 MiB; call through the gateway (应答超过 1 MiB，请通过网关调用)")
	case len(reply.Base64) > 0 && output == "":
		return usageError(fmt.Sprintf("the reply is a file of %d bytes (%s); say where to with --output", len(reply.Base64), reply.ContentType))
	case len(reply.Base64) > 0:
		return os.WriteFile(output, reply.Base64, 0o600)
	case reply.Text != "":
		_, err := fmt.Fprintln(c.OutOrStdout(), lines(reply.Text))
		return err
	}
	return printJSON(c, reply.Body)
}

func newAPI(p *Process) *cobra.Command {
	return group("api", "WeChat's endpoints · 微信接口目录", newAPIList(p), newAPIShow(p))
}

func newAPIList(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "list the endpoints of WeChat's that are known · 列出微信接口",
		Example: `  tuoguan api list --group code
  tuoguan api list --query 模板`,
		Args: noArgs,
	}
	connect := addClientFlags(c, p)
	group := c.Flags().String("group", "", "of this group · 分组")
	text := c.Flags().String("query", "", "whose id, title or path holds this · 按 id、标题或路径查找")
	asJSON := c.Flags().Bool("json", false, "as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		found, err := api.Endpoints(c.Context())
		var wanted []client.Endpoint
		for _, e := range found {
			holds := strings.Contains(strings.ToLower(strings.Join([]string{e.ID, e.Path, e.Title, e.TitleZh}, " ")), strings.ToLower(*text))
			if holds && e.Group == cmp.Or(*group, e.Group) {
				wanted = append(wanted, e)
			}
		}
		return table[client.Endpoint]{"ID\tMETHOD\tPATH\tTOKEN\tTITLE\t标题", func(e client.Endpoint) []any {
			return []any{e.ID, e.Method, e.Path, e.Token, e.Title, e.TitleZh}
		}}.print(c, p, all(wanted, err), 0, *asJSON)
	}
	return c
}

func newAPIShow(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:     "show ENDPOINT",
		Short:   "show one endpoint with its fields, as JSON · 查看接口及其字段",
		Example: `  tuoguan api show custom_message_send`,
		Args:    oneArg("ENDPOINT"),
	}
	connect := addClientFlags(c, p)
	c.Flags().Bool("json", true, "as JSON; there is no other form")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		found, err := api.Endpoint(c.Context(), args[0])
		if err != nil {
			return err
		}
		return printJSON(c, found)
	}
	return c
}
