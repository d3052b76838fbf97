package keeper

import (
	"context"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// Why tokens are asked for, and other things done.
const (
	Background = "background" // it was due
	Read       = "read"       // somebody asked for a token, and none was in force
	Reported   = "reported"   // somebody said that WeChat refused the present one
	Asked      = "asked"      // somebody wanted a new one
	Pushed     = "push"       // WeChat said so
	Linked     = "link"       // a merchant came back from an authorization page
	Restored   = "restore"    // what was stored came from a backup, or lacked it
)

// Cause is why something is done, and who is behind it.
type Cause struct {
	Kind  string
	Actor string // name of an API key or a user; "" if there is none
}

// withCause says in a context why something is done. What several callers wait for was
// caused by the first of them.
func withCause(ctx context.Context, c Cause) context.Context {
	return context.WithValue(ctx, causeKey{}, c)
}

type causeKey struct{}

// causeOf returns the cause that a context knows; where it knows none, who acts.
func causeOf(ctx context.Context) Cause {
	if c, ok := ctx.Value(causeKey{}).(Cause); ok {
		return c
	}
	return Cause{Actor: tuoguan.ActorOf(ctx)}
}

// because returns ctx with a cause of this kind, unless it has one already.
func because(ctx context.Context, kind string) context.Context {
	c := causeOf(ctx)
	if c.Kind != "" {
		return ctx
	}
	c.Kind = kind
	return withCause(ctx, c)
}

// exchangeCause tells what brought a code: a merchant who came back, or a push.
func exchangeCause(e store.Exchange) Cause {
	if e.Visit != "" {
		return Cause{Kind: Linked}
	}
	return Cause{Kind: Pushed}
}

// grantCause tells what brought a grant.
func grantCause(g store.Grant) Cause {
	switch {
	case g.Link != "":
		return Cause{Kind: Linked}
	case g.Source == store.FromExchange:
		return Cause{Kind: Pushed}
	}
	return Cause{Kind: Restored}
}
