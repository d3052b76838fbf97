package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
)

func newEvent(p *Process) *cobra.Command {
	return group("event", "what WeChat has pushed, and events of our own · 微信推送与自有事件", newEventList(p), newEventTail(p), newEventShow(p), newEventReplay(p))
}

// pollEvery is how often the server is asked for events that are new, and awayEvery
// how often while it is away.
const (
	pollEvery = time.Second
	awayEvery = 5 * time.Second
)

func newEventList(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "list events, oldest first, and follow them · 列出并跟踪推送",
		Long: `List what WeChat has pushed, and the server's own events, oldest first and without what
they say; tuoguan event show tells that. With --follow go on until interrupted, also while
the server restarts.

按时间顺序列出微信推送与自有事件（不含内容，内容见 tuoguan event show）。--follow 持续输出新事件，
直到中断；服务重启期间也会继续。`,
		Example: `  tuoguan event list --since 1h
  tuoguan event list --kind 'event.*' --newest --limit 20
  tuoguan event list --kind unauthorized --json
  tuoguan event list --after 41870 --follow --json | while read -r line; do echo "$line"; done`,
		Args: noArgs,
	}
	connect := addClientFlags(c, p)
	flags := c.Flags()
	var want eventFilter
	want.addFlags(c, connect)
	since := flags.String("since", "", "received since so long ago, such as 1h, or since an instant · 起始时间")
	until := flags.String("until", "", "received until so long ago, or before an instant · 截止时间")
	newest := flags.Bool("newest", false, "newest first · 由新到旧")
	after := flags.String("after", "", "after the event with this id · 起始 ID")
	limit := flags.Int("limit", 0, "at most this many; 0 is all · 最多条数")
	follow := flags.Bool("follow", false, "go on with what comes · 持续跟踪")
	asJSON := flags.Bool("json", false, "as JSON, a line each")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *newest && *follow {
			return usageError("--newest and --follow cannot both be")
		}
		var err error
		if want.since, err = ago("since", *since); err != nil {
			return err
		}
		if want.until, err = ago("until", *until); err != nil {
			return err
		}
		api, err := connect()
		if err != nil {
			return err
		}
		shown := newProgress(p)
		defer shown.clear()
		feed := &eventFeed{api: api, filter: want, after: *after, newest: *newest, follow: *follow}
		printed := 0
		printEvent := eventPrinter(c, *asJSON)
		return feed.each(c.Context(), shown, func(e client.Event) (more bool, err error) {
			shown.clear()
			printed++
			return printed != *limit, printEvent(e)
		})
	}
	return c
}

// eventPrinter prints events, a line each.
func eventPrinter(c *cobra.Command, asJSON bool) func(client.Event) error {
	encoder := newEncoder(c.OutOrStdout())
	return func(e client.Event) error {
		if asJSON {
			return encoder.Encode(e)
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "%-10s  %s  %-28s  %-18s  %s\n", plain(e.ID), showInstant(e.ReceivedAt), plain(e.Kind), plain(string(e.AuthorizerAppID)), plain(string(e.ComponentAppID)))
		return err
	}
}

func newEventTail(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "tail",
		Short: "show the last events, and those that come · 跟踪最新事件",
		Long: `Show the last events of the past day, and go on with those that come until interrupted,
also while the server restarts. With --json each is a line.

显示最近一天内的最后几条事件，并持续输出新事件，直到中断；服务重启期间也会继续。--json 每行一条。`,
		Example: `  tuoguan event tail
  tuoguan event tail --kind 'event.*' --authorizer wxaaaaaaaaaaaaaaaa
  tuoguan event tail --lines 0 --json | while read -r line; do echo "$line"; done`,
		Args: noArgs,
	}
	connect := addClientFlags(c, p)
	var want eventFilter
	want.addFlags(c, connect)
	n := c.Flags().Int("lines", 10, "how many of the past · 先显示的条数")
	asJSON := c.Flags().Bool("json", false, "as JSON, a line each")
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		printEvent := eventPrinter(c, *asJSON)
		last, end, err := lastEvents(c.Context(), api, want, *n)
		if err != nil {
			return err
		}
		for _, e := range last {
			if err := printEvent(e); err != nil {
				return err
			}
		}
		shown := newProgress(p)
		defer shown.clear()
		feed := &eventFeed{api: api, filter: want, after: end, follow: true, answered: true}
		return feed.each(c.Context(), shown, func(e client.Event) (bool, error) {
			shown.clear()
			return true, printEvent(e)
		})
	}
	return c
}

// lastEvents returns the last n events of the past day that a filter takes, oldest first,
// and the id of the very last event, "" if there is none.
func lastEvents(ctx context.Context, api *client.Client, want eventFilter, n int) (last []client.Event, end string, err error) {
	for e, err := range api.Events(ctx, client.EventQuery{Newest: true}) {
		if err != nil {
			return nil, "", err
		}
		end = e.ID
		break
	}
	if n <= 0 || end == "" {
		return nil, end, nil
	}
	past := client.EventQuery{Component: want.component, Authorizer: want.authorizer, Kind: want.kind, Since: time.Now().Add(-24 * time.Hour), Newest: true}
	for e, err := range api.Events(ctx, past) {
		if err != nil {
			return nil, "", err
		}
		if len(e.ID) > len(end) || len(e.ID) == len(end) && e.ID > end {
			continue // it came just now, and will be seen
		}
		last = append(last, e)
		if len(last) == n {
			break
		}
	}
	slices.Reverse(last)
	return last, end, nil
}

// eventFilter says which events are shown.
type eventFilter struct {
	component  tuoguan.ComponentAppID
	authorizer tuoguan.AuthorizerAppID
	kind       string
	since      time.Time
	until      time.Time
}

func (f *eventFilter) addFlags(c *cobra.Command, connect func() (*client.Client, error)) {
	flags := c.Flags()
	flags.StringVar((*string)(&f.component), "component", "", "of this component · 第三方平台 AppID")
	flags.StringVar((*string)(&f.authorizer), "authorizer", "", "of this account · 授权账号 AppID")
	flags.StringVar(&f.kind, "kind", "", "a kind such as text, event.subscribe or unauthorized, or the beginning of some that ends in *, such as 'event.*' · 类型")
	completeFlag(c, "component", componentIDs(connect))
	completeFlag(c, "authorizer", authorizerIDs(connect))
	completeFlag(c, "kind", cobra.FixedCompletions(eventKinds, cobra.ShellCompDirectiveNoFileComp))
}

func (f eventFilter) takes(e client.Event) bool {
	return (f.component == "" || f.component == e.ComponentAppID) && (f.authorizer == "" || f.authorizer == e.AuthorizerAppID) &&
		f.takesKind(e.Kind) && (e.ReceivedAt == nil || !e.ReceivedAt.Before(f.since) && (f.until.IsZero() || e.ReceivedAt.Before(f.until)))
}

func (f eventFilter) takesKind(kind string) bool {
	beginning, open := strings.CutSuffix(f.kind, "*")
	return f.kind == "" || f.kind == kind || open && strings.HasPrefix(kind, beginning)
}

// eventFeed reads events, and those that come.
type eventFeed struct {
	api    *client.Client
	filter eventFilter
	after  string // id of the last event seen
	newest bool   // newest first
	follow bool
	// answered: the server has answered before, so that it is worth waiting for.
	answered bool
}

// each shows every event that the filter takes, until show wants no more. Who follows
// asks for all events and leaves out here, so as to know where to go on.
func (f *eventFeed) each(ctx context.Context, shown *progress, show func(client.Event) (more bool, err error)) error {
	query := client.EventQuery{After: f.after, Newest: f.newest}
	if !f.follow {
		query.Component, query.Authorizer, query.Kind = f.filter.component, f.filter.authorizer, f.filter.kind
		query.Since, query.Until = f.filter.since, f.filter.until
	}
	seen := int64(0)
	for {
		pause := pollEvery
		for e, err := range f.api.Events(ctx, query) {
			if f.follow && f.answered && errors.Is(err, client.ErrUnavailable) && ctx.Err() == nil {
				shown.show("the server is away, trying on · 服务暂不可用，持续重试")
				pause = awayEvery
				break
			}
			if err != nil {
				return err
			}
			f.answered = true
			seen++
			shown.show("%d events · 条推送", seen)
			query.After = e.ID
			if !f.filter.takes(e) {
				continue
			}
			if more, err := show(e); err != nil || !more {
				return err
			}
		}
		if !f.follow {
			return nil
		}
		f.answered = true
		select {
		case <-ctx.Done():
			return nil // interrupted, as it should be
		case <-time.After(pause):
		}
	}
}

func newEventShow(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:     "show ID",
		Aliases: []string{"get"},
		Short:   "show one event with what it says and its deliveries · 查看一条事件的内容与投递情况",
		Long: `Show one event with what it says, decrypted, tickets and codes in it being empty, and to
whom it was delivered. That it was read is recorded in the audit log.

查看一条事件及其解密内容（ticket 与授权码为空）和投递情况。读取会记入审计日志。`,
		Example: `  tuoguan event show 41871
  tuoguan event show 41871 --json`,
		Args: oneArg("ID"),
	}
	connect := addClientFlags(c, p)
	asJSON := c.Flags().Bool("json", false, "as JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		found, err := api.Event(c.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c, found)
		}
		out := c.OutOrStdout()
		e := found.Event
		fmt.Fprintf(out, "%s  %s  %s  %s  %s\n%s  seq %d\n\n%s\n", plain(e.ID), showInstant(e.ReceivedAt), plain(e.Kind), plain(string(e.AuthorizerAppID)), plain(string(e.ComponentAppID)), plain(e.EventID), e.Seq, lines(found.Body))
		if found.Problem != "" {
			fmt.Fprintf(out, "\ncannot be read · 无法解析: %s\n", plain(found.Problem))
		}
		if found.Reply != "" {
			fmt.Fprintf(out, "\nreply · 回复:\n\n%s\n", lines(found.Reply))
		}
		if len(found.Deliveries) == 0 {
			return nil
		}
		fmt.Fprintln(out)
		return deliveryTable.print(c, p, all(found.Deliveries, nil), 0, false)
	}
	return c
}

func newEventReplay(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "replay ID",
		Short: "deliver one event again · 重新投递一条事件",
		Long: `Deliver one event again, to all subscriptions that match it, or to the one named whether
it matches or not. The event keeps its id. For many events see tuoguan subscription
replay.

重新投递一条事件：发往所有匹配的订阅，或指定的订阅（无论是否匹配）。事件 ID 不变。批量重放见
tuoguan subscription replay。`,
		Example: `  tuoguan event replay 41871
  tuoguan event replay 41871 --subscription sub_aaaaaaaaaaaaaaaa`,
		Args: oneArg("ID"),
	}
	connect := addClientFlags(c, p)
	to := c.Flags().String("subscription", "", "to this subscription only · 仅发往该订阅")
	asJSON := c.Flags().Bool("json", false, "as JSON")
	completeFlag(c, "subscription", subscriptionIDs(connect))
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		subscriptions, err := api.ReplayEvent(c.Context(), args[0], *to)
		switch {
		case err != nil:
			return err
		case *asJSON:
			return printJSON(c, subscriptions)
		case len(subscriptions) == 0:
			return errors.New("no subscription matches the event · 没有订阅匹配该事件")
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "event %s is delivered again to %s · 重新投递\n", plain(args[0]), plain(strings.Join(subscriptions, ", ")))
		return err
	}
	return c
}
