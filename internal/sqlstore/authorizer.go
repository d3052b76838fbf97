package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// authorizer decodes a row of SelectAuthorizers.
func (s *Store) authorizer(r Row) (store.Authorizer, error) {
	a := store.Authorizer{
		Authorization:  authorization(&r),
		State:          tuoguan.State(r.Text()),
		Grant:          r.Int64(),
		AuthorizedAt:   r.Time(),
		RevokedAt:      r.Time(),
		Reference:      r.Text(),
		Tags:           tags(r.Text()),
		PermissionSets: permissionSets(r.Text()),
		FuncInfo:       r.Text(),
	}
	access, refresh, refreshGrant := r.Blob(), r.Blob(), r.Int64()
	a.Tokens.ExpiresAt, a.ObtainedAt, a.Epoch = r.Time(), r.Time(), r.Int64()
	a.Trouble = store.TroubleInfo{Failures: r.Int(), Code: r.Int(), Message: r.Text(), SuspectSince: r.Time()}
	a.RefreshAt = r.Time()
	a.ProfileGrant = r.Int64()
	a.Profile = store.Profile{
		Grant:         a.ProfileGrant,
		Kind:          tuoguan.Kind(r.Text()),
		NickName:      r.Text(),
		UserName:      r.Text(),
		Alias:         r.Text(),
		HeadImage:     r.Text(),
		PrincipalName: r.Text(),
		ServiceType:   r.Int(),
		VerifyType:    r.Int(),
		AccountStatus: r.Int(),
		Raw:           r.Text(),
		ReadAt:        r.Time(),
	}
	a.CreatedAt, a.UpdatedAt = r.Time(), r.Time()

	var errAccess, errRefresh error
	a.Tokens.AccessToken, errAccess = s.open(tokenPlace(a.Authorization, "access_token", a.Grant), access)
	a.Tokens.RefreshToken, errRefresh = s.open(tokenPlace(a.Authorization, "refresh_token", refreshGrant), refresh)
	return a, errors.Join(errAccess, errRefresh)
}

func authorization(r *Row) tuoguan.Authorization {
	return tuoguan.Authorization{
		Component:  tuoguan.ComponentAppID(r.Text()),
		Authorizer: tuoguan.AuthorizerAppID(r.Text()),
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

// tags is the reverse of joinTags.
func tags(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list[1:len(list)-1], ",")
}

// joinTags returns tags in their order with a comma before each and after the last, so
// that each is found with its commas.
func joinTags(tags []string) string {
	if len(tags) == 0 {
		return ""
	}
	return "," + strings.Join(slices.Compact(slices.Sorted(slices.Values(tags))), ",") + ","
}

// withCommas returns tags as they are looked for.
func withCommas(tags []string) (all []string) {
	for _, tag := range tags {
		all = append(all, ","+tag+",")
	}
	return all
}

// Authorizer implements [store.Authorizers].
func (s *Store) Authorizer(ctx context.Context, a tuoguan.Authorization) (store.Authorizer, error) {
	return readOne(ctx, s, s.authorizer, s.selectAuthorizer, a.Component, a.Authorizer)
}

// Authorizers implements [store.Authorizers].
func (s *Store) Authorizers(ctx context.Context, q store.AuthorizerQuery) ([]store.Authorizer, error) {
	after, args := s.after([]string{"component", "authorizer"}, []any{q.After.Component, q.After.Authorizer})
	var where conditions
	where.add(true, after, args...)
	where.add(q.Component != "", "component = ?", q.Component)
	where.add(q.Authorizer != "", "authorizer = ?", q.Authorizer)
	where.add(q.State != "", "state = ?", q.State)
	where.add(q.Kind != "", "kind = ?", q.Kind)
	search, held := s.q.SearchAuthorizers, `EXISTS (SELECT 1 FROM authorizer_permission_sets p
		WHERE p.component = authorizers.component AND p.authorizer = authorizers.authorizer AND p.permission_set = ?)`
	if q.PermissionSet != 0 && s.q.SearchHolders != "" {
		search, held = s.q.SearchHolders, "permission_set = ?"
	}
	where.add(q.PermissionSet != 0, held, q.PermissionSet)
	where.add(q.Tag != "", s.q.TagsContain, ","+q.Tag+",")
	components := padded(q.Reach.Components)
	where.add(len(components) > 0, oneOf("component", len(components)), components...)
	appIDs, texts := padded(q.Reach.Authorizers), padded(withCommas(q.Reach.Tags))
	named, tagged := oneOf("authorizer", len(appIDs)), anyOf(s.q.TagsContain, len(texts))
	where.add(len(q.Reach.Authorizers)+len(q.Reach.Tags) > 0, "("+named+" OR "+tagged+")", append(appIDs, texts...)...)
	text := strings.ToLower(q.Text)
	where.add(text != "", s.q.TextMatches, text, text, text)
	query := s.q.SelectAuthorizers + " WHERE " + where.String() +
		" ORDER BY component, authorizer LIMIT ?"
	// Few are in another state than active: they are found by it.
	few := q.PermissionSet == 0 && (q.Authorizer != "" || q.State != "" && q.State != tuoguan.StateActive)
	searched := q.Text != "" || q.Tag != "" || q.Kind != "" || q.PermissionSet != 0 || len(q.Reach.Authorizers)+len(q.Reach.Tags) > 0
	if search != "" && searched && !few {
		query = s.q.SelectAuthorizers + " JOIN (" + search + " WHERE " + where.String() +
			" ORDER BY component, authorizer LIMIT ?) ON found = authorizers.id ORDER BY component, authorizer"
	}
	return readAll(ctx, s, s.authorizer, query, append(where.args, limit(q.Limit))...)
}

// padded returns values as arguments, repeated until they are as many as a power of
// two: so conditions for any number of them are few to prepare.
func padded[T any](values []T) (args []any) {
	for i := 0; i < len(values) || i&(i-1) != 0; i++ {
		args = append(args, values[i%len(values)])
	}
	return args
}

// oneOf is the condition that a column is one of n values.
func oneOf(column string, n int) string {
	if n == 0 {
		return "1 = 0"
	}
	return column + " IN (?" + strings.Repeat(", ?", n-1) + ")"
}

// anyOf is the condition that one with a plain placeholder holds for any of n values, a
// power of two or 0. It is not nested deeply.
func anyOf(condition string, n int) string {
	if n == 0 {
		return "1 = 0"
	}
	for ; n > 1; n /= 2 {
		condition = "(" + condition + " OR " + condition + ")"
	}
	return condition
}

// CountAuthorizers implements [store.Authorizers].
func (s *Store) CountAuthorizers(ctx context.Context) ([]store.AuthorizerCount, error) {
	return readAll(ctx, s, func(r Row) (store.AuthorizerCount, error) {
		return store.AuthorizerCount{
			Component: tuoguan.ComponentAppID(r.Text()), State: tuoguan.State(r.Text()), Count: r.Int64(),
		}, nil
	}, s.q.CountAuthorizers)
}

// grant is as much of an authorizer as decides what may be written; zero where
// there is none.
type grant struct {
	number                  int64
	authorizedAt, revokedAt time.Time
	state                   tuoguan.State
	epoch                   int64
	obtainedAt              time.Time
}

// readGrant reads by SelectGrant or LockGrant.
func readGrant(tx Tx, query string, a tuoguan.Authorization) (grant, error) {
	r, err := tx.One(query, a.Component, a.Authorizer)
	if errors.Is(err, store.ErrNotFound) {
		return grant{}, nil
	}
	if err != nil {
		return grant{}, err
	}
	return grant{
		number: r.Int64(), authorizedAt: r.Time(), revokedAt: r.Time(),
		state: tuoguan.State(r.Text()), epoch: r.Int64(), obtainedAt: r.Time(),
	}, nil
}

// savedGrant is what a transaction reports about a grant.
type savedGrant struct {
	row   Row
	moved bool
}

// sealedGrant is a grant sealed for its number.
type sealedGrant struct {
	number          int64
	access, refresh []byte
	history         historyEntry
}

func (s *Store) sealGrant(g store.Grant, number int64) (sealedGrant, error) {
	access, errAccess := s.seal(tokenPlace(g.Authorization, "access_token", number), g.Tokens.AccessToken)
	refresh, errRefresh := s.seal(tokenPlace(g.Authorization, "refresh_token", number), g.Tokens.RefreshToken)
	history, errHistory := s.sealHistory(store.RefreshToken{
		Authorization: g.Authorization, Grant: number, Value: g.Tokens.RefreshToken, Source: g.Source, ReceivedAt: g.ObtainedAt,
	})
	return sealedGrant{number, access, refresh, history}, errors.Join(errAccess, errRefresh, errHistory)
}

// SaveGrant implements [store.Authorizers]. The tokens are sealed for the grant that
// would be next before the transaction begins, and only where another came between
// once more in the middle of it.
func (s *Store) SaveGrant(ctx context.Context, g store.Grant) (store.Authorizer, bool, error) {
	stored, err := readFor(ctx, s, func(tx Tx) (grant, error) { return readGrant(tx, s.q.SelectGrant, g.Authorization) })
	if err != nil {
		return store.Authorizer{}, false, err
	}
	expected, err := s.sealGrant(g, stored.number+1)
	if err != nil {
		return store.Authorizer{}, false, err
	}
	announce, err := s.announcement(g.Announce)
	if err != nil {
		return store.Authorizer{}, false, err
	}
	saved, err := writeFor(ctx, s, 20, func(tx Tx) (savedGrant, error) {
		sealed := expected
		moved, err := s.saveGrant(tx, g, &sealed)
		if err != nil {
			return savedGrant{}, err
		}
		entry := sealed.history
		if !moved {
			entry.Grant--
		}
		if _, err := s.addHistory(tx, entry); err != nil {
			return savedGrant{}, err
		}
		if _, err := tx.Exec(s.q.FinishExchange, g.Component, g.CodeHash, g.Authorizer, entry.Grant, g.ObtainedAt); err != nil {
			return savedGrant{}, err
		}
		if moved {
			if _, err := s.accept(tx, announce); err != nil {
				return savedGrant{}, err
			}
		}
		r, err := tx.One(s.selectAuthorizer, g.Component, g.Authorizer)
		return savedGrant{row: r, moved: moved}, err
	})
	if err != nil {
		return store.Authorizer{}, false, err
	}
	a, err := whole(s.authorizer(saved.row))
	return a, saved.moved, err
}

// saveGrant moves the authorizer to its next grant, unless what is stored is newer.
// The grant is sealed anew if that is not the one it was sealed for.
func (s *Store) saveGrant(tx Tx, g store.Grant, sealed *sealedGrant) (moved bool, err error) {
	var code store.Exchange
	switch r, err := tx.One(s.q.LockExchange, g.Component, g.CodeHash); {
	case err == nil:
		code = exchange(&r).Exchange
	case !errors.Is(err, store.ErrNotFound):
		return false, err
	}
	stored, err := readGrant(tx, s.q.LockGrant, g.Authorization)
	if err != nil {
		return false, err
	}
	if next := stored.number + 1; sealed.number != next {
		if *sealed, err = s.sealGrant(g, next); err != nil {
			return false, err
		}
	}
	isNew := stored.number == 0
	if !isNew && code.State == store.ExchangeDone {
		return false, nil
	}
	if g.AuthorizedAt.IsZero() {
		g.AuthorizedAt = code.AuthorizedAt
	}
	newest := latest(stored.authorizedAt, stored.revokedAt)
	if !g.AuthorizedAt.IsZero() && newest.After(g.AuthorizedAt) {
		return false, nil
	}
	if used, err := s.superseded(tx, g, stored, sealed.history.hash); err != nil {
		return false, err
	} else if used {
		if g.AuthorizedAt.After(stored.authorizedAt) {
			_, err = tx.Exec(s.q.SaveAuthorizedAt, g.Component, g.Authorizer, g.AuthorizedAt, s.shift())
		}
		return false, err
	}
	if g.AuthorizedAt.IsZero() {
		g.AuthorizedAt = latest(g.ObtainedAt.Truncate(time.Second), newest)
	}

	state, revokedAt := tuoguan.StateActive, time.Time{}
	if !code.RevokedAt.IsZero() {
		state, revokedAt = tuoguan.StateRevoked, latest(code.RevokedAt, g.AuthorizedAt)
		g.RefreshAt = time.Time{}
	}
	if isNew {
		_, err = tx.Exec(s.q.InsertGrant, g.Component, g.Authorizer, state, g.AuthorizedAt, revokedAt, g.Reference, g.FuncInfo,
			sealed.access, sealed.refresh, g.Tokens.ExpiresAt, g.ObtainedAt, g.RefreshAt, s.shift())
	} else {
		_, err = tx.Exec(s.q.UpdateGrant, g.Component, g.Authorizer, sealed.number, state, g.AuthorizedAt, revokedAt, g.Reference, g.FuncInfo,
			sealed.access, sealed.refresh, g.Tokens.ExpiresAt, g.ObtainedAt, g.RefreshAt, s.shift())
	}
	if err != nil {
		return false, err
	}
	if err := s.replacePermissionSets(tx, g.Authorization, g.PermissionSets); err != nil {
		return false, err
	}
	_, err = tx.Exec(s.q.UseLink, g.Link, g.ObtainedAt, g.Authorizer)
	return true, err
}

// superseded reports whether the token set in force came from the one of g, or is
// the same and younger. Hash is that of g's refresh token.
func (s *Store) superseded(tx Tx, g store.Grant, stored grant, hash string) (bool, error) {
	if stored.number == 0 || stored.state == tuoguan.StateRevoked || g.Tokens.RefreshToken.IsZero() {
		return false, nil
	}
	r, err := tx.One(s.selectAuthorizer, g.Component, g.Authorizer)
	if err != nil {
		return false, err
	}
	a, err := s.authorizer(r)
	if errors.Is(err, store.ErrQuarantined) {
		return false, nil // what does not open is no better than what is offered
	}
	if err != nil {
		return false, err
	}
	if a.Tokens.RefreshToken.Equal(g.Tokens.RefreshToken) {
		return a.ObtainedAt.After(kept(g.ObtainedAt)), nil
	}
	rows, err := tx.Query(s.q.SelectRefreshTokens, g.Component, g.Authorizer) // newest first
	if err != nil {
		return false, err
	}
	current, passed := hashOf(a.Tokens.RefreshToken), false
	for _, r := range rows {
		_, _ = authorization(&r), r.Int64() // the grant
		switch r.Text() {
		case current:
			passed = true
		case hash:
			return passed, nil
		}
	}
	return false, nil
}

func latest(instants ...time.Time) (last time.Time) {
	for _, t := range instants {
		if t.After(last) {
			last = t
		}
	}
	return last
}

func (s *Store) replacePermissionSets(tx Tx, a tuoguan.Authorization, sets []tuoguan.PermissionSet) error {
	if _, err := tx.Exec(s.q.DeletePermissionSets, a.Component, a.Authorizer); err != nil {
		return err
	}
	for _, set := range sets {
		if _, err := tx.Exec(s.q.InsertPermissionSet, a.Component, a.Authorizer, set); err != nil {
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
	if s.q.SaveTokensAtOnce != "" && !w.Tokens.RefreshToken.IsZero() {
		done, err := writeFor(ctx, s, 1, func(tx Tx) (bool, error) {
			rows, err := tx.Query(s.q.SaveTokensAtOnce, w.Component, w.Authorizer, w.Grant, w.Epoch, access, refresh,
				w.Tokens.ExpiresAt, w.ObtainedAt, w.RefreshAt, s.shift(),
				history.hash, history.sealed, w.Source, w.Release.Key, w.Release.Holder, w.Release.Epoch)
			return len(rows) > 0, err
		})
		if err != nil || done {
			return done, err
		}
	}
	return writeFor(ctx, s, 4, func(tx Tx) (bool, error) {
		// The history first: where many save for one authorizer, they wait for each other
		// from the next statement on.
		if _, err := s.addHistory(tx, history); err != nil {
			return false, err
		}
		changed, err := s.moveTokens(tx, w, access, refresh)
		if err != nil {
			return false, err
		}
		moved := changed > 0
		if !moved {
			stored, err := s.known(tx, w.Authorization)
			if err != nil {
				return false, err
			}
			moved = stored.number == w.Grant && stored.state != tuoguan.StateRevoked && // saved before
				stored.epoch == w.Epoch && stored.obtainedAt.Equal(kept(w.ObtainedAt))
		}
		_, err = s.release(tx, w.Release)
		return moved, err
	})
}

// moveTokens replaces the token set where that is still to be done.
func (s *Store) moveTokens(tx Tx, w store.TokenWrite, access, refresh []byte) (changed int64, err error) {
	if w.Tokens.RefreshToken.IsZero() && refresh != nil {
		// Used was chosen over what was stored then. What was saved since may be newer.
		stored, err := readGrant(tx, s.q.LockGrant, w.Authorization)
		if err != nil {
			return 0, err
		}
		if stored.epoch != w.Found {
			refresh = nil
		}
	}
	return tx.Exec(s.q.SaveTokens, w.Component, w.Authorizer, w.Grant, w.Epoch, access, refresh,
		w.Tokens.ExpiresAt, w.ObtainedAt, w.RefreshAt, s.shift())
}

// known returns the grant of an authorizer, or store.ErrNotFound.
func (s *Store) known(tx Tx, a tuoguan.Authorization) (grant, error) {
	g, err := readGrant(tx, s.q.SelectGrant, a)
	if err == nil && g.number == 0 {
		err = store.ErrNotFound
	}
	return g, err
}

// changedOrKnown tells an authorizer that a statement had no reason to change from
// one that is not there.
func (s *Store) changedOrKnown(tx Tx, a tuoguan.Authorization, changed int64, err error) (bool, error) {
	if err == nil && changed == 0 {
		_, err = s.known(tx, a)
	}
	return changed > 0, err
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

// hashOf finds a refresh token in the history.
func hashOf(value tuoguan.Secret) string {
	sum := sha256.Sum256([]byte(value.Reveal()))
	return hex.EncodeToString(sum[:])
}

func (s *Store) sealHistory(t store.RefreshToken) (historyEntry, error) {
	e := historyEntry{RefreshToken: t, hash: hashOf(t.Value)}
	var err error
	e.sealed, err = s.seal(historyPlace(t.Authorization, e.hash), t.Value)
	return e, err
}

// addHistory adds an entry if its value is not there yet, or was of an earlier grant.
func (s *Store) addHistory(tx Tx, e historyEntry) (added bool, err error) {
	if e.sealed == nil {
		return false, nil
	}
	switch r, err := tx.One(s.q.SelectRefreshTokenGrant, e.Component, e.Authorizer, e.hash); {
	case errors.Is(err, store.ErrNotFound):
		added = true
	case err != nil:
		return false, err
	case r.Int64() >= e.Grant:
		return false, nil
	default:
		if _, err := tx.Exec(s.q.DeleteRefreshToken, e.Component, e.Authorizer, e.hash); err != nil {
			return false, err
		}
	}
	_, err = tx.Exec(s.q.InsertRefreshToken, e.Component, e.Authorizer, e.Grant, e.hash, e.sealed, e.Source, e.ReceivedAt)
	return added, err
}

// AppendRefreshToken implements [store.Authorizers].
func (s *Store) AppendRefreshToken(ctx context.Context, t store.RefreshToken) (added bool, err error) {
	entry, err := s.sealHistory(t)
	if err != nil {
		return false, err
	}
	return writeFor(ctx, s, 2, func(tx Tx) (bool, error) { return s.addHistory(tx, entry) })
}

// RefreshTokens implements [store.Authorizers].
func (s *Store) RefreshTokens(ctx context.Context, a tuoguan.Authorization) ([]store.RefreshToken, error) {
	return readAll(ctx, s, func(r Row) (store.RefreshToken, error) {
		t := store.RefreshToken{Authorization: authorization(&r), Grant: r.Int64()}
		hash, sealed := r.Text(), r.Blob()
		t.Source, t.ReceivedAt = store.TokenSource(r.Text()), r.Time()
		var err error
		t.Value, err = s.open(historyPlace(t.Authorization, hash), sealed)
		return t, err
	}, s.q.SelectRefreshTokens, a.Component, a.Authorizer)
}

// SaveTrouble implements [store.Authorizers].
func (s *Store) SaveTrouble(ctx context.Context, t store.Trouble) (changed bool, err error) {
	announce, err := s.announcement(t.Announce)
	if err != nil {
		return false, err
	}
	steps := 1
	if len(announce) > 0 {
		steps = 8
	}
	return writeFor(ctx, s, steps, func(tx Tx) (bool, error) {
		changed, err := tx.Exec(s.q.SaveTrouble, t.Component, t.Authorizer, t.Grant, t.Epoch, t.State,
			t.Info.Failures, t.Info.Code, t.Info.Message, t.Info.SuspectSince, t.RefreshAt, t.At, s.shift())
		changedHere, err := s.changedOrKnown(tx, t.Authorization, changed, err)
		if err != nil || !changedHere {
			return false, err
		}
		_, err = s.accept(tx, announce)
		return true, err
	})
}

// Revoke implements [store.Authorizers].
func (s *Store) Revoke(ctx context.Context, a tuoguan.Authorization, at time.Time) (changed bool, err error) {
	known := false
	changed, err = writeFor(ctx, s, 3, func(tx Tx) (changed bool, err error) {
		changed, known, err = s.revoke(tx, a, at)
		return changed, err
	})
	if err == nil && !known {
		err = store.ErrNotFound // but its exchanges are marked
	}
	return changed, err
}

// revoke marks an authorizer revoked, and its pending exchanges as taken back.
func (s *Store) revoke(tx Tx, a tuoguan.Authorization, at time.Time) (changed, known bool, err error) {
	if _, err := tx.Exec(s.q.RevokeExchanges, a.Component, a.Authorizer, at); err != nil {
		return false, false, err
	}
	n, err := tx.Exec(s.q.Revoke, a.Component, a.Authorizer, at, s.shift())
	if err != nil || n > 0 {
		return n > 0, n > 0, err
	}
	// A later revocation of what is revoked counts against grants that come late.
	if _, err := tx.Exec(s.q.RevokeLater, a.Component, a.Authorizer, at); err != nil {
		return false, false, err
	}
	g, err := readGrant(tx, s.q.SelectGrant, a)
	return false, g.number > 0, err
}

// SaveProfile implements [store.Authorizers].
func (s *Store) SaveProfile(ctx context.Context, a tuoguan.Authorization, p store.Profile) error {
	return s.write(ctx, 12, func(tx Tx) error {
		changed, err := tx.Exec(s.q.SaveProfile, a.Component, a.Authorizer, p.Grant, p.Kind,
			p.NickName, strings.ToLower(p.NickName), p.UserName, p.Alias, p.HeadImage, p.PrincipalName,
			p.ServiceType, p.VerifyType, p.AccountStatus, p.Raw, p.ReadAt, s.shift())
		if changedHere, err := s.changedOrKnown(tx, a, changed, err); err != nil || !changedHere || p.PermissionSets == nil {
			return err
		}
		changed, err = tx.Exec(s.q.SaveFuncInfo, a.Component, a.Authorizer, p.Grant, p.FuncInfo)
		if err != nil || changed == 0 {
			return err
		}
		return s.replacePermissionSets(tx, a, p.PermissionSets)
	})
}

// SaveTags implements [store.Authorizers].
func (s *Store) SaveTags(ctx context.Context, a tuoguan.Authorization, tags []string) error {
	return s.write(ctx, 1, func(tx Tx) error {
		changed, err := tx.Exec(s.q.SaveTags, a.Component, a.Authorizer, joinTags(tags), s.shift())
		if err == nil && changed == 0 {
			err = store.ErrNotFound
		}
		return err
	})
}

// ProfilesDue implements [store.Authorizers].
func (s *Store) ProfilesDue(ctx context.Context, n int) ([]tuoguan.Authorization, error) {
	return readAll(ctx, s, func(r Row) (tuoguan.Authorization, error) {
		return authorization(&r), nil
	}, s.q.ProfilesDue, limit(n))
}
