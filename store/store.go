package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan"
)

var (
	// ErrNotFound: there is no such record.
	ErrNotFound = errors.New("store: not found")
	// ErrConflict: the record exists already, or has changed since it was read.
	ErrConflict = errors.New("store: conflict")
	// ErrLeaseHeld: somebody else holds the lease. Matched by *LeaseHeldError.
	ErrLeaseHeld = errors.New("store: lease is held")
	// ErrLeaseLost: the lease named by the caller is no longer his.
	ErrLeaseLost = errors.New("store: lease lost")
	// ErrQuarantined: a sealed value does not open in its place. Only the record
	// concerned is affected: a list comes with this error and all the other records.
	ErrQuarantined = errors.New("store: record quarantined: a sealed value does not open")
	// ErrUnavailable: the store refuses writes, because a write or a sync failed.
	ErrUnavailable = errors.New("store: unavailable")
)

// Store is everything. Consumers declare the part that they need.
type Store interface {
	Components
	Authorizers
	Exchanges
	Links
	Pushes
	Events
	Subscriptions
	Deliveries
	Leases
	Settings
	APIKeys
	Audits
	Values
	Users
	Sessions
	TokenEvents

	// Changes tells what any process has changed since the instant given, which is by
	// the store's clock. What was changed at about that instant may be told again, and
	// what a transaction of more than a few seconds changed may be missing. A zero
	// instant returns the present one alone.
	Changes(ctx context.Context, since time.Time) (Changes, error)

	// Probe makes a small durable write, to find out before a token is at risk
	// whether the store can still keep one.
	Probe(ctx context.Context) error
	// Collect removes what is older than the instants given, leases on exchanges that
	// are gone, values that have been expired for [ExpiredValuesKept], and what is not
	// delivered to subscriptions that are gone. It never
	// removes a component, an authorizer, a lease on one of these, a refresh token of a
	// current grant, an API key, a user, or an audit record.
	Collect(ctx context.Context, before Retention) error
	// Close waits for work under way and releases everything.
	Close() error
}

// Changes is what has changed in a store that several processes share.
type Changes struct {
	// Now is the store's clock, read before anything else.
	Now time.Time
	// Authorizers are those whose tokens, grant or state may have changed.
	Authorizers []Change
	// ComponentTokens are all that there are.
	ComponentTokens []Change
	// Components are those whose credentials have changed.
	Components []tuoguan.ComponentAppID
	// Exchanges are the pending ones of known authorizers, without their codes.
	Exchanges []Exchange
}

// Change names a token set: two of the same owner, grant and epoch are the same.
type Change struct {
	Owner tuoguan.TokenOwner
	State tuoguan.State // "" for a component
	Grant int64         // 0 for a component
	Epoch int64
}

// Settings keeps a few small values that all processes on the store share.
type Settings interface {
	// Setting returns a value and its version, or ErrNotFound.
	Setting(ctx context.Context, name string) (value []byte, version int64, err error)
	// PutSetting stores a value if the version is still the one given; 0 stands for
	// a value that is not there yet. Else ErrConflict.
	PutSetting(ctx context.Context, name string, value []byte, version int64) error
}

// Retention says from when on records are kept. A zero instant keeps all of a kind.
type Retention struct {
	Pushes        time.Time // received before, unless a delivery of it is pending; with their deliveries
	PushCount     int64     // likewise, all but so many of the newest; 0: no bound
	Exchanges     time.Time // finished before
	Links         time.Time // expired before
	RefreshTokens time.Time // received before, and not of the current grant
	Sessions      time.Time // expired before

	// TokenEvents happened before; those behind the first that did not are kept, whenever
	// they happened. TokenEventCount keeps so many of the newest at most; 0: no bound.
	TokenEvents     time.Time
	TokenEventCount int64
}

// Components keeps the third-party platforms, their tickets and their tokens.
type Components interface {
	// PutComponent adds a component or replaces its credentials. CreatedAt of an
	// existing one is kept; tickets and tokens are not touched.
	PutComponent(ctx context.Context, c Component) error
	Component(ctx context.Context, id tuoguan.ComponentAppID) (Component, error)
	// Components returns all, ordered by AppID.
	Components(ctx context.Context) ([]Component, error)

	// Tickets returns the newest tickets, newest first, at most three. Newest is by
	// (CreatedAt, ReceivedAt).
	Tickets(ctx context.Context, id tuoguan.ComponentAppID) ([]Ticket, error)

	// ComponentToken returns the current component access token, or ErrNotFound.
	ComponentToken(ctx context.Context, id tuoguan.ComponentAppID) (ComponentToken, error)
	// SaveComponentToken replaces the current token if no token was saved under an
	// equal or later epoch. It reports whether it did.
	SaveComponentToken(ctx context.Context, t ComponentToken) (moved bool, err error)
}

// Component is a third-party platform with its credentials.
type Component struct {
	AppID          tuoguan.ComponentAppID
	Secret         tuoguan.Secret // AppSecret
	Token          tuoguan.Secret // signs pushes
	EncodingAESKey tuoguan.Secret

	// StagedSecret is an AppSecret that WeChat's console has been told, or will be: it is
	// tried when WeChat refuses Secret, and replaces it once WeChat takes it. Zero if none.
	StagedSecret tuoguan.Secret

	// Previous values stay valid for pushes while WeChat may still use them; zero if none.
	PreviousToken          tuoguan.Secret
	PreviousEncodingAESKey tuoguan.Secret

	CreatedAt time.Time
	UpdatedAt time.Time
}

// Ticket is one component_verify_ticket.
type Ticket struct {
	Component  tuoguan.ComponentAppID
	Value      tuoguan.Secret
	CreatedAt  time.Time // CreateTime of the push, whole seconds
	ReceivedAt time.Time
}

// ComponentToken is the component access token in force.
type ComponentToken struct {
	Component  tuoguan.ComponentAppID
	Value      tuoguan.Secret
	ObtainedAt time.Time
	ExpiresAt  time.Time
	Epoch      int64 // of the lease under which it was obtained
}

// Authorizers keeps authorizations and their tokens.
type Authorizers interface {
	Authorizer(ctx context.Context, a tuoguan.Authorization) (Authorizer, error)
	// Authorizers lists authorizations ordered by (Component, Authorizer).
	Authorizers(ctx context.Context, q AuthorizerQuery) ([]Authorizer, error)
	// CountAuthorizers counts by component and state.
	CountAuthorizers(ctx context.Context) ([]AuthorizerCount, error)

	// SaveGrant records that an account (re-)authorized. In one step: the grant
	// number goes up by one, the token set replaces the old one, the state becomes
	// active, troubles are forgotten, the refresh token joins the history, the
	// exchange named is finished, and the link named is used up. An AuthorizedAt that
	// is zero is taken from the exchange. Where it is known and the stored grant or its
	// revocation is newer by it, nothing but the history and the exchange changes, and
	// moved is false; likewise where the exchange is done already, and has led to its
	// grant. Where the refresh token is in the history already, before the one in force, or
	// is in force in a token set that was obtained later, it has been used since: then
	// that token set stays, nothing but the exchange and AuthorizedAt changes, and moved
	// is false; unless the authorizer is revoked. Where it stays unknown it becomes the latest of ObtainedAt, to
	// the second as all of WeChat's times, and the stored AuthorizedAt and RevokedAt. An
	// empty refresh token leaves the stored one in place. Where the exchange was taken
	// back since (its RevokedAt), the state becomes revoked instead of active.
	SaveGrant(ctx context.Context, g Grant) (a Authorizer, moved bool, err error)

	// SaveTokens records what a refresh yielded. In one step: a refresh token that is
	// not in the history joins it, whatever else happens; then, if the grant is still
	// the current one, is not revoked, and no token set was saved under an equal or
	// later epoch, the token set moves, the state becomes active and troubles are
	// forgotten. An empty refresh token never replaces one. It reports whether the
	// token set moved. ErrNotFound if there is no such authorizer. Whatever came of it,
	// the lease named for release ends, if it is still this very one. Saving the same
	// again (same epoch, same ObtainedAt), as after a connection that was lost during
	// the commit, reports what the first time did.
	SaveTokens(ctx context.Context, w TokenWrite) (moved bool, err error)

	// AppendRefreshToken adds a candidate to the history if it is not there yet,
	// and reports whether it did. The authorizer need not be known. A value that comes
	// again under a later grant moves to that grant and to the front of the history.
	AppendRefreshToken(ctx context.Context, r RefreshToken) (added bool, err error)
	// RefreshTokens returns the history, newest first.
	RefreshTokens(ctx context.Context, a tuoguan.Authorization) ([]RefreshToken, error)

	// SaveTrouble records a failed refresh or a change of state, if grant and epoch
	// are still those of the stored token set. It reports whether it did. A revoked
	// authorizer stays revoked and as it is. ErrNotFound if there is no such authorizer.
	SaveTrouble(ctx context.Context, t Trouble) (changed bool, err error)
	// Revoke marks the authorizer revoked at the instant given, unless its grant
	// began later than that. The token set stays, sealed; no refresh is due any more.
	// It reports whether the state changed. ErrNotFound if there is no such authorizer.
	// Pending exchanges of the authorizer that began no later are marked as taken back,
	// whether or not there is one.
	Revoke(ctx context.Context, a tuoguan.Authorization, at time.Time) (changed bool, err error)
	// SaveProfile replaces what is known about the account, unless a profile read for
	// a later grant is stored. Permission sets and FuncInfo are replaced together, if
	// the sets are not nil and the profile was read for the current grant.
	// ErrNotFound if there is no such authorizer.
	SaveProfile(ctx context.Context, a tuoguan.Authorization, p Profile) error
	// SaveTags replaces the tags, each a text without commas. ErrNotFound if there is no such authorizer.
	SaveTags(ctx context.Context, a tuoguan.Authorization, tags []string) error

	// ClaimDue claims the leases of authorizers that are due for a refresh at the
	// instant given, the longest overdue first, as by AcquireLease, except that leases
	// of holder's own are left alone too. What somebody holds is passed over, so
	// several processes get different ones. Revoked authorizers are never due.
	ClaimDue(ctx context.Context, at time.Time, holder string, ttl time.Duration, limit int) ([]Due, error)
	// ProfilesDue returns active authorizers whose profile was read for an earlier
	// grant than the current one, or never.
	ProfilesDue(ctx context.Context, limit int) ([]tuoguan.Authorization, error)
}

// Authorizer is one authorization with its current token set.
type Authorizer struct {
	tuoguan.Authorization
	State tuoguan.State

	// Grant counts the authorizations of this account to this component, from 1.
	Grant        int64
	AuthorizedAt time.Time // when the current grant began
	RevokedAt    time.Time // zero unless revoked
	Reference    string    // the tenant, as named by the authorization link; kept by later grants without one
	Tags         []string  // given by operators, ascending; kept by later grants

	PermissionSets []tuoguan.PermissionSet // ascending
	FuncInfo       string                  // func_info as received, JSON

	Tokens     tuoguan.TokenSet
	ObtainedAt time.Time // when Tokens.AccessToken was received
	Epoch      int64     // of the lease under which Tokens was saved; 0 right after a grant

	Trouble   TroubleInfo
	RefreshAt time.Time // when the next refresh is due; zero: never

	Profile      Profile // without PermissionSets and FuncInfo, which are above
	ProfileGrant int64   // grant for which Profile was read; 0: never

	CreatedAt time.Time
	UpdatedAt time.Time
}

// TroubleInfo is what went wrong with refreshing since it last went well.
type TroubleInfo struct {
	Failures     int       // refreshes failed in a row
	Code         int       // errcode of the last one, 0 if there was none
	Message      string    // what to tell an operator; holds no secret
	SuspectSince time.Time // when WeChat first denied the authorization; zero if it did not
}

// AuthorizerQuery selects authorizers. Zero fields do not restrict.
type AuthorizerQuery struct {
	Component     tuoguan.ComponentAppID
	Authorizer    tuoguan.AuthorizerAppID
	State         tuoguan.State
	Kind          tuoguan.Kind
	PermissionSet tuoguan.PermissionSet
	Tag           string
	// Text matches the AppID, the original id or a part of the nick name, ignoring case.
	Text string
	// Reach leaves out what a caller must not see.
	Reach Reach

	After tuoguan.Authorization // exclusive; where the last page ended
	Limit int                   // defaults to DefaultLimit
}

// Reach bounds which authorizations somebody has to do with. The zero value is all.
type Reach struct {
	// Components, if not empty, are the only ones.
	Components []tuoguan.ComponentAppID
	// Authorizers and Tags, if not both empty, are the only ones: an authorization is
	// within reach if its account is named or it has one of the tags.
	Authorizers []tuoguan.AuthorizerAppID
	Tags        []string
}

// Contains reports whether an authorization with these tags is within reach.
func (r Reach) Contains(a tuoguan.Authorization, tags []string) bool {
	if len(r.Components) > 0 && !slices.Contains(r.Components, a.Component) {
		return false
	}
	return len(r.Authorizers) == 0 && len(r.Tags) == 0 || slices.Contains(r.Authorizers, a.Authorizer) ||
		slices.ContainsFunc(tags, func(tag string) bool { return slices.Contains(r.Tags, tag) })
}

// DefaultLimit is how many records a list returns where the limit given is not positive.
const DefaultLimit = 100

// AuthorizerCount counts authorizers of one component in one state.
type AuthorizerCount struct {
	Component tuoguan.ComponentAppID
	State     tuoguan.State
	Count     int64
}

// Grant is a new authorization, as learnt by exchanging a code.
type Grant struct {
	tuoguan.Authorization
	Tokens         tuoguan.TokenSet
	AuthorizedAt   time.Time // CreateTime of the push; zero if unknown
	ObtainedAt     time.Time
	RefreshAt      time.Time
	PermissionSets []tuoguan.PermissionSet
	FuncInfo       string
	Reference      string
	Source         TokenSource

	CodeHash string // the exchange to finish; "" if none
	Link     string // the link to use up; "" if none

	// Announce is stored in the same step as by AcceptPush, if the grant moved; nil if
	// nothing is to be told.
	Announce *Intake
}

// TokenSource says how a refresh token came to us.
type TokenSource string

const (
	FromExchange TokenSource = "exchange" // api_query_auth
	FromRefresh  TokenSource = "refresh"  // api_authorizer_token
	FromInfo     TokenSource = "info"     // api_get_authorizer_info
	FromList     TokenSource = "list"     // api_get_authorizer_list
)

// TokenWrite is the outcome of a refresh.
type TokenWrite struct {
	tuoguan.Authorization
	Grant      int64 // the grant whose refresh token was used
	Epoch      int64 // of the lease held
	Tokens     tuoguan.TokenSet
	Used       tuoguan.Secret // becomes current if the reply had no refresh token and Epoch of the stored token set is still Found; zero: the stored one stays
	Found      int64          // Epoch of the token set that was stored when the refresh began
	ObtainedAt time.Time
	RefreshAt  time.Time
	Source     TokenSource
	Release    Lease // ends in the same step; zero: none
}

// RefreshToken is one entry of the append-only history.
type RefreshToken struct {
	tuoguan.Authorization
	Grant      int64
	Value      tuoguan.Secret
	Source     TokenSource
	ReceivedAt time.Time
}

// Trouble changes what is recorded about failing refreshes.
type Trouble struct {
	tuoguan.Authorization
	Grant     int64
	Epoch     int64 // of the token set that could not be refreshed
	State     tuoguan.State
	Info      TroubleInfo
	RefreshAt time.Time
	At        time.Time

	// Announce is stored in the same step as by AcceptPush, if the trouble is recorded;
	// nil if nothing is to be told.
	Announce *Intake
}

// Profile is what api_get_authorizer_info tells about an account.
type Profile struct {
	Grant          int64 // the grant that was current when it was read
	Kind           tuoguan.Kind
	NickName       string
	UserName       string // original id, gh_…
	Alias          string
	HeadImage      string
	PrincipalName  string
	ServiceType    int
	VerifyType     int
	AccountStatus  int
	Raw            string // authorizer_info as received, JSON; holds no token
	PermissionSets []tuoguan.PermissionSet
	FuncInfo       string
	ReadAt         time.Time
}

// Due is one refresh to be made, claimed.
type Due struct {
	tuoguan.Authorization
	RefreshAt time.Time
	Lease     Lease
}

// Exchanges keeps authorization codes until they have become grants.
type Exchanges interface {
	// PutExchange records a code, or adds what is missing to the record of the same
	// code (the redirect and the push both bring it). It returns the record and
	// whether it is new. Where the exchange is done already and had no AuthorizedAt,
	// the grant it led to takes over the one given, if it is still the current one.
	PutExchange(ctx context.Context, e Exchange) (Exchange, bool, error)
	Exchange(ctx context.Context, component tuoguan.ComponentAppID, codeHash string) (Exchange, error)
	// DueExchanges returns pending exchanges that are due, the longest overdue first.
	DueExchanges(ctx context.Context, at time.Time, limit int) ([]Exchange, error)
	// UpdateExchange records an attempt: State, Grant, Attempts, DueAt, Problem,
	// FinishedAt, and Authorizer if it is not empty. The code of a finished one is forgotten.
	// An exchange that is done stays done, and as it is.
	UpdateExchange(ctx context.Context, e Exchange) error
}

// Exchange is one authorization code on its way to becoming a grant.
type Exchange struct {
	Component tuoguan.ComponentAppID
	CodeHash  string         // hex SHA-256 of the code: the key
	Code      tuoguan.Secret // sealed; zero once finished

	Authorizer  tuoguan.AuthorizerAppID // known from the push, or once done
	PreAuthHash string                  // hash of the PreAuthCode the push named
	Visit       string                  // the visit through which it came back, if by redirect
	// AuthorizedAt is the CreateTime of the push; zero while only the redirect came.
	AuthorizedAt time.Time
	ExpiresAt    time.Time // when the code dies; zero if unknown
	// RevokedAt is when the account took back what the code stands for; zero if it did not.
	RevokedAt time.Time

	State      ExchangeState
	Grant      int64 // once done
	Attempts   int
	DueAt      time.Time
	Problem    string // why it failed or is late; holds no secret
	CreatedAt  time.Time
	FinishedAt time.Time
}

// ExchangeState is how far an exchange has come.
type ExchangeState string

const (
	ExchangePending ExchangeState = "pending"
	ExchangeDone    ExchangeState = "done"
	ExchangeFailed  ExchangeState = "failed" // final: WeChat does not know the code
)

// Links keeps authorization links and the visits made through them.
type Links interface {
	CreateLink(ctx context.Context, l Link) error
	Link(ctx context.Context, id string) (Link, error)
	// Links returns links, newest first, after the id given (exclusive). An empty
	// component does not restrict.
	Links(ctx context.Context, component tuoguan.ComponentAppID, after string, limit int) ([]Link, error)

	CreateVisit(ctx context.Context, v Visit) error
	// VisitByNonce and VisitByPreAuth find the visit that a redirect or a push belongs to.
	VisitByNonce(ctx context.Context, nonceHash string) (Visit, error)
	VisitByPreAuth(ctx context.Context, preAuthHash string) (Visit, error)
	// CountVisits counts the visits to a link since the instant given.
	CountVisits(ctx context.Context, link string, since time.Time) (int, error)
}

// Link is an authorization link: one-time, expiring, for one tenant.
type Link struct {
	ID             string // unguessable, sortable by age
	Component      tuoguan.ComponentAppID
	AuthType       int
	BizAppID       tuoguan.AuthorizerAppID // only this account; "" for any
	PermissionSets []tuoguan.PermissionSet // wanted; nil for all of the component's
	Reference      string
	ReturnURL      string
	CreatedAt      time.Time
	ExpiresAt      time.Time
	UsedAt         time.Time               // zero until used
	UsedBy         tuoguan.AuthorizerAppID // who authorized through it
}

// Visit is one opening of a link, with a pre-auth code of its own.
type Visit struct {
	NonceHash   string // hash of the nonce in the redirect
	PreAuthHash string
	Link        string
	Component   tuoguan.ComponentAppID
	CreatedAt   time.Time
}

// Pushes keeps what WeChat pushed.
type Pushes interface {
	// AcceptPush stores a push together with the change it causes, in one step. If a
	// push with the same key is stored already nothing changes, duplicate is true,
	// and the stored one is returned.
	AcceptPush(ctx context.Context, in Intake) (p Push, duplicate bool, err error)
	// SaveReply records the passive reply given to the push with the key, so that a
	// retry gets the same. The first reply saved stays. ErrNotFound if there is no
	// such push.
	SaveReply(ctx context.Context, key string, reply []byte) error
	// Push returns one push.
	Push(ctx context.Context, id int64) (Push, error)
	// Pushes lists pushes with an id greater than after, oldest first.
	Pushes(ctx context.Context, after int64, limit int) ([]Push, error)
}

// Intake is a push and what follows from it. At most one of the changes is set.
type Intake struct {
	Push     Push      // its ID and Reply are the store's
	Ticket   *Ticket   // joins the tickets; only the newest three are kept
	Exchange *Exchange // is put as by PutExchange
	Revoke   time.Time // as by Revoke, of the push's Authorizer; zero: no

	// Routes are the deliveries to make, each subscription once.
	Routes []Route
}

// Push is one push as stored, or an event of our own, which is kept like one.
type Push struct {
	ID int64 // given by the store, ascending
	// Seq is given by the store: it numbers the pushes of an account to a component,
	// from 1 and without gaps, in the order in which they were stored. Whoever sees one
	// sees those before it. 0: stored by a version that did not number them.
	Seq        int64
	Key        string // de-duplication key: names component and account, so it is unique
	Component  tuoguan.ComponentAppID
	Authorizer tuoguan.AuthorizerAppID // "" where the push concerns the component alone
	Kind       string                  // InfoType; or MsgType; or "event." + Event
	Body       []byte                  // decrypted, sealed at rest
	Reply      []byte                  // passive reply given, in plaintext, sealed at rest; nil if none
	CreatedAt  time.Time               // CreateTime of the push
	ReceivedAt time.Time
}

// Leases lets one holder at a time work on a key, across processes.
type Leases interface {
	// AcquireLease claims key for holder. It fails with a *LeaseHeldError while
	// somebody else's lease lasts; one's own may be claimed anew. The epoch is greater
	// than that of every earlier lease on the key. The claim is durable when it returns,
	// so a store that cannot write is discovered before work that could not be saved
	// begins.
	AcquireLease(ctx context.Context, key, holder string, ttl time.Duration) (Lease, error)
	// ReleaseLease ends the lease if it is still this very one; else ErrLeaseLost.
	ReleaseLease(ctx context.Context, l Lease) error
	// Leases returns the leases in force whose keys begin with prefix, ordered by key.
	Leases(ctx context.Context, prefix string) ([]Lease, error)
}

// TokenLease is the key of the lease on an owner's token.
func TokenLease(owner tuoguan.TokenOwner) string { return owner.String() }

// ExchangeLease is the key of the lease on an exchange, by which [Store.Collect]
// finds it once the exchange is gone.
func ExchangeLease(component tuoguan.ComponentAppID, codeHash string) string {
	return "exchange/" + string(component) + "/" + codeHash
}

// Lease is a term: who, for what, the how-manieth, until when by the store's clock.
type Lease struct {
	Key    string
	Holder string
	Epoch  int64
	Until  time.Time
}

// LeaseHeldError says who holds a lease and for how long still.
type LeaseHeldError struct {
	Key       string
	Holder    string
	Remaining time.Duration
}

func (e *LeaseHeldError) Error() string {
	return "store: lease on " + e.Key + " is held for another " + e.Remaining.Round(time.Millisecond).String()
}

// Is matches ErrLeaseHeld.
func (e *LeaseHeldError) Is(target error) bool { return target == ErrLeaseHeld }
