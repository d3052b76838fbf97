package operator

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
)

const (
	clientID     = "tuoguan"
	clientSecret = "client-secret"
	redirectURL  = "https://console.example.com/console/oidc/callback"
)

type claims map[string]any

// idp is an identity provider. Whoever comes gets a code at once.
type idp struct {
	*httptest.Server
	key  *rsa.PrivateKey
	away atomic.Bool

	mu     sync.Mutex
	codes  map[string]url.Values // the request to authorize, by code
	issued claims                // put into ID tokens, over what is right; nil values are left out
	sign   func(header, body string) string
	asked  int // for discovery
}

var idpKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newIDP(t *testing.T) *idp {
	p := &idp{key: idpKey(), codes: make(map[string]url.Values)}
	p.sign = func(header, body string) string { return signed(p.key, header, body) }
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("POST /token", p.token)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.away.Load() {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (p *idp) discovery(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	p.asked++
	p.mu.Unlock()
	reply(w, http.StatusOK, map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (p *idp) keys(w http.ResponseWriter, _ *http.Request) {
	encode := base64.RawURLEncoding.EncodeToString
	reply(w, http.StatusOK, map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
		"n": encode(p.key.N.Bytes()), "e": encode(big.NewInt(int64(p.key.E)).Bytes()),
	}}})
}

// authorize is what the browser does: it follows the redirect, and returns with a code.
func (p *idp) authorize(t *testing.T, redirect tuoguan.Secret) (state, code string) {
	t.Helper()
	to, err := url.Parse(redirect.Reveal())
	if err != nil || !strings.HasPrefix(redirect.Reveal(), p.URL+"/authorize?") {
		t.Fatalf("redirect to %q, %v", redirect.Reveal(), err)
	}
	q := to.Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": clientID, "redirect_uri": redirectURL, "scope": "openid profile email", "code_challenge_method": "S256",
	} {
		if q.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, q.Get(name), want)
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(q.Get(name)) != 43 {
			t.Errorf("%s is %q", name, q.Get(name))
		}
	}
	code = newToken()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[code] = q
	return q.Get("state"), code
}

func (p *idp) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	began, ok := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	challenge := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	id, secret, _ := r.BasicAuth()
	switch {
	case id != clientID || secret != clientSecret:
		reply(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	case !ok, base64.RawURLEncoding.EncodeToString(challenge[:]) != began.Get("code_challenge"), r.FormValue("redirect_uri") != redirectURL:
		reply(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": "code " + r.FormValue("code")})
		return
	}
	all := claims{
		"iss": p.URL, "sub": "248289761001", "aud": clientID, "nonce": began.Get("nonce"),
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"preferred_username": "Wang Fang", "name": "王芳", "email": "wang@example.com", "email_verified": true, "groups": []string{"staff", "ops"},
	}
	maps.Copy(all, p.issued)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	body, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	reply(w, http.StatusOK, map[string]any{
		"access_token": "access", "token_type": "Bearer", "expires_in": 3600, "id_token": p.sign(`{"alg":"RS256","kid":"1","typ":"JWT"}`, string(body)),
	})
}

func signed(key *rsa.PrivateKey, header, body string) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode([]byte(body))
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + encode(signature)
}

func (p *idp) config(edit ...func(*OIDCConfig)) func(*Config) {
	return func(c *Config) {
		c.OIDC = &OIDCConfig{
			Name: "Example", Issuer: p.URL, ClientID: clientID, ClientSecret: tuoguan.NewSecret(clientSecret), RedirectURL: redirectURL,
			RoleClaim: "groups", Roles: map[string]Role{"ops": Operator, "bosses": Owner, "admins": Admin},
		}
		for _, e := range edit {
			e(c.OIDC)
		}
		c.HTTPClient = p.Client()
	}
}

// signIn goes the whole way.
func (p *idp) signIn(t *testing.T, o *Operators) (Session, tuoguan.Secret, string, error) {
	t.Helper()
	redirect, bind, err := o.BeginOIDC(t.Context(), "/console/events?tab=dead", here)
	if err != nil {
		t.Fatal(err)
	}
	state, code := p.authorize(t, redirect)
	return o.FinishOIDC(t.Context(), bind.Reveal(), state, code, here)
}

func TestOIDC(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	st := memory.New(memory.Config{})
	o := newReplica(t, st, p.config(), func(c *Config) { c.TOTP = TOTPAll })
	boss := create(t, o, "boss", Owner)
	if name, ok := o.OIDC(); name != "Example" || !ok {
		t.Errorf("OIDC is %q, %v", name, ok)
	}
	s, token, returnTo, err := p.signIn(t, o)
	if err != nil {
		t.Fatal(err)
	}
	if returnTo != "/console/events?tab=dead" {
		t.Errorf("returns to %q", returnTo)
	}
	u := s.User
	if u.Name != "wang-fang" || u.FullName != "王芳" || u.Role != Operator || u.Password || !u.OIDC || s.Method != MethodOIDC || len(s.Must) != 0 {
		t.Errorf("session %+v", s)
	}
	if _, err := o.Session(t.Context(), token.Reveal(), here); err != nil {
		t.Error(err)
	}
	stored, err := st.User(t.Context(), u.ID)
	if err != nil || stored.Subject != p.URL+"#248289761001" {
		t.Errorf("subject %q, %v", stored.Subject, err)
	}

	// At the next sign-in the provider has another role for the same user.
	p.issued = claims{"groups": "admins"}
	if s, _, _, err = p.signIn(t, o); err != nil || s.User.ID != u.ID || s.User.Role != Admin {
		t.Errorf("second sign-in: %+v, %v", s.User, err)
	}
	p.issued = claims{"groups": []string{"bosses", "ops"}}
	if s, _, _, err = p.signIn(t, o); err != nil || s.User.Role != Owner {
		t.Errorf("the mightiest role: %+v, %v", s.User, err)
	}
	// Not the last owner, though.
	if err := o.Delete(t.Context(), owner, boss.ID, 0); err != nil {
		t.Fatal(err)
	}
	p.issued = nil
	if s, _, _, err = p.signIn(t, o); err != nil || s.User.Role != Owner {
		t.Errorf("the last owner: %+v, %v", s.User, err)
	}
	create(t, o, "boss", Owner)
	yes := true
	if _, err := o.Change(t.Context(), owner, u.ID, Change{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err = p.signIn(t, o); !errors.Is(err, ErrRefused) {
		t.Errorf("disabled: %v", err)
	}
	p.issued = claims{"groups": []string{"staff"}}
	if _, _, _, err = p.signIn(t, o); !errors.Is(err, ErrRefused) {
		t.Errorf("no role: %v", err)
	}
}

func TestOIDCToken(t *testing.T) {
	t.Parallel()
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	atHash := func(token string) string {
		sum := sha256.Sum256([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:16])
	}
	for _, tt := range []struct {
		name   string
		issued claims
		sign   func(header, body string) string
		ok     bool
	}{
		{"right", nil, nil, true},
		{"two audiences, for us", claims{"aud": []string{clientID, "else"}, "azp": clientID}, nil, true},
		{"two audiences, for else", claims{"aud": []string{clientID, "else"}, "azp": "else"}, nil, false},
		{"two audiences, for nobody", claims{"aud": []string{clientID, "else"}}, nil, false},
		{"wrong audience", claims{"aud": "else"}, nil, false},
		{"no audience", claims{"aud": nil}, nil, false},
		{"expired", claims{"exp": time.Now().Add(-time.Second).Unix()}, nil, false},
		{"no expiry", claims{"exp": nil}, nil, false},
		{"not yet", claims{"nbf": time.Now().Add(time.Hour).Unix()}, nil, false},
		{"other issuer", claims{"iss": "https://else.example.com"}, nil, false},
		{"no issuer", claims{"iss": nil}, nil, false},
		{"wrong nonce", claims{"nonce": newToken()}, nil, false},
		{"no nonce", claims{"nonce": nil}, nil, false},
		{"no subject", claims{"sub": nil}, nil, false},
		{"long subject", claims{"sub": strings.Repeat("x", 256)}, nil, false},
		{"right access token", claims{"at_hash": atHash("access")}, nil, true},
		{"other access token", claims{"at_hash": atHash("else")}, nil, false},
		{"email not verified", claims{"email_verified": false}, nil, false},
		{"email verified as text", claims{"email_verified": "true"}, nil, true},
		{"nothing about the email", claims{"email_verified": nil}, nil, false},
		{"other key", nil, func(header, body string) string { return signed(stranger, header, body) }, false},
		{"not signed", nil, func(_, body string) string {
			encode := base64.RawURLEncoding.EncodeToString
			return encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(body)) + "."
		}, false},
		{"no token", nil, func(string, string) string { return "nonsense" }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t)
			o := newOperators(t, p.config(func(c *OIDCConfig) { c.RequireVerifiedEmail = true }))
			create(t, o, "boss", Owner)
			p.issued = tt.issued
			if tt.sign != nil {
				p.sign = tt.sign
			}
			s, token, _, err := p.signIn(t, o)
			if tt.ok {
				if err != nil || token.IsZero() {
					t.Errorf("error %v", err)
				}
				return
			}
			if !errors.Is(err, ErrRefused) || !token.IsZero() || s.ID != "" {
				t.Errorf("session %+v, error %v", s, err)
			}
			if users, err := o.Users(t.Context(), "", 10); len(users) != 1 || err != nil {
				t.Errorf("users %+v, %v", users, err)
			}
		})
	}
}

func TestOIDCState(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	st := memory.New(memory.Config{})
	o, other := newReplica(t, st, p.config()), newReplica(t, st, p.config())
	create(t, o, "boss", Owner)
	var redirect tuoguan.Secret
	begin := func() (bind, state, code string) {
		t.Helper()
		to, b, err := o.BeginOIDC(t.Context(), "", here)
		if err != nil {
			t.Fatal(err)
		}
		redirect = to
		state, code = p.authorize(t, to)
		return b.Reveal(), state, code
	}
	finish := func(bind, state, code string) error {
		_, _, _, err := other.FinishOIDC(t.Context(), bind, state, code, here)
		return err
	}
	bind, state, code := begin()
	for name, err := range map[string]error{
		"wrong state": finish(bind, newToken(), code),
		"no state":    finish(bind, "", code),
	} {
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := finish(bind, state, code); err != nil {
		t.Fatalf("at another replica: %v", err)
	}
	_, code = p.authorize(t, redirect) // good, were it not for the state
	if err := finish(bind, state, code); !errors.Is(err, ErrRefused) {
		t.Errorf("replayed: %v", err)
	}
	_, state, code = begin()
	if err := finish(bind, state, code); !errors.Is(err, ErrRefused) {
		t.Errorf("in another browser: %v", err)
	}
	_, state, code = begin()
	if err := finish("", state, code); !errors.Is(err, ErrRefused) {
		t.Errorf("without the cookie: %v", err)
	}
	// A code that belongs to another sign-in has another verifier.
	bind, state, _ = begin()
	_, _, code = begin()
	if err := finish(bind, state, code); !errors.Is(err, ErrRefused) || strings.Contains(err.Error(), code) {
		t.Errorf("another code: %v", err)
	}
}

func TestOIDCAway(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	p.away.Store(true)
	o := newOperators(t, p.config()) // is made nevertheless
	create(t, o, "boss", Owner)
	for range 3 {
		if _, _, err := o.BeginOIDC(t.Context(), "", here); !errors.Is(err, ErrProvider) || errors.Is(err, ErrRefused) {
			t.Fatalf("error %v", err)
		}
	}
	p.away.Store(false)
	if _, _, err := o.BeginOIDC(t.Context(), "", here); !errors.Is(err, ErrProvider) {
		t.Errorf("asked again at once: %v", err)
	}
	o.provider.failedAt = o.provider.failedAt.Add(-discoverAgain)
	redirect, bind, err := o.BeginOIDC(t.Context(), "", here)
	if err != nil {
		t.Fatalf("back: %v", err)
	}
	state, code := p.authorize(t, redirect)
	p.away.Store(true)
	if _, _, _, err := o.FinishOIDC(t.Context(), bind.Reveal(), state, code, here); !errors.Is(err, ErrProvider) || errors.Is(err, ErrRefused) {
		t.Errorf("away in the middle: %v", err)
	}
	p.away.Store(false)
	if _, _, _, err := p.signIn(t, o); err != nil {
		t.Errorf("back again: %v", err)
	}
	if p.asked != 1 {
		t.Errorf("discovered %d times", p.asked)
	}
	none := newOperators(t)
	if _, ok := none.OIDC(); ok {
		t.Error("there is a provider")
	}
	if _, _, err := none.BeginOIDC(t.Context(), "", here); !errors.Is(err, ErrProvider) {
		t.Errorf("without a provider: %v", err)
	}
}

func TestOIDCNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		issued claims
		want   string // "*" stands for four characters
	}{
		{"taken", claims{"preferred_username": "boss"}, "boss-*"},
		{"taken in capitals", claims{"preferred_username": "BOSS"}, "boss-*"},
		{"email", claims{"preferred_username": nil}, "wang@example.com"},
		{"subject", claims{"preferred_username": nil, "email": nil}, "248289761001"},
		{"Chinese", claims{"preferred_username": "王"}, "user-*"},
		{"long", claims{"preferred_username": strings.Repeat("x", 300)}, strings.Repeat("x", 64)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t)
			o := newOperators(t, p.config())
			boss := create(t, o, "boss", Owner)
			p.issued = tt.issued
			s, _, _, err := p.signIn(t, o)
			if err != nil {
				t.Fatal(err)
			}
			got := s.User.Name
			if prefix, ok := strings.CutSuffix(tt.want, "*"); ok && len(got) == len(prefix)+4 {
				got = got[:len(prefix)] + "*"
			}
			if got != tt.want || s.User.ID == boss.ID {
				t.Errorf("name %q, want %q", s.User.Name, tt.want)
			}
		})
	}
}

// Before set-up only an owner may come.
func TestOIDCFirst(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	o := newOperators(t, p.config())
	if _, _, _, err := p.signIn(t, o); !errors.Is(err, ErrRefused) {
		t.Errorf("an operator: %v", err)
	}
	p.issued = claims{"groups": "bosses"}
	if s, _, _, err := p.signIn(t, o); err != nil || s.User.Role != Owner {
		t.Errorf("an owner: %v", err)
	}
	if needs, err := o.NeedsSetup(t.Context()); needs || err != nil {
		t.Errorf("needs set-up: %v, %v", needs, err)
	}
}

// Without a claim for roles everybody begins with the default, and keeps what is given here.
func TestOIDCDefaultRole(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	o := newOperators(t, p.config(func(c *OIDCConfig) { c.RoleClaim, c.Roles, c.DefaultRole = "", nil, Viewer }))
	create(t, o, "boss", Owner)
	s, _, _, err := p.signIn(t, o)
	if err != nil || s.User.Role != Viewer {
		t.Fatalf("user %+v, %v", s.User, err)
	}
	auditor := Auditor
	if _, err := o.Change(t.Context(), owner, s.User.ID, Change{Role: &auditor}); err != nil {
		t.Fatal(err)
	}
	if s, _, _, err = p.signIn(t, o); err != nil || s.User.Role != Auditor {
		t.Errorf("user %+v, %v", s.User, err)
	}
}

func TestOIDCTwiceAtOnce(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	st := memory.New(memory.Config{})
	create(t, newReplica(t, st), "boss", Owner)
	var wg sync.WaitGroup
	ids := make([]string, 6)
	for i := range ids {
		o := newReplica(t, st, p.config())
		wg.Go(func() {
			redirect, bind, err := o.BeginOIDC(t.Context(), "", here)
			if err != nil {
				t.Error(err)
				return
			}
			state, code := p.authorize(t, redirect)
			s, _, _, err := o.FinishOIDC(t.Context(), bind.Reveal(), state, code, here)
			if err != nil {
				t.Error(err)
			}
			ids[i] = s.User.ID
		})
	}
	wg.Wait()
	if diff := cmp.Diff(strings.Fields(strings.Repeat(ids[0]+" ", len(ids))), ids); diff != "" || ids[0] == "" {
		t.Errorf("not one user:\n%s", diff)
	}
}

func TestOIDCStartsAreBounded(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	o := newOperators(t, p.config())
	for i := range perStart {
		if _, _, err := o.BeginOIDC(t.Context(), "", here); err != nil {
			t.Fatalf("start %d: %v", i, err)
		}
	}
	_, _, err := o.BeginOIDC(t.Context(), "", here)
	if _, ok := errors.AsType[*Locked](err); !ok {
		t.Errorf("error %v", err)
	}
	if _, _, err := o.BeginOIDC(t.Context(), "", there); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
}

// A provider that names endpoints without TLS on another machine is not used.
func TestOIDCEndpoints(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]map[string]any{
		"token without TLS":     {"token_endpoint": "http://id.example.com/token"},
		"authorize without TLS": {"authorization_endpoint": "http://id.example.com/authorize"},
		"other issuer":          {"issuer": "https://id.example.com"},
		"endless":               {"padding": strings.Repeat("x", maxReply)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t)
			p.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				all := map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/a", "token_endpoint": p.URL + "/t", "jwks_uri": p.URL + "/k"}
				maps.Copy(all, edit)
				reply(w, http.StatusOK, all)
			})
			o := newOperators(t, p.config())
			_, _, err := o.BeginOIDC(t.Context(), "", here)
			if !errors.Is(err, ErrProvider) || len(err.Error()) > 600 {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestLocalPath(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{"/console/", "/console/events?tab=dead&x=%2F..", "/console/authorizers/wx1#calls", "/console/搜索"} {
		if got := localPath(ok); got != ok {
			t.Errorf("%q becomes %q", ok, got)
		}
	}
	for _, wrong := range []string{
		"", "/", "/console", "console/", "//evil.example/console/", "https://evil.example/console/", "javascript:alert(1)",
		`/\evil.example/console/`, `/console/\evil.example`, "/console/../v1/users", "/console/%2e%2e/v1", "/console/..", "/consolex/", "/console/\nx",
		"\t/console/", "/console/%zz", "/console/" + strings.Repeat("x", 2000),
	} {
		if got := localPath(wrong); got != "/console/" {
			t.Errorf("%q becomes %q", wrong, got)
		}
	}
}

// Nothing that is stored while a sign-in is under way can be used by who reads the store alone.
func TestOIDCPendingKeepsHashes(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	kept := &listening{Store: memory.New(memory.Config{})}
	o := newReplica(t, kept, p.config())
	redirect, bind, err := o.BeginOIDC(t.Context(), "", here)
	if err != nil {
		t.Fatal(err)
	}
	state, _ := p.authorize(t, redirect)
	for _, secret := range []string{state, bind.Reveal()} {
		if strings.Contains(fmt.Sprint(kept.seen), secret) {
			t.Error("the state or the cookie is stored as it is")
		}
	}
}

// listening is a store that remembers the values it was given.
type listening struct {
	Store
	seen []string
}

func (s *listening) PutValue(ctx context.Context, v store.Value) error {
	s.seen = append(s.seen, v.Key, string(v.Data))
	return s.Store.PutValue(ctx, v)
}
