package simulator

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// tokenState is a chain of access tokens of which the newest is current.
type tokenState struct {
	n         uint32 // the current token is the n-th
	deadCode  int32  // what a token answers that died early
	expires   int64  // Unix nanoseconds, as all below
	diesAt    int64  // earlier than expires, or 0
	prevUntil int64  // until when the one before it still works
}

// renew makes the next token current.
func (t *tokenState) renew(now time.Time, ttl, overlap time.Duration) {
	until := min(now.Add(overlap).UnixNano(), t.end())
	*t = tokenState{n: t.n + 1, expires: now.Add(ttl).UnixNano(), prevUntil: until}
}

// kill ends the current token and the one before it. A token that had reached
// its natural end keeps answering 42001.
func (t *tokenState) kill(now time.Time, code errcode) {
	t.prevUntil = 0
	if t.n == 0 || t.diesAt == 0 && t.expires <= now.UnixNano() {
		return
	}
	t.diesAt, t.deadCode = min(now.UnixNano(), t.end()), int32(code)
}

func (t *tokenState) end() int64 {
	if t.diesAt != 0 {
		return min(t.diesAt, t.expires)
	}
	return t.expires
}

// check says what the platform answers to the n-th token, 0 if it is good.
func (t *tokenState) check(n uint32, now time.Time) errcode {
	at := now.UnixNano()
	switch {
	case n == t.n && t.diesAt != 0 && at >= t.diesAt:
		return errcode(t.deadCode)
	case n == t.n && at >= t.expires:
		return codeTokenExpired
	case n == t.n, n+1 == t.n && at < t.prevUntil:
		return 0
	}
	return codeInvalidCredential
}

// authorization is what stands, or stood, between an account and a component.
type authorization struct {
	id          uint32
	comp        *component
	acct        *account
	sets        []int // never changed in place
	grant       uint32
	epoch       uint32 // counts first authorizations; codes of an older epoch are void
	codeN       uint32
	refreshN    uint32
	refreshPrev int64 // until when the refresh token before it still works, Unix ns
	standing    bool
	exchanged   bool // a code of this epoch was exchanged
	inFlight    uint8
	maxInFlight uint8
	refreshes   uint32
	authTime    int64 // Unix ns
	access      tokenState
}

type codeKey struct{ authorization, n uint32 }

type authorizationCode struct {
	expires time.Time
	epoch   uint32
	used    bool
}

// AuthorizationInfo is one authorization as the platform sees it, without secrets.
type AuthorizationInfo struct {
	ComponentAppID  string    `json:"component_appid"`
	AuthorizerAppID string    `json:"authorizer_appid"`
	Standing        bool      `json:"standing"`
	PermissionSets  []int     `json:"permission_sets"`
	AuthorizedAt    time.Time `json:"authorized_at"`
	// Grant counts confirmations, RefreshTokens the refresh tokens issued and
	// AccessTokens the access tokens issued.
	Grant         uint32 `json:"grant"`
	RefreshTokens uint32 `json:"refresh_tokens"`
	AccessTokens  uint32 `json:"access_tokens"`
	// Exchanged reports whether an authorization code was ever exchanged since
	// the account authorized.
	Exchanged bool `json:"exchanged"`
	// Refreshes counts calls of api_authorizer_token; MaxOverlap is how many of
	// them were under way at once.
	Refreshes  int `json:"refreshes"`
	MaxOverlap int `json:"max_overlap"`
}

func (a *authorization) info() AuthorizationInfo {
	return AuthorizationInfo{
		ComponentAppID: a.comp.appid, AuthorizerAppID: a.acct.appid, Standing: a.standing,
		PermissionSets: append([]int{}, a.sets...), AuthorizedAt: time.Unix(0, a.authTime).UTC(),
		Grant: a.grant, RefreshTokens: a.refreshN, AccessTokens: a.access.n, Exchanged: a.exchanged,
		Refreshes: int(a.refreshes), MaxOverlap: int(a.maxInFlight),
	}
}

// issued records that a secret was made and returns its text. s.mu is held.
func (s *Simulator) issued(now time.Time, kind secretKind, c *component, a *authorization, owner, n uint32) string {
	text := s.mint.coin(kind, owner, n)
	e := Entry{Time: now, Kind: KindIssue, Secret: forms[kind].name, SHA256: hashOf(text), Number: n, ComponentAppID: c.appid}
	if a != nil {
		e.AuthorizerAppID, e.Grant = a.acct.appid, a.grant
	}
	s.journal.add(e)
	return text
}

// issueAccessToken renews the access token of an authorization. s.mu is held.
func (s *Simulator) issueAccessToken(a *authorization, now time.Time) (token string, expiresIn int) {
	f := s.Faults()
	a.access.renew(now, seconds(f.AuthorizerTokenTTL), seconds(f.AuthorizerTokenOverlap))
	s.maybeDieEarly(&a.access, now, a.acct.appid)
	return s.issued(now, secretAccessToken, a.comp, a, a.id, a.access.n), f.AuthorizerTokenTTL
}

// maybeDieEarly lets the fault early_dead_token strike a token just made.
func (s *Simulator) maybeDieEarly(t *tokenState, now time.Time, subject string) {
	if s.strikes(s.Faults().EarlyDeadToken, "early_dead_token", subject) {
		life := time.Duration(t.expires - now.UnixNano())
		t.diesAt = now.Add(s.dice.between("early death", subject, life/20, life*9/10)).UnixNano()
		t.deadCode = int32(codeInvalidCredential)
	}
}

// issueRefreshToken makes the next refresh token current; the one before works
// for grace more. s.mu is held.
func (s *Simulator) issueRefreshToken(a *authorization, now time.Time, grace time.Duration) {
	a.refreshN++
	a.refreshPrev = now.Add(grace).UnixNano()
	s.issued(now, secretRefreshToken, a.comp, a, a.id, a.refreshN)
}

// acceptsRefreshToken reports whether a refresh token is in force. s.mu is held.
func (s *Simulator) acceptsRefreshToken(a *authorization, text string, now time.Time) bool {
	id, ok := s.mint.identify(text, secretRefreshToken)
	if !ok || id.owner != a.id {
		return false
	}
	return id.n == a.refreshN || id.n+1 == a.refreshN && now.UnixNano() < a.refreshPrev
}

// confirmation is what follows when an administrator has confirmed.
type confirmation struct {
	auth *authorization
	code string
	// codeExpires is when the code dies.
	codeExpires time.Time
	event       string // "authorized", "updateauthorized", or "" where nothing is pushed
	push        *push  // nil where nothing is pushed
}

// confirm authorizes the account to the component with the sets that are free
// among those wanted. s.mu is held.
func (s *Simulator) confirm(now time.Time, c *component, a *account, wanted []int, pre *preAuthCode) confirmation {
	f := s.Faults()
	auth := a.to(c)
	if auth == nil {
		auth = &authorization{id: uint32(len(s.authorizations) + 1), comp: c, acct: a}
		s.authorizations = append(s.authorizations, auth)
		a.authorizations = append(a.authorizations, auth)
		c.authorizers = append(c.authorizers, auth)
		c.gone++
	}
	sets := s.grantedSets(c, a, wanted)
	event, state := "authorized", "authorized"
	if auth.standing {
		event, state = "", "updated"
		if !slices.Equal(sets, auth.sets) {
			event = "updateauthorized"
		}
	} else {
		auth.epoch++
		auth.exchanged = false
		c.gone--
	}
	auth.standing, auth.sets, auth.authTime = true, sets, now.UnixNano()
	auth.grant++
	auth.access.kill(now, codeInvalidCredential)
	s.journal.add(Entry{Time: now, Kind: KindIssue, State: state, ComponentAppID: c.appid, AuthorizerAppID: a.appid, Grant: auth.grant})
	s.issueRefreshToken(auth, now, 0)
	auth.codeN++
	result := confirmation{auth: auth, event: event, codeExpires: now.Add(seconds(f.AuthorizationCodeTTL))}
	result.code = s.issued(now, secretAuthorizationCode, c, auth, auth.id, auth.codeN)
	s.codes[codeKey{auth.id, auth.codeN}] = &authorizationCode{expires: result.codeExpires, epoch: auth.epoch}
	delete(s.codes, codeKey{auth.id, auth.codeN - 16}) // so old that only 61009 is left to answer
	pre.used = true
	if event != "" {
		result.push = s.authorizationPush(now, c, event, a.appid, result.code, result.codeExpires, pre.text)
	}
	return result
}

// grantedSets returns which of the wanted sets the component gets: those that it
// asks for, that the account's kind has, and that no other component holds
// exclusively. s.mu is held.
func (s *Simulator) grantedSets(c *component, a *account, wanted []int) []int {
	var sets []int
	for _, set := range wanted {
		if slices.Contains(c.PermissionSets, set) && grantable(a.kind, set) && s.exclusiveHolder(c, a, set) == nil {
			sets = append(sets, set)
		}
	}
	slices.Sort(sets)
	return slices.Compact(sets)
}

// exclusiveHolder returns the other component that keeps c from getting a set,
// or nil. The release check's accounts know no exclusivity, since several
// components may be checked at once. s.mu is held.
func (s *Simulator) exclusiveHolder(c *component, a *account, set int) *component {
	if !s.exclusive[set] || a.testAccount {
		return nil
	}
	for _, other := range a.authorizations {
		if other.comp != c && other.standing && slices.Contains(other.sets, set) {
			return other.comp
		}
	}
	return nil
}

// revoke takes an authorization back. s.mu is held.
func (s *Simulator) revoke(now time.Time, a *authorization) *push {
	a.standing = false
	a.comp.gone++
	a.access.kill(now, errcode(s.Faults().RevokedErrcode))
	s.journal.add(Entry{Time: now, Kind: KindIssue, State: "unauthorized", ComponentAppID: a.comp.appid, AuthorizerAppID: a.acct.appid, Grant: a.grant})
	return s.authorizationPush(now, a.comp, "unauthorized", a.acct.appid, "", time.Time{}, "")
}

// AuthorizeRequest is an administrator's confirmation.
type AuthorizeRequest struct {
	ComponentAppID string `json:"component_appid"`
	// PreAuthCode is the component's. Without it the merchant starts from
	// WeChat's side, with a code that the component has never seen.
	PreAuthCode string `json:"pre_auth_code,omitempty"`
	// PermissionSets defaults to all sets that the component asks for, or to the
	// present ones in an update.
	PermissionSets []int `json:"permission_sets,omitempty"`
	// RedirectURI defaults to the one of the last visit of the authorization page
	// with the pre-auth code.
	RedirectURI string `json:"redirect_uri,omitempty"`
}

// AuthorizeResult is what followed.
type AuthorizeResult struct {
	// RedirectURL is where the administrator's browser goes; "" where no redirect_uri is known.
	RedirectURL       string `json:"redirect_url"`
	AuthorizationCode string `json:"authorization_code"`
	ExpiresIn         int    `json:"expires_in"` // of the code, in seconds
	// Event is the InfoType pushed, "" if the sets did not change.
	Event          string `json:"event"`
	PermissionSets []int  `json:"permission_sets"` // granted
	PushResult
}

// Authorize lets the account's administrator confirm an authorization, and
// returns when the push is done. A standing authorization is updated, as on the
// real page.
func (s *Simulator) Authorize(ctx context.Context, appid string, r AuthorizeRequest) (AuthorizeResult, error) {
	return s.authorize(ctx, appid, r, false)
}

// UpdateAuthorization is [Simulator.Authorize] for an authorization that stands.
// WeChat pushes nothing if the sets stay the same, yet the refresh token changes.
func (s *Simulator) UpdateAuthorization(ctx context.Context, appid string, r AuthorizeRequest) (AuthorizeResult, error) {
	return s.authorize(ctx, appid, r, true)
}

func (s *Simulator) authorize(ctx context.Context, appid string, r AuthorizeRequest, update bool) (AuthorizeResult, error) {
	result, done, err := s.confirmRequest(appid, r, update)
	if err != nil {
		return AuthorizeResult{}, err
	}
	if done.push != nil {
		result.PushResult = s.send(ctx, done.push)
	}
	return result, nil
}

// confirmRequest does what Authorize does before anything is pushed.
func (s *Simulator) confirmRequest(appid string, r AuthorizeRequest, update bool) (AuthorizeResult, confirmation, error) {
	fail := func(err error) (AuthorizeResult, confirmation, error) {
		return AuthorizeResult{}, confirmation{}, err
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.findAccount(appid)
	if err != nil {
		return fail(err)
	}
	if r.ComponentAppID == "" && update {
		held, err := onlyOne(a)
		if err != nil {
			return fail(err)
		}
		r.ComponentAppID = held.comp.appid
	}
	c, err := s.find(r.ComponentAppID)
	if err != nil {
		return fail(err)
	}
	auth := a.to(c)
	switch {
	case update && (auth == nil || !auth.standing):
		return fail(refuse(http.StatusConflict, "account %s does not authorize %s; use authorize", appid, c.appid))
	case !c.mayAuthorize(appid):
		return fail(&Error{http.StatusConflict, pageNotPublished, fmt.Sprintf("component %s is not published and %s is not among its test_accounts", c.appid, appid)})
	case (auth == nil || !auth.standing) && len(a.standing()) >= maxProviders:
		return fail(&Error{http.StatusConflict, pageTooManyProviders, fmt.Sprintf("account %s already authorizes %d components", appid, maxProviders)})
	}
	if r.PermissionSets == nil {
		r.PermissionSets = c.PermissionSets
		if update {
			r.PermissionSets = auth.sets
		}
	}
	if r.PreAuthCode == "" {
		r.PreAuthCode = s.issuePreAuthCode(c, now).text
	}
	pre, code := s.checkPreAuthCode(c, r.PreAuthCode, now)
	if code != 0 {
		return fail(&Error{http.StatusConflict, code, fmt.Sprintf("the pre_auth_code is no good: the page would say %d, %s", code, pageTexts[code][1])})
	}
	if r.RedirectURI == "" {
		r.RedirectURI = pre.redirectURI
	}
	done := s.confirm(now, c, a, r.PermissionSets, pre)
	result := AuthorizeResult{
		AuthorizationCode: done.code,
		ExpiresIn:         int(done.codeExpires.Sub(now) / time.Second),
		Event:             done.event,
		PermissionSets:    append([]int{}, done.auth.sets...),
		PushResult:        PushResult{Attempts: []Attempt{}},
	}
	if r.RedirectURI != "" {
		result.RedirectURL = redirectURL(r.RedirectURI, done.code, result.ExpiresIn)
	}
	return result, done, nil
}

// redirectURL appends what the redirect carries; the component's own query stays.
func redirectURL(redirectURI, code string, expiresIn int) string {
	return withQuery(redirectURI, "auth_code="+url.QueryEscape(code)+"&expires_in="+strconv.Itoa(expiresIn))
}

func withQuery(address, query string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	if u.RawQuery != "" {
		query = u.RawQuery + "&" + query
	}
	u.RawQuery = query
	return u.String()
}

// onlyOne returns the account's one standing authorization. s.mu is held.
func onlyOne(a *account) (*authorization, error) {
	standing := a.standing()
	switch len(standing) {
	case 0:
		return nil, refuse(http.StatusConflict, "account %s authorizes no component; use POST /accounts/%s/authorize", a.appid, a.appid)
	case 1:
		return standing[0], nil
	}
	return nil, refuse(http.StatusBadRequest, "account %s authorizes %d components; choose one with component_appid", a.appid, len(standing))
}

// chosen returns the standing authorization to the named component, or the only
// one where none is named. s.mu is held.
func (s *Simulator) chosen(appid, componentAppID string) (*authorization, error) {
	a, err := s.findAccount(appid)
	if err != nil {
		return nil, err
	}
	if componentAppID == "" {
		return onlyOne(a)
	}
	c, err := s.find(componentAppID)
	if err != nil {
		return nil, err
	}
	if auth := a.to(c); auth != nil && auth.standing {
		return auth, nil
	}
	return nil, refuse(http.StatusConflict, "account %s does not authorize %s", appid, componentAppID)
}

// Unauthorize lets the account's administrator take the authorization back and
// returns when the push is done. componentAppID may be "" if there is only one.
func (s *Simulator) Unauthorize(ctx context.Context, appid, componentAppID string) (PushResult, error) {
	s.mu.Lock()
	auth, err := s.chosen(appid, componentAppID)
	if err != nil {
		s.mu.Unlock()
		return PushResult{}, err
	}
	p := s.revoke(s.now(), auth)
	s.mu.Unlock()
	return s.send(ctx, p), nil
}

// ExpireTokens kills access tokens early: with authorizerAppID that account's
// (of one component if componentAppID is given too), else the component's own.
// It returns how many it killed; they answer 42001 from now on.
func (s *Simulator) ExpireTokens(componentAppID, authorizerAppID string) (int, error) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	killed := 0
	kill := func(t *tokenState) {
		if t.n > 0 && t.end() > now.UnixNano() {
			killed++
		}
		t.kill(now, codeTokenExpired)
	}
	if componentAppID == "" && authorizerAppID == "" {
		return 0, refuse(http.StatusBadRequest, "name a component_appid, an authorizer_appid, or both")
	}
	var c *component
	if componentAppID != "" {
		var err error
		if c, err = s.find(componentAppID); err != nil {
			return 0, err
		}
	}
	if authorizerAppID == "" {
		kill(&c.token)
		return killed, nil
	}
	a, err := s.findAccount(authorizerAppID)
	if err != nil {
		return 0, err
	}
	for _, auth := range a.authorizations {
		if c == nil || auth.comp == c {
			kill(&auth.access)
		}
	}
	return killed, nil
}

// TokenStatus is the platform's view of an access token.
type TokenStatus struct {
	ComponentAppID  string
	AuthorizerAppID string // "" for a component's own token
	Current         bool   // the newest of its owner
	Errcode         int    // what a call with it answers now; 0 if it is accepted
	// ExpiresAt is when the newest token of this owner dies.
	ExpiresAt time.Time
}

// Token says what the platform thinks of an access token, without a call being
// made. An unknown token has Errcode 40001.
func (s *Simulator) Token(text string) TokenStatus {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	status := TokenStatus{Errcode: int(codeInvalidCredential)}
	id, ok := s.mint.identify(text, secretComponentToken, secretAccessToken)
	if !ok {
		return status
	}
	var t *tokenState
	switch {
	case id.kind == secretComponentToken && int(id.owner) <= len(s.componentList):
		c := s.componentList[id.owner-1]
		t, status.ComponentAppID = &c.token, c.appid
	case id.kind == secretAccessToken && int(id.owner) <= len(s.authorizations):
		a := s.authorizations[id.owner-1]
		t, status.ComponentAppID, status.AuthorizerAppID = &a.access, a.comp.appid, a.acct.appid
	default:
		return status
	}
	status.Current = id.n == t.n
	status.Errcode = int(t.check(id.n, now))
	status.ExpiresAt = time.Unix(0, t.end())
	return status
}

// Seed authorizes n new accounts to a component at once, as if each had
// confirmed and its code had been exchanged, without pushes and journal entries.
// It yields their appids and refresh tokens.
func (s *Simulator) Seed(componentAppID string, n int) (iter.Seq2[string, string], error) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(componentAppID)
	if err != nil {
		return nil, err
	}
	first := len(s.accountList) + 1
	sets := s.grantedSets(c, &account{kind: OfficialAccount, testAccount: true}, c.PermissionSets)
	// One block of memory for each sort of thing: a million small ones would cost twice as much.
	accounts := make([]account, n)
	authorizations := make([]authorization, n)
	held := make([]*authorization, n)
	s.accountList = slices.Grow(s.accountList, n)
	s.authorizations = slices.Grow(s.authorizations, n)
	c.authorizers = slices.Grow(c.authorizers, n)
	for i := range n {
		appid := fmt.Sprintf("wx%016x", s.dice.next("appid", ""))
		for s.accounts[appid] != nil {
			appid = fmt.Sprintf("wx%016x", s.dice.next("appid", ""))
		}
		auth := &authorizations[i]
		held[i] = auth
		accounts[i] = account{id: uint32(first + i), appid: appid, kind: OfficialAccount, authorizations: held[i : i+1 : i+1]}
		*auth = authorization{
			id: uint32(len(s.authorizations) + 1), comp: c, acct: &accounts[i], sets: sets, grant: 1, epoch: 1,
			refreshN: 1, standing: true, exchanged: true, authTime: now.UnixNano(),
		}
		s.accounts[appid] = &accounts[i]
		s.accountList = append(s.accountList, &accounts[i])
		s.authorizations = append(s.authorizations, auth)
		c.authorizers = append(c.authorizers, auth)
	}
	return func(yield func(string, string) bool) {
		for i := range authorizations {
			if !yield(accounts[i].appid, s.mint.coin(secretRefreshToken, authorizations[i].id, 1)) {
				return
			}
		}
	}, nil
}

// issuePreAuthCode makes a pre-auth code and forgets those that died a day ago. s.mu is held.
func (s *Simulator) issuePreAuthCode(c *component, now time.Time) *preAuthCode {
	c.preAuthN++
	if c.preAuthN%256 == 0 {
		for n, pre := range c.preAuthCodes {
			if now.Sub(pre.expires) > 24*time.Hour {
				delete(c.preAuthCodes, n)
			}
		}
	}
	pre := &preAuthCode{expires: now.Add(seconds(s.Faults().PreAuthCodeTTL))}
	pre.text = s.issued(now, secretPreAuthCode, c, nil, c.id, c.preAuthN)
	c.preAuthCodes[c.preAuthN] = pre
	return pre
}

// checkPreAuthCode returns the state of a pre-auth code, or what the page says against it. s.mu is held.
func (s *Simulator) checkPreAuthCode(c *component, text string, now time.Time) (*preAuthCode, int) {
	id, ok := s.mint.identify(text, secretPreAuthCode)
	if !ok || id.owner != c.id {
		return nil, pageNoLongerValid
	}
	pre := c.preAuthCodes[id.n]
	switch {
	case pre == nil:
		return nil, pageExpired
	case pre.used:
		return nil, pageCodeUsed
	case now.After(pre.expires):
		return nil, pageExpired
	}
	return pre, 0
}
