package sqlstore

import (
	"context"
	"errors"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

func pushPlace(p store.Push, field string) store.Place {
	return store.Place{Component: p.Component, Authorizer: p.Authorizer, Field: field, Row: p.Key}
}

// accepted is what the writer reports about a push: its new id, or the row that is
// stored already.
type accepted struct {
	id     int64
	stored *Row
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
	got, err := writeFor(ctx, s, steps, func(tx Tx) (accepted, error) {
		id, inserted, err := tx.Insert(s.q.InsertPush, p.Key, p.Component, p.Authorizer, p.Kind, body, p.CreatedAt, p.ReceivedAt)
		switch {
		case err != nil:
			return accepted{}, err
		case !inserted:
			r, err := tx.One(s.q.SelectPushByKey, p.Key)
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

// change prepares what a push brings about; nil if nothing.
func (s *Store) change(in store.Intake) (func(Tx) error, error) {
	switch {
	case in.Ticket != nil:
		t := *in.Ticket
		sealed, err := s.seal(ticketPlace(t), t.Value)
		return func(tx Tx) error { return s.addTicket(tx, t, sealed) }, err
	case in.Exchange != nil:
		e := *in.Exchange
		code, err := s.seal(codePlace(e), e.Code)
		return func(tx Tx) error {
			_, err := s.putExchange(tx, e, code)
			return err
		}, err
	case !in.Revoke.IsZero():
		a := tuoguan.Authorization{Component: in.Push.Component, Authorizer: in.Push.Authorizer}
		return func(tx Tx) error {
			_, _, err := s.revoke(tx, a, in.Revoke)
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

func push(r *Row) sealedPush {
	var p sealedPush
	p.ID, p.Key = r.Int64(), r.Text()
	p.Component, p.Authorizer = tuoguan.ComponentAppID(r.Text()), tuoguan.AuthorizerAppID(r.Text())
	p.Kind = r.Text()
	p.body, p.reply = r.Blob(), r.Blob()
	p.CreatedAt, p.ReceivedAt = r.Time(), r.Time()
	return p
}

func (s *Store) push(r Row) (store.Push, error) {
	p := push(&r)
	var errBody, errReply error
	p.Body, errBody = s.openBytes(pushPlace(p.Push, "push"), p.body)
	p.Reply, errReply = s.openBytes(pushPlace(p.Push, "push_reply"), p.reply)
	return p.Push, errors.Join(errBody, errReply)
}

// SaveReply implements [store.Pushes].
func (s *Store) SaveReply(ctx context.Context, key string, reply []byte) error {
	// The place of the reply is known by the push only.
	p, err := readOne(ctx, s, func(r Row) (store.Push, error) { return push(&r).Push, nil }, s.q.SelectPushByKey, key)
	if err != nil {
		return err
	}
	sealed, err := s.sealBytes(pushPlace(p, "push_reply"), reply)
	if err != nil {
		return err
	}
	return s.write(ctx, 1, func(tx Tx) error {
		_, err := tx.Exec(s.q.SaveReply, sealed, key)
		return err
	})
}

// Push implements [store.Pushes].
func (s *Store) Push(ctx context.Context, id int64) (store.Push, error) {
	return readOne(ctx, s, s.push, s.q.SelectPush, id)
}

// Pushes implements [store.Pushes].
func (s *Store) Pushes(ctx context.Context, after int64, n int) ([]store.Push, error) {
	return readAll(ctx, s, s.push, s.q.SelectPushes, after, limit(n))
}
