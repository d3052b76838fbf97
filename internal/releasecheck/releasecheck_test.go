package releasecheck_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/releasecheck"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

const component = "wx0123456789abcdef"

var accounts = []tuoguan.AuthorizerAppID{
	"wx570bc396a51b8ff8", "wxd101a85aa106f53e", "wx9252c5e0bb1836fc", "wxc39235c15087f6f3", "wx8e1097c5bc82cde9",
	"wx7720d01d4b2a4500", "wx14550af28c71a144", "wx05d483572dcd5d8b", "wxa35b9c23cfe664eb", "wx5910277cae6fd970",
}

// wechat records what is exchanged and sent.
type wechat struct {
	exchange func(tuoguan.Secret) (store.Exchange, error)
	send     func(attempt int) error
	attempts int
	sent     []string
}

func (w *wechat) Exchange(_ context.Context, _ tuoguan.ComponentAppID, code tuoguan.Secret) (store.Exchange, error) {
	return w.exchange(code)
}

func (w *wechat) SendCustomMessage(_ context.Context, from tuoguan.Authorization, to, text string) error {
	w.attempts++
	if w.send != nil {
		if err := w.send(w.attempts); err != nil {
			return err
		}
	}
	w.sent = append(w.sent, fmt.Sprintf("%s to %s: %s", from.Authorizer, to, text))
	return nil
}

// echo answers whatever reaches it.
type echo struct{}

func (echo) Respond(context.Context, *push.Push) (push.Reply, error) {
	return push.Text{Content: "next"}, nil
}

func message(account tuoguan.AuthorizerAppID, fields string) *push.Push {
	return push.Parse(tuoguan.Authorization{Component: component, Authorizer: account},
		[]byte("<xml><ToUserName>gh_1</ToUserName><FromUserName>oUser</FromUserName><CreateTime>1700000700</CreateTime>"+fields+"</xml>"))
}

func text(content string) string {
	return "<MsgType>text</MsgType><Content>" + content + "</Content><MsgId>1</MsgId>"
}

func TestPassiveAnswers(t *testing.T) {
	t.Parallel()
	event := "<MsgType>event</MsgType><Event>LOCATION</Event>"
	tests := map[string]struct {
		push string
		want push.Reply
	}{
		"text":                     {text("TESTCOMPONENT_MSG_TYPE_TEXT"), push.Text{Content: "TESTCOMPONENT_MSG_TYPE_TEXT_callback"}},
		"event":                    {event, push.Text{Content: "LOCATIONfrom_callback"}},
		"something else":           {text("hello"), push.Text{Content: "next"}},
		"text that only begins so": {text("TESTCOMPONENT_MSG_TYPE_TEXT!"), push.Text{Content: "next"}},
	}
	for name, tt := range tests {
		for _, account := range accounts {
			t.Run(name+" to "+string(account), func(t *testing.T) {
				t.Parallel()
				r := releasecheck.New(releasecheck.Config{Next: echo{}, Logger: slog.New(slog.DiscardHandler)})
				got, err := r.Respond(t.Context(), message(account, tt.push))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
		t.Run(name+" to an ordinary account", func(t *testing.T) {
			t.Parallel()
			r := releasecheck.New(releasecheck.Config{Next: echo{}, Logger: slog.New(slog.DiscardHandler)})
			got, err := r.Respond(t.Context(), message("wxaaaaaaaaaaaaaaaa", tt.push))
			if err != nil || got != (push.Text{Content: "next"}) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestAnswerThroughAPI(t *testing.T) {
	t.Parallel()
	const account = tuoguan.AuthorizerAppID("wx9252c5e0bb1836fc")
	done := func(tuoguan.Secret) (store.Exchange, error) {
		return store.Exchange{State: store.ExchangeDone, Authorizer: account}, nil
	}
	used := func(tuoguan.Secret) (store.Exchange, error) {
		return store.Exchange{State: store.ExchangeFailed, Problem: "api_query_auth: errcode 61009"}, nil
	}
	tests := map[string]struct {
		exchange func(tuoguan.Secret) (store.Exchange, error)
		send     func(int) error
		sent     int
		attempts int
	}{
		"exchanged":                   {exchange: done, sent: 1, attempts: 1},
		"code already used":           {exchange: used, sent: 1, attempts: 1},
		"exchange unreachable":        {exchange: func(tuoguan.Secret) (store.Exchange, error) { return store.Exchange{}, errors.New("away") }, sent: 1, attempts: 1},
		"authorization still unknown": {exchange: used, send: until(3, keeper.ErrUnknownAuthorizer), sent: 1, attempts: 3},
		"WeChat busy":                 {exchange: done, send: until(2, &wxapi.APIError{Code: -1, Class: wxapi.ErrBusy}), sent: 1, attempts: 2},
		"outcome unknown":             {exchange: done, send: until(2, &wxapi.TransportError{Sent: true, Err: errors.New("reset")}), attempts: 1},
		"code of another account": {exchange: func(tuoguan.Secret) (store.Exchange, error) {
			return store.Exchange{State: store.ExchangeDone, Authorizer: "wxbbbbbbbbbbbbbbbb"}, nil
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &wechat{exchange: tt.exchange, send: tt.send}
				r := releasecheck.New(releasecheck.Config{Keeper: w, WeChat: w, Next: echo{}, Logger: slog.New(slog.DiscardHandler)})
				reply, err := r.Respond(t.Context(), message(account, text("QUERY_AUTH_CODE:queryauthcode@@@1:2")))
				if err != nil || reply != nil {
					t.Fatalf("got %v, %v; want no reply at all", reply, err)
				}
				r.Close(t.Context())
				if len(w.sent) != tt.sent || w.attempts != tt.attempts {
					t.Errorf("sent %v in %d attempts, want %d in %d", w.sent, w.attempts, tt.sent, tt.attempts)
				}
				for _, sent := range w.sent {
					if sent != "wx9252c5e0bb1836fc to oUser: queryauthcode@@@1:2_from_api" {
						t.Errorf("sent %q", sent)
					}
				}
			})
		})
	}
}

func until(attempt int, err error) func(int) error {
	return func(n int) error {
		if n < attempt {
			return err
		}
		return nil
	}
}

func TestOrdinaryUserCannotTrigger(t *testing.T) {
	t.Parallel()
	w := &wechat{exchange: func(tuoguan.Secret) (store.Exchange, error) {
		t.Error("a code typed by an ordinary user is exchanged")
		return store.Exchange{}, nil
	}}
	r := releasecheck.New(releasecheck.Config{Keeper: w, WeChat: w, Logger: slog.New(slog.DiscardHandler)})
	reply, err := r.Respond(t.Context(), message("wxaaaaaaaaaaaaaaaa", text("QUERY_AUTH_CODE:x")))
	if reply != nil || err != nil {
		t.Errorf("got %v, %v", reply, err)
	}
	r.Close(t.Context())
}

func TestCloseEndsWhatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wechat{
			exchange: func(tuoguan.Secret) (store.Exchange, error) {
				return store.Exchange{State: store.ExchangeDone, Authorizer: accounts[0]}, nil
			},
			send: func(int) error { return keeper.ErrUnknownAuthorizer },
		}
		r := releasecheck.New(releasecheck.Config{Keeper: w, WeChat: w, Logger: slog.New(slog.DiscardHandler)})
		if _, err := r.Respond(t.Context(), message(accounts[0], text("QUERY_AUTH_CODE:x"))); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		r.Close(ctx)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("closing took %v", took)
		}
	})
}
