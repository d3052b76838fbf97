package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/sqlkit"
	"github.com/tuoguan/tuoguan/store"
)

func pushPlace(p store.Push, field string) store.Place {
	return store.Place{Component: p.Component, Authorizer: p.Authorizer, Field: field, Row: p.Key}
}

// accepted is what the writer reports about a push: its new id, or the row that is
// stored already.
type accepted struct {
	id     int64
	stored *row
}

// AcceptPush implements [store.Pushes].
func (s *Store) AcceptPush(ctx context.Context, in store.Intake) (store.Push, bool, error) {
	p := in.Push
	body, err := s.sealBytes(pushPlace(p, "push"), p.Body)
	if err != nil {
		return store.Push{}, false, err
	}
	change, err := s.change(in)
	if err != nil {
		return store.Push{}, false, err
	}
	steps := 1
	if change != nil {
		steps = 5
	}
	got, err := writeFor(ctx, s, steps, func(tx *conn) (accepted, error) {
		inserted, id, err := tx.exec(insertPush, p.Key, p.Component, p.Authorizer, p.Kind, body, p.CreatedAt, p.ReceivedAt)
		switch {
		case err != nil:
			return accepted{}, err
		case inserted == 0:
			r, err := tx.one(selectPushByKey, p.Key)
			return accepted{stored: &r}, err
		case change != nil:
			return accepted{id: id}, change(tx)
		}
		return accepted{id: id}, nil
	})
	if err != nil {
		return store.Push{}, false, err
	}
	if got.stored != nil {
		p, err := whole(s.push(*got.stored))
		return p, true, err
	}
	p.ID, p.Reply = got.id, nil
	p.CreatedAt, p.ReceivedAt = kept(p.CreatedAt), kept(p.ReceivedAt)
	return p, false, nil
}

// kept returns an instant as it will be read back.
func kept(t time.Time) time.Time { return sqlkit.Time(sqlkit.Millis(t)) }

// change prepares what a push brings about; nil if nothing.
func (s *Store) change(in store.Intake) (func(*conn) error, error) {
	switch {
	case in.Ticket != nil:
		t := *in.Ticket
		sealed, err := s.seal(ticketPlace(t), t.Value)
		return func(tx *conn) error { return addTicket(tx, t, sealed) }, err
	case in.Exchange != nil:
		e := *in.Exchange
		code, err := s.seal(codePlace(e), e.Code)
		return func(tx *conn) error {
			_, err := s.putExchange(tx, e, code)
			return err
		}, err
	case !in.Revoke.IsZero():
		a := tuoguan.Authorization{Component: in.Push.Component, Authorizer: in.Push.Authorizer}
		return func(tx *conn) error {
			_, err := s.revoke(tx, a, in.Revoke)
			if errors.Is(err, store.ErrNotFound) {
				return nil // nothing to revoke, but the push is kept
			}
			return err
		}, nil
	}
	return nil, nil
}

// sealedPush is a push whose body and reply have not been opened yet.
type sealedPush struct {
	store.Push
	body, reply []byte
}

func push(r *row) sealedPush {
	var p sealedPush
	p.ID, p.Key = r.int64(), r.text()
	p.Component, p.Authorizer = tuoguan.ComponentAppID(r.text()), tuoguan.AuthorizerAppID(r.text())
	p.Kind = r.text()
	p.body, p.reply = r.blob(), r.blob()
	p.CreatedAt, p.ReceivedAt = r.time(), r.time()
	return p
}

func (s *Store) push(r row) (store.Push, error) {
	p := push(&r)
	var errBody, errReply error
	p.Body, errBody = s.openBytes(pushPlace(p.Push, "push"), p.body)
	p.Reply, errReply = s.openBytes(pushPlace(p.Push, "push_reply"), p.reply)
	return p.Push, errors.Join(errBody, errReply)
}

// SaveReply implements [store.Pushes].
func (s *Store) SaveReply(ctx context.Context, key string, reply []byte) error {
	// The place of the reply is known by the push only.
	p, err := readOne(ctx, s, func(r row) (store.Push, error) { return push(&r).Push, nil }, selectPushByKey, key)
	if err != nil {
		return err
	}
	sealed, err := s.sealBytes(pushPlace(p, "push_reply"), reply)
	if err != nil {
		return err
	}
	return s.write(ctx, 1, func(tx *conn) error {
		_, _, err := tx.exec(saveReply, sealed, key)
		return err
	})
}

// Push implements [store.Pushes].
func (s *Store) Push(ctx context.Context, id int64) (store.Push, error) {
	return readOne(ctx, s, s.push, selectPush, id)
}

// Pushes implements [store.Pushes].
func (s *Store) Pushes(ctx context.Context, after int64, n int) ([]store.Push, error) {
	return readAll(ctx, s, s.push, selectPushes, after, limit(n))
}
