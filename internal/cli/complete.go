package cli

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan/client"
)

// What a shell offers while a command is typed has to come at once, and not be too
// much to look through.
const (
	completeWithin = 2 * time.Second
	completeAtMost = 100
)

// ids returns completions made of a list of the API, which a description in the
// shell's menu follows after a tab. Without a server, or a key, there are none.
func ids[T any](connect func() (*client.Client, error), list func(context.Context, *client.Client) iter.Seq2[T, error], show func(T) (id, description string)) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		api, err := connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(c.Context(), completeWithin)
		defer cancel()
		var found []cobra.Completion
		for item, err := range list(ctx, api) {
			if err != nil || len(found) == completeAtMost {
				break
			}
			if id, description := show(item); strings.HasPrefix(id, typed) {
				found = append(found, cobra.CompletionWithDesc(id, plain(description)))
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

func authorizerIDs(connect func() (*client.Client, error)) cobra.CompletionFunc {
	return ids(connect, func(ctx context.Context, api *client.Client) iter.Seq2[client.Authorizer, error] {
		return api.Authorizers(ctx, client.AuthorizerQuery{})
	}, func(a client.Authorizer) (string, string) { return string(a.AppID), a.NickName })
}

func componentIDs(connect func() (*client.Client, error)) cobra.CompletionFunc {
	return ids(connect, func(ctx context.Context, api *client.Client) iter.Seq2[client.Component, error] {
		return all(api.Components(ctx))
	}, func(c client.Component) (string, string) { return string(c.AppID), c.Problem })
}

func keyIDs(connect func() (*client.Client, error)) cobra.CompletionFunc {
	return ids(connect, func(ctx context.Context, api *client.Client) iter.Seq2[client.APIKey, error] {
		return api.APIKeys(ctx)
	}, func(k client.APIKey) (string, string) { return k.ID, k.Name })
}

func subscriptionIDs(connect func() (*client.Client, error)) cobra.CompletionFunc {
	return ids(connect, func(ctx context.Context, api *client.Client) iter.Seq2[client.Subscription, error] {
		return api.Subscriptions(ctx)
	}, func(s client.Subscription) (string, string) { return s.ID, s.Name })
}

// firstArg completes the first argument of a command only.
func firstArg(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(c, args, typed)
	}
}

// completeFlag completes the values of a flag, which must exist.
func completeFlag(c *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // the program's own mistake
	}
}
