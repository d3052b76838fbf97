package operator

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/store"
)

const (
	// oidcPending is how long a sign-in may take at the identity provider.
	oidcPending = 10 * time.Minute
	// providerTimeout bounds one request to the identity provider, and maxReply its answer.
	providerTimeout = 10 * time.Second
	maxReply        = 1 << 20 // bytes
	// discoverAgain is how long an identity provider that was away is not asked again.
	discoverAgain = 5 * time.Second

	maxIssuer  = 512 // bytes
	maxSubject = 255 // bytes; OpenID Connect Core 1.0, section 2
	maxReturn  = 1024
	maxReason  = 300 // bytes of what the provider says in an error

	consolePath = "/console/"
)

// OIDCConfig tells of an identity provider.
type OIDCConfig struct {
	Name         string         // shown on the button; defaults to the host of the issuer
	Issuer       string         // URL as in its tokens; discovery is below it. https, or http on the same machine
	ClientID     string         // required
	ClientSecret tuoguan.Secret // zero for a public client
	RedirectURL  string         // of this server, as the provider knows it: …/console/oidc/callback
	Scopes       []string       // default to openid, profile and email
	// RoleClaim names the claim of the ID token, a text or a list of texts, of which Roles
	// says which role each stands for; the mightiest counts. The role is taken from it at
	// each sign-in, except from the last owner. Empty: everybody begins with DefaultRole,
	// and is changed here.
	RoleClaim string
	Roles     map[string]Role
	// DefaultRole is for whom no role is found. Empty: nobody is let in without one.
	DefaultRole Role
	// RequireVerifiedEmail lets nobody in of whom the provider does not say that the
	// email address was verified.
	RequireVerifiedEmail bool
}

func (c OIDCConfig) withDefaults() OIDCConfig {
	if issuer, err := url.Parse(c.Issuer); err == nil {
		c.Name = cmp.Or(c.Name, issuer.Host)
	}
	if len(c.Scopes) == 0 {
		c.Scopes = []string{oidc.ScopeOpenID, "profile", "email"}
	}
	return c
}

func (c OIDCConfig) validate() (wrong []error) {
	if !isSecure(c.Issuer) || len(c.Issuer) > maxIssuer {
		wrong = append(wrong, errors.New("operator: OIDCConfig.Issuer has to be an https URL of at most 512 bytes"))
	}
	if c.ClientID == "" {
		wrong = append(wrong, errors.New("operator: OIDCConfig.ClientID is required"))
	}
	if !isSecure(c.RedirectURL) {
		wrong = append(wrong, errors.New("operator: OIDCConfig.RedirectURL has to be an https URL"))
	}
	if !slices.Contains(c.Scopes, oidc.ScopeOpenID) {
		wrong = append(wrong, errors.New("operator: OIDCConfig.Scopes have to include openid"))
	}
	for value, role := range c.Roles {
		if !role.Valid() {
			wrong = append(wrong, fmt.Errorf("operator: OIDCConfig.Roles: %q is given the role %q, which there is not", value, role))
		}
	}
	if c.DefaultRole != "" && !c.DefaultRole.Valid() {
		wrong = append(wrong, fmt.Errorf("operator: OIDCConfig.DefaultRole: there is no role %q", c.DefaultRole))
	}
	if (c.RoleClaim == "") != (len(c.Roles) == 0) {
		wrong = append(wrong, errors.New("operator: OIDCConfig.RoleClaim and Roles are of use together only"))
	}
	if c.RoleClaim == "" && c.DefaultRole == "" {
		wrong = append(wrong, errors.New("operator: OIDCConfig lets nobody in without RoleClaim and without DefaultRole"))
	}
	return wrong
}

// isSecure reports whether a text is the URL of something that is reached by TLS, or
// without leaving the machine.
func isSecure(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && ip.IsLoopback())
}

// role returns the role that the provider gives to a user, "" for none.
func (c OIDCConfig) role(claims map[string]json.RawMessage) Role {
	if c.RoleClaim != "" {
		var values []string
		var value string
		if json.Unmarshal(claims[c.RoleClaim], &value) == nil {
			values = []string{value}
		} else if json.Unmarshal(claims[c.RoleClaim], &values) != nil {
			values = nil
		}
		for _, role := range Roles() {
			if slices.ContainsFunc(values, func(v string) bool { return c.Roles[v] == role }) {
				return role
			}
		}
	}
	return c.DefaultRole
}

// provider is the identity provider. It is asked for its addresses and keys when
// somebody wants to sign in, and again if it did not answer.
type provider struct {
	cfg    OIDCConfig
	now    func() time.Time
	client *http.Client

	asking   chan struct{} // holds one while somebody asks, or reads what follows
	oauth    *oauth2.Config
	verifier *oidc.IDTokenVerifier
	failed   error
	failedAt time.Time
}

func newProvider(cfg Config) *provider {
	client := *cfg.HTTPClient
	client.Timeout = providerTimeout
	client.Transport = bounded{cmp.Or[http.RoundTripper](client.Transport, http.DefaultTransport)}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &provider{cfg: *cfg.OIDC, now: cfg.Now, client: &client, asking: make(chan struct{}, 1)}
}

// bounded cuts replies off that are too long.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	reply, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		reply.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(reply.Body, maxReply), reply.Body}
	}
	return reply, err
}

// discovered returns how to reach the provider and how to check its tokens. The error is
// an [ErrProvider].
func (p *provider) discovered(ctx context.Context) (*oauth2.Config, *oidc.IDTokenVerifier, error) {
	select {
	case p.asking <- struct{}{}:
		defer func() { <-p.asking }()
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	if p.oauth != nil {
		return p.oauth, p.verifier, nil
	}
	if p.failed != nil && time.Since(p.failedAt) < discoverAgain {
		return nil, nil, p.failed
	}
	// Others wait for this too, so it does not end with whoever asked first.
	found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.cfg.Issuer)
	if err == nil && (!isSecure(found.Endpoint().AuthURL) || !isSecure(found.Endpoint().TokenURL)) {
		err = errors.New("an endpoint is not reached by https")
	}
	if err != nil {
		p.failed, p.failedAt = fmt.Errorf("%w: %s: %s", ErrProvider, p.cfg.Issuer, scrubbed(err)), time.Now()
		return nil, nil, p.failed
	}
	endpoint := found.Endpoint()
	endpoint.AuthStyle = p.authStyle(found)
	p.oauth = &oauth2.Config{
		ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret.Reveal(), Endpoint: endpoint,
		RedirectURL: p.cfg.RedirectURL, Scopes: p.cfg.Scopes,
	}
	p.verifier = found.Verifier(&oidc.Config{ClientID: p.cfg.ClientID, Now: p.now})
	return p.oauth, p.verifier, nil
}

// authStyle returns how the client shows its secret. Trying both, as is the default,
// would present the code twice.
func (p *provider) authStyle(found *oidc.Provider) oauth2.AuthStyle {
	var metadata struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := found.Claims(&metadata); err != nil || p.cfg.ClientSecret.IsZero() {
		return oauth2.AuthStyleInParams
	}
	if slices.Contains(metadata.Methods, "client_secret_post") && !slices.Contains(metadata.Methods, "client_secret_basic") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader // what is meant where nothing is said
}

// OIDC returns what the identity provider is called, and whether there is one.
func (o *Operators) OIDC() (name string, ok bool) {
	if o.provider == nil {
		return "", false
	}
	return o.provider.cfg.Name, true
}

// pending is a sign-in that is under way at the identity provider. It waits in the store,
// for another replica may see the end of it.
type pending struct {
	Bind     []byte `json:"bind"` // SHA-256
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	ReturnTo string `json:"return_to"`
}

func pendingKey(state string) string {
	sum := hashOf(state)
	return "oidc/" + hex.EncodeToString(sum[:])
}

// BeginOIDC begins a sign-in at the identity provider. It returns the URL to send the
// browser to, and a value that binds the rest to this browser, for a cookie of ten
// minutes. The browser comes back to returnTo, a path below /console/; anything else
// becomes that. The error is [ErrProvider] or a [Locked].
func (o *Operators) BeginOIDC(ctx context.Context, returnTo string, v Visitor) (redirect, bind tuoguan.Secret, err error) {
	if o.provider == nil {
		return redirect, bind, ErrProvider
	}
	oauth, _, err := o.provider.discovered(ctx)
	if err != nil {
		return redirect, bind, err
	}
	if _, err := o.attempt(ctx, startCounter(v.Address)); err != nil {
		return redirect, bind, err
	}
	state, binding := newToken(), newToken()
	bound := hashOf(binding)
	p := pending{Bind: bound[:], Nonce: newToken(), Verifier: oauth2.GenerateVerifier(), ReturnTo: localPath(returnTo)}
	data, err := json.Marshal(p)
	if err != nil {
		return redirect, bind, err
	}
	err = o.cfg.Store.PutValue(ctx, store.Value{Key: pendingKey(state), Data: data, ExpiresAt: o.cfg.Clock.Now().Add(oidcPending)})
	if err != nil {
		return redirect, bind, storeError(err)
	}
	to := oauth.AuthCodeURL(state, oidc.Nonce(p.Nonce), oauth2.S256ChallengeOption(p.Verifier))
	return tuoguan.NewSecret(to), tuoguan.NewSecret(binding), nil
}

// FinishOIDC ends a sign-in with what the browser brings back from the identity provider,
// once. Who was never here becomes a user. The error is [ErrRefused], with the reason,
// which is not for the browser; or [ErrProvider].
func (o *Operators) FinishOIDC(ctx context.Context, bind, state, code string, v Visitor) (Session, tuoguan.Secret, string, error) {
	if o.provider == nil {
		return Session{}, tuoguan.Secret{}, "", ErrProvider
	}
	value, err := o.cfg.Store.TakeValue(ctx, pendingKey(state))
	if errors.Is(err, store.ErrNotFound) {
		return Session{}, tuoguan.Secret{}, "", refused("the state is unknown, was used, or is too old")
	}
	if err != nil {
		return Session{}, tuoguan.Secret{}, "", storeError(err)
	}
	var p pending
	if err := json.Unmarshal(value.Data, &p); err != nil {
		return Session{}, tuoguan.Secret{}, "", err
	}
	bound := hashOf(bind)
	if subtle.ConstantTimeCompare(bound[:], p.Bind) != 1 {
		return Session{}, tuoguan.Secret{}, "", refused("it was begun in another browser")
	}
	subject, claims, err := o.provider.redeem(ctx, code, p)
	if err != nil {
		return Session{}, tuoguan.Secret{}, "", err
	}
	u, err := o.admit(ctx, subject, claims)
	if err != nil {
		return Session{}, tuoguan.Secret{}, "", err
	}
	session, token, err := o.begin(ctx, u, MethodOIDC, v, func(string) bool { return true })
	if err != nil {
		return Session{}, tuoguan.Secret{}, "", err
	}
	return session, token, p.ReturnTo, nil
}

func refused(why string) error { return fmt.Errorf("%w: %s", ErrRefused, why) }

// redeem gets the ID token for a code, checks it, and returns whom it is about.
func (p *provider) redeem(ctx context.Context, code string, began pending) (subject string, claims map[string]json.RawMessage, err error) {
	oauth, verifier, err := p.discovered(ctx)
	if err != nil {
		return "", nil, err
	}
	ctx = oidc.ClientContext(ctx, p.client)
	tokens, err := oauth.Exchange(ctx, code, oauth2.VerifierOption(began.Verifier))
	if answer, ok := errors.AsType[*oauth2.RetrieveError](err); ok && answer.Response.StatusCode < http.StatusInternalServerError {
		return "", nil, refused("the provider does not take the code: " + scrubbed(err))
	}
	if err != nil {
		return "", nil, fmt.Errorf("%w: the code is not redeemed: %s", ErrProvider, scrubbed(err))
	}
	raw, ok := tokens.Extra("id_token").(string)
	if !ok {
		return "", nil, fmt.Errorf("%w: no ID token", ErrProvider)
	}
	token, err := verifier.Verify(ctx, raw)
	if err != nil {
		return "", nil, refused("ID token: " + scrubbed(err))
	}
	if err := token.Claims(&claims); err != nil {
		return "", nil, refused("ID token: " + scrubbed(err))
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(began.Nonce)) != 1:
		return "", nil, refused("the ID token has another nonce")
	case len(token.Audience) > 1 && text(claims, "azp") != p.cfg.ClientID:
		return "", nil, refused("the ID token was made for another client")
	case token.AccessTokenHash != "" && token.VerifyAccessToken(tokens.AccessToken) != nil:
		return "", nil, refused("the ID token does not belong to the access token")
	case token.Subject == "" || len(token.Subject) > maxSubject:
		return "", nil, refused("the ID token has no subject of at most 255 bytes")
	case p.cfg.RequireVerifiedEmail && !slices.Contains([]string{`true`, `"true"`}, string(claims["email_verified"])):
		return "", nil, refused("the email address is not verified")
	}
	return p.cfg.Issuer + "#" + token.Subject, claims, nil
}

// scrubbed returns what an error says, without a URL, which may have a secret in its
// query, and without the body of an answer.
func scrubbed(err error) string {
	if answer, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return clipped(cmp.Or(answer.ErrorCode, answer.Response.Status))
	}
	if at, ok := errors.AsType[*url.Error](err); ok {
		err = at.Err
	}
	return clipped(err.Error())
}

func clipped(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxReason)], "")
}

// text returns a claim that is a text, or "".
func text(claims map[string]json.RawMessage, name string) string {
	var value string
	if json.Unmarshal(claims[name], &value) != nil {
		return ""
	}
	return value
}

// admit returns the user whom the provider tells of, with the role it says.
func (o *Operators) admit(ctx context.Context, subject string, claims map[string]json.RawMessage) (store.User, error) {
	role := o.provider.cfg.role(claims)
	if role == "" {
		return store.User{}, refused("no role is meant for the user")
	}
	u, err := o.cfg.Store.UserBySubject(ctx, subject)
	if errors.Is(err, store.ErrNotFound) {
		return o.welcome(ctx, subject, role, claims)
	}
	switch {
	case err != nil:
		return store.User{}, storeError(err)
	case u.Disabled:
		return store.User{}, refused("the user is disabled")
	case o.provider.cfg.RoleClaim == "" || u.Role == string(role):
		return u, nil
	}
	changed, err := o.change(ctx, u.ID, 0, func(u *store.User) error {
		u.Role, u.UpdatedAt = string(role), o.cfg.Now()
		return nil
	})
	if errors.Is(err, ErrLastOwner) {
		o.cfg.Logger.WarnContext(ctx, "the identity provider has another role for the last owner, who stays one", "user", u.Name, "role", role)
		return u, nil
	}
	return changed, err
}

// welcome makes a user of somebody who was never here. While there are no users at all,
// it has to be an owner, or nobody could ever let one in.
func (o *Operators) welcome(ctx context.Context, subject string, role Role, claims map[string]json.RawMessage) (store.User, error) {
	empty, err := o.isEmpty(ctx)
	switch {
	case err != nil:
		return store.User{}, err
	case empty && role != Owner:
		return store.User{}, refused("there is no owner yet")
	}
	name := nameFrom(cmp.Or(text(claims, "preferred_username"), text(claims, "email"), text(claims, "sub")))
	u := store.User{Name: name, FullName: fullNameFrom(text(claims, "name")), Role: string(role), Subject: subject}
	for range changeAttempts {
		stored, err := o.add(ctx, u)
		if _, taken := errors.AsType[access.Mistakes](err); !taken {
			return stored, err
		}
		if stored, err = o.cfg.Store.UserBySubject(ctx, subject); !errors.Is(err, store.ErrNotFound) {
			return stored, storeError(err) // signs in twice at once
		}
		// Somebody else has the name. It may be the same person, but who can choose a name
		// at the provider must not become another user by it.
		u.Name = name[:min(len(name), 59)] + "-" + randomText(typed, 4)
	}
	return store.User{}, refused("no name is free for the user")
}

var notInNames = regexp.MustCompile(`[^a-z0-9._@-]+`)

// nameFrom returns a name like what the provider calls a user.
func nameFrom(called string) string {
	name := notInNames.ReplaceAllString(strings.ToLower(called), "-")
	name = name[:min(len(name), 64)]
	if !namePattern.MatchString(name) {
		return "user-" + randomText(typed, 4)
	}
	return name
}

func fullNameFrom(called string) string {
	line := strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, called))
	return strings.TrimSpace(strings.ToValidUTF8(line[:min(len(line), maxFullName)], ""))
}

// localPath returns a path below /console/ to go back to. Browsers read \ as /, and //
// as the beginning of a host.
func localPath(to string) string {
	u, err := url.Parse(to)
	if err != nil || len(to) > maxReturn || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" ||
		!strings.HasPrefix(to, consolePath) || strings.Contains(to, `\`) || strings.ContainsFunc(to, unicode.IsControl) ||
		!strings.HasPrefix(path.Clean(u.Path)+"/", consolePath) {
		return consolePath
	}
	return to
}
