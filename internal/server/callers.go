package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/audit"
	"github.com/tuoguan/tuoguan/internal/gateway"
	"github.com/tuoguan/tuoguan/internal/oauth"
	"github.com/tuoguan/tuoguan/store"
)

// callers is what has to do with those who call this installation.
type callers struct {
	keys      *access.Keys
	directory *access.Directory
	audit     *audit.Log
	gateway   *gateway.Gateway
	oauth     *oauth.Relay
}

// newCallers makes it. The gateway reaches WeChat by the transport, if there is one.
func (s *Server) newCallers(ctx context.Context, directory *access.Directory, transport http.RoundTripper) (c callers, err error) {
	c.directory = directory
	tokenKey, err := s.sharedKey(ctx, "gateway")
	if err != nil {
		return c, err
	}
	visitKey, err := s.sharedKey(ctx, "oauth")
	if err != nil {
		return c, err
	}
	if c.keys, err = access.New(access.Config{
		Store: s.store, Bootstrap: s.config.Bootstrap.APIKey, Clock: s.clock, Logger: s.log,
		KeyRate: float64(s.config.Limits.Key), AuthorizerRate: float64(s.config.Limits.Authorizer),
	}); err != nil {
		return c, err
	}
	if c.audit, err = audit.New(audit.Config{Store: s.store, Clock: s.clock, Logger: s.log}); err != nil {
		return c, err
	}
	if c.gateway, err = gateway.New(gateway.Config{
		Keys: c.keys, Directory: c.directory, Tokens: s.keeper, WeChat: s.keeper.API(), Values: s.store,
		TokenKey: [32]byte(tokenKey), BaseURLs: s.config.WeChat.APIBaseURLs, Transport: transport, QuotaFloor: s.config.Limits.QuotaFloor, Clock: s.clock, Logger: s.log, Observe: s.observeGateway, Short: s.short,
	}); err != nil {
		return c, err
	}
	c.oauth, err = oauth.New(oauth.Config{
		Store: s.store, WeChat: s.keeper.API(), Standing: c.standing, Clock: s.clock, Logger: s.log,
		BaseURL: s.config.Public.BaseURL, Key: tuoguan.NewSecret(string(visitKey)), ReturnURLs: s.config.OAuth.ReturnURLs,
	})
	return c, err
}

// standing returns the authorizations of an account that stand.
func (c callers) standing(ctx context.Context, account tuoguan.AuthorizerAppID, component tuoguan.ComponentAppID) ([]tuoguan.Authorization, error) {
	entries, err := c.directory.Find(ctx, account, component)
	var standing []tuoguan.Authorization
	for _, e := range entries {
		if e.State != tuoguan.StateRevoked { // users log in with the component's token
			standing = append(standing, e.Authorization)
		}
	}
	return standing, err
}

// close waits for what is under way, and records what is not recorded yet.
func (c callers) close(ctx context.Context) error {
	var errs []error
	if c.gateway != nil {
		errs = append(errs, c.gateway.Close(ctx))
	}
	if c.audit != nil {
		errs = append(errs, c.audit.Close(ctx))
	}
	if c.directory != nil {
		c.directory.Close()
	}
	return errors.Join(errs...)
}

// forever is when a key that all replicas share expires.
var forever = time.Date(9999, time.January, 1, 0, 0, 0, 0, time.UTC)

// sharedKey returns 32 random bytes that all replicas have the same, by name.
func (s *Server) sharedKey(ctx context.Context, name string) ([]byte, error) {
	for {
		v, err := s.store.Value(ctx, "key/"+name)
		if err == nil {
			if len(v.Data) != 32 {
				return nil, fmt.Errorf("the key that replicas share for the %s has %d bytes", name, len(v.Data))
			}
			return v.Data, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("read the key that replicas share for the %s: %w", name, err)
		}
		key := make([]byte, 32)
		_, _ = rand.Read(key)
		err = s.store.PutValue(ctx, store.Value{Key: "key/" + name, Data: key, ExpiresAt: forever})
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return nil, fmt.Errorf("store the key that replicas share for the %s: %w", name, err)
		}
	}
}
