package access

import (
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// Operation names a kind of request. Every route of the API and of the gateway needs
// one of them.
type Operation string

// Operations.
const (
	ReadComponents     Operation = "components:read"
	WriteComponents    Operation = "components:write"
	ReadAuthorizers    Operation = "authorizers:read"
	WriteAuthorizers   Operation = "authorizers:write" // tags, a comparison with WeChat's list
	ReadTokens         Operation = "tokens:read"       // the token in force; it never causes a call to WeChat
	RefreshTokens      Operation = "tokens:refresh"    // besides, a read may wait for a refresh, and one may be asked for
	ReadLinks          Operation = "links:read"
	WriteLinks         Operation = "links:write"
	ReadEvents         Operation = "events:read"
	ReplayEvents       Operation = "events:replay" // deliver again what was delivered or given up
	ReadSubscriptions  Operation = "subscriptions:read"
	WriteSubscriptions Operation = "subscriptions:write"
	ReadJobs           Operation = "jobs:read"
	RunJobs            Operation = "jobs:run"
	ReadKeys           Operation = "keys:read"
	WriteKeys          Operation = "keys:write"
	ReadAudit          Operation = "audit:read"
	ReadUsers          Operation = "users:read"  // of the console
	WriteUsers         Operation = "users:write" // of roles that the caller covers
	CallGateway        Operation = "gateway:call"
	RelayOAuth         Operation = "oauth:relay"
	Everything         Operation = "*" // all of them, also those of later versions
)

// Operations returns all that a scope may name, [Everything] included.
func Operations() []Operation {
	return []Operation{
		ReadComponents, WriteComponents, ReadAuthorizers, WriteAuthorizers, ReadTokens, RefreshTokens,
		ReadLinks, WriteLinks, ReadEvents, ReplayEvents, ReadSubscriptions, WriteSubscriptions,
		ReadJobs, RunJobs, ReadKeys, WriteKeys, ReadAudit, ReadUsers, WriteUsers, CallGateway, RelayOAuth, Everything,
	}
}

// Scope is what a key may do. It is stored as JSON.
type Scope struct {
	Operations  []Operation               `json:"operations"`
	Components  []tuoguan.ComponentAppID  `json:"components,omitempty"`  // empty: all
	Authorizers []tuoguan.AuthorizerAppID `json:"authorizers,omitempty"` // with Tags; both empty: all
	Tags        []string                  `json:"tags,omitempty"`
	Paths       []string                  `json:"paths,omitempty"`    // patterns of WeChat paths for the gateway; empty: all that it lets pass
	Networks    []netip.Prefix            `json:"networks,omitempty"` // empty: from anywhere
	Rate        float64                   `json:"rate,omitempty"`     // requests per second; 0: the default
}

// may reports whether the scope holds an operation, by name or by what implies it.
func (s Scope) may(op Operation) bool {
	for _, held := range s.Operations {
		if held == op || held == Everything || held == RefreshTokens && op == ReadTokens {
			return true
		}
	}
	return false
}

// Caller is who makes a request, once that is known.
type Caller struct {
	KeyID string // [BootstrapID] for the key in the configuration
	Name  string
	// Credential names the very key that was presented, of two that are valid during a
	// rotation. What is derived from a key keeps this, so that [Keys.Caller] ends it
	// together with that key. It is no secret.
	Credential string
	Scope      Scope
	ExpiresAt  time.Time // zero: never
}

// BootstrapID is the KeyID of the key in the configuration.
const BootstrapID = "bootstrap"

// May reports whether the caller may do such a thing at all.
func (c Caller) May(op Operation) bool { return c.Scope.may(op) }

// Reach is which authorizations the caller has to do with.
func (c Caller) Reach() store.Reach {
	return store.Reach{Components: c.Scope.Components, Authorizers: c.Scope.Authorizers, Tags: c.Scope.Tags}
}

// MayCall reports whether the gateway may take a WeChat path for the caller. The path
// is without host and query, and decoded; one that is not in its shortest form is
// nobody's.
func (c Caller) MayCall(wechat string) bool {
	if !c.May(CallGateway) || !strings.HasPrefix(wechat, "/") || path.Clean(wechat) != wechat {
		return false
	}
	return len(c.Scope.Paths) == 0 || slices.ContainsFunc(c.Scope.Paths, func(pattern string) bool { return matches(pattern, wechat) })
}

// matches reports whether a pattern names a path: it is the path, or ends in "/*" and
// begins it.
func matches(pattern, wechat string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return len(wechat) > len(prefix) && strings.HasPrefix(wechat, prefix)
	}
	return pattern == wechat
}
