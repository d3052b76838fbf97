package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// accept stores a push that is new.
func (e *env) accept(in store.Intake) store.Push {
	e.t.Helper()
	p, duplicate, err := e.AcceptPush(e.ctx, in)
	e.ok(err)
	if duplicate {
		e.t.Fatalf("push %s was taken for a duplicate", in.Push.Key)
	}
	return p
}

func push(n int) store.Push {
	p := fullPush()
	p.Key, p.Body = fmt.Sprintf("key %d", n), fmt.Appendf(nil, "<xml>%d</xml>", n)
	p.ReceivedAt = at(time.Duration(n)*time.Second + time.Millisecond) // not when a route is due that is due at once
	p.ID, p.Seq, p.Reply = 0, 0, nil
	return p
}

func testPushes(t *testing.T, s *suite) {
	s.run(t, "every field comes back", func(e *env) {
		in := fullPush()
		in.ID, in.Seq, in.Reply = 99, 99, []byte("not the caller's")
		p := e.accept(store.Intake{Push: in})
		if p.ID <= 0 {
			e.t.Errorf("id %d", p.ID)
		}
		want := fullPush()
		want.ID, want.Reply = p.ID, nil
		e.equal(p, want)
		e.equal(must[store.Push](e)(e.Push(e.ctx, p.ID)), want)
		e.ok(e.SaveReply(e.ctx, want.Key, fullPush().Reply))
		want.Reply = fullPush().Reply
		got := must[store.Push](e)(e.Push(e.ctx, p.ID))
		e.equal(got, want)
		e.full(got)
	})
	s.run(t, "a duplicate changes nothing and gets the stored one", func(e *env) {
		first := e.accept(store.Intake{Push: push(1)})
		e.ok(e.SaveReply(e.ctx, "key 1", []byte("reply")))
		first.Reply = []byte("reply")
		again := push(2)
		again.Key = "key 1"
		got, duplicate, err := e.AcceptPush(e.ctx, store.Intake{Push: again})
		e.ok(err)
		if !duplicate {
			e.t.Error("duplicate is false")
		}
		e.equal(got, first)
		e.equal(must[store.Push](e)(e.Push(e.ctx, first.ID)), first)
	})
	s.run(t, "the first reply stays", func(e *env) {
		p := e.accept(store.Intake{Push: push(1)})
		e.ok(e.SaveReply(e.ctx, "key 1", []byte("first")))
		e.ok(e.SaveReply(e.ctx, "key 1", []byte("second")))
		e.equal(must[store.Push](e)(e.Push(e.ctx, p.ID)).Reply, []byte("first"))
	})
	s.run(t, "an empty reply is a reply", func(e *env) {
		p := e.accept(store.Intake{Push: push(1)})
		e.ok(e.SaveReply(e.ctx, "key 1", []byte{}))
		if got := must[store.Push](e)(e.Push(e.ctx, p.ID)).Reply; got == nil || len(got) != 0 {
			e.t.Errorf("got %#v", got)
		}
		e.ok(e.SaveReply(e.ctx, "key 1", []byte("second")))
		e.equal(must[store.Push](e)(e.Push(e.ctx, p.ID)).Reply, []byte{})
	})
	s.run(t, "bodies are any bytes", func(e *env) {
		p := push(1)
		for b := range 256 {
			p.Body = append(p.Body, byte(b))
		}
		e.equal(must[store.Push](e)(e.Push(e.ctx, e.accept(store.Intake{Push: p}).ID)).Body, p.Body)
	})
	s.run(t, "pages, oldest first", func(e *env) {
		var all []store.Push
		for n := range 5 {
			all = append(all, e.accept(store.Intake{Push: push(n)}))
			if n > 0 && all[n].ID <= all[n-1].ID {
				e.t.Errorf("id %d after %d", all[n].ID, all[n-1].ID)
			}
		}
		pushes := func(after int64, limit int) []store.Push {
			return must[[]store.Push](e)(e.Pushes(e.ctx, after, limit))
		}
		e.equal(pushes(0, 3), all[:3])
		e.equal(pushes(all[2].ID, 3), all[3:])
		e.equal(pushes(0, 0), all)
		if got := pushes(all[4].ID, 3); len(got) != 0 {
			e.t.Errorf("got %v", got)
		}
	})
	s.run(t, "ids are never given twice", func(e *env) {
		last := e.accept(store.Intake{Push: push(1)})
		e.ok(e.Collect(e.ctx, store.Retention{Pushes: at(time.Hour)}))
		_, err := e.Push(e.ctx, last.ID)
		e.is(err, store.ErrNotFound)
		if p := e.accept(store.Intake{Push: push(2)}); p.ID <= last.ID {
			e.t.Errorf("id %d after %d", p.ID, last.ID)
		}
	})
}

func testPushChanges(t *testing.T, s *suite) {
	s.run(t, "a ticket joins", func(e *env) {
		ticket := fullTicket(1)
		e.accept(store.Intake{Push: push(1), Ticket: &ticket})
		e.equal(must[[]store.Ticket](e)(e.Tickets(e.ctx, wxc)), []store.Ticket{ticket})
	})
	s.run(t, "an exchange is put", func(e *env) {
		e.put(byRedirect())
		x := byPush()
		e.accept(store.Intake{Push: push(1), Exchange: &x})
		got := e.exchange("codehash")
		if got.Visit != "noncehash" || got.Authorizer != id1.Authorizer {
			e.t.Errorf("got %+v", got)
		}
	})
	s.run(t, "the authorizer is revoked", func(e *env) {
		e.grant(fullGrant())
		e.accept(store.Intake{Push: push(1), Revoke: at(time.Hour)})
		got := e.authorizer(id1)
		if got.State != tuoguan.StateRevoked || !got.RevokedAt.Equal(at(time.Hour)) {
			e.t.Errorf("%s since %v", got.State, got.RevokedAt)
		}
	})
	s.run(t, "a revocation before the grant is not", func(e *env) {
		e.grant(fullGrant())
		e.accept(store.Intake{Push: push(1), Revoke: at(-time.Hour)})
		if got := e.authorizer(id1).State; got != tuoguan.StateActive {
			e.t.Errorf("state is %s", got)
		}
	})
	s.run(t, "a revocation of nobody is kept as a push", func(e *env) {
		p := e.accept(store.Intake{Push: push(1), Revoke: at(time.Hour)})
		e.equal(must[store.Push](e)(e.Push(e.ctx, p.ID)), p)
	})
	s.run(t, "a duplicate changes nothing", func(e *env) {
		e.grant(fullGrant())
		e.accept(store.Intake{Push: push(1)})
		ticket, x := fullTicket(1), byPush()
		for _, in := range []store.Intake{{Ticket: &ticket}, {Exchange: &x}, {Revoke: at(time.Hour)}} {
			in.Push = push(1)
			_, duplicate, err := e.AcceptPush(e.ctx, in)
			e.ok(err)
			if !duplicate {
				e.t.Error("duplicate is false")
			}
		}
		if n := len(must[[]store.Ticket](e)(e.Tickets(e.ctx, wxc))); n != 0 {
			e.t.Errorf("%d tickets", n)
		}
		_, err := e.Exchange(e.ctx, wxc, "codehash")
		e.is(err, store.ErrNotFound)
		if got := e.authorizer(id1).State; got != tuoguan.StateActive {
			e.t.Errorf("state is %s", got)
		}
	})
	s.run(t, "64 copies at once are one", func(e *env) {
		const copies = 64
		var wg sync.WaitGroup
		ids := make([]int64, copies)
		fresh := make([]bool, copies)
		for i := range copies {
			wg.Go(func() {
				ticket := fullTicket(i + 1) // as if each attempt brought another
				p, duplicate, err := e.handle(i).AcceptPush(e.ctx, store.Intake{Push: push(1), Ticket: &ticket})
				if err != nil {
					e.t.Error(err)
				}
				ids[i], fresh[i] = p.ID, !duplicate
			})
		}
		wg.Wait()
		n := 0
		for i := range copies {
			if fresh[i] {
				n++
			}
			if ids[i] != ids[0] {
				e.t.Errorf("ids %d and %d", ids[0], ids[i])
			}
		}
		if n != 1 {
			e.t.Errorf("%d of them were new", n)
		}
		if n := len(must[[]store.Push](e)(e.Pushes(e.ctx, 0, 10))); n != 1 {
			e.t.Errorf("%d pushes are stored", n)
		}
		if n := len(must[[]store.Ticket](e)(e.Tickets(e.ctx, wxc))); n != 1 {
			e.t.Errorf("%d tickets are stored", n)
		}
	})
}
