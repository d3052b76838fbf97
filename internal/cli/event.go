package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
)

func newEvent(p *Process) *cobra.Command {
	return group("event", "what WeChat has pushed · 微信推送", newEventList(p), newEventGet(p))
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
		Long: `List what WeChat has pushed, oldest first, without what it says; tuoguan event get shows
that. With --follow go on until interrupted, also while the server restarts.

按时间顺序列出微信推送（不含内容，内容见 tuoguan event get）。--follow 持续输出新推送，直到中断；
服务重启期间也会继续。`,
		Example: `  tuoguan event list --since 1h
  tuoguan event list --kind unauthorized --json
  tuoguan event list --after 41870 --follow --json | while read -r line; do echo "$line"; done`,
		Args: noArgs,
	}
	connect := addClientFlags(c, p)
	flags := c.Flags()
	var want eventFilter
	flags.StringVar((*string)(&want.component), "component", "", "of this component · 第三方平台 AppID")
	flags.StringVar((*string)(&want.authorizer), "authorizer", "", "of this account · 授权账号 AppID")
	flags.StringVar(&want.kind, "kind", "", "InfoType; or MsgType; or event. and Event, such as event.subscribe · 类型")
	since := flags.Duration("since", 0, "received since so long ago, such as 1h · 起始时间")
	after := flags.String("after", "", "after the event with this id · 起始 ID")
	limit := flags.Int("limit", 0, "at most this many; 0 is all · 最多条数")
	follow := flags.Bool("follow", false, "go on with what comes · 持续跟踪")
	asJSON := flags.Bool("json", false, "as JSON, a line each")
	completeFlag(c, "component", componentIDs(connect))
	completeFlag(c, "authorizer", authorizerIDs(connect))
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *since > 0 {
			want.since = time.Now().Add(-*since)
		}
		api, err := connect()
		if err != nil {
			return err
		}
		shown := newProgress(p)
		defer shown.clear()
		feed := &eventFeed{api: api, filter: want, after: *after, follow: *follow}
		encoder := newEncoder(c.OutOrStdout())
		printed := 0
		return feed.each(c.Context(), shown, func(e client.Event) (more bool, err error) {
			shown.clear()
			printed++
			if *asJSON {
				err = encoder.Encode(e)
			} else {
				_, err = fmt.Fprintf(c.OutOrStdout(), "%-10s  %s  %-28s  %-18s  %s\n", plain(e.ID), showInstant(e.ReceivedAt), plain(e.Kind), plain(string(e.AuthorizerAppID)), plain(string(e.ComponentAppID)))
			}
			return printed != *limit, err
		})
	}
	return c
}

// eventFilter says which events are shown.
type eventFilter struct {
	component  tuoguan.ComponentAppID
	authorizer tuoguan.AuthorizerAppID
	kind       string
	since      time.Time
}

func (f eventFilter) takes(e client.Event) bool {
	return (f.component == "" || f.component == e.ComponentAppID) && (f.authorizer == "" || f.authorizer == e.AuthorizerAppID) &&
		(f.kind == "" || f.kind == e.Kind) && (e.ReceivedAt == nil || !e.ReceivedAt.Before(f.since))
}

// eventFeed reads events, and those that come.
type eventFeed struct {
	api    *client.Client
	filter eventFilter
	after  string // id of the last event seen
	follow bool
}

// each shows every event that the filter takes, until show wants no more. Who follows
// asks for all events and leaves out here, so as to know where to go on.
func (f *eventFeed) each(ctx context.Context, shown *progress, show func(client.Event) (more bool, err error)) error {
	query := client.EventQuery{After: f.after}
	if !f.follow {
		query.Component, query.Authorizer, query.Kind = f.filter.component, f.filter.authorizer, f.filter.kind
	}
	seen := int64(0)
	for {
		pause := pollEvery
		for e, err := range f.api.Events(ctx, query) {
			if f.follow && seen > 0 && errors.Is(err, client.ErrUnavailable) && ctx.Err() == nil {
				shown.show("the server is away, trying on · 服务暂不可用，持续重试")
				pause = awayEvery
				break
			}
			if err != nil {
				return err
			}
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
		seen = max(seen, 1) // the server has answered
		select {
		case <-ctx.Done():
			return nil // interrupted, as it should be
		case <-time.After(pause):
		}
	}
}

func newEventGet(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "get ID",
		Short: "show one event with what it says · 查看一条推送的内容",
		Long: `Show one event with what it says, decrypted, without tickets and codes. That it was read
is recorded in the audit log.

查看一条推送及其解密内容（略去 ticket 与授权码）。读取会记入审计日志。`,
		Example: `  tuoguan event get 41871
  tuoguan event get 41871 --json`,
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
		e := found.Event
		if _, err := fmt.Fprintf(c.OutOrStdout(), "%s  %s  %s  %s  %s\n\n%s\n", plain(e.ID), showInstant(e.ReceivedAt), plain(e.Kind), plain(string(e.AuthorizerAppID)), plain(string(e.ComponentAppID)), lines(found.Body)); err != nil {
			return err
		}
		if found.Reply != "" {
			_, err = fmt.Fprintf(c.OutOrStdout(), "\nreply · 回复:\n\n%s\n", lines(found.Reply))
		}
		return err
	}
	return c
}
