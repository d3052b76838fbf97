package cli

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan/client"
)

func newUser(p *Process) *cobra.Command {
	return group("user", "people who use the console · 控制台用户", newUserList(p), newUserAdd(p), newUserSet(p),
		newUserSwitch(p, "disable"), newUserSwitch(p, "enable"), newUserResetPassword(p), newUserResetTOTP(p), newUserSessions(p), newUserDelete(p))
}

const roles = "Roles · 角色: owner 所有者, admin 管理员, operator 操作员, auditor 审计员, viewer 只读."

var roleNames = []string{"owner", "admin", "operator", "auditor", "viewer"}

// findUser returns a user by name, in any case, or by id.
func findUser(ctx context.Context, api *client.Client, named string) (client.User, error) {
	for u, err := range api.Users(ctx) {
		if err != nil {
			return client.User{}, err
		}
		if u.ID == named || strings.EqualFold(u.Name, named) {
			return u, nil
		}
	}
	return client.User{}, fmt.Errorf("there is no user %s · 用户不存在", plain(named))
}

func userNames(connect func() (*client.Client, error)) cobra.CompletionFunc {
	return ids(connect, func(ctx context.Context, api *client.Client) iter.Seq2[client.User, error] {
		return api.Users(ctx)
	}, func(u client.User) (string, string) { return u.Name, u.FullName })
}

// forUser makes a command that takes one user.
func forUser(p *Process, c *cobra.Command, do func(c *cobra.Command, api *client.Client, found client.User) error) *cobra.Command {
	c.Use += " NAME"
	c.Args = oneArg("NAME")
	connect := addClientFlags(c, p)
	c.ValidArgsFunction = firstArg(userNames(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		found, err := findUser(c.Context(), api, args[0])
		if err != nil {
			return err
		}
		return do(c, api, found)
	}
	return c
}

func jsonFlag(c *cobra.Command, usage string) *bool { return c.Flags().Bool("json", false, usage) }

func newUserList(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "list users · 列出用户",
		Long: `List the users of the console, disabled ones included.

列出控制台的全部用户（含已停用的）。`,
		Example: `  tuoguan user list
  tuoguan user list --json`,
		Args: noArgs,
	}
	connect := addClientFlags(c, p)
	limit := c.Flags().Int("limit", 0, "at most this many; 0 is all · 最多条数")
	asJSON := jsonFlag(c, "as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		return table[client.User]{"NAME\tFULL NAME\tROLE\tSTATE\tSIGNS IN BY\tLAST SEEN\tID", func(u client.User) []any {
			return []any{u.Name, u.FullName, u.Role, userState(u), signsInBy(u), showInstant(u.LastSeenAt), u.ID}
		}}.print(c, p, api.Users(c.Context()), *limit, *asJSON)
	}
	return c
}

func userState(u client.User) string {
	if u.Disabled {
		return "disabled"
	}
	return "enabled"
}

func signsInBy(u client.User) string {
	var ways []string
	for _, way := range []struct {
		has  bool
		name string
	}{{u.Password, "password"}, {u.TOTP, "totp"}, {u.OIDC, "oidc"}} {
		if way.has {
			ways = append(ways, way.name)
		}
	}
	if len(ways) == 0 {
		return "-"
	}
	return strings.Join(ways, "+")
}

func newUserAdd(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "make a user and print an initial password, this once · 创建用户，初始密码仅显示一次",
		Long: `Make a user of the console and print an initial password, which has to be changed at the
first use; or take the password from a file. The key that asks for it must be allowed all
that the role allows.

创建控制台用户并输出初始密码，首次登录须修改；也可从文件读取密码。所用密钥的权限须包含该角色的全部权限。

` + roles,
		Example: `  tuoguan user add duty --role operator --full-name '值班'
  tuoguan user add duty --role auditor --password-file /run/secrets/duty`,
		Args: oneArg("NAME"),
	}
	connect := addClientFlags(c, p)
	var n client.NewUser
	c.Flags().StringVar(&n.Role, "role", "", "what the user may do, required · 角色")
	c.Flags().StringVar(&n.FullName, "full-name", "", "for people · 姓名")
	file := c.Flags().String("password-file", "", "take the password from this file · 从文件读取密码")
	asJSON := jsonFlag(c, "as JSON, with the password")
	completeFlag(c, "role", cobra.FixedCompletions(roleNames, cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(c *cobra.Command, args []string) error {
		if n.Role == "" {
			return usageError("--role is required: " + strings.Join(roleNames, ", "))
		}
		n.Name = args[0]
		if *file != "" {
			var err error
			if n.Password, err = readSecret(*file); err != nil {
				return err
			}
		}
		api, err := connect()
		if err != nil {
			return err
		}
		made, err := api.CreateUser(c.Context(), n)
		if err != nil {
			return err
		}
		if made.InitialPassword.IsZero() && !*asJSON {
			_, err = fmt.Fprintf(c.OutOrStdout(), "user %s is made · 已创建\n", plain(made.User.Name))
			return err
		}
		return printPassword(c, p.Stderr, made, *asJSON)
	}
	return c
}

// printPassword prints an initial password that is not shown again.
func printPassword(c *cobra.Command, stderr io.Writer, made client.MadeUser, asJSON bool) error {
	if !made.InitialPassword.IsZero() {
		fmt.Fprintf(stderr, "initial password of %s: it is shown this once, and has to be changed at the first use\n初始密码仅显示这一次，首次登录须修改\n", plain(made.User.Name))
	}
	if asJSON {
		return printJSON(c, struct {
			User            client.User `json:"user"`
			InitialPassword string      `json:"initial_password"`
		}{made.User, made.InitialPassword.Reveal()})
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), made.InitialPassword.Reveal())
	return err
}

func newUserSet(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "set",
		Short: "change the role or the full name of a user · 修改用户的角色或姓名",
		Long: `Change the role or the full name of a user. What the role allows holds everywhere within
seconds, also for browsers that are signed in.

修改用户的角色或姓名。新角色数秒内处处生效，已登录的会话也不例外。

` + roles,
		Example: `  tuoguan user set duty --role admin
  tuoguan user set duty --full-name '值班'`,
	}
	role := c.Flags().String("role", "", "what the user may do · 角色")
	fullName := c.Flags().String("full-name", "", "for people · 姓名")
	asJSON := jsonFlag(c, "as JSON")
	completeFlag(c, "role", cobra.FixedCompletions(roleNames, cobra.ShellCompDirectiveNoFileComp))
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if !c.Flags().Changed("role") && !c.Flags().Changed("full-name") {
			return usageError("say what to change: --role or --full-name")
		}
		return nil
	}
	return forUser(p, c, func(c *cobra.Command, api *client.Client, found client.User) error {
		var change client.UserChange
		if c.Flags().Changed("role") {
			change.Role = role
		}
		if c.Flags().Changed("full-name") {
			change.FullName = fullName
		}
		return changeUser(c, api, found, change, *asJSON)
	})
}

func changeUser(c *cobra.Command, api *client.Client, found client.User, change client.UserChange, asJSON bool) error {
	changed, err := api.ChangeUser(c.Context(), found.ID, change, "")
	if err != nil {
		return err
	}
	return printUser(c, changed, asJSON)
}

func printUser(c *cobra.Command, u client.User, asJSON bool) error {
	if asJSON {
		return printJSON(c, u)
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s: %s, %s, signs in by %s\n", plain(u.Name), u.Role, userState(u), signsInBy(u))
	return err
}

func newUserSwitch(p *Process, verb string) *cobra.Command {
	disable := verb == "disable"
	c := &cobra.Command{
		Use:   verb,
		Short: "let a user sign in again · 启用用户",
		Long: `Let a user sign in again.

允许用户重新登录。`,
		Example: `  tuoguan user ` + verb + ` duty`,
	}
	if disable {
		c.Short = "keep a user from signing in, and end all sessions · 停用用户并结束其会话"
		c.Long = `Keep a user from signing in. All sessions of the user end, on every replica within seconds.
The last owner who can sign in stays.

禁止用户登录，其全部会话数秒内在所有实例上结束。最后一位可登录的所有者不能停用。`
	}
	asJSON := jsonFlag(c, "as JSON")
	return forUser(p, c, func(c *cobra.Command, api *client.Client, found client.User) error {
		return changeUser(c, api, found, client.UserChange{Disabled: &disable}, *asJSON)
	})
}

func newUserResetPassword(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "reset-password",
		Short: "print a new initial password of a user, this once · 重置密码，新初始密码仅显示一次",
		Long: `Give a user another initial password and print it. It has to be changed at the first use.
All sessions of the user end.

为用户生成新的初始密码并输出，首次登录须修改。该用户的全部会话随即结束。`,
		Example: `  tuoguan user reset-password duty`,
	}
	asJSON := jsonFlag(c, "as JSON, with the password")
	return forUser(p, c, func(c *cobra.Command, api *client.Client, found client.User) error {
		initial, err := api.ResetUserPassword(c.Context(), found.ID)
		if err != nil {
			return err
		}
		return printPassword(c, p.Stderr, client.MadeUser{User: found, InitialPassword: initial}, *asJSON)
	})
}

func newUserResetTOTP(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "reset-totp",
		Short: "take a lost authenticator app off a user · 解除用户丢失的身份验证器",
		Long: `Take a lost authenticator app off a user. Where the role needs one, the user sets up another
at the next sign-in.

解除用户丢失的身份验证器。若角色要求身份验证器，用户下次登录时须重新设置。`,
		Example: `  tuoguan user reset-totp duty`,
	}
	asJSON := jsonFlag(c, "as JSON")
	return forUser(p, c, func(c *cobra.Command, api *client.Client, found client.User) error {
		changed, err := api.ResetUserTOTP(c.Context(), found.ID)
		if err != nil {
			return err
		}
		return printUser(c, changed, *asJSON)
	})
}

func newUserSessions(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "sessions",
		Short: "show where a user is signed in, or end it · 查看或结束用户的会话",
		Long: `Show where a user is signed in; with --end, end one of the sessions, and with --end-all all of
them, on every replica within seconds.

查看用户的会话；--end 结束其中一个，--end-all 结束全部，数秒内在所有实例上生效。`,
		Example: `  tuoguan user sessions duty
  tuoguan user sessions duty --end-all`,
	}
	end := c.Flags().String("end", "", "end the session with this id · 结束该会话")
	endAll := c.Flags().Bool("end-all", false, "end all sessions · 结束全部会话")
	asJSON := jsonFlag(c, "as JSON")
	c.MarkFlagsMutuallyExclusive("end", "end-all")
	return forUser(p, c, func(c *cobra.Command, api *client.Client, found client.User) error {
		switch {
		case *end != "":
			if err := api.EndUserSession(c.Context(), found.ID, *end); err != nil {
				return err
			}
		case *endAll:
			if err := api.EndUserSessions(c.Context(), found.ID); err != nil {
				return err
			}
		}
		return table[client.UserSession]{"ID\tSINCE\tLAST SEEN\tFROM\tBY\tBROWSER", func(s client.UserSession) []any {
			return []any{s.ID, showInstant(&s.CreatedAt), showInstant(&s.LastSeenAt), s.Address, s.Method, s.Agent}
		}}.print(c, p, all(api.UserSessions(c.Context(), found.ID)), 0, *asJSON)
	})
}

func newUserDelete(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "delete",
		Short: "delete a user with all sessions · 删除用户及其会话",
		Long: `Delete a user with all sessions. What the user did stays in the audit log. The last owner who
can sign in stays.

删除用户及其会话，其操作记录仍保留在审计日志中。最后一位可登录的所有者不能删除。`,
		Example: `  tuoguan user delete duty`,
	}
	asJSON := jsonFlag(c, "as JSON: the user as it was")
	return forUser(p, c, func(c *cobra.Command, api *client.Client, found client.User) error {
		if err := api.DeleteUser(c.Context(), found.ID); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c, found)
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "user %s is deleted · 已删除\n", plain(found.Name))
		return err
	})
}
