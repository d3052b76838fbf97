package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

func testComponents(t *testing.T, s *suite) {
	s.run(t, "every field comes back", func(e *env) {
		want := fullComponent()
		e.ok(e.PutComponent(e.ctx, want))
		e.equal(must[store.Component](e)(e.Component(e.ctx, wxc)), want)
	})
	s.run(t, "previous and staged credentials may be missing", func(e *env) {
		want := fullComponent()
		want.PreviousToken, want.PreviousEncodingAESKey, want.StagedSecret = tuoguan.Secret{}, tuoguan.Secret{}, tuoguan.Secret{}
		e.ok(e.PutComponent(e.ctx, fullComponent()))
		e.ok(e.PutComponent(e.ctx, want))
		e.equal(must[store.Component](e)(e.Component(e.ctx, wxc)), want)
	})
	s.run(t, "replacing keeps age, tickets and token", func(e *env) {
		e.ok(e.PutComponent(e.ctx, fullComponent()))
		e.addTicket(fullTicket(1))
		must[bool](e)(e.SaveComponentToken(e.ctx, fullComponentToken()))
		changed := fullComponent()
		changed.Secret, changed.CreatedAt, changed.UpdatedAt = secret("new secret"), at(time.Hour), at(time.Hour)
		e.ok(e.PutComponent(e.ctx, changed))
		changed.CreatedAt = fullComponent().CreatedAt
		e.equal(must[store.Component](e)(e.Component(e.ctx, wxc)), changed)
		e.equal(must[[]store.Ticket](e)(e.Tickets(e.ctx, wxc)), []store.Ticket{fullTicket(1)})
		e.equal(must[store.ComponentToken](e)(e.ComponentToken(e.ctx, wxc)), fullComponentToken())
	})
	s.run(t, "all are listed in order", func(e *env) {
		var want []store.Component
		for _, id := range []tuoguan.ComponentAppID{"wx1", "wx2", "wx3"} {
			c := fullComponent()
			c.AppID = id
			want = append(want, c)
		}
		for _, i := range []int{2, 0, 1} {
			e.ok(e.PutComponent(e.ctx, want[i]))
		}
		e.equal(must[[]store.Component](e)(e.Components(e.ctx)), want)
	})
	s.run(t, "instants are kept in UTC to the millisecond", func(e *env) {
		c := fullComponent()
		c.CreatedAt = time.Date(2026, 1, 2, 3, 4, 5, 678_999_999, time.FixedZone("UTC+8", 8*3600))
		c.UpdatedAt = time.Time{}
		e.ok(e.PutComponent(e.ctx, c))
		c.CreatedAt = time.Date(2026, 1, 1, 19, 4, 5, 678_000_000, time.UTC)
		e.equal(must[store.Component](e)(e.Component(e.ctx, wxc)), c)
	})
}

// addTicket has a ticket pushed.
func (e *env) addTicket(ticket store.Ticket) {
	e.t.Helper()
	_, duplicate, err := e.AcceptPush(e.ctx, store.Intake{
		Push: store.Push{
			Key: "ticket/" + ticket.Value.Reveal(), Component: ticket.Component, Kind: "component_verify_ticket",
			Body: []byte("<xml/>"), CreatedAt: ticket.CreatedAt, ReceivedAt: ticket.ReceivedAt,
		},
		Ticket: &ticket,
	})
	e.ok(err)
	if duplicate {
		e.t.Fatal("a new ticket was taken for a duplicate")
	}
}

func testTickets(t *testing.T, s *suite) {
	s.run(t, "none is no error", func(e *env) {
		if tickets := must[[]store.Ticket](e)(e.Tickets(e.ctx, wxc)); len(tickets) != 0 {
			e.t.Errorf("got %v", tickets)
		}
	})
	s.run(t, "the newest three stay, in whatever order they come", func(e *env) {
		for _, n := range []int{3, 1, 5, 2, 4} {
			e.addTicket(fullTicket(n))
		}
		e.equal(must[[]store.Ticket](e)(e.Tickets(e.ctx, wxc)), []store.Ticket{fullTicket(5), fullTicket(4), fullTicket(3)})
	})
	s.run(t, "one older than three is not kept", func(e *env) {
		for _, n := range []int{2, 3, 4, 1} {
			e.addTicket(fullTicket(n))
		}
		e.equal(must[[]store.Ticket](e)(e.Tickets(e.ctx, wxc)), []store.Ticket{fullTicket(4), fullTicket(3), fullTicket(2)})
	})
	s.run(t, "within a second arrival decides", func(e *env) {
		first, second := fullTicket(1), fullTicket(2)
		second.CreatedAt = first.CreatedAt
		e.addTicket(second)
		e.addTicket(first)
		e.equal(must[[]store.Ticket](e)(e.Tickets(e.ctx, wxc)), []store.Ticket{second, first})
	})
	s.run(t, "components have their own", func(e *env) {
		other := fullTicket(9)
		other.Component = "wxother"
		for n := range 3 {
			e.addTicket(fullTicket(n + 1))
		}
		e.addTicket(other)
		e.equal(must[[]store.Ticket](e)(e.Tickets(e.ctx, "wxother")), []store.Ticket{other})
		if n := len(must[[]store.Ticket](e)(e.Tickets(e.ctx, wxc))); n != 3 {
			e.t.Errorf("%d tickets are left, want 3", n)
		}
	})
}

func testComponentTokens(t *testing.T, s *suite) {
	for _, tt := range []struct {
		name   string
		epochs []int64
		moved  []bool
		want   int64
	}{
		{"first", []int64{3}, []bool{true}, 3},
		{"later epoch replaces", []int64{3, 4}, []bool{true, true}, 4},
		{"equal epoch does not", []int64{3, 3}, []bool{true, false}, 3},
		{"earlier epoch does not", []int64{3, 2}, []bool{true, false}, 3},
	} {
		s.run(t, tt.name, func(e *env) {
			var want store.ComponentToken
			for i, epoch := range tt.epochs {
				token := fullComponentToken()
				token.Epoch, token.Value = epoch, secret("token %d", i)
				moved := must[bool](e)(e.SaveComponentToken(e.ctx, token))
				if moved != tt.moved[i] {
					e.t.Errorf("write %d: moved is %v", i, moved)
				}
				if moved {
					want = token
				}
			}
			e.equal(must[store.ComponentToken](e)(e.ComponentToken(e.ctx, wxc)), want)
			if want.Epoch != tt.want {
				e.t.Errorf("epoch %d is current, want %d", want.Epoch, tt.want)
			}
		})
	}
	s.run(t, "components have their own", func(e *env) {
		for n := range 2 {
			token := fullComponentToken()
			token.Component = tuoguan.ComponentAppID(fmt.Sprintf("wx%d", n))
			must[bool](e)(e.SaveComponentToken(e.ctx, token))
			e.equal(must[store.ComponentToken](e)(e.ComponentToken(e.ctx, token.Component)), token)
		}
	})
}
