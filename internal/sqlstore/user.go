package sqlstore

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

const (
	userColumns = `id, name, full_name, role, password, password_expired, totp, totp_used, subject, disabled,
		created_at, updated_at, last_seen_at, version`
	selectUser = "SELECT " + userColumns + " FROM users WHERE id = ?"

	// userTaken finds who else has the name or the subject.
	userTaken = `SELECT 1 FROM users WHERE name_folded = ? AND id <> ?
		UNION ALL SELECT 1 FROM users WHERE subject = ? AND subject <> '' AND id <> ?`
	insertUser = `INSERT INTO users (id, name, name_folded, full_name, role, password, password_expired, totp, totp_used, subject, disabled,
		updated_at, created_at, last_seen_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`
	updateUser = `UPDATE users SET name = ?, name_folded = ?, full_name = ?, role = ?, password = ?, password_expired = ?,
		totp = ?, totp_used = ?, subject = ?, disabled = ?, updated_at = ?, version = version + 1 WHERE id = ? AND version = ?`

	sessionColumns    = "session_hash, id, user_id, address, agent, method, created_at, last_seen_at, expires_at"
	tokenEventColumns = "component, authorizer, kind, result, cause, actor, errcode, message, replica, happened_at, duration"
)

func userPlace(id, field string) store.Place { return store.Place{Field: "user_" + field, Row: id} }

// flag is how a column keeps whether something is so.
func flag(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

func (s *Store) user(r Row) (u store.User, err error) {
	u.ID, u.Name, u.FullName, u.Role = r.Text(), r.Text(), r.Text(), r.Text()
	password := r.Blob()
	u.PasswordExpired = r.Int64() != 0
	totp := r.Blob()
	u.TOTPUsed, u.Subject, u.Disabled = r.Int64(), r.Text(), r.Int64() != 0
	u.CreatedAt, u.UpdatedAt, u.LastSeenAt, u.Version = r.Time(), r.Time(), r.Time(), r.Int64()
	hash, errPassword := s.openBytes(userPlace(u.ID, "password"), password)
	secret, errTOTP := s.open(userPlace(u.ID, "totp"), totp)
	u.Password, u.TOTP = string(hash), secret
	return u, errors.Join(errPassword, errTOTP)
}

// PutUser implements [store.Users]. Who was overtaken between the look at the others and
// the write violates a key, looks again, and finds the conflict.
func (s *Store) PutUser(ctx context.Context, u store.User) (store.User, error) {
	password, errPassword := s.seal(userPlace(u.ID, "password"), tuoguan.NewSecret(u.Password))
	totp, errTOTP := s.seal(userPlace(u.ID, "totp"), u.TOTP)
	if err := errors.Join(errPassword, errTOTP); err != nil {
		return store.User{}, err
	}
	folded := u.FoldedName()
	taken, whose := userTaken, []any{folded, u.ID, u.Subject, u.ID}
	put, args := updateUser, []any{
		u.Name, folded, u.FullName, u.Role, password, flag(u.PasswordExpired),
		totp, u.TOTPUsed, u.Subject, flag(u.Disabled), u.UpdatedAt,
	}
	if u.Version == 0 {
		taken, whose = taken+" UNION ALL SELECT 1 FROM users WHERE id = ?", append(whose, u.ID)
		put, args = insertUser, append(append([]any{u.ID}, args...), u.CreatedAt, u.LastSeenAt)
	} else {
		args = append(args, u.ID, u.Version)
	}
	row, err := writeFor(ctx, s, 2, func(tx Tx) (Row, error) { // so that what is read is what was put
		others, err := tx.Query(taken, whose...)
		if err != nil {
			return Row{}, err
		}
		if len(others) > 0 {
			return Row{}, store.ErrConflict
		}
		changed, err := tx.Exec(put, args...)
		if err == nil && changed == 0 {
			err = store.ErrConflict
		}
		if err != nil {
			return Row{}, err
		}
		return tx.One(selectUser, u.ID)
	})
	if err != nil {
		return store.User{}, err
	}
	return whole(s.user(row))
}

// User implements [store.Users].
func (s *Store) User(ctx context.Context, id string) (store.User, error) {
	return readOne(ctx, s, s.user, selectUser, id)
}

// UserByName implements [store.Users].
func (s *Store) UserByName(ctx context.Context, name string) (store.User, error) {
	return readOne(ctx, s, s.user, "SELECT "+userColumns+" FROM users WHERE name_folded = ?", store.User{Name: name}.FoldedName())
}

// UserBySubject implements [store.Users].
func (s *Store) UserBySubject(ctx context.Context, subject string) (store.User, error) {
	return readOne(ctx, s, s.user, "SELECT "+userColumns+" FROM users WHERE subject = ? AND subject <> ''", subject)
}

// Users implements [store.Users].
func (s *Store) Users(ctx context.Context, after string, n int) ([]store.User, error) {
	return readAll(ctx, s, s.user, "SELECT "+userColumns+" FROM users WHERE id > ? ORDER BY id LIMIT ?", after, limit(n))
}

// DeleteUser implements [store.Users].
func (s *Store) DeleteUser(ctx context.Context, id string, version int64) error {
	return s.write(ctx, 2, func(tx Tx) error {
		deleted, err := tx.Exec("DELETE FROM users WHERE id = ? AND version = ?", id, version)
		if err != nil {
			return err
		}
		if deleted == 0 {
			if _, err := tx.One("SELECT 1 FROM users WHERE id = ?", id); err != nil {
				return err
			}
			return store.ErrConflict
		}
		_, err = tx.Exec("DELETE FROM sessions WHERE user_id = ?", id)
		return err
	})
}

func session(r Row) (store.Session, error) {
	return store.Session{
		Hash: nilIfNone(r.Blob()), ID: r.Text(), User: r.Text(), Address: r.Text(), Agent: r.Text(), Method: r.Text(),
		CreatedAt: r.Time(), LastSeenAt: r.Time(), ExpiresAt: r.Time(),
	}, nil
}

// PutSession implements [store.Sessions].
func (s *Store) PutSession(ctx context.Context, o store.Session) error {
	return s.write(ctx, 2, func(tx Tx) error {
		if _, err := tx.Exec("DELETE FROM sessions WHERE session_hash = ?", notNil(o.Hash)); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO sessions ("+sessionColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			notNil(o.Hash), o.ID, o.User, o.Address, o.Agent, o.Method, o.CreatedAt, o.LastSeenAt, o.ExpiresAt)
		return err
	})
}

// Session implements [store.Sessions].
func (s *Store) Session(ctx context.Context, hash []byte) (store.Session, error) {
	return readOne(ctx, s, session, "SELECT "+sessionColumns+" FROM sessions WHERE session_hash = ? AND "+s.q.NotExpired, notNil(hash), s.shift())
}

// SessionsOf implements [store.Sessions].
func (s *Store) SessionsOf(ctx context.Context, user string) ([]store.Session, error) {
	return readAll(ctx, s, session, "SELECT "+sessionColumns+" FROM sessions WHERE user_id = ? AND "+s.q.NotExpired+
		" ORDER BY created_at DESC, session_hash", user, s.shift())
}

// TouchSession implements [store.Sessions]. Users are locked before sessions, as where
// one is deleted.
func (s *Store) TouchSession(ctx context.Context, hash []byte, at time.Time) error {
	return s.write(ctx, 2, func(tx Tx) error {
		_, err := tx.Exec(`UPDATE users SET last_seen_at = ? WHERE last_seen_at < ?
			AND id = (SELECT user_id FROM sessions WHERE session_hash = ?)`, at, at, notNil(hash))
		if err != nil {
			return err
		}
		_, err = tx.Exec("UPDATE sessions SET last_seen_at = ? WHERE last_seen_at < ? AND session_hash = ?", at, at, notNil(hash))
		return err
	})
}

// DeleteSession implements [store.Sessions].
func (s *Store) DeleteSession(ctx context.Context, hash []byte) error {
	return s.write(ctx, 1, func(tx Tx) error {
		_, err := tx.Exec("DELETE FROM sessions WHERE session_hash = ?", notNil(hash))
		return err
	})
}

// DeleteSessionsOf implements [store.Sessions].
func (s *Store) DeleteSessionsOf(ctx context.Context, user string, except []byte) (int, error) {
	n, err := writeFor(ctx, s, 1, func(tx Tx) (int64, error) {
		return tx.Exec("DELETE FROM sessions WHERE user_id = ? AND session_hash <> ? AND "+s.q.NotExpired, user, notNil(except), s.shift())
	})
	return int(n), err
}

func tokenEvent(r Row) (store.TokenEvent, error) {
	return store.TokenEvent{
		ID: r.Int64(),
		Authorization: tuoguan.Authorization{
			Component: tuoguan.ComponentAppID(r.Text()), Authorizer: tuoguan.AuthorizerAppID(r.Text()),
		},
		Kind: r.Text(), Result: r.Text(), Cause: r.Text(), Actor: r.Text(),
		Errcode: r.Int(), Message: r.Text(), Replica: r.Text(),
		At: r.Time(), Duration: time.Duration(r.Int64()),
	}, nil
}

// tokenEventRows is how many events are inserted by one statement at most.
const tokenEventRows = 64

// insertTokenEvents inserts so many events.
func insertTokenEvents(rows int) string {
	columns := 1 + strings.Count(tokenEventColumns, ",")
	return "INSERT INTO token_events (" + tokenEventColumns + ") VALUES " + repeated("("+repeated("?", columns)+")", rows)
}

// AppendTokenEvents implements [store.TokenEvents].
func (s *Store) AppendTokenEvents(ctx context.Context, events []store.TokenEvent) error {
	if len(events) == 0 {
		return ctx.Err()
	}
	type statement struct {
		query string
		args  []any
	}
	var statements []statement
	for part := range chunks(events, tokenEventRows) {
		var args []any
		for _, e := range part {
			args = append(args, e.Component, e.Authorizer, e.Kind, e.Result, e.Cause, e.Actor,
				e.Errcode, e.Message, e.Replica, e.At, int64(e.Duration))
		}
		statements = append(statements, statement{insertTokenEvents(len(part)), args})
	}
	return s.write(ctx, len(statements), func(tx Tx) error {
		for _, st := range statements {
			if _, err := tx.Exec(st.query, st.args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// TokenEvents implements [store.TokenEvents].
func (s *Store) TokenEvents(ctx context.Context, a tuoguan.Authorization, before int64, n int) ([]store.TokenEvent, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	return readAll(ctx, s, tokenEvent, "SELECT id, "+tokenEventColumns+` FROM token_events
		WHERE component = ? AND authorizer = ? AND id < ? ORDER BY component DESC, authorizer DESC, id DESC LIMIT ?`,
		a.Component, a.Authorizer, before, limit(n))
}

// collectTokenEvents removes from the beginning what is old, and what is too much.
func (s *Store) collectTokenEvents(ctx context.Context, before store.Retention) error {
	tooMany := int64(math.MinInt64) // the greatest id of those
	if before.TokenEventCount > 0 {
		r, err := readFor(ctx, s, func(tx Tx) (Row, error) {
			return tx.One("SELECT id FROM token_events ORDER BY id DESC LIMIT 1 OFFSET ?", before.TokenEventCount)
		})
		switch {
		case err == nil:
			tooMany = r.Int64()
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
	}
	old := kept(before.TokenEvents)
	for {
		rows, err := readFor(ctx, s, func(tx Tx) ([]Row, error) {
			return tx.Query("SELECT id, happened_at FROM token_events ORDER BY id LIMIT ?", collectRows)
		})
		if err != nil {
			return err
		}
		n, last := 0, int64(0)
		for _, r := range rows {
			id, at := r.Int64(), r.Time()
			if id > tooMany && (before.TokenEvents.IsZero() || !at.Before(old)) {
				break
			}
			n, last = n+1, id
		}
		if n == 0 {
			return nil
		}
		err = s.write(ctx, 1, func(tx Tx) error {
			_, err := tx.Exec("DELETE FROM token_events WHERE id <= ?", last)
			return err
		})
		if err != nil || n < collectRows {
			return err
		}
	}
}
