package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// directoryBound bounds how many accounts are in memory.
const directoryBound = 100_000

// Entry is one authorization of an account.
type Entry struct {
	tuoguan.Authorization
	State tuoguan.State
	Tags  []string // not to be changed
}

// Directory knows which components an account has authorized. What it says is at most
// five seconds old; while the store is away, as old as that lasts. It is safe for
// concurrent use.
type Directory struct {
	cache *cache[[]Entry]
}

// DirectoryConfig configures a [Directory].
type DirectoryConfig struct {
	// Store is where authorizations are looked up. Required.
	Store interface {
		Authorizers(ctx context.Context, q store.AuthorizerQuery) ([]store.Authorizer, error)
	}
	Logger *slog.Logger // required
}

// NewDirectory returns a directory, to be closed.
func NewDirectory(cfg DirectoryConfig) (*Directory, error) {
	var wrong []error
	if cfg.Store == nil {
		wrong = append(wrong, errors.New("access: DirectoryConfig.Store is required"))
	}
	if cfg.Logger == nil {
		wrong = append(wrong, errors.New("access: DirectoryConfig.Logger is required"))
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	load := func(ctx context.Context, account string) ([]Entry, error) {
		found, err := cfg.Store.Authorizers(ctx, store.AuthorizerQuery{Authorizer: tuoguan.AuthorizerAppID(account)})
		entries := make([]Entry, len(found))
		for i, a := range found {
			entries[i] = Entry{Authorization: a.Authorization, State: a.State, Tags: a.Tags}
		}
		if err == nil && len(entries) == 0 {
			err = store.ErrNotFound
		}
		return entries, err
	}
	return &Directory{cache: newCache("authorizers", directoryBound, cfg.Logger, load)}, nil
}

// Find returns the authorizations of an account, ordered by component: all, or the one
// for the component named. None is not an error. The error says that the account is
// not in memory and the store cannot be read.
func (d *Directory) Find(ctx context.Context, account tuoguan.AuthorizerAppID, component tuoguan.ComponentAppID) ([]Entry, error) {
	entries, err := d.cache.get(ctx, string(account))
	if component != "" {
		entries = only(entries, component)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case errors.Is(err, store.ErrQuarantined) && component != "" && len(entries) > 0:
		return entries, nil // the record that does not open is another
	case err != nil:
		return nil, fmt.Errorf("access: look up %s: %w", account, err)
	}
	return entries, nil
}

// only returns the entry of a component, if there is one.
func only(entries []Entry, component tuoguan.ComponentAppID) []Entry {
	for i := range entries {
		if entries[i].Component == component {
			return entries[i : i+1 : i+1]
		}
	}
	return nil
}

// Forget makes the next use of an account wait until it has been looked up: this
// process has changed it.
func (d *Directory) Forget(account tuoguan.AuthorizerAppID) { d.cache.expire(string(account)) }

// Close ends the reads in the background. What is in memory can still be asked for.
func (d *Directory) Close() { d.cache.close() }
