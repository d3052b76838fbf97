package tuoguan

import "context"

// WithActor says in a context on whose behalf something is done: the name of an API key,
// or of a user. It is for people to read and gives no rights.
func WithActor(ctx context.Context, name string) context.Context { return &acting{ctx, name} }

// ActorOf returns the name that a context knows, or "".
func ActorOf(ctx context.Context) string {
	name, _ := ctx.Value(actorKey{}).(*string)
	if name == nil {
		return ""
	}
	return *name
}

// acting is a context that knows an actor: one allocation.
type acting struct {
	context.Context
	name string
}

type actorKey struct{}

func (a *acting) Value(key any) any {
	if key == (actorKey{}) {
		return &a.name
	}
	return a.Context.Value(key)
}
