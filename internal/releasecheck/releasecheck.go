// Package releasecheck answers the automatic test that WeChat runs before a
// component is published (全网发布). The test writes to the message and event URL as
// a user of one of ten test accounts and demands particular answers within five
// seconds, so this comes before every other responder.
//
// What is answered is told by the account and the content together: the magic
// texts, typed by an ordinary user to an ordinary account, mean nothing.
//
// Source: third-party platform docs, "releases_instructions", read 2026-11.
package releasecheck

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// testAccounts are the accounts that WeChat tests with, with their original ids:
// five groups of an Official Account and a Mini Program, of which each run picks one.
var testAccounts = map[tuoguan.AuthorizerAppID]string{
	"wx570bc396a51b8ff8": "gh_3c884a361561", "wxd101a85aa106f53e": "gh_8dad206e9538",
	"wx9252c5e0bb1836fc": "gh_c0f28a78b318", "wxc39235c15087f6f3": "gh_905ae9d01059",
	"wx8e1097c5bc82cde9": "gh_3f222ed8d140", "wx7720d01d4b2a4500": "gh_393666f1fdf4",
	"wx14550af28c71a144": "gh_26128078e9ab", "wx05d483572dcd5d8b": "gh_39abb5d4e1b7",
	"wxa35b9c23cfe664eb": "gh_2b3713f184a6", "wx5910277cae6fd970": "gh_7818dcb60240",
}

// UserName returns the original id of an account that WeChat tests with, and
// whether it is one.
func UserName(id tuoguan.AuthorizerAppID) (string, bool) {
	name, ok := testAccounts[id]
	return name, ok
}

const (
	textQuestion = "TESTCOMPONENT_MSG_TYPE_TEXT"
	textAnswer   = "TESTCOMPONENT_MSG_TYPE_TEXT_callback"
	codePrefix   = "QUERY_AUTH_CODE:"
	codeSuffix   = "_from_api"
	eventSuffix  = "from_callback"

	// atOnce bounds the answers sent through the API at the same time.
	atOnce = 8
	// patience is how long one of them is tried. WeChat waits a few seconds.
	patience = 15 * time.Second
	pause    = 300 * time.Millisecond
)

// Keeper is the part of [keeper.Keeper] used here.
type Keeper interface {
	Exchange(ctx context.Context, component tuoguan.ComponentAppID, code tuoguan.Secret) (store.Exchange, error)
}

// WeChat is the part of [wxapi.Client] used here. It sends with the account's own token.
type WeChat interface {
	SendCustomMessage(ctx context.Context, from tuoguan.Authorization, openID, text string) error
}

// Config says what a Responder works with.
type Config struct {
	Keeper Keeper         // required
	WeChat WeChat         // required
	Next   push.Responder // answers everything else; nil answers nothing
	Logger *slog.Logger   // required
}

// Responder is a [push.Responder]. The answer that goes through the API is sent
// after the push was acknowledged, by a goroutine that [Responder.Close] waits for.
// It is in memory only: if the process dies within these seconds, the test fails
// and has to be started again.
type Responder struct {
	cfg    Config
	slots  chan struct{}
	base   context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
}

var _ push.Responder = (*Responder)(nil)

// New makes a Responder.
func New(cfg Config) *Responder {
	r := &Responder{cfg: cfg, slots: make(chan struct{}, atOnce)}
	r.base, r.cancel = context.WithCancel(context.Background())
	return r
}

// Close waits for answers under way until ctx ends, and then cancels them. No push
// may arrive any more.
func (r *Responder) Close(ctx context.Context) {
	stop := context.AfterFunc(ctx, r.cancel)
	r.work.Wait()
	stop()
	r.cancel()
}

// Respond answers a push of the test, and leaves others to the next responder.
func (r *Responder) Respond(ctx context.Context, p *push.Push) (push.Reply, error) {
	if _, isTest := testAccounts[p.Authorizer]; isTest {
		content := p.Field("Content")
		switch {
		case p.MsgType == "event":
			return push.Text{Content: p.Event + eventSuffix}, nil
		case p.MsgType == "text" && content == textQuestion:
			return push.Text{Content: textAnswer}, nil
		case p.MsgType == "text" && strings.HasPrefix(content, codePrefix):
			r.answerLater(p.Authorization, p.Field("FromUserName"), tuoguan.NewSecret(strings.TrimPrefix(content, codePrefix)))
			return nil, nil
		}
	}
	if r.cfg.Next == nil {
		return nil, nil
	}
	return r.cfg.Next.Respond(ctx, p)
}

// answerLater sends the code back through the API once the push is acknowledged.
func (r *Responder) answerLater(account tuoguan.Authorization, user string, code tuoguan.Secret) {
	log := r.cfg.Logger.With("component_appid", account.Component, "authorizer_appid", account.Authorizer)
	select {
	case r.slots <- struct{}{}:
	default:
		log.Error("too many release checks at once, one is not answered")
		return
	}
	r.work.Go(func() {
		defer func() { <-r.slots }()
		ctx, cancel := context.WithTimeout(r.base, patience)
		defer cancel()
		if err := r.answer(ctx, account, user, code); err != nil {
			log.Error("release check not answered", "error", err)
			return
		}
		log.Info("release check answered through the API")
	})
}

// answer exchanges the code and sends it back. The code is the one of the
// authorization that the test made for itself a moment ago: its push may have used
// it up already, or may be still on its way. Either way the account's token is
// what matters.
func (r *Responder) answer(ctx context.Context, account tuoguan.Authorization, user string, code tuoguan.Secret) error {
	exchange, err := r.cfg.Keeper.Exchange(ctx, account.Component, code)
	switch {
	case err == nil && exchange.State == store.ExchangeDone && exchange.Authorizer != account.Authorizer:
		return errors.New("the code belongs to another account")
	case err != nil || exchange.State != store.ExchangeDone:
		r.cfg.Logger.Warn("the code of a release check is not to be exchanged, going on with the authorization that is stored",
			"component_appid", account.Component, "authorizer_appid", account.Authorizer, "problem", exchange.Problem, "error", err)
	}
	for {
		err := r.cfg.WeChat.SendCustomMessage(ctx, account, user, code.Reveal()+codeSuffix)
		if !mayRepeat(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// mayRepeat reports whether the message was surely not sent and may be soon. A single
// 61003 is no proof of anything.
func mayRepeat(err error) bool {
	return errors.Is(err, keeper.ErrUnknownAuthorizer) || errors.Is(err, wxapi.ErrNotAuthorized) || errors.Is(err, wxapi.ErrBusy) || errors.Is(err, wxapi.ErrNotSent)
}
