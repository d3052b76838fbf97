package storetest

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// method is one method of the contract, called on an empty store.
type method struct {
	call func(context.Context, store.Store) error
	// absent: it fails with ErrNotFound there.
	absent bool
}

func methods() map[string]method {
	return map[string]method{
		"PutComponent":   {call: func(ctx context.Context, s store.Store) error { return s.PutComponent(ctx, fullComponent()) }},
		"Component":      {call: func(ctx context.Context, s store.Store) error { _, err := s.Component(ctx, wxc); return err }, absent: true},
		"Components":     {call: func(ctx context.Context, s store.Store) error { _, err := s.Components(ctx); return err }},
		"Tickets":        {call: func(ctx context.Context, s store.Store) error { _, err := s.Tickets(ctx, wxc); return err }},
		"ComponentToken": {call: func(ctx context.Context, s store.Store) error { _, err := s.ComponentToken(ctx, wxc); return err }, absent: true},
		"SaveComponentToken": {call: func(ctx context.Context, s store.Store) error {
			_, err := s.SaveComponentToken(ctx, fullComponentToken())
			return err
		}},

		"Authorizer": {call: func(ctx context.Context, s store.Store) error { _, err := s.Authorizer(ctx, id1); return err }, absent: true},
		"Authorizers": {call: func(ctx context.Context, s store.Store) error {
			_, err := s.Authorizers(ctx, store.AuthorizerQuery{})
			return err
		}},
		"CountAuthorizers": {call: func(ctx context.Context, s store.Store) error { _, err := s.CountAuthorizers(ctx); return err }},
		"SaveGrant":        {call: func(ctx context.Context, s store.Store) error { _, _, err := s.SaveGrant(ctx, fullGrant()); return err }},
		"SaveTokens": {call: func(ctx context.Context, s store.Store) error {
			_, err := s.SaveTokens(ctx, fullTokenWrite())
			return err
		}, absent: true},
		"AppendRefreshToken": {call: func(ctx context.Context, s store.Store) error {
			_, err := s.AppendRefreshToken(ctx, store.RefreshToken{Authorization: id1, Value: secret("x")})
			return err
		}},
		"RefreshTokens": {call: func(ctx context.Context, s store.Store) error { _, err := s.RefreshTokens(ctx, id1); return err }},
		"SaveTrouble": {call: func(ctx context.Context, s store.Store) error {
			_, err := s.SaveTrouble(ctx, fullTrouble())
			return err
		}, absent: true},
		"Revoke":      {call: func(ctx context.Context, s store.Store) error { _, err := s.Revoke(ctx, id1, at(0)); return err }, absent: true},
		"SaveProfile": {call: func(ctx context.Context, s store.Store) error { return s.SaveProfile(ctx, id1, fullProfile()) }, absent: true},
		"ClaimDue": {call: func(ctx context.Context, s store.Store) error {
			_, err := s.ClaimDue(ctx, at(0), "me", time.Minute, 1)
			return err
		}},
		"ProfilesDue": {call: func(ctx context.Context, s store.Store) error { _, err := s.ProfilesDue(ctx, 1); return err }},

		"SaveTags": {call: func(ctx context.Context, s store.Store) error {
			return s.SaveTags(ctx, id1, []string{"vip"})
		}, absent: true},

		"PutExchange":    {call: func(ctx context.Context, s store.Store) error { _, _, err := s.PutExchange(ctx, byPush()); return err }},
		"Exchange":       {call: func(ctx context.Context, s store.Store) error { _, err := s.Exchange(ctx, wxc, "x"); return err }, absent: true},
		"DueExchanges":   {call: func(ctx context.Context, s store.Store) error { _, err := s.DueExchanges(ctx, at(0), 1); return err }},
		"UpdateExchange": {call: func(ctx context.Context, s store.Store) error { return s.UpdateExchange(ctx, byPush()) }, absent: true},

		"CreateLink":     {call: func(ctx context.Context, s store.Store) error { return s.CreateLink(ctx, fullLink()) }},
		"Link":           {call: func(ctx context.Context, s store.Store) error { _, err := s.Link(ctx, "x"); return err }, absent: true},
		"Links":          {call: func(ctx context.Context, s store.Store) error { _, err := s.Links(ctx, wxc, "", 1); return err }},
		"CreateVisit":    {call: func(ctx context.Context, s store.Store) error { return s.CreateVisit(ctx, fullVisit()) }},
		"VisitByNonce":   {call: func(ctx context.Context, s store.Store) error { _, err := s.VisitByNonce(ctx, "x"); return err }, absent: true},
		"VisitByPreAuth": {call: func(ctx context.Context, s store.Store) error { _, err := s.VisitByPreAuth(ctx, "x"); return err }, absent: true},
		"CountVisits":    {call: func(ctx context.Context, s store.Store) error { _, err := s.CountVisits(ctx, "x", at(0)); return err }},

		"AcceptPush": {call: func(ctx context.Context, s store.Store) error {
			_, _, err := s.AcceptPush(ctx, store.Intake{Push: push(1)})
			return err
		}},
		"SaveReply": {call: func(ctx context.Context, s store.Store) error { return s.SaveReply(ctx, "x", []byte("r")) }, absent: true},
		"Push":      {call: func(ctx context.Context, s store.Store) error { _, err := s.Push(ctx, 1); return err }, absent: true},
		"Pushes":    {call: func(ctx context.Context, s store.Store) error { _, err := s.Pushes(ctx, 0, 1); return err }},

		"PushByKey": {call: func(ctx context.Context, s store.Store) error { _, err := s.PushByKey(ctx, "x"); return err }, absent: true},
		"Events": {call: func(ctx context.Context, s store.Store) error {
			_, err := s.Events(ctx, store.EventQuery{})
			return err
		}},
		"PutSubscription": {call: func(ctx context.Context, s store.Store) error {
			_, err := s.PutSubscription(ctx, store.Subscription{ID: "sub_1"})
			return err
		}},
		"Subscription":  {call: func(ctx context.Context, s store.Store) error { _, err := s.Subscription(ctx, "x"); return err }, absent: true},
		"Subscriptions": {call: func(ctx context.Context, s store.Store) error { _, err := s.Subscriptions(ctx, "", 1); return err }},
		"DueDeliveries": {call: func(ctx context.Context, s store.Store) error {
			_, err := s.DueDeliveries(ctx, "x", at(0), 1)
			return err
		}},
		"HeldBack": {call: func(ctx context.Context, s store.Store) error { _, err := s.HeldBack(ctx, "x", at(0)); return err }},
		"SaveDeliveries": {call: func(ctx context.Context, s store.Store) error {
			return s.SaveDeliveries(ctx, []store.Delivery{{Subscription: "x", State: store.DeliveryDelivered}})
		}},
		"PutDeliveries": {call: func(ctx context.Context, s store.Store) error {
			_, err := s.PutDeliveries(ctx, "x", []int64{1 << 40}, at(0))
			return err
		}},
		"Deliveries": {call: func(ctx context.Context, s store.Store) error {
			_, err := s.Deliveries(ctx, store.DeliveryQuery{Subscription: "x"})
			return err
		}},
		"Backlog": {call: func(ctx context.Context, s store.Store) error { _, err := s.Backlog(ctx, "x", 1); return err }},

		"AcquireLease": {call: func(ctx context.Context, s store.Store) error {
			_, err := s.AcquireLease(ctx, "k", "me", time.Minute)
			return err
		}},
		"Leases": {call: func(ctx context.Context, s store.Store) error { _, err := s.Leases(ctx, ""); return err }},
		"Setting": {call: func(ctx context.Context, s store.Store) error {
			_, _, err := s.Setting(ctx, "never put")
			return err
		}, absent: true},
		"PutSetting": {call: func(ctx context.Context, s store.Store) error { return s.PutSetting(ctx, "name", []byte("value"), 0) }},

		"PutAPIKey": {call: func(ctx context.Context, s store.Store) error { _, err := s.PutAPIKey(ctx, newKey("k1")); return err }},
		"APIKey":    {call: func(ctx context.Context, s store.Store) error { _, err := s.APIKey(ctx, "x"); return err }, absent: true},
		"APIKeys":   {call: func(ctx context.Context, s store.Store) error { _, err := s.APIKeys(ctx, "", 1); return err }},
		"TouchAPIKeys": {call: func(ctx context.Context, s store.Store) error {
			return s.TouchAPIKeys(ctx, map[string]time.Time{"x": at(0)})
		}},
		"AppendAudit": {call: func(ctx context.Context, s store.Store) error {
			return s.AppendAudit(ctx, []store.AuditRecord{fullAuditRecord()})
		}},
		"LastAudit":      {call: func(ctx context.Context, s store.Store) error { _, err := s.LastAudit(ctx); return err }, absent: true},
		"Audit":          {call: func(ctx context.Context, s store.Store) error { _, err := s.Audit(ctx, 0, 1); return err }},
		"AuditBackwards": {call: func(ctx context.Context, s store.Store) error { _, err := s.AuditBackwards(ctx, 0, 1); return err }},
		"Value":          {call: func(ctx context.Context, s store.Store) error { _, err := s.Value(ctx, "x"); return err }, absent: true},
		"PutValue": {call: func(ctx context.Context, s store.Store) error {
			return s.PutValue(ctx, store.Value{Key: "k", Data: []byte("data"), ExpiresAt: at(0)})
		}},
		"TakeValue": {call: func(ctx context.Context, s store.Store) error { _, err := s.TakeValue(ctx, "x"); return err }, absent: true},

		"PutUser":       {call: func(ctx context.Context, s store.Store) error { _, err := s.PutUser(ctx, newUser("u1")); return err }},
		"User":          {call: func(ctx context.Context, s store.Store) error { _, err := s.User(ctx, "x"); return err }, absent: true},
		"UserByName":    {call: func(ctx context.Context, s store.Store) error { _, err := s.UserByName(ctx, "x"); return err }, absent: true},
		"UserBySubject": {call: func(ctx context.Context, s store.Store) error { _, err := s.UserBySubject(ctx, "x"); return err }, absent: true},
		"Users":         {call: func(ctx context.Context, s store.Store) error { _, err := s.Users(ctx, "", 1); return err }},
		"DeleteUser":    {call: func(ctx context.Context, s store.Store) error { return s.DeleteUser(ctx, "x", 1) }, absent: true},
		"PutSession":    {call: func(ctx context.Context, s store.Store) error { return s.PutSession(ctx, fullSession()) }},
		"Session":       {call: func(ctx context.Context, s store.Store) error { _, err := s.Session(ctx, []byte("x")); return err }, absent: true},
		"SessionsOf":    {call: func(ctx context.Context, s store.Store) error { _, err := s.SessionsOf(ctx, "x"); return err }},
		"TouchSession":  {call: func(ctx context.Context, s store.Store) error { return s.TouchSession(ctx, []byte("x"), at(0)) }},
		"DeleteSession": {call: func(ctx context.Context, s store.Store) error { return s.DeleteSession(ctx, []byte("x")) }},
		"DeleteSessionsOf": {call: func(ctx context.Context, s store.Store) error {
			_, err := s.DeleteSessionsOf(ctx, "x", nil)
			return err
		}},
		"AppendTokenEvents": {call: func(ctx context.Context, s store.Store) error {
			return s.AppendTokenEvents(ctx, []store.TokenEvent{fullTokenEvent()})
		}},
		"TokenEvents": {call: func(ctx context.Context, s store.Store) error { _, err := s.TokenEvents(ctx, id1, 0, 1); return err }},

		"Changes": {call: func(ctx context.Context, s store.Store) error { _, err := s.Changes(ctx, at(0)); return err }},

		"Probe": {call: func(ctx context.Context, s store.Store) error { return s.Probe(ctx) }},
		"Collect": {call: func(ctx context.Context, s store.Store) error {
			return s.Collect(ctx, store.Retention{
				Pushes: at(0), Exchanges: at(0), Links: at(0), RefreshTokens: at(0), Sessions: at(0), TokenEvents: at(0), TokenEventCount: 1,
			})
		}},
	}
}

func testEveryMethod(t *testing.T, s *suite) {
	all := methods()
	// A lease that never was is lost, and a subscription another one: not absent.
	lost := func(ctx context.Context, s store.Store) error {
		err := s.DeleteSubscription(ctx, "sub_0", 1)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		return s.ReleaseLease(ctx, store.Lease{Key: "k", Holder: "me", Epoch: 1})
	}
	contract := reflect.TypeFor[store.Store]()
	for i := range contract.NumMethod() {
		name := contract.Method(i).Name
		if _, ok := all[name]; !ok && name != "ReleaseLease" && name != "DeleteSubscription" && name != "Close" {
			t.Errorf("%s is not in the table", name)
		}
	}
	s.run(t, "on an empty store", func(e *env) {
		e.is(lost(e.ctx, e.Store), store.ErrLeaseLost)
		for _, absent := range []bool{true, false} { // those that leave something behind come last
			for name, m := range all {
				if m.absent != absent {
					continue
				}
				if err := m.call(e.ctx, e.Store); absent != errors.Is(err, store.ErrNotFound) || !absent && err != nil {
					e.t.Errorf("%s: %v", name, err)
				}
			}
		}
	})
	s.run(t, "with a context that has ended", func(e *env) {
		ctx, cancel := context.WithCancel(e.ctx)
		cancel()
		for name, m := range all {
			if err := m.call(ctx, e.Store); err == nil || ctx.Err() == nil {
				e.t.Errorf("%s did not mind", name)
			} else {
				e.is(err, context.Canceled)
			}
		}
		e.is(lost(ctx, e.Store), context.Canceled)
		for name, m := range all { // and nothing has happened
			if m.absent {
				if err := m.call(e.ctx, e.Store); err == nil {
					e.t.Errorf("%s finds something", name)
				}
			}
		}
		e.accept(store.Intake{Push: push(1)})
	})
	s.run(t, "after Close", func(e *env) {
		if err := e.Close(); err != nil {
			e.t.Fatal(err)
		}
		for _, m := range all {
			e.is(m.call(e.ctx, e.Store), store.ErrUnavailable)
		}
		e.is(lost(e.ctx, e.Store), store.ErrUnavailable)
	})
	s.run(t, "Close waits for what is under way", func(e *env) {
		const n = 50
		began, ended := make(chan struct{}, n), make(chan error, n)
		for i := range n {
			go func() {
				began <- struct{}{}
				_, err := e.AppendRefreshToken(e.ctx, store.RefreshToken{Authorization: id1, Value: secret("%d", i)})
				ended <- err
			}()
		}
		for range n {
			<-began
		}
		if err := e.Close(); err != nil {
			e.t.Fatal(err)
		}
		for range n { // each was done, or was refused because it came too late
			if err := <-ended; err != nil {
				e.is(err, store.ErrUnavailable)
			}
		}
	})
	s.run(t, "what was handed in or out is not shared", func(e *env) {
		p := push(1)
		p = e.accept(store.Intake{Push: p})
		g := fullGrant()
		a, _ := e.grant(g)
		g.PermissionSets[0], a.PermissionSets[1] = 99, 99
		e.authorizer(id1).PermissionSets[2] = 99
		e.equal(e.authorizer(id1).PermissionSets, []tuoguan.PermissionSet{1, 2, 17})
		must[store.Push](e)(e.Push(e.ctx, p.ID)).Body[0] = 'X'
		e.equal(must[store.Push](e)(e.Push(e.ctx, p.ID)).Body, push(1).Body)
	})
}
