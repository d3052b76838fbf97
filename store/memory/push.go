package memory

import (
	"cmp"
	"context"
	"slices"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

func copiedPush(p *store.Push) store.Push {
	c := *p
	c.Body, c.Reply = slices.Clone(p.Body), slices.Clone(p.Reply)
	return c
}

// AcceptPush implements [store.Pushes].
func (s *Store) AcceptPush(ctx context.Context, in store.Intake) (accepted store.Push, duplicate bool, err error) {
	err = s.write(ctx, func() error {
		accepted, duplicate = s.accept(in)
		return nil
	})
	return accepted, duplicate, err
}

func (s *Store) accept(in store.Intake) (accepted store.Push, duplicate bool) {
	if known, ok := s.pushKeys[in.Push.Key]; ok {
		return copiedPush(known), true
	}
	p := copiedPush(&in.Push)
	id := tuoguan.Authorization{Component: p.Component, Authorizer: p.Authorizer}
	s.lastPush++
	s.lastSeq[id]++
	p.ID, p.Seq, p.Reply = s.lastPush, s.lastSeq[id], nil
	p.CreatedAt, p.ReceivedAt = kept(p.CreatedAt), kept(p.ReceivedAt)
	if last := s.lastDue[id]; p.ReceivedAt.After(last) || last.Sub(p.ReceivedAt) > store.RouteSkew {
		s.lastDue[id] = p.ReceivedAt
	}
	s.pushes = append(s.pushes, &p)
	s.pushKeys[p.Key] = &p
	s.route(&p, in.Routes)

	switch {
	case in.Ticket != nil:
		s.addTicket(*in.Ticket)
	case in.Exchange != nil:
		s.putExchange(*in.Exchange)
	case !in.Revoke.IsZero():
		s.revoke(id, kept(in.Revoke))
	}
	return copiedPush(&p), false
}

// announce accepts what a change is to be told by, if anything.
func (s *Store) announce(in *store.Intake) {
	if in != nil {
		s.accept(*in)
	}
}

// SaveReply implements [store.Pushes].
func (s *Store) SaveReply(ctx context.Context, key string, reply []byte) error {
	return s.write(ctx, func() error {
		p, ok := s.pushKeys[key]
		if !ok {
			return store.ErrNotFound
		}
		if p.Reply == nil {
			p.Reply = slices.Clone(reply)
		}
		return nil
	})
}

// search returns where the push with the id is, or would be.
func (s *Store) search(id int64) (int, bool) {
	return slices.BinarySearchFunc(s.pushes, id, func(p *store.Push, id int64) int { return cmp.Compare(p.ID, id) })
}

// Push implements [store.Pushes].
func (s *Store) Push(ctx context.Context, id int64) (found store.Push, err error) {
	err = s.read(ctx, func() error {
		at, ok := s.search(id)
		if !ok {
			return store.ErrNotFound
		}
		found = copiedPush(s.pushes[at])
		return nil
	})
	return found, err
}

// Pushes implements [store.Pushes].
func (s *Store) Pushes(ctx context.Context, after int64, n int) (all []store.Push, err error) {
	err = s.read(ctx, func() error {
		first, ok := s.search(after)
		if ok {
			first++
		}
		for _, p := range s.pushes[first:] {
			if len(all) == limit(n) {
				break
			}
			all = append(all, copiedPush(p))
		}
		return nil
	})
	return all, err
}
