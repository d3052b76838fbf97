package gateway_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/store"
)

const getTicket = "/cgi-bin/ticket/getticket"

func TestTickets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	asked := func() int { return w.sim.Stats().Calls[getTicket] }
	w.faults(func(f *simulator.Faults) { f.ReplyLatencyMS = 200 })
	answers := make([]answer, 64)
	var callers sync.WaitGroup
	for i := range answers {
		callers.Go(func() {
			var err error
			if answers[i], err = w.try("GET", "/as/"+w.account+getTicket+"?type=jsapi", nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	w.faults(func(f *simulator.Faults) { f.ReplyLatencyMS = 0 })
	for _, a := range answers {
		if left, _ := a.field("expires_in").(float64); a.status != 200 || a.text("ticket") == "" || a.text("ticket") != answers[0].text("ticket") || a.text("errmsg") != "ok" || left < 7100 || left > 7200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if n := asked(); n != 1 {
		t.Errorf("%d calls for 64 callers", n)
	}

	// The drop-in form has the same ticket; the other kind is another.
	opaque := w.token(w.account, w.key).text("access_token")
	if a := w.get(getTicket + "?type=jsapi&access_token=" + opaque); a.text("ticket") != answers[0].text("ticket") {
		t.Errorf("drop-in: %d %s", a.status, a.body)
	}
	if a := w.get(getTicket + "?type=wx_card&access_token=" + opaque); a.text("ticket") == answers[0].text("ticket") || a.text("ticket") == "" || asked() != 2 {
		t.Errorf("wx_card: %d %s, %d calls", a.status, a.body, asked())
	}
	// A kind that is not kept goes to WeChat.
	if a := w.get(getTicket + "?type=else&access_token=" + opaque); a.status != 200 || a.errcode() == 0 || asked() != 3 {
		t.Errorf("another kind: %d %s", a.status, a.body)
	}

	// Another replica finds it in the store.
	other := newSite(t, w.store, w.clock, options{tokens: w.keeper, wechat: w.keeper.API(), baseURLs: []string{w.sim.URL}})
	if a := other.get("/as/" + w.account + getTicket + "?type=jsapi"); a.text("ticket") != answers[0].text("ticket") || asked() != 3 {
		t.Errorf("replica: %d %s, %d calls", a.status, a.body, asked())
	}

	// Ahead of its end the old one is handed out while WeChat is asked, which has no new
	// one yet; at its end there is.
	w.clock.Advance(115 * time.Minute)
	for range 3 {
		if a := w.get("/as/" + w.account + getTicket + "?type=jsapi"); a.text("ticket") != answers[0].text("ticket") || a.field("expires_in").(float64) > 300 {
			t.Errorf("ahead of its end: %d %s", a.status, a.body)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); asked() < 4 && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	w.clock.Advance(6 * time.Minute)
	a := w.get("/as/" + w.account + getTicket + "?type=jsapi")
	if a.text("ticket") == answers[0].text("ticket") || a.field("expires_in").(float64) < 7100 || asked() != 5 {
		t.Errorf("after its end: %d %s, %d calls, want 5", a.status, a.body, asked())
	}

	// Refusals are WeChat's own, and nothing is kept of them.
	w.faults(func(f *simulator.Faults) { f.QuotaExhausted = 1 })
	if a := other.get("/as/" + w.account + getTicket + "?type=wx_card"); a.status != 200 || a.errcode() != 45009 {
		t.Errorf("refused: %d %s", a.status, a.body)
	}
	w.faults(func(f *simulator.Faults) { f.QuotaExhausted = 0 })
	if a := other.get("/as/" + w.account + getTicket + "?type=wx_card"); a.text("ticket") == "" {
		t.Errorf("after the refusal: %d %s", a.status, a.body)
	}

	if _, err := w.sim.Unauthorize(context.Background(), w.account, w.component); err != nil {
		t.Fatal(err)
	}
	if a := w.get("/as/" + w.account + getTicket + "?type=jsapi"); a.problem() != "revoked" {
		t.Errorf("revoked: %d %s", a.status, a.body)
	}
}

// away is a store that does not work.
type away struct{}

var errAway = errors.New("away")

func (away) Value(context.Context, string) (store.Value, error)     { return store.Value{}, errAway }
func (away) PutValue(context.Context, store.Value) error            { return errAway }
func (away) TakeValue(context.Context, string) (store.Value, error) { return store.Value{}, errAway }

// late is a store in which another replica is always first.
type late struct {
	away
	theirs store.Value
	asked  bool
}

func (l *late) Value(context.Context, string) (store.Value, error) {
	if !l.asked {
		l.asked = true
		return store.Value{}, store.ErrNotFound
	}
	return l.theirs, nil
}

func (l *late) PutValue(context.Context, store.Value) error { return store.ErrConflict }

func TestTicketsWithoutStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{values: away{}})
	for range 3 {
		if a := w.get("/as/" + w.account + getTicket + "?type=jsapi"); a.status != 200 || a.text("ticket") == "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if n := w.sim.Stats().Calls[getTicket]; n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestTicketOfAnotherReplicaWins(t *testing.T) {
	t.Parallel()
	expiry := time.Now().Add(time.Hour)
	w := newWorld(t, options{values: &late{theirs: store.Value{
		Data: []byte(`{"ticket":"theirs","expires_at":` + expiryText(expiry) + `}`), ExpiresAt: expiry, Version: 3,
	}}})
	if a := w.get("/as/" + w.account + getTicket + "?type=jsapi"); a.text("ticket") != "theirs" {
		t.Errorf("%d %s", a.status, a.body)
	}
}
