package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/store"
)

// Access is the API keys: [access.Keys].
type Access interface {
	Authenticate(ctx context.Context, key string, remote netip.Addr) (access.Caller, error)
	Allow(c access.Caller, a tuoguan.AuthorizerAppID) (retryAfter time.Duration, ok bool)
	AllowAccount(c access.Caller, a tuoguan.AuthorizerAppID) (retryAfter time.Duration, ok bool)

	Create(ctx context.Context, n access.NewKey) (access.Key, tuoguan.Secret, error)
	Rotate(ctx context.Context, id string, r access.Rotation) (access.Key, tuoguan.Secret, error)
	Revoke(ctx context.Context, id string, version int64) (access.Key, error)
	Update(ctx context.Context, id string, c access.Change) (access.Key, error)
	Get(ctx context.Context, id string) (access.Key, error)
	List(ctx context.Context, after string, limit int) ([]access.Key, error)
}

var _ Access = (*access.Keys)(nil)

// defaultKeyLife is how long a key lives if nothing else is said.
const defaultKeyLife = 90 * 24 * time.Hour

// APIKey is an API key as the API shows it: all but the key itself.
type APIKey struct {
	ID            string       `json:"id"`
	Name          string       `json:"name"`
	Scope         access.Scope `json:"scope"`
	CreatedAt     *time.Time   `json:"created_at"`
	UpdatedAt     *time.Time   `json:"updated_at"`
	ExpiresAt     *time.Time   `json:"expires_at" doc:"null: never · null 表示永不过期"`
	RevokedAt     *time.Time   `json:"revoked_at" doc:"null unless revoked · 未吊销时为 null"`
	PreviousUntil *time.Time   `json:"previous_until" doc:"Until when the key before the last rotation is taken · 轮换前的密钥可用至"`
	LastUsedAt    *time.Time   `json:"last_used_at" doc:"To the minute; null: never · 精确到分钟，null 表示从未使用"`
}

// settled implements live: use comes by itself.
func (k APIKey) settled() any {
	k.LastUsedAt = nil
	return k
}

// NewAPIKey is an API key in the one reply that has the key itself.
type NewAPIKey struct {
	APIKey
	Key string `json:"key" doc:"The key itself, shown this once · 密钥本身，仅显示这一次"`
}

func showKey(k access.Key) APIKey {
	return APIKey{
		ID: k.ID, Name: k.Name, Scope: k.Scope, CreatedAt: instant(k.CreatedAt), UpdatedAt: instant(k.UpdatedAt), ExpiresAt: instant(k.ExpiresAt),
		RevokedAt: instant(k.RevokedAt), PreviousUntil: instant(k.PreviousUntil), LastUsedAt: instant(k.LastUsedAt),
	}
}

// keyProblem turns an error of the keys' into what the caller is told.
func keyProblem(err error) error {
	var mistakes access.Mistakes
	switch {
	case errors.As(err, &mistakes):
		return wrongFields(mistakes)
	case errors.Is(err, store.ErrNotFound):
		return problem.UnknownKey
	case errors.Is(err, store.ErrConflict):
		return problem.KeyConflict
	case errors.Is(err, access.ErrRevokedKey):
		return problem.KeyConflict.With("the API key was revoked, which is for ever", "该 API 密钥已被永久吊销")
	}
	return problem.Storage(err)
}

// wrongFields returns the problem of fields that cannot be accepted.
func wrongFields(mistakes access.Mistakes) problem.Problem {
	p := problem.InvalidField.With(mistakes[0].Error(), mistakes[0].Field+"："+mistakes[0].Chinese)
	for _, m := range mistakes {
		p.Errors = append(p.Errors, problem.FieldProblem{Field: m.Field, Detail: m.Problem, DetailZh: m.Chinese})
	}
	return p
}

// knowsOf reports whether the caller has to do with a key: one that may do no more than
// the caller's. Users of the console are not strangers to each other, and see every key.
func (c *call) knowsOf(s access.Scope) bool { return c.session != nil || c.Scope.Covers(s) }

// key returns a key that the caller has to do with. Another is as one that does not exist.
func (a *API) key(ctx context.Context, id string) (access.Key, error) {
	found, err := a.cfg.Access.Get(ctx, id)
	if err != nil {
		return access.Key{}, keyProblem(err)
	}
	if !callOf(ctx).knowsOf(found.Scope) {
		return access.Key{}, problem.UnknownKey
	}
	return found, nil
}

// covers fails if a scope allows what the caller's does not.
func (c *call) covers(s access.Scope) error {
	if !c.Scope.Covers(s) {
		return problem.MissingScope.With("the API key would be allowed, or is allowed, more than who asks for this", "该 API 密钥的权限超出请求者的权限范围")
	}
	return nil
}

// Expiry is embedded in bodies that say how long a key lives. At most one of the
// fields may be given.
type Expiry struct {
	ExpiresIn    *int64     `json:"expires_in,omitempty" doc:"Seconds · 有效秒数"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty"`
	NeverExpires bool       `json:"never_expires,omitempty" doc:"Has to be asked for expressly · 永不过期须显式指定"`
}

// at returns when a key expires: the zero time is never. Given is false if nothing is said.
func (e Expiry) at(now time.Time) (at time.Time, given bool, err error) {
	said := 0
	if e.ExpiresIn != nil {
		said++
		if *e.ExpiresIn < 1 || *e.ExpiresIn > 100*365*86400 {
			return at, true, problem.InvalidField.Field("expires_in", "must be a number of seconds from 1 up to 100 years", "须为 1 秒至 100 年的秒数")
		}
		at = now.Add(time.Duration(*e.ExpiresIn) * time.Second)
	}
	if e.ExpiresAt != nil {
		said++
		if at = *e.ExpiresAt; at.IsZero() || at.After(now.AddDate(100, 0, 0)) {
			return at, true, problem.InvalidField.Field("expires_at", "must be within 100 years", "须在 100 年之内")
		}
	}
	if e.NeverExpires {
		said++
	}
	if said > 1 {
		return at, true, problem.InvalidField.Field("expires_at", "only one of expires_in, expires_at and never_expires can be given", "expires_in、expires_at、never_expires 只能给出一个")
	}
	return at, said == 1, nil
}

type listKeysInput struct{ Paging }

func (a *API) listKeys(ctx context.Context, in *listKeysInput) (*output[list[APIKey]], error) {
	page := list[APIKey]{Items: []APIKey{}}
	for after, scanned := in.Cursor, 0; ; {
		found, err := a.cfg.Access.List(ctx, after, in.Limit+1)
		if err != nil {
			return nil, keyProblem(err)
		}
		for _, k := range found {
			after = k.ID
			if !callOf(ctx).knowsOf(k.Scope) {
				continue
			}
			if len(page.Items) == in.Limit {
				page.NextCursor = page.Items[in.Limit-1].ID
				return &output[list[APIKey]]{http.StatusOK, page}, nil
			}
			page.Items = append(page.Items, showKey(k))
		}
		if scanned += len(found); len(found) > in.Limit && scanned >= maxScan {
			page.NextCursor = after
			return &output[list[APIKey]]{http.StatusOK, page}, nil
		}
		if len(found) <= in.Limit {
			return &output[list[APIKey]]{http.StatusOK, page}, nil
		}
	}
}

type getKeyInput struct {
	ID string `path:"id"`
	Cached
}

func (a *API) getKey(ctx context.Context, in *getKeyInput) (*resource[APIKey], error) {
	found, err := a.key(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return show(showKey(found), in.Cached)
}

type keyBody struct {
	Name  string       `json:"name" doc:"For people, a line of at most 128 bytes · 名称，不超过 128 字节"`
	Scope access.Scope `json:"scope"`
	Expiry
}

type createKeyInput struct{ Input[keyBody] }

func (a *API) createKey(ctx context.Context, in *createKeyInput) (*resource[NewAPIKey], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	now := a.cfg.Clock.Now()
	expires, given, err := body.at(now)
	if err != nil {
		return nil, err
	}
	if !given {
		expires = now.Add(defaultKeyLife)
	}
	scope, err := body.Scope.Normalized()
	if err == nil { // Create says what is wrong with it, and with the name
		if err := callOf(ctx).covers(scope); err != nil {
			return nil, err
		}
	}
	created, key, err := a.cfg.Access.Create(ctx, access.NewKey{Name: body.Name, Scope: body.Scope, ExpiresAt: expires})
	if err != nil {
		return nil, keyProblem(err)
	}
	// Nobody has the key, so it is of no use before this call is answered.
	if err := a.record(ctx, tuoguan.Authorization{}, created.ID, keyDetail(created)); err != nil {
		return nil, err
	}
	return changed(http.StatusCreated, NewAPIKey{showKey(created), key.Reveal()})
}

// keyDetail is what the audit log says of a key that is made or changed.
func keyDetail(k access.Key) map[string]string {
	detail := map[string]string{"name": k.Name, "expires_at": "never"}
	if !k.ExpiresAt.IsZero() {
		detail["expires_at"] = k.ExpiresAt.UTC().Format(time.RFC3339)
	}
	if scope, err := json.Marshal(k.Scope); err == nil {
		detail["scope"] = string(scope)
	}
	return detail
}

type keyChange struct {
	Name  *string       `json:"name,omitempty"`
	Scope *access.Scope `json:"scope,omitempty" doc:"All of it; nothing stays of the present one · 完整的新权限范围"`
	Expiry
}

type changeKeyInput struct {
	ID string `path:"id"`
	Guarded
	Input[keyChange]
}

func (a *API) changeKey(ctx context.Context, in *changeKeyInput) (*resource[APIKey], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	expires, given, err := body.at(a.cfg.Clock.Now())
	if err != nil {
		return nil, err
	}
	found, err := a.guardedKey(ctx, in.ID, in.Guarded)
	if err != nil {
		return nil, err
	}
	change := access.Change{Version: found.Version, Name: body.Name, Scope: body.Scope}
	next := found
	if body.Name != nil {
		next.Name = *body.Name
	}
	if given {
		change.ExpiresAt, next.ExpiresAt = &expires, expires
	}
	if body.Scope != nil {
		if next.Scope, err = body.Scope.Normalized(); err != nil {
			return nil, scopeProblem(err)
		}
		if err := callOf(ctx).covers(next.Scope); err != nil {
			return nil, err
		}
	}
	if len(next.Name) > 128 {
		return nil, problem.InvalidField.Field("name", "must be a line of at most 128 bytes", "须为单行且不超过 128 字节")
	}
	if err := a.record(ctx, tuoguan.Authorization{}, in.ID, keyDetail(next)); err != nil {
		return nil, err
	}
	updated, err := a.cfg.Access.Update(ctx, in.ID, change)
	if err != nil {
		return nil, in.conflict(err)
	}
	return changed(http.StatusOK, showKey(updated))
}

// scopeProblem is keyProblem for the mistakes of a scope alone.
func scopeProblem(err error) error {
	var mistakes access.Mistakes
	if !errors.As(err, &mistakes) {
		return err
	}
	inBody := make(access.Mistakes, len(mistakes))
	for i, m := range mistakes {
		inBody[i] = &access.FieldError{Field: "scope." + m.Field, Problem: m.Problem, Chinese: m.Chinese}
	}
	return keyProblem(inBody)
}

// guardedKey returns a key that is to be changed.
func (a *API) guardedKey(ctx context.Context, id string, guard Guarded) (access.Key, error) {
	found, err := a.key(ctx, id)
	if err == nil {
		err = callOf(ctx).covers(found.Scope)
	}
	if err == nil {
		err = guard.check(showKey(found))
	}
	return found, err
}

// conflict is keyProblem where the caller may have said what the key was like.
func (g Guarded) conflict(err error) error {
	if g.IfMatch != "" && errors.Is(err, store.ErrConflict) {
		return problem.PreconditionFailed
	}
	return keyProblem(err)
}

type rotationBody struct {
	GraceSeconds *int64     `json:"grace_seconds,omitempty" doc:"How long the present key stays valid beside the new one; a day by default, at most 30 · 旧密钥的保留秒数，默认一天，至多 30 天"`
	ExpiresIn    *int64     `json:"expires_in,omitempty" doc:"Seconds from now at which the key expires; without it, as before · 新的有效秒数，默认不变"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty"`
}

type rotateKeyInput struct {
	ID string `path:"id"`
	Guarded
	OptionalInput[rotationBody]
}

func (a *API) rotateKey(ctx context.Context, in *rotateKeyInput) (*resource[NewAPIKey], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	grace := access.DefaultGrace
	if body.GraceSeconds != nil {
		if *body.GraceSeconds < 0 || *body.GraceSeconds > int64(access.MaxGrace/time.Second) {
			return nil, problem.InvalidField.Field("grace_seconds", "must be from 0 to 2592000 seconds (30 days)", "取值为 0 至 2592000 秒（30 天）")
		}
		grace = time.Duration(*body.GraceSeconds) * time.Second
	}
	expires, _, err := Expiry{ExpiresIn: body.ExpiresIn, ExpiresAt: body.ExpiresAt}.at(a.cfg.Clock.Now())
	if err != nil {
		return nil, err
	}
	found, err := a.guardedKey(ctx, in.ID, in.Guarded)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, in.ID, map[string]string{"grace": grace.String()}); err != nil {
		return nil, err
	}
	rotated, key, err := a.cfg.Access.Rotate(ctx, in.ID, access.Rotation{Version: found.Version, Grace: grace, ExpiresAt: expires})
	if err != nil {
		return nil, in.conflict(err)
	}
	return changed(http.StatusOK, NewAPIKey{showKey(rotated), key.Reveal()})
}

type revokeKeyInput struct {
	ID string `path:"id"`
	Guarded
}

func (a *API) revokeKey(ctx context.Context, in *revokeKeyInput) (*resource[APIKey], error) {
	found, err := a.guardedKey(ctx, in.ID, in.Guarded)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, in.ID, map[string]string{"name": found.Name}); err != nil {
		return nil, err
	}
	version := found.Version
	if in.IfMatch == "" {
		version = 0 // whatever somebody else changes at the same time
	}
	revoked, err := a.cfg.Access.Revoke(ctx, in.ID, version)
	if err != nil {
		return nil, in.conflict(err)
	}
	return changed(http.StatusOK, showKey(revoked))
}
