package storetest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// Archived is a store whose content can be dumped, loaded and sealed anew.
type Archived interface {
	store.Store
	store.Archive
}

// OpenArchive returns a new, empty store that goes by the clock and seals with what
// the keys make. The suite closes it.
type OpenArchive func(t *testing.T, clock *tuoguan.Clock, keys store.Keys) Archived

// RunArchive judges implementations of [store.Archive] by the contract. What a store
// dumps is loaded into another one by the same open, and into those of others.
func RunArchive(t *testing.T, open OpenArchive, others ...OpenArchive) {
	a := &archives{open: open}
	for name, f := range map[string]func(*archiveEnv){
		"as of one instant":                    testDumpIsOneInstant,
		"a reader who has seen enough":         testDumpEndsEarly,
		"nothing of what cannot be loaded":     testLoadIsAllOrNothing,
		"as many as there are":                 testLoadOfMany,
		"only into an empty store":             testLoadNeedsRoom,
		"an archive of an earlier version":     testLoadOfEarlierVersion,
		"a swapped value concerns its record":  testSwappedValues,
		"everything is sealed anew":            testReseal,
		"sealing anew goes on where it ended":  testResealInSteps,
		"what does not open stays as it is":    testResealOfDamage,
		"sealing anew beside everything else":  testResealUnderContention,
		"what changes meanwhile is read again": testResealOfChanges,
		"sealing anew has nothing to begin at": testResealPositions,
		"contexts that have ended":             testArchiveContext,
	} {
		a.run(t, name, f)
	}
	for i, other := range append([]OpenArchive{open}, others...) {
		a.run(t, fmt.Sprintf("everything comes back (%d)", i), func(e *archiveEnv) { testRoundTrip(e, other) })
	}
}

type archives struct{ open OpenArchive }

// archiveEnv is an env on a store that is an archive, under a cipher whose key can
// be changed.
type archiveEnv struct {
	*env
	Archived Archived
	cipher   *versioned
	open     OpenArchive
}

func (a *archives) run(t *testing.T, name string, f func(*archiveEnv)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		f(newArchiveEnv(t, a.open, new(versioned)))
	})
}

func newArchiveEnv(t *testing.T, open OpenArchive, cipher *versioned) *archiveEnv {
	clock := new(tuoguan.Clock)
	s := open(t, clock, store.Under(cipher))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &archiveEnv{
		env:      &env{Store: s, t: t, ctx: t.Context(), clock: clock, other: s},
		Archived: s, cipher: cipher, open: open,
	}
}

// another returns an empty store under the same keys.
func (e *archiveEnv) another(open OpenArchive) *archiveEnv {
	return newArchiveEnv(e.t, open, e.cipher)
}

// versioned binds values to their places under a version of a key. It hides nothing.
type versioned struct {
	version atomic.Int32
	sealing func(store.Place) // hears of what is about to be sealed; may be nil
}

const sealMagic = "sealed by storetest "

func (c *versioned) header() []byte { return append([]byte(sealMagic), byte(c.version.Load())) }

func (c *versioned) tag(place store.Place, sealed []byte) []byte {
	mac := hmac.New(sha256.New, []byte("a key"))
	mac.Write([]byte(place.String()))
	mac.Write(sealed)
	return mac.Sum(nil)
}

func (c *versioned) Seal(place store.Place, plaintext []byte) ([]byte, error) {
	if c.sealing != nil {
		c.sealing(place)
	}
	sealed := append(c.header(), rand.Text()[:8]...) // no two are the same
	sealed = append(sealed, plaintext...)
	return append(sealed, c.tag(place, sealed)...), nil
}

func (c *versioned) Open(place store.Place, sealed []byte) ([]byte, error) {
	head := len(sealMagic) + 1 + 8
	end := len(sealed) - sha256.Size
	if end < head || !hmac.Equal(sealed[end:], c.tag(place, sealed[:end])) {
		return nil, fmt.Errorf("%w: another place, or damaged", store.ErrQuarantined)
	}
	return bytes.Clone(sealed[head:end]), nil
}

func (c *versioned) Current(sealed []byte) bool { return bytes.HasPrefix(sealed, c.header()) }

// isSealed reports whether a value of a dump is sealed.
func isSealed(v any) bool {
	b, ok := v.([]byte)
	return ok && bytes.HasPrefix(b, []byte(sealMagic))
}

// fill stores several of everything.
func (e *archiveEnv) fill() {
	e.t.Helper()
	e.ok(e.PutSetting(e.ctx, "keys", []byte{0, 1, 2, 255}, 0))
	e.ok(e.PutSetting(e.ctx, "keys", []byte{3, 0}, 1))
	bare := fullComponent()
	bare.AppID, bare.PreviousToken, bare.PreviousEncodingAESKey = "wxbare", tuoguan.Secret{}, tuoguan.Secret{}
	bare.StagedSecret = tuoguan.Secret{}
	for _, c := range []store.Component{fullComponent(), bare} {
		e.ok(e.PutComponent(e.ctx, c))
	}
	must[bool](e.env)(e.SaveComponentToken(e.ctx, fullComponentToken()))
	for n := range 4 {
		ticket := fullTicket(n + 1)
		p := push(n)
		e.accept(store.Intake{Push: p, Ticket: &ticket})
		if n%2 == 0 {
			e.ok(e.SaveReply(e.ctx, p.Key, []byte("reply 托管")))
		}
	}
	l := fullLink()
	l.UsedAt, l.UsedBy = time.Time{}, ""
	e.ok(e.CreateLink(e.ctx, l))
	e.ok(e.CreateVisit(e.ctx, fullVisit()))
	for n := range 5 {
		g := fullGrant()
		g.Authorization.Authorizer = tuoguan.AuthorizerAppID(fmt.Sprintf("wxa%d", n))
		g.Tokens.RefreshToken, g.CodeHash = secret("refresh 1 of %d", n), ""
		e.grant(g)
		if n == 4 {
			continue
		}
		w := fullTokenWrite()
		w.Authorization, w.Tokens.RefreshToken = g.Authorization, secret("refresh 2 of %d", n)
		must[bool](e.env)(e.SaveTokens(e.ctx, w))
		e.ok(e.SaveProfile(e.ctx, g.Authorization, fullProfile()))
		trouble := fullTrouble()
		trouble.Authorization = g.Authorization
		e.trouble(trouble)
		if n == 2 { // the refresh token stays that of the first grant
			next := later(24*time.Hour, "next")
			next.Authorization, next.Tokens.RefreshToken, next.CodeHash = g.Authorization, tuoguan.Secret{}, ""
			e.grant(next)
		}
	}
	must[bool](e.env)(e.Revoke(e.ctx, tuoguan.Authorization{Component: wxc, Authorizer: "wxa3"}, at(48*time.Hour)))
	e.put(fullExchange())
	failed := byRedirect()
	failed.CodeHash, failed.State = "failed", store.ExchangeFailed
	e.put(failed)
	e.ok(e.SaveTags(e.ctx, tuoguan.Authorization{Component: wxc, Authorizer: "wxa1"}, []string{"north", "vip"}))
	e.putKey(e.putKey(newKey("k1"))) // of version 2
	e.putKey(store.APIKey{ID: "k2"})
	e.ok(e.AppendAudit(e.ctx, audits(0, 3)))
	for _, key := range []string{"v1", "v2", "nothing"} {
		v := e.value(key, "data of "+key)
		if v.ExpiresAt = v.ExpiresAt.Add(time.Hour); key == "nothing" {
			v.Data = nil
		}
		e.ok(e.PutValue(e.ctx, v))
	}
	e.putUser(e.putUser(newUser("u1"))) // of version 2
	e.putUser(store.User{ID: "u2", Name: "bare"})
	e.putUser(newUser("u3"))
	e.putSession("not in an archive", "u1")
	e.ok(e.AppendTokenEvents(e.ctx, tokenEvents(id1, 0, 2))) // nor are these
	must[store.Subscription](e.env)(e.PutSubscription(e.ctx, store.Subscription{ID: "a", Secrets: []byte("secrets of a")}))
	must[store.Subscription](e.env)(e.PutSubscription(e.ctx, store.Subscription{ID: "b", Spec: "{}", Secrets: []byte("secrets of b")}))
	routed := e.accept(store.Intake{Push: push(10), Routes: []store.Route{route("a", at(0)), route("b", at(time.Hour))}})
	first := must[[]store.Push](e.env)(e.Pushes(e.ctx, 0, 1))[0].ID
	e.equal(must[int](e.env)(e.PutDeliveries(e.ctx, "a", []int64{routed.ID - 1}, at(time.Minute))), 1)
	e.equal(must[int](e.env)(e.PutDeliveries(e.ctx, "b", []int64{first}, at(0))), 1)
	e.ok(e.SaveDeliveries(e.ctx, []store.Delivery{
		{Subscription: "a", Event: routed, State: store.DeliveryDelivered, Attempts: 2, Log: []byte("log\x00"), FinishedAt: at(time.Second)},
		{Subscription: "a", Event: store.Push{ID: routed.ID - 1}, State: store.DeliveryDead, Attempts: 3, FinishedAt: at(time.Second)},
	}))
	e.acquire("held", "me", time.Hour)
	e.acquire("held twice", "me", time.Hour)
	e.acquire("held twice", "me", time.Hour)
}

// dump returns copies of all records.
func (e *archiveEnv) dump() (all []store.Record) {
	e.t.Helper()
	for r, err := range e.Archived.Dump(e.ctx) {
		e.ok(err)
		all = append(all, cloneRecord(r))
	}
	return all
}

func cloneRecord(r store.Record) store.Record {
	r.Columns, r.Values = slices.Clone(r.Columns), slices.Clone(r.Values)
	for i, v := range r.Values {
		if b, ok := v.([]byte); ok {
			r.Values[i] = bytes.Clone(b)
		}
	}
	return r
}

// sequence yields records, and then an error if there is one.
func sequence(all []store.Record, err error) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for _, r := range all {
			r = cloneRecord(r)
			if !yield(r, nil) {
				return
			}
			for _, v := range r.Values { // whoever kept it has lost
				if b, ok := v.([]byte); ok {
					clear(b)
				}
			}
			clear(r.Values)
		}
		if err != nil {
			yield(store.Record{}, err)
		}
	}
}

// readings reads everything that is there, through the contract.
func (e *archiveEnv) readings() map[string]any {
	e.t.Helper()
	got := make(map[string]any)
	note := func(name string, v any, err error) {
		e.t.Helper()
		if err != nil {
			e.t.Errorf("%s: %v", name, err)
		}
		got[name] = v
	}
	setting, version, err := e.Setting(e.ctx, "keys")
	note("setting", fmt.Sprint(setting, version), err)
	components, err := e.Components(e.ctx)
	note("components", components, err)
	tickets, err := e.Tickets(e.ctx, wxc)
	note("tickets", tickets, err)
	token, err := e.ComponentToken(e.ctx, wxc)
	note("component token", token, err)
	authorizers, err := e.Authorizers(e.ctx, store.AuthorizerQuery{})
	note("authorizers", authorizers, err)
	for _, a := range authorizers {
		history, err := e.RefreshTokens(e.ctx, a.Authorization)
		note("history of "+a.Authorization.String(), history, err)
	}
	for _, hash := range []string{"codehash", "failed"} {
		x, err := e.Exchange(e.ctx, wxc, hash)
		note("exchange "+hash, x, err)
	}
	links, err := e.Links(e.ctx, "", "", 0)
	note("links", links, err)
	visit, err := e.VisitByNonce(e.ctx, "noncehash")
	note("visit", visit, err)
	pushes, err := e.Pushes(e.ctx, 0, 0)
	note("pushes", pushes, err)
	subscriptions, err := e.Subscriptions(e.ctx, "", 0)
	note("subscriptions", subscriptions, err)
	deliveries, err := e.Deliveries(e.ctx, store.DeliveryQuery{})
	note("deliveries", deliveries, err)
	due, err := e.DueDeliveries(e.ctx, "b", at(time.Hour), 0)
	note("due", due, err)
	keys, err := e.APIKeys(e.ctx, "", 0)
	note("API keys", keys, err)
	note("audit", e.audit(), nil)
	users, err := e.Users(e.ctx, "", 0)
	note("users", users, err)
	for _, key := range []string{"v1", "v2", "nothing"} {
		v, err := e.Value(e.ctx, key)
		note("value "+key, v, err)
	}
	return got
}

// testRoundTrip dumps everything and loads it into another store.
func testRoundTrip(e *archiveEnv, open OpenArchive) {
	e.fill()
	all := e.dump()
	seen := make(map[string]int)
	for _, r := range all {
		seen[r.Table]++
		for i, v := range r.Values {
			switch v.(type) {
			case nil, int64, string, []byte:
			default:
				e.t.Errorf("%s.%s is a %T", r.Table, r.Columns[i], v)
			}
		}
	}
	e.equal(seen, map[string]int{
		"meta": 1, "components": 2, "tickets": 3, "component_tokens": 1, "authorizers": 5,
		"authorizer_permission_sets": 3 + 2*3 + 3, "refresh_tokens": 9, "exchanges": 2, "links": 1, "visits": 1, "pushes": 5, "leases": 2,
		"event_sequences": 1, "subscriptions": 2, "deliveries": 4,
		"api_keys": 2, "audit": 3, "kept_values": 3, "users": 3,
	})

	other := e.another(open)
	e.ok(other.PutSetting(e.ctx, "keys", []byte("its own"), 0))
	e.ok(other.PutSetting(e.ctx, "more", []byte("its own"), 0))
	e.ok(other.Archived.Load(e.ctx, sequence(all, nil)))
	_, _, err := other.Setting(e.ctx, "more")
	e.is(err, store.ErrNotFound)
	e.equal(other.readings(), e.readings())
	e.equal(other.dump(), all)

	// Work goes on: numbers are not given twice, terms are later ones, and nobody
	// who held a lease holds it on the copy.
	last := must[[]store.Push](e.env)(e.Pushes(e.ctx, 0, 0))
	if p := other.accept(store.Intake{Push: push(100)}); p.ID <= last[len(last)-1].ID {
		e.t.Errorf("push %d after %d", p.ID, last[len(last)-1].ID)
	} else if p.Seq != 6 {
		e.t.Errorf("push has number %d after 5", p.Seq)
	}
	id := tuoguan.Authorization{Component: wxc, Authorizer: "wxa0"}
	must[bool](e.env)(other.AppendRefreshToken(e.ctx, store.RefreshToken{Authorization: id, Grant: 1, Value: secret("newer")}))
	e.equal(other.history(id)[0], "newer")
	ticket := fullTicket(9)
	other.accept(store.Intake{Push: push(101), Ticket: &ticket})
	another := later(0, "another")
	another.Authorization.Authorizer = "wxanother"
	other.grant(another)
	other.putKey(other.key("k1"))
	other.putUser(must[store.User](e.env)(other.UserByName(e.ctx, "NAME of u1")))
	other.refuseUser(store.User{ID: "u9", Name: "BARE"})
	other.equal(other.sessionsOf("u1"), []store.Session(nil))
	other.equal(other.tokenEvents(id1), []store.TokenEvent(nil))
	other.ok(other.AppendAudit(e.ctx, audits(3, 2)))
	other.equal(must[store.Value](e.env)(other.TakeValue(e.ctx, "v1")).Data, []byte("data of v1"))
	for key, epoch := range map[string]int64{"held": 2, "held twice": 3} {
		if l := other.acquire(key, "you", time.Minute); l.Epoch != epoch {
			e.t.Errorf("%s has epoch %d, want %d", key, l.Epoch, epoch)
		}
	}
}

func testDumpIsOneInstant(e *archiveEnv) {
	e.fill()
	want := e.dump()
	var got []store.Record
	for r, err := range e.Archived.Dump(e.ctx) {
		e.ok(err)
		if len(got) == 0 { // what is written meanwhile is not held up, and not seen
			e.grant(later(0, "meanwhile"))
			e.accept(store.Intake{Push: push(77)})
			e.ok(e.PutSetting(e.ctx, "meanwhile", nil, 0))
			e.ok(e.PutComponent(e.ctx, fullComponent()))
			e.ok(e.AppendAudit(e.ctx, audits(3, 1)))
			must[store.Value](e.env)(e.TakeValue(e.ctx, "v1"))
		}
		got = append(got, cloneRecord(r))
	}
	e.equal(got, want)
	if len(e.dump()) <= len(want) {
		e.t.Error("nothing was written meanwhile")
	}
}

func testDumpEndsEarly(e *archiveEnv) {
	e.fill()
	for stop := range 3 {
		n := 0
		for _, err := range e.Archived.Dump(e.ctx) {
			e.ok(err)
			if n++; n > stop {
				break
			}
		}
	}
	e.grant(later(0, "afterwards"))
	e.dump()
}

func testLoadIsAllOrNothing(e *archiveEnv) {
	e.fill()
	all := e.dump()
	target := e.another(e.open)
	e.ok(target.PutSetting(e.ctx, "keys", []byte("its own"), 0))
	// change alters the first record of a table.
	change := func(table string, f func(*store.Record)) []store.Record {
		changed := slices.Clone(all)
		i := slices.IndexFunc(all, func(r store.Record) bool { return r.Table == table })
		changed[i] = cloneRecord(all[i])
		f(&changed[i])
		return changed
	}
	set := func(column string, value any) func(*store.Record) {
		return func(r *store.Record) { r.Values[slices.Index(r.Columns, column)] = value }
	}
	failure := errors.New("the archive is damaged")
	for name, records := range map[string]iter.Seq2[store.Record, error]{
		"an error at the end": sequence(all, failure),
		"an unknown table":    sequence(append(slices.Clone(all), store.Record{Table: "sqlite_master", Columns: []string{"x"}, Values: []any{"x"}}), nil),
		"an unknown column":   sequence(change("pushes", func(r *store.Record) { r.Columns[1] = "x) VALUES (1); --" }), nil),
		"a column twice": sequence(change("pushes", func(r *store.Record) {
			r.Columns, r.Values = append(r.Columns, r.Columns[0]), append(r.Values, r.Values[0])
		}), nil),
		"a column without value":  sequence(change("pushes", func(r *store.Record) { r.Values = r.Values[1:] }), nil),
		"text for a number":       sequence(change("authorizers", set("grant_no", "1")), nil),
		"a number for text":       sequence(change("authorizers", set("state", int64(1))), nil),
		"text for bytes":          sequence(change("authorizers", set("access_token", "plain")), nil),
		"nothing for a number":    sequence(change("authorizers", set("epoch", nil)), nil),
		"a value of no kind":      sequence(change("links", set("used_at", 1.5)), nil),
		"the same record twice":   sequence(append(slices.Clone(all), all[len(all)-1]), nil),
		"a record without a key":  sequence(change("leases", func(r *store.Record) { *r = without(*r, "lease_key") }), nil),
		"an account without name": sequence(change("pushes", func(r *store.Record) { *r = without(*r, "id") }), nil),
	} {
		err := target.Archived.Load(e.ctx, records)
		if err == nil {
			e.t.Fatalf("%s: loaded", name)
		}
		if name == "an error at the end" {
			e.is(err, failure)
		}
		if got := target.dump(); len(got) != 1 {
			e.t.Fatalf("%s: %d records stayed", name, len(got))
		}
		value, version, err := target.Setting(e.ctx, "keys")
		if string(value) != "its own" || version != 1 || err != nil {
			e.t.Errorf("%s: setting %q, version %d, %v", name, value, version, err)
		}
	}
	e.ok(target.Archived.Load(e.ctx, sequence(all, nil)))
	e.equal(target.dump(), all)
}

// testLoadOfMany loads more records of a table than go into one statement, some of
// them large and some without a column in between.
func testLoadOfMany(e *archiveEnv) {
	e.fill()
	all := e.dump()
	i := slices.IndexFunc(all, func(r store.Record) bool { return r.Table == "pushes" })
	var many, want []store.Record
	for n := range 300 {
		r := cloneRecord(all[i])
		set := func(column string, v any) { r.Values[slices.Index(r.Columns, column)] = v }
		set("id", int64(n+1))
		set("dedup_key", fmt.Sprintf("key %d", n))
		set("kind", fmt.Sprintf("kind %d", n))
		set("body", bytes.Repeat([]byte{byte(n)}, 1+n%7*30_000))
		if n%50 == 0 {
			set("reply", nil)
			many = append(many, without(r, "reply"))
		} else {
			many = append(many, r)
		}
		want = append(want, r)
	}
	target := e.another(e.open)
	e.ok(target.Archived.Load(e.ctx, sequence(slices.Concat(all[:i], many), nil)))
	e.equal(digests(target.dump()), digests(slices.Concat(all[:i], want)))
}

// digests stand for records that are too large to be compared byte by byte.
func digests(all []store.Record) (digests []string) {
	for _, r := range all {
		digests = append(digests, fmt.Sprintf("%s %v %x", r.Table, r.Columns, sha256.Sum256(fmt.Append(nil, r.Values...))))
	}
	return digests
}

// without returns a record without a column.
func without(r store.Record, column string) store.Record {
	r = cloneRecord(r)
	i := slices.Index(r.Columns, column)
	r.Columns, r.Values = slices.Delete(r.Columns, i, i+1), slices.Delete(r.Values, i, i+1)
	return r
}

func testLoadNeedsRoom(e *archiveEnv) {
	e.fill()
	all := e.dump()
	for name, put := range map[string]func(*archiveEnv){
		"a component":   func(e *archiveEnv) { e.ok(e.PutComponent(e.ctx, fullComponent())) },
		"an authorizer": func(e *archiveEnv) { e.grant(fullGrant()) },
		"an API key":    func(e *archiveEnv) { e.putKey(newKey("other")) },
		"a user":        func(e *archiveEnv) { e.putUser(newUser("other")) },
		"a log":         func(e *archiveEnv) { e.ok(e.AppendAudit(e.ctx, audits(0, 1))) },
	} {
		target := e.another(e.open)
		e.ok(target.PutSetting(e.ctx, "keys", []byte("its own"), 0))
		put(target)
		before := target.dump()
		if err := target.Archived.Load(e.ctx, sequence(all, nil)); err == nil {
			e.t.Errorf("loaded beside %s", name)
		}
		e.equal(target.dump(), before)
	}
	e.equal(e.dump(), all)
}

// testLoadOfEarlierVersion loads records that lack columns, and lacks tables.
func testLoadOfEarlierVersion(e *archiveEnv) {
	e.fill()
	all := e.dump()
	dropped := map[string][]string{
		"authorizers": {"trouble_message", "tags"}, "links": {"used_at"},
		"components": {"previous_token", "staged_secret"}, "exchanges": {"revoked_at"},
	}
	all = slices.DeleteFunc(all, func(r store.Record) bool {
		return slices.Contains([]string{"api_keys", "audit", "kept_values", "users"}, r.Table)
	})
	want := slices.Clone(all)
	for i, r := range all {
		want[i] = cloneRecord(r)
		for _, column := range dropped[r.Table] {
			at := slices.Index(r.Columns, column)
			switch want[i].Values[at].(type) {
			case int64:
				want[i].Values[at] = int64(0)
			case string:
				want[i].Values[at] = ""
			default:
				want[i].Values[at] = nil
			}
			all[i] = without(all[i], column)
		}
	}
	target := e.another(e.open)
	e.ok(target.Archived.Load(e.ctx, sequence(all, nil)))
	e.equal(target.dump(), want)
}

// testSwappedValues loads an archive in which two sealed values have changed places.
func testSwappedValues(e *archiveEnv) {
	e.fill()
	all := e.dump()
	for _, tt := range []struct{ table, column string }{
		{"authorizers", "access_token"}, {"refresh_tokens", "value"}, {"pushes", "body"}, {"tickets", "value"},
		{"kept_values", "data"}, {"subscriptions", "secrets"}, {"users", "password"}, {"users", "totp"},
	} {
		swapped := slices.Clone(all)
		var at []int
		for i, r := range all {
			if r.Table == tt.table && isSealed(r.Values[slices.Index(r.Columns, tt.column)]) {
				at = append(at, i)
			}
		}
		column := slices.Index(all[at[0]].Columns, tt.column)
		first, second := cloneRecord(all[at[0]]), cloneRecord(all[at[1]])
		first.Values[column], second.Values[column] = second.Values[column], first.Values[column]
		swapped[at[0]], swapped[at[1]] = first, second
		target := e.another(e.open)
		e.ok(target.Archived.Load(e.ctx, sequence(swapped, nil)))

		authorizers, errAuthorizers := target.Authorizers(e.ctx, store.AuthorizerQuery{})
		pushes, errPushes := target.Pushes(e.ctx, 0, 0)
		subscriptions, errSubscriptions := target.Subscriptions(e.ctx, "", 0)
		users, errUsers := target.Users(e.ctx, "", 0)
		// What is due is told of even where the event does not open.
		due, errDue := target.DueDeliveries(e.ctx, "b", epoch.Add(time.Hour), 0)
		hit := tt.table == "pushes"
		if len(due) != 2 || errors.Is(errDue, store.ErrQuarantined) != hit || !hit && errDue != nil || (due[0].Event.Body == nil) != hit || due[0].Event.Key == "" {
			e.t.Errorf("%s.%s swapped: %d are due, %v", tt.table, tt.column, len(due), errDue)
		}
		tickets, errTickets := target.Tickets(e.ctx, wxc)
		tokens := 0
		var errTokens error
		for n := range 5 {
			history, err := target.RefreshTokens(e.ctx, tuoguan.Authorization{Component: wxc, Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wxa%d", n))})
			tokens, errTokens = tokens+len(history), errors.Join(errTokens, err)
		}
		values := 0
		var errValues error
		for _, key := range []string{"v1", "v2", "nothing"} {
			switch _, err := target.Value(e.ctx, key); {
			case err == nil:
				values++
			default:
				errValues = errors.Join(errValues, err)
				_, err = target.TakeValue(e.ctx, key)
				e.is(err, store.ErrQuarantined) // and it stays
			}
		}
		for _, list := range []struct {
			table      string
			got, whole int
			err        error
		}{
			{"authorizers", len(authorizers), 5, errAuthorizers}, {"pushes", len(pushes), 5, errPushes},
			{"tickets", len(tickets), 3, errTickets}, {"refresh_tokens", tokens, 9, errTokens}, {"kept_values", values, 3, errValues},
			{"subscriptions", len(subscriptions), 2, errSubscriptions}, {"users", len(users), 3, errUsers},
		} {
			hit := list.table == tt.table
			if hit {
				list.whole -= 2
			}
			if errors.Is(list.err, store.ErrQuarantined) != hit || !hit && list.err != nil || list.got != list.whole {
				e.t.Errorf("%s.%s swapped: %d of %s, want %d, %v", tt.table, tt.column, list.got, list.table, list.whole, list.err)
			}
		}
	}
}

// reseal seals everything anew, in steps of so many records.
func (e *archiveEnv) reseal(limit int) (sum store.Resealed) {
	e.t.Helper()
	for after := ""; ; {
		r := must[store.Resealed](e.env)(e.Archived.Reseal(e.ctx, after, limit))
		if limit > 0 && r.Looked > limit {
			e.t.Errorf("looked at %d records, at most %d were asked for", r.Looked, limit)
		}
		sum.Looked, sum.Changed, sum.Failed = sum.Looked+r.Looked, sum.Changed+r.Changed, sum.Failed+r.Failed
		if r.Next == "" {
			return sum
		}
		if r.Next == after {
			e.t.Fatalf("no progress beyond %q", after)
		}
		after = r.Next
	}
}

// old names the sealed values that are not under the key in force.
func (e *archiveEnv) old() (all []string) {
	e.t.Helper()
	for _, r := range e.dump() {
		for i, v := range r.Values {
			if isSealed(v) && !e.cipher.Current(v.([]byte)) {
				all = append(all, fmt.Sprintf("%s.%s", r.Table, r.Columns[i]))
			}
		}
	}
	return all
}

// sealedRecords counts the records that hold a sealed value, and all of their tables.
func (e *archiveEnv) sealedRecords() (holding, all int) {
	e.t.Helper()
	perTable, tables := make(map[string]int), make(map[string]bool)
	for _, r := range e.dump() {
		perTable[r.Table]++
		if slices.ContainsFunc(r.Values, isSealed) {
			holding++
			tables[r.Table] = true
		}
	}
	for table := range maps.Keys(tables) {
		all += perTable[table]
	}
	return holding, all
}

func testReseal(e *archiveEnv) {
	e.fill()
	holding, all := e.sealedRecords()
	e.equal(e.reseal(0), store.Resealed{Looked: all})
	want, before := e.readings(), e.dump()
	e.cipher.version.Add(1)
	if len(e.old()) == 0 {
		e.t.Fatal("no value is sealed under an old key")
	}
	e.equal(e.reseal(0), store.Resealed{Looked: all, Changed: holding})
	e.equal(e.old(), []string(nil))
	e.equal(e.readings(), want)
	e.equal(e.reseal(0), store.Resealed{Looked: all})
	after := e.dump()
	for i := range before { // nothing else has changed
		for j, v := range before[i].Values {
			if isSealed(v) {
				before[i].Values[j], after[i].Values[j] = nil, nil
			}
		}
	}
	e.equal(after, before)
}

func testResealInSteps(e *archiveEnv) {
	e.fill()
	holding, all := e.sealedRecords()
	for limit := 1; limit < 9; limit++ {
		e.cipher.version.Add(1)
		e.equal(e.reseal(limit), store.Resealed{Looked: all, Changed: holding})
		e.equal(e.old(), []string(nil))
	}
	e.readings()
}

func testResealOfDamage(e *archiveEnv) {
	e.fill()
	all := e.dump()
	for i, r := range all {
		if at := slices.Index(r.Columns, "access_token"); at >= 0 { // of the first authorizer
			all[i].Values[at].([]byte)[30] ^= 1
			break
		}
	}
	target := e.another(e.open)
	e.ok(target.Archived.Load(e.ctx, sequence(all, nil)))
	holding, looked := target.sealedRecords()
	e.cipher.version.Add(1)
	e.equal(target.reseal(2), store.Resealed{Looked: looked, Changed: holding - 1, Failed: 1})
	e.equal(target.old(), []string{"authorizers.access_token", "authorizers.refresh_token"})
	for i, r := range target.dump() {
		if r.Table == "authorizers" && !slices.ContainsFunc(r.Values, func(v any) bool { return isSealed(v) && e.cipher.Current(v.([]byte)) }) {
			e.equal(r, all[i])
		}
	}
}

// testResealOfChanges has records change between being read and being written.
func testResealOfChanges(e *archiveEnv) {
	for n := range 3 {
		g := later(0, fmt.Sprint(n))
		g.Authorization.Authorizer = tuoguan.AuthorizerAppID(fmt.Sprintf("wxa%d", n))
		e.grant(g)
		p := push(n)
		p.Authorizer = g.Authorization.Authorizer
		e.accept(store.Intake{Push: p})
	}
	must[bool](e.env)(e.SaveComponentToken(e.ctx, fullComponentToken()))
	e.ok(e.PutValue(e.ctx, e.value("v1", "data")))
	id := tuoguan.Authorization{Component: wxc, Authorizer: "wxa1"}
	meanwhile := map[string]func(){
		"refresh_token": func() { // stays, beside an access token of the next grant
			g := later(time.Hour, "meanwhile")
			g.Authorization, g.Tokens.RefreshToken = id, tuoguan.Secret{}
			e.grant(g)
		},
		"component_token": func() {
			token := fullComponentToken()
			token.Epoch, token.Value = 9, secret("a later one")
			must[bool](e.env)(e.SaveComponentToken(e.ctx, token))
		},
		"push": func() { e.ok(e.Collect(e.ctx, store.Retention{Pushes: at(2 * time.Second)})) }, // the row is gone
		"value": func() {
			e.equal(must[store.Value](e.env)(e.TakeValue(e.ctx, "v1")).Data, []byte("data"))
		},
	}
	e.cipher.version.Add(1)
	e.cipher.sealing = func(place store.Place) {
		change := meanwhile[place.Field]
		if change == nil || place.Authorizer != "" && place.Authorizer != id.Authorizer {
			return
		}
		delete(meanwhile, place.Field)
		change()
	}
	got := e.reseal(0)
	e.equal(len(meanwhile), 0)
	e.equal(e.old(), []string(nil))
	// One component token, already sealed anew by the one who came between; three
	// authorizers; three entries of the history; of three pushes two are gone, and so is a value.
	e.equal(got, store.Resealed{Looked: 11, Changed: 7})
	a := e.authorizer(id)
	e.equal(a.Tokens.AccessToken, secret("access meanwhile"))
	e.equal(a.Tokens.RefreshToken, secret("refresh 1"))
	e.equal(must[store.ComponentToken](e.env)(e.ComponentToken(e.ctx, wxc)).Value, secret("a later one"))
}

// testResealUnderContention writes everywhere while everything is sealed anew, again
// and again. Nothing written may be lost, and in the end nothing is under an old key.
func testResealUnderContention(e *archiveEnv) {
	e.fill()
	const writers, rounds = 8, 12
	done := make(chan struct{})
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			id := tuoguan.Authorization{Component: wxc, Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wx%d", i))}
			component := fullComponent()
			component.AppID = tuoguan.ComponentAppID(fmt.Sprintf("wxc%d", i))
			fail := func(err error) {
				if err != nil {
					e.t.Error(err)
				}
			}
			for n := range rounds {
				g := later(time.Duration(n)*time.Hour, fmt.Sprintf("%d/%d", i, n))
				g.Authorization, g.CodeHash = id, ""
				if n%3 == 2 {
					g.Tokens.RefreshToken = tuoguan.Secret{} // the old one is carried over
				}
				a, _, err := e.SaveGrant(e.ctx, g)
				fail(err)
				w := fullTokenWrite()
				w.Authorization, w.Grant, w.Epoch = id, a.Grant, 1
				w.Tokens.RefreshToken, w.Used = tuoguan.Secret{}, tuoguan.Secret{}
				w.Tokens.AccessToken = secret("access %d/%d", i, n)
				moved, err := e.SaveTokens(e.ctx, w)
				fail(err)
				if !moved {
					e.t.Errorf("refresh %d of %s has not moved", n, id)
				}
				component.Secret = secret("secret %d", n)
				fail(e.PutComponent(e.ctx, component))
				token := fullComponentToken()
				token.Component, token.Epoch, token.Value = component.AppID, int64(n+1), secret("component token %d", n)
				_, err = e.SaveComponentToken(e.ctx, token)
				fail(err)
				p := push(1000 + i*rounds + n)
				_, _, err = e.AcceptPush(e.ctx, store.Intake{Push: p})
				fail(err)
				fail(e.SaveReply(e.ctx, p.Key, []byte("reply")))
				v := e.value(fmt.Sprint("value ", i), fmt.Sprint("data ", n))
				v.Version, v.ExpiresAt = int64(n), v.ExpiresAt.Add(time.Hour)
				fail(e.PutValue(e.ctx, v))
				u := newUser(fmt.Sprint("user ", i))
				u.Version, u.Password = int64(n), fmt.Sprint("password ", n)
				_, err = e.PutUser(e.ctx, u)
				fail(err)
				x := byPush()
				x.CodeHash = fmt.Sprintf("hash %d/%d", i, n)
				_, _, err = e.PutExchange(e.ctx, x)
				fail(err)
			}
		})
	}
	go func() {
		wg.Wait()
		close(done)
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		e.cipher.version.Add(1)
		e.equal(e.reseal(7).Failed, 0)
	}
	e.reseal(0)
	e.equal(e.old(), []string(nil))
	e.readings()
	for i := range writers {
		a := e.authorizer(tuoguan.Authorization{Component: wxc, Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wx%d", i))})
		if got, want := a.Tokens.AccessToken.Reveal(), fmt.Sprintf("access %d/%d", i, rounds-1); got != want || a.Grant != rounds {
			e.t.Errorf("grant %d, %q, want %q", a.Grant, got, want)
		}
		if got, want := a.Tokens.RefreshToken.Reveal(), fmt.Sprintf("refresh %d/%d", i, rounds-2); got != want {
			e.t.Errorf("got %q, want %q", got, want)
		}
		v := must[store.Value](e.env)(e.Value(e.ctx, fmt.Sprint("value ", i)))
		e.equal(string(v.Data), fmt.Sprint("data ", rounds-1))
		e.equal(v.Version, int64(rounds))
		e.equal(e.user(fmt.Sprint("user ", i)).Password, fmt.Sprint("password ", rounds-1))
		id := tuoguan.ComponentAppID(fmt.Sprintf("wxc%d", i))
		e.equal(must[store.Component](e.env)(e.Component(e.ctx, id)).Secret, secret("secret %d", rounds-1))
		e.equal(must[store.ComponentToken](e.env)(e.ComponentToken(e.ctx, id)).Value, secret("component token %d", rounds-1))
	}
}

func testResealPositions(e *archiveEnv) {
	e.equal(e.reseal(0), store.Resealed{}) // of an empty store
	for _, after := range []string{"x", "{}", `{"Table":"meta"}`, strings.Repeat("[", 100)} {
		if _, err := e.Archived.Reseal(e.ctx, after, 1); err == nil {
			e.t.Errorf("went on at %q", after)
		}
	}
}

func testArchiveContext(e *archiveEnv) {
	e.fill()
	all := e.dump()
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	n := 0
	var last error
	for _, err := range e.Archived.Dump(ctx) {
		if n++; n == 3 {
			cancel()
		}
		last = err
	}
	e.is(last, context.Canceled)
	if n > 10 {
		e.t.Errorf("%d records were dumped after the end", n-3)
	}
	target := e.another(e.open)
	loading, stop := context.WithCancel(e.ctx)
	defer stop()
	err := target.Archived.Load(loading, func(yield func(store.Record, error) bool) {
		for i, r := range all {
			if i == 3 {
				stop()
			}
			if !yield(r, nil) {
				return
			}
		}
	})
	e.is(err, context.Canceled)
	e.equal(target.dump(), []store.Record(nil))
	_, err = e.Archived.Reseal(ctx, "", 1)
	e.is(err, context.Canceled)
}
