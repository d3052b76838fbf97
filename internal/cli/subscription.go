package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
)

func newSubscription(p *Process) *cobra.Command {
	return group("subscription", "who is told of which events, and where · 事件订阅",
		newSubscriptionList(p), newSubscriptionShow(p), newSubscriptionCreate(p), newSubscriptionUpdate(p), newSubscriptionDelete(p),
		newSubscriptionPause(p), newSubscriptionResume(p), newSubscriptionTest(p), newSubscriptionRotate(p), newSubscriptionReplay(p))
}

func newSubscriptionList(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "list subscriptions with what waits for them · 列出订阅及积压",
		Long: `List the subscriptions, with how many deliveries wait for each and how many are dead, that
is, were given up.

列出订阅，以及各自的待投递数与死信数。`,
		Example: `  tuoguan subscription list
  tuoguan subscription list --json`,
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
		return table[client.Subscription]{"ID\tNAME\tSTATE\tKINDS\tTO\tPENDING\tDEAD\tWAITS SINCE", func(s client.Subscription) []any {
			return []any{s.ID, s.Name, s.State, strings.Join(s.Match.Kinds, ","), target(s.Sink), s.Status.Pending, s.Status.Dead, showInstant(s.Status.Since)}
		}}.print(c, p, api.Subscriptions(c.Context()), *limit, *asJSON)
	}
	return c
}

// target says in a few words where events go.
func target(s client.Sink) string {
	switch {
	case s.Type == client.SinkWebhook && s.Format == client.FormatWeChat:
		return s.URL + " (wechat)"
	case s.URL != "" && s.Subject != "":
		return s.URL + " " + s.Subject
	case s.URL != "":
		return s.URL
	}
	return string(s.Type)
}

func newSubscriptionShow(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:     "show ID",
		Aliases: []string{"get"},
		Short:   "show one subscription, as JSON · 查看一个订阅",
		Example: `  tuoguan subscription show sub_aaaaaaaaaaaaaaaa`,
		Args:    oneArg("ID"),
	}
	connect := addClientFlags(c, p)
	c.Flags().Bool("json", true, "as JSON; there is no other form")
	c.ValidArgsFunction = firstArg(subscriptionIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		found, err := api.Subscription(c.Context(), args[0])
		if err != nil {
			return err
		}
		return printJSON(c, found)
	}
	return c
}

// wishes are the flags that say what a subscription is to be like.
type wishes struct {
	set                                 func(flag string) bool // whether it was given
	name                                string
	match                               client.Match
	components, accounts                []string
	sink                                client.Sink
	headers, secretHeaders              []string
	answer, answerFile                  string
	priority, concurrency               int
	ordered, reply                      bool
	maxAge                              time.Duration
	timeout                             time.Duration
	tokenFile, aesKeyFile, passwordFile string
	user                                string
}

func addWishes(c *cobra.Command, connect func() (*client.Client, error)) *wishes {
	f := c.Flags()
	w := &wishes{set: f.Changed}
	f.StringVar(&w.name, "name", "", "for people · 名称")
	f.StringSliceVar(&w.match.Kinds, "kind", nil, "kind of events, or the beginning of some that ends in *, such as text, event.*, tuoguan.*; may be repeated · 事件类型")
	f.StringSliceVar(&w.components, "component", nil, "only of these components · 仅限第三方平台")
	f.StringSliceVar(&w.accounts, "authorizer", nil, "only of these accounts · 仅限账号")
	f.StringSliceVar(&w.match.Tags, "tag", nil, "only of accounts with one of these tags · 仅限带有标签的账号")
	f.StringArrayVar(&w.match.Contains, "contains", nil, "only texts that contain this; may be repeated · 仅限包含该内容的文本")
	f.StringVar((*string)(&w.sink.Type), "sink", "", "webhook (default), answer, nats, kafka, rabbitmq or redis · 投递目标类型，默认 webhook")
	f.StringVar(&w.sink.URL, "url", "", "https:// of a webhook; or addresses of a broker, apart by commas · 地址")
	f.StringVar((*string)(&w.sink.Format), "format", "", "of a webhook: cloudevents (default) or wechat · webhook 格式，默认 cloudevents")
	f.StringArrayVar(&w.headers, "header", nil, "header of a webhook, 'Name: value'; may be repeated · 附加请求头")
	f.StringArrayVar(&w.secretHeaders, "secret-header", nil, "likewise with the value in a file, Name=FILE · 值取自文件的机密请求头")
	f.DurationVar(&w.timeout, "timeout", 0, "of a webhook, 15s by default, at most 60s · 超时")
	f.StringVar(&w.tokenFile, "token-file", "", "file with the Token, for the format wechat")
	f.StringVar(&w.aesKeyFile, "encoding-aes-key-file", "", "file with the EncodingAESKey, for the format wechat")
	f.StringVar(&w.sink.Subject, "subject", "", "subject, topic, routing key or stream; may hold {component}, {authorizer}, {kind} · 主题")
	f.StringVar(&w.sink.Exchange, "exchange", "", "of RabbitMQ")
	f.Int64Var(&w.sink.MaxLen, "max-len", 0, "of Redis: about how many entries a stream keeps · 保留条数")
	f.StringVar(&w.user, "user", "", "of a broker · 用户名")
	f.StringVar(&w.passwordFile, "password-file", "", "file with the password for a broker · 密码文件")
	f.StringVar(&w.answer, "answer", "", "the text that --sink answer replies with · 固定回复的文本")
	f.StringVar(&w.answerFile, "answer-file", "", "file with another reply, as JSON · 固定回复的 JSON 文件")
	f.BoolVar(&w.reply, "reply", false, "what the webhook answers is the passive reply to the user · 以 webhook 的应答作为被动回复")
	f.IntVar(&w.priority, "priority", 0, "of those that may reply, the highest does · 可回复者中优先级最高的回复")
	f.BoolVar(&w.ordered, "ordered", false, "the events of an account one after the other · 同一账号按序投递")
	f.IntVar(&w.concurrency, "concurrency", 0, "how many deliveries at a time; 0 is 16 · 并发数")
	f.DurationVar(&w.maxAge, "max-age", 0, "how long an event is tried; 0 is 72h · 重试期限")
	completeFlag(c, "kind", cobra.FixedCompletions(eventKinds, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(c, "sink", cobra.FixedCompletions([]string{"webhook", "answer", "nats", "kafka", "rabbitmq", "redis"}, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(c, "format", cobra.FixedCompletions([]string{"cloudevents", "wechat"}, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(c, "component", componentIDs(connect))
	completeFlag(c, "authorizer", authorizerIDs(connect))
	return w
}

// eventKinds are offered while a kind is typed; there are more.
var eventKinds = []string{
	"*", "text", "image", "voice", "video", "shortvideo", "location", "link", "event.*", "event.subscribe", "event.unsubscribe", "event.CLICK",
	"authorized", "updateauthorized", "unauthorized",
	"tuoguan.*", "tuoguan.authorized", "tuoguan.updated", "tuoguan.needs_reauthorization", "tuoguan.ticket_overdue", "tuoguan.quota_low", "tuoguan.subscription_disabled",
}

// overMatch returns m with what was said about it.
func (w *wishes) overMatch(m client.Match) client.Match {
	set := w.set
	if set("kind") {
		m.Kinds = w.match.Kinds
	}
	if set("component") {
		m.Components = nil
		for _, id := range w.components {
			m.Components = append(m.Components, tuoguan.ComponentAppID(id))
		}
	}
	if set("authorizer") {
		m.Authorizers = nil
		for _, id := range w.accounts {
			m.Authorizers = append(m.Authorizers, tuoguan.AuthorizerAppID(id))
		}
	}
	if set("tag") {
		m.Tags = w.match.Tags
	}
	if set("contains") {
		m.Contains = w.match.Contains
	}
	return m
}

// overSink returns s with what was said about it. Of another type nothing is kept.
func (w *wishes) overSink(s client.Sink) (client.Sink, error) {
	set := w.set
	if set("sink") && s.Type != w.sink.Type {
		s = client.Sink{Type: w.sink.Type}
	}
	if s.Type == "" {
		s.Type = client.SinkWebhook
		if set("answer") || set("answer-file") {
			s.Type = client.SinkAnswer
		}
	}
	for flag, change := range map[string]func(){
		"url": func() { s.URL = w.sink.URL }, "format": func() { s.Format = w.sink.Format }, "subject": func() { s.Subject = w.sink.Subject },
		"exchange": func() { s.Exchange = w.sink.Exchange }, "max-len": func() { s.MaxLen = w.sink.MaxLen },
		"timeout": func() { s.Timeout = int(w.timeout / time.Second) },
	} {
		if set(flag) {
			change()
		}
	}
	if set("header") {
		s.Headers = make(map[string]string)
		for _, header := range w.headers {
			name, value, ok := strings.Cut(header, ":")
			if !ok {
				return s, usageError("--header must be 'Name: value'")
			}
			s.Headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	var err error
	switch {
	case set("answer") && set("answer-file"):
		err = usageError("--answer and --answer-file cannot both be")
	case set("answer"):
		s.Answer, err = json.Marshal(map[string]string{"msg_type": "text", "content": w.answer})
	case set("answer-file"):
		if s.Answer, err = os.ReadFile(w.answerFile); err == nil && !json.Valid(s.Answer) {
			err = usageError("--answer-file holds no JSON")
		}
	}
	return s, err
}

// secrets returns those that were given.
func (w *wishes) secrets() (client.SubscriptionSecrets, error) {
	var s client.SubscriptionSecrets
	for _, file := range []struct {
		path string
		to   **tuoguan.Secret
	}{{w.tokenFile, &s.Token}, {w.aesKeyFile, &s.EncodingAESKey}, {w.passwordFile, &s.Password}} {
		if file.path == "" {
			continue
		}
		value, err := readSecret(file.path)
		if err != nil {
			return s, err
		}
		*file.to = &value
	}
	if w.set("user") {
		s.User = &w.user
	}
	for _, header := range w.secretHeaders {
		name, file, ok := strings.Cut(header, "=")
		if !ok {
			return s, usageError("--secret-header must be Name=FILE; Name= takes one away")
		}
		if s.Headers == nil {
			s.Headers = make(map[string]tuoguan.Secret)
		}
		s.Headers[name] = tuoguan.Secret{}
		if file != "" {
			value, err := readSecret(file)
			if err != nil {
				return s, err
			}
			s.Headers[name] = value
		}
	}
	return s, nil
}

func newSubscriptionCreate(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "create",
		Short: "make a subscription and print its signing secret, this once · 创建订阅，签名密钥仅显示一次",
		Long: `Make a subscription: say which events, with --kind and what bounds them, and where they go.
A webhook gets CloudEvents signed as by Standard Webhooks; the signing secret is printed
this once, by which the receiver tells that an event is genuine. With --format wechat it
gets what WeChat sends, encrypted with a Token and an EncodingAESKey of your own, so that
a handler written for WeChat works as it is.

With --reply what the webhook answers within its deadline is the passive reply to the
user. --answer replies with the same text always, without any receiver.

创建订阅：用 --kind 等指定事件，并指定投递目标。webhook 收到按 Standard Webhooks 签名的 CloudEvents，
签名密钥仅显示这一次，供接收方验证真伪；--format wechat 则按微信原格式用您自己的 Token 与 EncodingAESKey
加密，原有的微信消息处理程序无需改动。--reply 以 webhook 的应答作为给用户的被动回复；--answer 无需接收方，
总是回复同一文本。`,
		Example: `  tuoguan subscription create --name crm --kind 'event.*' --kind text --url https://crm.example.com/wechat > crm.whsec
  tuoguan subscription create --name alarms --kind 'tuoguan.*' --url https://ops.example.com/hook --secret-header Authorization=token.txt
  tuoguan subscription create --name legacy --kind '*' --tag shop --url https://old.example.com/wx --format wechat \
    --token-file token --encoding-aes-key-file aeskey
  tuoguan subscription create --name hello --kind text --contains hello --answer 'Hello! 您好！'
  tuoguan subscription create --name warehouse --kind '*' --sink nats --url nats://nats:4222 --subject 'wechat.{authorizer}'`,
		Args: noArgs,
	}
	connect := addClientFlags(c, p)
	w := addWishes(c, connect)
	asJSON := c.Flags().Bool("json", false, "as JSON, with the signing secret")
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case w.name == "":
			return usageError("--name is required")
		case len(w.match.Kinds) == 0:
			return usageError("--kind is required; '*' is all events")
		}
		n := client.NewSubscription{
			Name: w.name, Match: w.overMatch(client.Match{}), Priority: w.priority, Ordered: w.ordered,
			Concurrency: w.concurrency, Reply: w.reply, MaxAge: w.maxAge,
		}
		var err error
		if n.Sink, err = w.overSink(client.Sink{}); err != nil {
			return err
		}
		if n.Secrets, err = w.secrets(); err != nil {
			return err
		}
		api, err := connect()
		if err != nil {
			return err
		}
		made, err := api.CreateSubscription(c.Context(), n)
		if err != nil {
			return explained(err)
		}
		return printSubscription(c, p.Stderr, "made · 已创建", made, *asJSON)
	}
	return c
}

// explained adds to an error which fields are at fault, where there are several.
func explained(err error) error {
	refused, ok := errors.AsType[*client.Error](err)
	if !ok || len(refused.Fields) < 2 {
		return err
	}
	var text strings.Builder
	for _, f := range refused.Fields {
		fmt.Fprintf(&text, "\n  %s: %s · %s", plain(f.Field), plain(f.Detail), plain(f.DetailZh))
	}
	return fmt.Errorf("%s%s", refused.Title, text.String())
}

// printSubscription prints a subscription that was made or changed, and its signing
// secret if that is new and so not shown again.
func printSubscription(c *cobra.Command, stderr io.Writer, what string, s client.MadeSubscription, asJSON bool) error {
	if asJSON {
		return printJSON(c, struct {
			client.Subscription
			SigningSecret string `json:"signing_secret,omitempty"`
		}{s.Subscription, s.SigningSecret.Reveal()})
	}
	if s.SigningSecret.IsZero() {
		_, err := fmt.Fprintf(c.OutOrStdout(), "subscription %s (%s) is %s\n", s.ID, plain(s.Name), what)
		return err
	}
	fmt.Fprintf(stderr, "subscription %s (%s) is %s; its signing secret is shown this once\n签名密钥仅显示这一次，请妥善保存\n", s.ID, plain(s.Name), what)
	_, err := fmt.Fprintln(c.OutOrStdout(), s.SigningSecret.Reveal())
	return err
}

func newSubscriptionUpdate(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "update ID",
		Short: "change a subscription; what is not named stays · 修改订阅",
		Long: `Change a subscription. What no flag names stays; a list is replaced as a whole. If the
events go to another host from now on, secrets that go along with them have to be given
again.

修改订阅。未指定的保持不变，列表整体替换。更换投递目标主机时，随投递发送的机密须重新给出。`,
		Example: `  tuoguan subscription update sub_aaaaaaaaaaaaaaaa --kind '*'
  tuoguan subscription update sub_aaaaaaaaaaaaaaaa --url https://crm.example.com/v2/wechat --ordered
  tuoguan subscription update sub_aaaaaaaaaaaaaaaa --secret-header X-Key=`,
		Args: oneArg("ID"),
	}
	connect := addClientFlags(c, p)
	w := addWishes(c, connect)
	asJSON := c.Flags().Bool("json", false, "as JSON")
	c.ValidArgsFunction = firstArg(subscriptionIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		found, err := api.Subscription(c.Context(), args[0])
		if err != nil {
			return err
		}
		change, err := w.change(found)
		if err != nil {
			return err
		}
		changed, err := api.ChangeSubscription(c.Context(), args[0], change, found.ETag)
		if err != nil {
			return explained(err)
		}
		return printSubscription(c, p.Stderr, "changed · 已修改", changed, *asJSON)
	}
	return c
}

// change returns how a subscription is to be changed.
func (w *wishes) change(s client.Subscription) (client.SubscriptionChange, error) {
	set := w.set
	var change client.SubscriptionChange
	if set("name") {
		change.Name = &w.name
	}
	if slices.ContainsFunc([]string{"kind", "component", "authorizer", "tag", "contains"}, set) {
		match := w.overMatch(s.Match)
		change.Match = &match
	}
	if slices.ContainsFunc([]string{"sink", "url", "format", "header", "timeout", "subject", "exchange", "max-len", "answer", "answer-file"}, set) {
		sink, err := w.overSink(s.Sink)
		if err != nil {
			return change, err
		}
		change.Sink = &sink
	}
	if set("priority") {
		change.Priority = &w.priority
	}
	if set("ordered") {
		change.Ordered = &w.ordered
	}
	if set("concurrency") {
		change.Concurrency = &w.concurrency
	}
	if set("reply") {
		change.Reply = &w.reply
	}
	if set("max-age") {
		change.MaxAge = &w.maxAge
	}
	var err error
	change.Secrets, err = w.secrets()
	return change, err
}

func newSubscriptionDelete(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "delete ID",
		Short: "delete a subscription with all that waits for it · 删除订阅及其待投递事件",
		Long: `Delete a subscription. What waits for it, and its dead letters, are not delivered any
more; the events themselves stay.

删除订阅。其待投递事件与死信不再投递，事件本身仍保留。`,
		Example: `  tuoguan subscription delete sub_aaaaaaaaaaaaaaaa`,
		Args:    oneArg("ID"),
	}
	connect := addClientFlags(c, p)
	c.ValidArgsFunction = firstArg(subscriptionIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		if err := api.DeleteSubscription(c.Context(), args[0], ""); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "subscription %s is deleted · 已删除\n", plain(args[0]))
		return err
	}
	return c
}

func newSubscriptionPause(p *Process) *cobra.Command {
	return stateCommand(p, "pause", "gather events and deliver none · 暂停投递", `Deliver nothing to a subscription. Its events are gathered, for as long as events are
kept, and delivered once it is resumed.

暂停投递。事件在保留期内继续积累，恢复后投递。`, "paused · 已暂停", (*client.Client).PauseSubscription)
}

func newSubscriptionResume(p *Process) *cobra.Command {
	return stateCommand(p, "resume", "deliver again what was paused or disabled · 恢复投递", `Deliver to a subscription again that was paused, or that was disabled because it had
failed for too long.

恢复被暂停或因长期失败被停用的订阅。`, "active · 已恢复", (*client.Client).ResumeSubscription)
}

func stateCommand(p *Process, use, short, long, is string, change func(*client.Client, context.Context, string) (client.Subscription, error)) *cobra.Command {
	c := &cobra.Command{
		Use: use + " ID", Short: short, Long: long,
		Example: "  tuoguan subscription " + use + " sub_aaaaaaaaaaaaaaaa",
		Args:    oneArg("ID"),
	}
	connect := addClientFlags(c, p)
	asJSON := c.Flags().Bool("json", false, "as JSON")
	c.ValidArgsFunction = firstArg(subscriptionIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		changed, err := change(api, c.Context(), args[0])
		if err != nil {
			return err
		}
		return printSubscription(c, p.Stderr, is, client.MadeSubscription{Subscription: changed}, *asJSON)
	}
	return c
}

func newSubscriptionTest(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "test ID",
		Short: "send a sample now · 立即发送样例",
		Long: `Have the server send a sample now, of the kind tuoguan.test, and tell what became of it.
It is not tried again and leaves no trace among the events.

Exit code · 退出码: 0 it was delivered 已送达, 1 it was not 未送达.

由服务端立即发送一个 tuoguan.test 样例并报告结果，不重试，也不计入事件。`,
		Example: `  tuoguan subscription test sub_aaaaaaaaaaaaaaaa`,
		Args:    oneArg("ID"),
	}
	connect := addClientFlags(c, p)
	asJSON := c.Flags().Bool("json", false, "as JSON")
	c.ValidArgsFunction = firstArg(subscriptionIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		result, err := api.TestSubscription(c.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(c, result)
		} else if result.Delivered {
			_, err = fmt.Fprintf(c.OutOrStdout(), "delivered in %d ms, status %d · 已送达\n", result.LatencyMS, result.Status)
		}
		if err == nil && !result.Delivered {
			err = fmt.Errorf("not delivered after %d ms, status %d: %s · 未送达", result.LatencyMS, result.Status, plain(result.Error))
		}
		return err
	}
	return c
}

func newSubscriptionRotate(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "rotate ID",
		Short: "replace the signing secret and print the new one, this once · 轮换签名密钥",
		Long: `Replace the signing secret of a subscription and print the new one. For a day, or as long
as --overlap says, webhooks are signed with both, so that the receiver can be given the
new one meanwhile.

轮换签名密钥并输出新密钥。默认一天内（可用 --overlap 指定）webhook 同时带有新旧两个签名，以便接收方切换。`,
		Example: `  tuoguan subscription rotate sub_aaaaaaaaaaaaaaaa > crm.whsec
  tuoguan subscription rotate sub_aaaaaaaaaaaaaaaa --overlap 0s`,
		Args: oneArg("ID"),
	}
	connect := addClientFlags(c, p)
	overlap := c.Flags().Duration("overlap", 24*time.Hour, "how long the old one signs too, at most 720h · 旧密钥继续签名的时间")
	asJSON := c.Flags().Bool("json", false, "as JSON, with the signing secret")
	c.ValidArgsFunction = firstArg(subscriptionIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		if *overlap < 0 {
			return usageError("--overlap must not be negative")
		}
		how := *overlap
		if how == 0 {
			how = -1
		}
		api, err := connect()
		if err != nil {
			return err
		}
		rotated, err := api.RotateSigningSecret(c.Context(), args[0], how)
		if err != nil {
			return err
		}
		return printSubscription(c, p.Stderr, "rotated · 已轮换", rotated, *asJSON)
	}
	return c
}

// lookEvery is how often it is asked how far a replay has come.
const lookEvery = 300 * time.Millisecond

func newSubscriptionReplay(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "replay ID [EVENT…]",
		Short: "deliver dead letters or past events again · 重放死信或历史事件",
		Long: `Deliver events to a subscription again: all its dead letters with --dead; or the events
with the ids given, whether it matches them or not; or what --since, --until, --kind,
--component and --authorizer select of the events that it matches, also such as came
before there was the subscription. An event keeps its id, by which the receiver tells
that it has had it before.

The command waits until all of them are due. Interrupted, or with --detach, it leaves
that to the server.

重新投递：--dead 为全部死信；或给出事件 ID（无论是否匹配）；或用 --since、--until、--kind、--component、
--authorizer 从该订阅匹配的事件中筛选，包括订阅创建之前的。事件 ID 不变，接收方可据此去重。命令等待全部
事件排入投递；中断或 --detach 时由服务端继续。`,
		Example: `  tuoguan subscription replay sub_aaaaaaaaaaaaaaaa --dead
  tuoguan subscription replay sub_aaaaaaaaaaaaaaaa 41871 41872
  tuoguan subscription replay sub_aaaaaaaaaaaaaaaa --since 24h --kind 'event.*'`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError(c.CommandPath() + " takes the ID of a subscription")
			}
			return nil
		},
	}
	connect := addClientFlags(c, p)
	flags := c.Flags()
	var what client.Replay
	flags.BoolVar(&what.Dead, "dead", false, "all dead letters · 全部死信")
	since := flags.String("since", "", "received since so long ago, such as 24h, or since an instant · 起始时间")
	until := flags.String("until", "", "received until so long ago, or before an instant · 截止时间")
	flags.StringVar(&what.Kind, "kind", "", "a kind, or the beginning of some that ends in * · 类型")
	flags.StringVar((*string)(&what.Component), "component", "", "of this component · 第三方平台 AppID")
	flags.StringVar((*string)(&what.Authorizer), "authorizer", "", "of this account · 授权账号 AppID")
	detach := flags.Bool("detach", false, "do not wait · 不等待")
	asJSON := flags.Bool("json", false, "as JSON")
	completeFlag(c, "component", componentIDs(connect))
	completeFlag(c, "authorizer", authorizerIDs(connect))
	c.ValidArgsFunction = firstArg(subscriptionIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		what.Events = args[1:]
		var err error
		if what.Since, err = ago("since", *since); err != nil {
			return err
		}
		if what.Until, err = ago("until", *until); err != nil {
			return err
		}
		api, err := connect()
		if err != nil {
			return err
		}
		job, err := api.ReplaySubscription(c.Context(), args[0], what)
		if err != nil {
			return err
		}
		if !*detach {
			if job, err = awaitReplay(c.Context(), api, newProgress(p), args[0], job); err != nil {
				return err
			}
		}
		switch {
		case *asJSON:
			err = printJSON(c, job)
		case job.State == client.JobRunning:
			_, err = fmt.Fprintf(c.OutOrStdout(), "the server goes on, job %s · 由服务端继续\n", plain(job.ID))
		case job.State == client.JobDone:
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d events are delivered again · 条事件重新投递\n", job.Done)
		}
		if err == nil && job.State == client.JobFailed {
			err = fmt.Errorf("the replay ended after %d events: %s", job.Done, plain(job.Problem))
		}
		return err
	}
	return c
}

// awaitReplay waits until a replay has ended. It returns it as it was last seen if
// interrupted, or where another replica answers, which does not know it.
func awaitReplay(ctx context.Context, api *client.Client, shown *progress, id string, job client.Job) (client.Job, error) {
	defer shown.clear()
	for job.State == client.JobRunning {
		shown.show("%d events · 条事件", job.Done)
		select {
		case <-ctx.Done():
			return job, nil
		case <-time.After(lookEvery):
		}
		now, err := api.ReplayJob(ctx, id)
		switch {
		case ctx.Err() != nil || errors.Is(err, client.ErrNotFound) || err == nil && now.ID != job.ID:
			return job, nil
		case err != nil:
			return job, err
		}
		job = now
	}
	return job, nil
}

// ago reads an instant, or a duration before now; "" is none.
func ago(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return time.Now().Add(-d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, usageError("--" + flag + " must be a duration such as 24h or an instant such as 2026-11-21T08:00:00Z")
	}
	return at, nil
}

func newDelivery(p *Process) *cobra.Command {
	return group("delivery", "what became of events that were to be delivered · 投递记录", newDeliveryList(p))
}

func newDeliveryList(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "list deliveries, the newest event first · 列出投递记录",
		Long: `List deliveries to a subscription or of an event, the newest event first; without either,
to all subscriptions, one after the other. Dead ones were given up: after 72 hours, or at
once where an event can never be taken. tuoguan subscription replay delivers them again.

列出某订阅或某事件的投递，由新到旧；均不指定时依次列出全部订阅的。死信（dead）为已放弃的投递，可用
tuoguan subscription replay 重放。`,
		Example: `  tuoguan delivery list --state dead
  tuoguan delivery list --subscription sub_aaaaaaaaaaaaaaaa --state pending
  tuoguan delivery list --event 41871 --json`,
		Args: noArgs,
	}
	connect := addClientFlags(c, p)
	flags := c.Flags()
	var q client.DeliveryQuery
	flags.StringVar(&q.Subscription, "subscription", "", "to this subscription · 订阅 ID")
	flags.StringVar(&q.Event, "event", "", "of this event · 事件 ID")
	flags.StringVar((*string)(&q.State), "state", "", "pending, delivered or dead · 状态")
	limit := flags.Int("limit", 100, "at most this many; 0 is all · 最多条数")
	asJSON := flags.Bool("json", false, "as JSON")
	completeFlag(c, "subscription", subscriptionIDs(connect))
	completeFlag(c, "state", cobra.FixedCompletions([]string{"pending", "delivered", "dead"}, cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		return deliveryTable.print(c, p, deliveries(c.Context(), api, q), *limit, *asJSON)
	}
	return c
}

var deliveryTable = table[client.Delivery]{"EVENT\tKIND\tAUTHORIZER\tSUBSCRIPTION\tSTATE\tATTEMPTS\tDUE OR ENDED\tLAST ERROR", func(d client.Delivery) []any {
	at, problem := d.FinishedAt, ""
	if d.State == client.DeliveryPending {
		at = d.DueAt
	}
	if len(d.Log) > 0 {
		problem = d.Log[len(d.Log)-1].Error
	}
	return []any{d.Event.ID, d.Event.Kind, d.Event.AuthorizerAppID, d.SubscriptionID, d.State, d.Attempts, showInstant(at), problem}
}}

// deliveries lists those asked for; to every subscription where none and no event is named.
func deliveries(ctx context.Context, api *client.Client, q client.DeliveryQuery) func(func(client.Delivery, error) bool) {
	if q.Subscription != "" || q.Event != "" {
		return api.Deliveries(ctx, q)
	}
	return func(yield func(client.Delivery, error) bool) {
		for s, err := range api.Subscriptions(ctx) {
			if err != nil {
				yield(client.Delivery{}, err)
				return
			}
			q.Subscription = s.ID
			for d, err := range api.Deliveries(ctx, q) {
				if !yield(d, err) || err != nil {
					return
				}
			}
		}
	}
}
