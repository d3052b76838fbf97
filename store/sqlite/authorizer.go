package sqlite

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// authorizer decodes a row of selectAuthorizers.
func (s *Store) authorizer(r row) (store.Authorizer, error) {
	a := store.Authorizer{
		Authorization:  authorization(&r),
		State:          tuoguan.State(r.text()),
		Grant:          r.int64(),
		AuthorizedAt:   r.time(),
		RevokedAt:      r.time(),
		Reference:      r.text(),
		PermissionSets: permissionSets(r.text()),
		FuncInfo:       r.text(),
	}
	access, refresh, refreshGrant := r.blob(), r.blob(), r.int64()
	a.Tokens.ExpiresAt, a.ObtainedAt, a.Epoch = r.time(), r.time(), r.int64()
	a.Trouble = store.TroubleInfo{Failures: r.int(), Code: r.int(), Message: r.text(), SuspectSince: r.time()}
	a.RefreshAt = r.time()
	a.ProfileGrant = r.int64()
	a.Profile = store.Profile{
		Grant:         a.ProfileGrant,
		Kind:          tuoguan.Kind(r.text()),
		NickName:      r.text(),
		UserName:      r.text(),
		Alias:         r.text(),
		HeadImage:     r.text(),
		PrincipalName: r.text(),
		ServiceType:   r.int(),
		VerifyType:    r.int(),
		AccountStatus: r.int(),
		Raw:           r.text(),
		ReadAt:        r.time(),
	}
	a.CreatedAt, a.UpdatedAt = r.time(), r.time()

	var errAccess, errRefresh error
	a.Tokens.AccessToken, errAccess = s.open(tokenPlace(a.Authorization, "access_token", a.Grant), access)
	a.Tokens.RefreshToken, errRefresh = s.open(tokenPlace(a.Authorization, "refresh_token", refreshGrant), refresh)
	return a, errors.Join(errAccess, errRefresh)
}

func authorization(r *row) tuoguan.Authorization {
	return tuoguan.Authorization{
		Component:  tuoguan.ComponentAppID(r.text()),
		Authorizer: tuoguan.AuthorizerAppID(r.text()),
	}
}

// tokenPlace is where a current token belongs.
func tokenPlace(a tuoguan.Authorization, field string, grant int64) store.Place {
	return store.Place{Component: a.Component, Authorizer: a.Authorizer, Field: field, Row: strconv.FormatInt(grant, 10)}
}

// permissionSets is the reverse of joinPermissionSets.
func permissionSets(list string) []tuoguan.PermissionSet {
	if list == "" {
		return nil
	}
	var sets []tuoguan.PermissionSet
	for item := range strings.SplitSeq(list, ",") {
		n, _ := strconv.Atoi(item)
		sets = append(sets, tuoguan.PermissionSet(n))
	}
	return sets
}

func joinPermissionSets(sets []tuoguan.PermissionSet) string {
	items := make([]string, len(sets))
	for i, set := range sets {
		items[i] = strconv.Itoa(int(set))
	}
	return strings.Join(items, ",")
}

// Authorizer implements [store.Authorizers].
func (s *Store) Authorizer(ctx context.Context, a tuoguan.Authorization) (store.Authorizer, error) {
	return readOne(ctx, s, s.authorizer, selectAuthorizer, a.Component, a.Authorizer)
}

// Authorizers implements [store.Authorizers].
func (s *Store) Authorizers(ctx context.Context, q store.AuthorizerQuery) ([]store.Authorizer, error) {
	conditions := []string{"(component, authorizer) > (?, ?)"}
	args := []any{q.After.Component, q.After.Authorizer}
	where := func(given bool, condition string, values ...any) {
		if given {
			conditions = append(conditions, condition)
			args = append(args, values...)
		}
	}
	where(q.Component != "", "component = ?", q.Component)
	where(q.Authorizer != "", "authorizer = ?", q.Authorizer)
	where(q.State != "", "state = ?", q.State)
	where(q.Kind != "", "kind = ?", q.Kind)
	where(q.PermissionSet != 0, `EXISTS (SELECT 1 FROM authorizer_permission_sets p
		WHERE p.component = authorizers.component AND p.authorizer = authorizers.authorizer AND p.permission_set = ?)`,
		q.PermissionSet)
	text := strings.ToLower(q.Text)
	where(text != "", "(lower(authorizer) = ? OR lower(user_name) = ? OR instr(nick_name_folded, ?) > 0)", text, text, text)
	query := selectAuthorizers + " WHERE " + strings.Join(conditions, " AND ") +
		" ORDER BY component, authorizer LIMIT ?"
	return readAll(ctx, s, s.authorizer, query, append(args, limit(q.Limit))...)
}

// CountAuthorizers implements [store.Authorizers].
func (s *Store) CountAuthorizers(ctx context.Context) ([]store.AuthorizerCount, error) {
	return readAll(ctx, s, func(r row) (store.AuthorizerCount, error) {
		return store.AuthorizerCount{
			Component: tuoguan.ComponentAppID(r.text()), State: tuoguan.State(r.text()), Count: r.int64(),
		}, nil
	}, countAuthorizers)
}

// errGrantMoved: another grant came between reading the number and writing.
var errGrantMoved = errors.New("sqlite: the grant has moved")

// savedGrant is what the writer reports about a grant.
type savedGrant struct {
	row   row
	moved bool
}

// SaveGrant implements [store.Authorizers].
func (s *Store) SaveGrant(ctx context.Context, g store.Grant) (store.Authorizer, bool, error) {
	for {
		saved, err := s.trySaveGrant(ctx, g)
		if errors.Is(err, errGrantMoved) {
			continue
		}
		if err != nil {
			return store.Authorizer{}, false, err
		}
		a, err := whole(s.authorizer(saved.row))
		return a, saved.moved, err
	}
}

// trySaveGrant seals the tokens for the grant that would be next, which is only
// known by reading, and writes them if it still is.
func (s *Store) trySaveGrant(ctx context.Context, g store.Grant) (savedGrant, error) {
	seen, err := read(ctx, s, func(c *conn) (int64, error) {
		r, err := c.one(selectGrant, g.Component, g.Authorizer)
		if errors.Is(err, store.ErrNotFound) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		return r.int64(), nil
	})
	if err != nil {
		return savedGrant{}, err
	}
	access, errAccess := s.seal(tokenPlace(g.Authorization, "access_token", seen+1), g.Tokens.AccessToken)
	refresh, errRefresh := s.seal(tokenPlace(g.Authorization, "refresh_token", seen+1), g.Tokens.RefreshToken)
	history, errHistory := s.sealHistory(store.RefreshToken{
		Authorization: g.Authorization, Value: g.Tokens.RefreshToken, Source: g.Source, ReceivedAt: g.ObtainedAt,
	})
	if err := errors.Join(errAccess, errRefresh, errHistory); err != nil {
		return savedGrant{}, err
	}
	return writeFor(ctx, s, 12, func(tx *conn) (savedGrant, error) {
		moved, err := s.saveGrant(tx, g, seen, access, refresh)
		if err != nil {
			return savedGrant{}, err
		}
		history.Grant = seen
		if moved {
			history.Grant++
		}
		if _, err := history.add(tx); err != nil {
			return savedGrant{}, err
		}
		if _, _, err := tx.exec(finishExchange, g.Component, g.CodeHash, g.Authorizer, history.Grant, g.ObtainedAt); err != nil {
			return savedGrant{}, err
		}
		r, err := tx.one(selectAuthorizer, g.Component, g.Authorizer)
		return savedGrant{row: r, moved: moved}, err
	})
}

// saveGrant moves the authorizer to a new grant, unless what is stored is newer.
func (s *Store) saveGrant(tx *conn, g store.Grant, seen int64, access, refresh []byte) (moved bool, err error) {
	var number int64
	var authorizedAt, revokedAt time.Time
	switch r, err := tx.one(selectGrant, g.Component, g.Authorizer); {
	case err == nil:
		number, authorizedAt, revokedAt = r.int64(), r.time(), r.time()
	case !errors.Is(err, store.ErrNotFound):
		return false, err
	}
	if number != seen {
		return false, errGrantMoved
	}
	switch r, err := tx.one(selectExchange, g.Component, g.CodeHash); {
	case err == nil:
		e := exchange(&r)
		if number > 0 && e.State == store.ExchangeDone {
			return false, nil
		}
		if g.AuthorizedAt.IsZero() {
			g.AuthorizedAt = e.AuthorizedAt
		}
	case !errors.Is(err, store.ErrNotFound):
		return false, err
	}
	if g.AuthorizedAt.IsZero() {
		g.AuthorizedAt = latest(g.ObtainedAt.Truncate(time.Second), authorizedAt, revokedAt)
	} else if latest(authorizedAt, revokedAt).After(g.AuthorizedAt) {
		return false, nil
	}

	now := s.clock.Now()
	if number == 0 {
		_, _, err = tx.exec(insertGrant, g.Component, g.Authorizer, g.AuthorizedAt, g.Reference, g.FuncInfo,
			access, refresh, g.Tokens.ExpiresAt, g.ObtainedAt, g.RefreshAt, now, now)
	} else {
		_, _, err = tx.exec(updateGrant, g.Component, g.Authorizer, number+1, g.AuthorizedAt, g.Reference, g.FuncInfo,
			access, refresh, g.Tokens.ExpiresAt, g.ObtainedAt, g.RefreshAt, now)
	}
	if err != nil {
		return false, err
	}
	if err := replacePermissionSets(tx, g.Authorization, g.PermissionSets); err != nil {
		return false, err
	}
	_, _, err = tx.exec(useLink, g.Link, g.ObtainedAt, g.Authorizer)
	return true, err
}

func latest(instants ...time.Time) (last time.Time) {
	for _, t := range instants {
		if t.After(last) {
			last = t
		}
	}
	return last
}

func replacePermissionSets(tx *conn, a tuoguan.Authorization, sets []tuoguan.PermissionSet) error {
	if _, _, err := tx.exec(deletePermissionSets, a.Component, a.Authorizer); err != nil {
		return err
	}
	for _, set := range sets {
		if _, _, err := tx.exec(insertPermissionSet, a.Component, a.Authorizer, set); err != nil {
			return err
		}
	}
	return nil
}

// SaveTokens implements [store.Authorizers].
func (s *Store) SaveTokens(ctx context.Context, w store.TokenWrite) (moved bool, err error) {
	current := w.Tokens.RefreshToken
	if current.IsZero() {
		current = w.Used
	}
	access, errAccess := s.seal(tokenPlace(w.Authorization, "access_token", w.Grant), w.Tokens.AccessToken)
	refresh, errRefresh := s.seal(tokenPlace(w.Authorization, "refresh_token", w.Grant), current)
	history, errHistory := s.sealHistory(store.RefreshToken{
		Authorization: w.Authorization, Grant: w.Grant, Value: current, Source: w.Source, ReceivedAt: w.ObtainedAt,
	})
	if err := errors.Join(errAccess, errRefresh, errHistory); err != nil {
		return false, err
	}
	return writeFor(ctx, s, 4, func(tx *conn) (bool, error) {
		if _, err := history.add(tx); err != nil {
			return false, err
		}
		changed, _, err := tx.exec(saveTokens, w.Component, w.Authorizer, w.Grant, w.Epoch, access, refresh,
			w.Tokens.ExpiresAt, w.ObtainedAt, w.RefreshAt, s.clock.Now())
		return changedOrKnown(tx, w.Authorization, changed, err)
	})
}

// changedOrKnown tells an authorizer that a statement had no reason to change from
// one that is not there.
func changedOrKnown(tx *conn, a tuoguan.Authorization, changed int64, err error) (bool, error) {
	if err != nil || changed > 0 {
		return changed > 0, err
	}
	_, err = tx.one(selectGrant, a.Component, a.Authorizer)
	return false, err
}

// historyEntry is a refresh token ready to join the history.
type historyEntry struct {
	store.RefreshToken
	hash   string
	sealed []byte // nil where there is nothing to add
}

func historyPlace(a tuoguan.Authorization, hash string) store.Place {
	return store.Place{Component: a.Component, Authorizer: a.Authorizer, Field: "refresh_token_history", Row: hash}
}

func (s *Store) sealHistory(t store.RefreshToken) (historyEntry, error) {
	sum := sha256.Sum256([]byte(t.Value.Reveal()))
	e := historyEntry{RefreshToken: t, hash: hex.EncodeToString(sum[:])}
	var err error
	e.sealed, err = s.seal(historyPlace(t.Authorization, e.hash), t.Value)
	return e, err
}

// add adds the entry if its value is not there yet, or was of an earlier grant.
func (e historyEntry) add(tx *conn) (added bool, err error) {
	if e.sealed == nil {
		return false, nil
	}
	switch r, err := tx.one(selectRefreshTokenGrant, e.Component, e.Authorizer, e.hash); {
	case errors.Is(err, store.ErrNotFound):
		added = true
	case err != nil:
		return false, err
	case r.int64() >= e.Grant:
		return false, nil
	default:
		if _, _, err := tx.exec(deleteRefreshToken, e.Component, e.Authorizer, e.hash); err != nil {
			return false, err
		}
	}
	_, _, err = tx.exec(insertRefreshToken, e.Component, e.Authorizer, e.Grant, e.hash, e.sealed, e.Source, e.ReceivedAt)
	return added, err
}

// AppendRefreshToken implements [store.Authorizers].
func (s *Store) AppendRefreshToken(ctx context.Context, t store.RefreshToken) (added bool, err error) {
	entry, err := s.sealHistory(t)
	if err != nil {
		return false, err
	}
	return writeFor(ctx, s, 2, entry.add)
}

// RefreshTokens implements [store.Authorizers].
func (s *Store) RefreshTokens(ctx context.Context, a tuoguan.Authorization) ([]store.RefreshToken, error) {
	return readAll(ctx, s, func(r row) (store.RefreshToken, error) {
		t := store.RefreshToken{Authorization: authorization(&r), Grant: r.int64()}
		hash, sealed := r.text(), r.blob()
		t.Source, t.ReceivedAt = store.TokenSource(r.text()), r.time()
		var err error
		t.Value, err = s.open(historyPlace(t.Authorization, hash), sealed)
		return t, err
	}, selectRefreshTokens, a.Component, a.Authorizer)
}

// SaveTrouble implements [store.Authorizers].
func (s *Store) SaveTrouble(ctx context.Context, t store.Trouble) (changed bool, err error) {
	return writeFor(ctx, s, 1, func(tx *conn) (bool, error) {
		changed, _, err := tx.exec(saveTrouble, t.Component, t.Authorizer, t.Grant, t.State,
			t.Info.Failures, t.Info.Code, t.Info.Message, t.Info.SuspectSince, t.RefreshAt, t.At, s.clock.Now())
		return changedOrKnown(tx, t.Authorization, changed, err)
	})
}

// Revoke implements [store.Authorizers].
func (s *Store) Revoke(ctx context.Context, a tuoguan.Authorization, at time.Time) (changed bool, err error) {
	return writeFor(ctx, s, 2, func(tx *conn) (bool, error) { return s.revoke(tx, a, at) })
}

func (s *Store) revoke(tx *conn, a tuoguan.Authorization, at time.Time) (bool, error) {
	changed, _, err := tx.exec(revoke, a.Component, a.Authorizer, at, s.clock.Now())
	if err == nil && changed == 0 {
		_, _, err = tx.exec(revokeLater, a.Component, a.Authorizer, at)
	}
	return changedOrKnown(tx, a, changed, err)
}

// SaveProfile implements [store.Authorizers].
func (s *Store) SaveProfile(ctx context.Context, a tuoguan.Authorization, p store.Profile) error {
	return s.write(ctx, 12, func(tx *conn) error {
		changed, _, err := tx.exec(saveProfile, a.Component, a.Authorizer, p.Grant, p.Kind,
			p.NickName, strings.ToLower(p.NickName), p.UserName, p.Alias, p.HeadImage, p.PrincipalName,
			p.ServiceType, p.VerifyType, p.AccountStatus, p.Raw, p.ReadAt, s.clock.Now())
		if changedHere, err := changedOrKnown(tx, a, changed, err); err != nil || !changedHere || p.PermissionSets == nil {
			return err
		}
		changed, _, err = tx.exec(saveFuncInfo, a.Component, a.Authorizer, p.Grant, p.FuncInfo)
		if err != nil || changed == 0 {
			return err
		}
		return replacePermissionSets(tx, a, p.PermissionSets)
	})
}

// DueAuthorizers implements [store.Authorizers].
func (s *Store) DueAuthorizers(ctx context.Context, at time.Time, n int) ([]store.Due, error) {
	return readAll(ctx, s, func(r row) (store.Due, error) {
		return store.Due{Authorization: authorization(&r), RefreshAt: r.time()}, nil
	}, selectDueAuthorizers, at, limit(n))
}

// ProfilesDue implements [store.Authorizers].
func (s *Store) ProfilesDue(ctx context.Context, n int) ([]tuoguan.Authorization, error) {
	return readAll(ctx, s, func(r row) (tuoguan.Authorization, error) {
		return authorization(&r), nil
	}, selectProfilesDue, limit(n))
}
