package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/store"
)

// decoded reads the body of a reply.
func decoded[T any](t *testing.T, r response) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("%v: %d %s", err, r.status, r.body)
	}
	return v
}

// shown is what the tests look at in a subscription.
type shown struct {
	ID, Name, State, Problem string
	Sink                     struct{ Type, URL, Format string }
	Match                    struct{ Kinds, Tags []string }
	Secrets                  struct {
		Signing []struct {
			Fingerprint string
			Until       *time.Time
		}
		Token    bool
		Headers  []string
		Password bool
	}
	Status struct {
		Pending, Dead int
		LastError     string `json:"last_error"`
	}
	SigningSecret string `json:"signing_secret"`
}

// fields returns the fields at fault, in order.
func (r response) fields(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, e := range r.problem(t).Errors {
		if e.Detail == "" || e.DetailZh == "" {
			t.Errorf("%s is not explained in both languages: %+v", e.Field, e)
		}
		names = append(names, e.Field)
	}
	return names
}

func TestSubscriptionLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	r := w.call("POST", "/v1/subscriptions", `{"name":"crm","match":{"kinds":["event.*","text"]},"sink":{"type":"webhook","url":"https://example.com/hook?key=canary-query","headers":{"x-plain":"seen"}},
		"secrets":{"headers":{"x-secret":"canary-header"}}}`)
	made := decoded[shown](t, r)
	if r.status != 201 || !strings.HasPrefix(made.SigningSecret, "whsec_") || made.State != "active" || made.Sink.Format != "cloudevents" || made.Sink.URL != "https://example.com/hook?key=canary-query" {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	if d := cmp.Diff([]string{"X-Secret"}, made.Secrets.Headers); d != "" {
		t.Error(d)
	}
	target := "/v1/subscriptions/" + made.ID
	_, reader := w.newKey(access.Scope{Operations: []access.Operation{access.ReadSubscriptions}})
	for name, r := range map[string]response{
		"a read by who may write": w.call("GET", target, ""),
		"a read by who may not":   w.callAs("Bearer "+reader, "GET", target, ""),
		"a list":                  w.call("GET", "/v1/subscriptions", ""),
	} {
		query := strings.Contains(r.body, "canary-query")
		if r.status != 200 || strings.Contains(r.body, "canary-header") || strings.Contains(r.body, made.SigningSecret) || query != (name == "a read by who may write") {
			t.Errorf("%s shows %d %s", name, r.status, r.body)
		}
		if !strings.Contains(r.body, "https://example.com/hook") {
			t.Errorf("%s does not show where it goes: %s", name, r.body)
		}
	}

	// Changes leave alone what they do not name.
	tag := w.call("GET", target, "").header.Get("ETag")
	r = w.callWith("If-Match", tag, "PATCH", target, `{"name":"crm2"}`)
	if got := decoded[shown](t, r); r.status != 200 || got.Name != "crm2" || got.SigningSecret != "" || !slices.Equal(got.Match.Kinds, []string{"event.*", "text"}) {
		t.Errorf("got %d %s", r.status, r.body)
	}
	for _, method := range []string{"PATCH " + target, "DELETE " + target, "POST " + target + "/pause", "POST " + target + "/secret/rotate"} {
		method, target, _ := strings.Cut(method, " ")
		body := ""
		if method == "PATCH" {
			body = "{}"
		}
		if r := w.callWith("If-Match", tag, method, target, body); r.status != 412 || r.name(t) != "precondition-failed" {
			t.Errorf("%s %s of an older state: got %d %s", method, target, r.status, r.body)
		}
	}

	// A secret header does not go to another host unasked.
	elsewhere := `"sink":{"type":"webhook","url":"https://elsewhere.example.com/"}`
	if r := w.call("PATCH", target, `{`+elsewhere+`}`); r.status != 422 || !slices.Equal(r.fields(t), []string{"secrets.headers.X-Secret"}) {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if r := w.call("PATCH", target, `{"sink":{"type":"webhook","url":"https://example.com/other"}}`); r.status != 200 {
		t.Errorf("another path of the same host: got %d %s", r.status, r.body)
	}
	r = w.call("PATCH", target, `{`+elsewhere+`,"secrets":{"headers":{"x-secret":""}}}`)
	if got := decoded[shown](t, r); r.status != 200 || len(got.Secrets.Headers) != 0 {
		t.Errorf("got %d %s", r.status, r.body)
	}

	// Another format has other secrets.
	if r := w.call("PATCH", target, `{"sink":{"type":"webhook","format":"wechat","url":"https://elsewhere.example.com/"}}`); r.status != 422 ||
		!slices.Equal(r.fields(t), []string{"secrets.token", "secrets.encoding_aes_key"}) {
		t.Errorf("got %d %s", r.status, r.body)
	}
	wechat := `{"sink":{"type":"webhook","format":"wechat","url":"https://elsewhere.example.com/"},"secrets":{"token":"canaryToken","encoding_aes_key":"` + strings.Repeat("c", 43) + `"}}`
	r = w.call("PATCH", target, wechat)
	if got := decoded[shown](t, r); r.status != 200 || !got.Secrets.Token || len(got.Secrets.Signing) != 0 || strings.Contains(r.body, "canaryToken") {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if r := w.call("POST", target+"/secret/rotate", ""); r.status != 422 {
		t.Errorf("there is no signing secret to rotate, and it answers %d %s", r.status, r.body)
	}
	r = w.call("PATCH", target, `{`+elsewhere+`}`)
	if got := decoded[shown](t, r); r.status != 200 || got.Secrets.Token || !strings.HasPrefix(got.SigningSecret, "whsec_") || got.SigningSecret == made.SigningSecret {
		t.Errorf("got %d %s", r.status, r.body)
	}

	// Two secrets sign during a rotation.
	r = w.call("POST", target+"/secret/rotate", `{"overlap_seconds":60}`)
	rotated := decoded[shown](t, r)
	if r.status != 200 || len(rotated.Secrets.Signing) != 2 || rotated.Secrets.Signing[1].Until == nil || rotated.Secrets.Signing[0].Until != nil ||
		rotated.Secrets.Signing[0].Fingerprint != tuoguan.NewSecret(rotated.SigningSecret).Fingerprint() {
		t.Errorf("got %d %s", r.status, r.body)
	}
	w.clock.Advance(2 * time.Minute)
	if got := decoded[shown](t, w.call("GET", target, "")); len(got.Secrets.Signing) != 1 {
		t.Errorf("the old secret does not end: %+v", got.Secrets)
	}
	if r := w.call("POST", target+"/secret/rotate", `{"overlap_seconds":2592001}`); r.status != 422 {
		t.Errorf("got %d %s", r.status, r.body)
	}

	// It is paused, resumed and deleted.
	if got := decoded[shown](t, w.call("POST", target+"/pause", "")); got.State != "paused" {
		t.Errorf("got %+v", got)
	}
	if _, err := w.subscriptions.SetState(t.Context(), made.ID, store.SubscriptionDisabled, "it is gone"); err != nil {
		t.Fatal(err)
	}
	if got := decoded[shown](t, w.call("GET", target, "")); got.State != "disabled" || got.Problem != "it is gone" {
		t.Errorf("got %+v", got)
	}
	if got := decoded[shown](t, w.call("POST", target+"/resume", "")); got.State != "active" || got.Problem != "" {
		t.Errorf("got %+v", got)
	}
	if r := w.call("DELETE", target, ""); r.status != 204 || r.body != "" {
		t.Errorf("got %d %s", r.status, r.body)
	}
	for _, method := range []string{"GET", "DELETE", "PATCH"} {
		body := ""
		if method == "PATCH" {
			body = "{}"
		}
		if r := w.call(method, target, body); r.status != 404 || r.name(t) != "unknown-subscription" {
			t.Errorf("%s: got %d %s", method, r.status, r.body)
		}
	}
	all := w.call("GET", "/v1/audit?limit=500", "").body
	if strings.Contains(all, "canary") || strings.Contains(all, "whsec_") || !strings.Contains(all, "https://example.com/hook?…") || !strings.Contains(all, made.ID) {
		t.Errorf("the audit log is %s", all)
	}
	if log := w.log.String(); strings.Contains(log, "canary") {
		t.Errorf("the log is %s", log)
	}
}

func TestSubscriptionMistakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	for name, tt := range map[string]struct {
		body string
		want []string
	}{
		"nothing":           {`{}`, []string{"name", "match.kinds", "sink.type"}},
		"several":           {`{"name":"","match":{"kinds":["te*xt"],"components":["wx1"]},"sink":{"type":"webhook","url":"ftp://example.com"},"max_age":-1}`, []string{"name", "match.components[0]", "match.kinds[0]", "max_age", "sink.url"}},
		"a private network": {`{"name":"n","match":{"kinds":["*"]},"sink":{"type":"webhook","url":"https://10.0.0.1/"}}`, []string{"sink.url"}},
		"with others":       {`{"name":"","match":{"kinds":["*"]},"sink":{"type":"webhook","url":"https://10.0.0.1/"}}`, []string{"name", "sink.url"}},
		"token for nothing": {`{"name":"n","match":{"kinds":["*"]},"sink":{"type":"webhook","url":"https://example.com/"},"secrets":{"token":"canary1"}}`, []string{"secrets.token"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.call("POST", "/v1/subscriptions", tt.body)
			got := r.fields(t)
			slices.Sort(got)
			slices.Sort(tt.want)
			if d := cmp.Diff(tt.want, got); d != "" || r.status != 422 || strings.Contains(r.body, "canary") {
				t.Errorf("got %d %s: %s", r.status, r.body, d)
			}
		})
	}
	if r := w.call("POST", "/v1/subscriptions", `{"nmae":"n"}`); r.status != 400 {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if r := w.call("GET", "/v1/subscriptions", ""); !strings.Contains(r.body, `"items":[]`) {
		t.Errorf("got %s", r.body)
	}
}

// A key that is bound cannot widen what it has to do with.
func TestSubscriptionReach(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	_, bound := m.newKey(access.Scope{
		Operations: []access.Operation{access.ReadSubscriptions, access.WriteSubscriptions, access.ReplayEvents, access.ReadEvents}, Authorizers: []tuoguan.AuthorizerAppID{account},
		Networks: prefixes("192.0.2.0/24"),
	})
	as := func(method, target, body string) response { return m.callAs("Bearer "+bound, method, target, body) }
	target := "/v1/subscriptions/" + m.subscription
	if r := as("PATCH", target, `{"match":{"kinds":["*"]}}`); r.status != 403 || r.name(t) != "missing-scope" {
		t.Errorf("got %d %s", r.status, r.body)
	}
	all := m.field(m.call("POST", "/v1/subscriptions", `{"name":"all","match":{"kinds":["*"]},"sink":{"type":"webhook","url":"https://example.com/"}}`), "id")
	if r := as("POST", "/v1/events/"+m.event+"/replay", `{"subscription":"`+all+`"}`); r.status != 404 {
		t.Errorf("got %d %s", r.status, r.body)
	}
	// Of those that match, one is within reach.
	if r := as("POST", "/v1/events/"+m.event+"/replay", ""); r.status != 202 || strings.TrimSpace(r.body) != `{"subscriptions":["`+m.subscription+`"]}` {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if r := m.call("POST", "/v1/events/"+m.event+"/replay", ""); r.status != 202 || !strings.Contains(r.body, all) || !strings.Contains(r.body, m.subscription) {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if r := as("GET", "/v1/deliveries?event="+m.event, ""); r.status != 200 || !strings.Contains(r.body, m.subscription) || strings.Contains(r.body, all) {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if r := as("GET", "/v1/events/"+m.event, ""); r.status != 200 || !strings.Contains(r.body, m.subscription) || strings.Contains(r.body, all) {
		t.Errorf("got %d %s", r.status, r.body)
	}
	// The other account's event cannot be had by its number.
	if r := as("POST", target+"/replay", `{"events":["2"]}`); r.status != 422 || !slices.Equal(r.fields(t), []string{"events[0]"}) {
		t.Errorf("got %d %s", r.status, r.body)
	}
}

func TestSubscriptionTest(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	target := "/v1/subscriptions/" + m.subscription + "/test"
	if r := m.call("POST", target, ""); r.status != 200 || !strings.Contains(r.body, `"delivered":true,"status":200`) {
		t.Errorf("got %d %s", r.status, r.body)
	}
	m.send = func(sink.Message) (sink.Receipt, error) {
		return sink.Receipt{Status: 500}, &sink.Refusal{Status: 500, Text: "no"}
	}
	if r := m.call("POST", target, ""); r.status != 200 || !strings.Contains(r.body, `"delivered":false,"status":500`) {
		t.Errorf("got %d %s", r.status, r.body)
	}
	answer := m.field(m.call("POST", "/v1/subscriptions", `{"name":"a","match":{"kinds":["text"]},"sink":{"type":"answer","answer":{"msg_type":"text","content":"hi"}}}`), "id")
	for _, of := range []string{"/test", "/replay"} {
		body := ""
		if of == "/replay" {
			body = `{"dead":true}`
		}
		if r := m.call("POST", "/v1/subscriptions/"+answer+of, body); r.status != 422 {
			t.Errorf("%s: got %d %s", of, r.status, r.body)
		}
	}
}

// waitForReplay waits until the last replay to a subscription has ended.
func (w *world) waitForReplay(id string) response {
	for {
		r := w.call("GET", "/v1/subscriptions/"+id+"/replay", "")
		if w.field(r, "state") != "running" {
			return r
		}
		runtime.Gosched()
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	id := w.field(w.call("POST", "/v1/subscriptions", `{"name":"s","match":{"kinds":["text","event.*"]},"sink":{"type":"webhook","url":"https://example.com/"}}`), "id")
	paused := w.field(w.call("POST", "/v1/subscriptions", `{"name":"p","match":{"kinds":["*"]},"sink":{"type":"webhook","url":"https://example.com/"}}`), "id")
	var events []int64
	for i, kind := range []string{"text", "event.subscribe", "authorized", "component_verify_ticket", "text"} {
		p, _, err := w.store.AcceptPush(t.Context(), store.Intake{
			Push:   store.Push{Key: fmt.Sprint(i), Component: component, Kind: kind, Body: []byte("<xml><MsgType>text</MsgType></xml>"), ReceivedAt: w.clock.Now().Add(time.Duration(i-10) * time.Minute)},
			Routes: []store.Route{{Subscription: id, DueAt: w.clock.Now()}},
		})
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, p.ID)
	}
	// The first is delivered, the second dead, the fifth failed once.
	at := w.clock.Now()
	log := sink.AppendLog(nil, sink.Entry{At: at, Status: 502, Latency: 7, Error: "bad gateway"})
	if err := w.store.SaveDeliveries(t.Context(), []store.Delivery{
		{Subscription: id, Event: store.Push{ID: events[0]}, State: store.DeliveryDelivered, Attempts: 1, FinishedAt: at},
		{Subscription: id, Event: store.Push{ID: events[1]}, State: store.DeliveryDead, Attempts: 9, FinishedAt: at, Log: log},
		{Subscription: id, Event: store.Push{ID: events[2]}, State: store.DeliveryDead, Attempts: 9, FinishedAt: at},
		{Subscription: id, Event: store.Push{ID: events[3]}, State: store.DeliveryDelivered, Attempts: 1, FinishedAt: at},
		{Subscription: id, Event: store.Push{ID: events[4]}, State: store.DeliveryPending, Attempts: 1, DueAt: at.Add(time.Minute), Log: sink.AppendLog(nil, sink.Entry{At: at.Add(-time.Second), Error: "reset"})},
	}); err != nil {
		t.Fatal(err)
	}
	states := func() string {
		var page struct {
			Items []struct {
				Event struct{ ID string }
				State string
			}
		}
		r := w.call("GET", "/v1/deliveries?subscription="+id, "")
		if err := json.Unmarshal([]byte(r.body), &page); err != nil || r.status != 200 {
			t.Fatalf("got %d %s", r.status, r.body)
		}
		var all []string
		for _, d := range page.Items {
			all = append(all, d.Event.ID+" "+d.State)
		}
		return strings.Join(all, ", ")
	}
	if got := states(); got != "5 pending, 4 delivered, 3 dead, 2 dead, 1 delivered" {
		t.Fatalf("got %s", got)
	}
	if s := decoded[shown](t, w.call("GET", "/v1/subscriptions/"+id, "")); s.Status.Pending != 1 || s.Status.Dead != 2 || s.Status.LastError != "bad gateway" {
		t.Errorf("got %+v", s.Status)
	}
	r := w.call("GET", "/v1/deliveries?subscription="+id+"&state=dead&limit=1&cursor=3", "")
	if r.status != 200 || !strings.Contains(r.body, `"log":[{"at":"`) || !strings.Contains(r.body, `"status":502,"latency_ms":7,"error":"bad gateway"`) || strings.Contains(r.body, `"id":"3"`) {
		t.Errorf("got %d %s", r.status, r.body)
	}
	r = w.call("GET", "/v1/deliveries?subscription="+id+"&limit=2", "")
	if got := w.field(r, "next_cursor"); got != "4" {
		t.Errorf("the next page begins at %s", got)
	}
	if r := w.call("GET", "/v1/deliveries?event=2&state=dead", ""); strings.Count(r.body, `"state":"dead"`) != 1 {
		t.Errorf("got %s", r.body)
	}
	for _, wrong := range []string{"", "?state=dead", "?subscription=" + id + "&cursor=x"} {
		if r := w.call("GET", "/v1/deliveries"+wrong, ""); r.status != 400 {
			t.Errorf("%s: got %d %s", wrong, r.status, r.body)
		}
	}

	since := at.Add(-6*time.Minute - 30*time.Second).UTC().Format(time.RFC3339Nano) // the fifth alone
	for _, tt := range []struct {
		body, done, want string
	}{
		{`{"events":["1"]}`, "1", "5 pending, 4 delivered, 3 dead, 2 dead, 1 pending"},
		{`{"kind":"auth*"}`, "0", "5 pending, 4 delivered, 3 dead, 2 dead, 1 pending"}, // is not matched
		{`{"since":"` + since + `"}`, "1", "5 pending, 4 delivered, 3 dead, 2 dead, 1 pending"},
		{`{"kind":"event.subscribe","component":"` + string(component) + `"}`, "1", "5 pending, 4 delivered, 3 dead, 2 pending, 1 pending"},
		{`{"kind":"*","component":"` + string(other) + `"}`, "0", "5 pending, 4 delivered, 3 dead, 2 pending, 1 pending"},
		{`{"dead":true}`, "1", "5 pending, 4 delivered, 3 pending, 2 pending, 1 pending"},
		{`{"kind":"*"}`, "3", "5 pending, 4 delivered, 3 pending, 2 pending, 1 pending"},
	} {
		if r := w.call("POST", "/v1/subscriptions/"+id+"/replay", tt.body); r.status != 202 {
			t.Fatalf("%s: got %d %s", tt.body, r.status, r.body)
		}
		if r := w.waitForReplay(id); w.field(r, "state") != "done" || w.field(r, "done") != tt.done {
			t.Errorf("%s: got %s", tt.body, r.body)
		}
		if got := states(); got != tt.want {
			t.Errorf("%s leads to %s", tt.body, got)
		}
	}
	for body, status := range map[string]int{`{}`: 422, `{"dead":true,"events":["1"]}`: 422, `{"events":["99"]}`: 422, `{"events":["4"]}`: 422, `{"events":[` + strings.Repeat(`"1",`, 1000) + `"1"]}`: 422} {
		if r := w.call("POST", "/v1/subscriptions/"+id+"/replay", body); r.status != status {
			t.Errorf("%.40s: got %d %s", body, r.status, r.body)
		}
	}
	if r := w.call("GET", "/v1/subscriptions/"+paused+"/replay", ""); r.status != 404 || r.name(t) != "unknown-job" {
		t.Errorf("got %d %s", r.status, r.body)
	}
	// A ticket is delivered to nobody.
	if r := w.call("POST", "/v1/events/4/replay", ""); r.status != 422 {
		t.Errorf("got %d %s", r.status, r.body)
	}
}

func TestEventLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	// More events than one page looks at, with two that are rare.
	const many = 6000
	for i := range many {
		kind := "text"
		if i == 7 || i == many-3 {
			kind = "event.rare"
		}
		p := store.Push{Key: fmt.Sprint(i), Component: component, Authorizer: account, Kind: kind, Body: []byte("<xml/>"), ReceivedAt: expiry.Add(time.Duration(i) * time.Second)}
		if _, _, err := w.store.AcceptPush(t.Context(), store.Intake{Push: p}); err != nil {
			t.Fatal(err)
		}
	}
	list := func(query string) (ids []string, pages int) {
		for cursor := ""; ; {
			var page struct {
				Items []struct {
					ID string
				}
				Next string `json:"next_cursor"`
			}
			r := w.call("GET", "/v1/events?"+query+"&cursor="+cursor, "")
			if err := json.Unmarshal([]byte(r.body), &page); err != nil || r.status != 200 {
				t.Fatalf("%s: got %d %s", query, r.status, r.body)
			}
			for _, item := range page.Items {
				ids = append(ids, item.ID)
			}
			pages++
			if cursor = page.Next; cursor == "" {
				return ids, pages
			}
		}
	}
	at := func(i int) string { return expiry.Add(time.Duration(i) * time.Second).UTC().Format(time.RFC3339) }
	for query, want := range map[string][]string{
		"kind=event.*":                                   {"8", "5998"},
		"kind=event.rare&order=desc":                     {"5998", "8"},
		"kind=event.rare&order=desc&limit=1":             {"5998", "8"},
		"since=" + at(many-2):                            {"5999", "6000"},
		"until=" + at(2) + "&order=desc":                 {"2", "1"},
		"since=" + at(5) + "&until=" + at(7):             {"6", "7"},
		"since=" + at(many):                              nil,
		"kind=event.rare&authorizer=" + string(stranger): nil,
	} {
		ids, pages := list(query)
		if d := cmp.Diff(want, ids); d != "" || pages > 3 {
			t.Errorf("%s: %d pages, %s", query, pages, d)
		}
	}
	if ids, pages := list("limit=500"); len(ids) != many || pages != many/500 {
		t.Errorf("%d events on %d pages", len(ids), pages)
	}
	// Those that do not open are left out, and hide no others.
	w.unopened = []int64{1, 2, 8, 300, 5001, 6000}
	for _, order := range []string{"asc", "desc"} {
		if ids, _ := list("limit=7&until=" + at(30) + "&order=" + order); len(ids) != 27 {
			t.Errorf("%s: got %v", order, ids)
		}
	}
	if ids, _ := list("limit=500&order=desc"); len(ids) != many-len(w.unopened) {
		t.Errorf("%d events", len(ids))
	}
	w.unopened = nil
	for _, wrong := range []string{"since=yesterday", "until=1", "order=up"} {
		if r := w.call("GET", "/v1/events?"+wrong, ""); r.status != 400 {
			t.Errorf("%s: got %d %s", wrong, r.status, r.body)
		}
	}
}

func TestEventTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	for i, p := range []store.Push{
		{Kind: "text", Body: []byte("<xml><MsgType>text</MsgType><Content>hello</Content></xml>")},
		{Kind: "unparsed", Body: []byte("nonsense")},
		{Kind: "tuoguan.authorized", Body: []byte(`{"reference":"shop-1"}`)},
	} {
		p.Key, p.Component, p.Authorizer, p.ReceivedAt = fmt.Sprint("k", i), component, account, expiry
		if _, _, err := w.store.AcceptPush(t.Context(), store.Intake{Push: p}); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string][]string{
		"1": {`"event_id":"evt_`, `"seq":1,`, `"fields":{"Content":"hello","MsgType":"text"}`, `"problem":""`, `"deliveries":[]`},
		"2": {`"body":"nonsense"`, `"fields":{}`, `"seq":2,`},
		"3": {`"body":"{\"reference\":\"shop-1\"}"`, `"fields":{"reference":"shop-1"}`},
	} {
		r := w.call("GET", "/v1/events/"+id, "")
		for _, text := range want {
			if r.status != 200 || !strings.Contains(r.body, text) {
				t.Errorf("%s: there is no %s in %d %s", id, text, r.status, r.body)
			}
		}
	}
	if r := w.call("GET", "/v1/events/2", ""); strings.Contains(r.body, `"problem":""`) {
		t.Errorf("there is no problem in %s", r.body)
	}
}

// A subscription that this version cannot read is shown and can be deleted.
func TestUnreadableSubscription(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	if _, err := w.store.PutSubscription(t.Context(), store.Subscription{ID: "sub_new", Name: "from later", Spec: `{"later":true}`, Secrets: []byte("{}"), State: store.SubscriptionActive}); err != nil {
		t.Fatal(err)
	}
	_, bound := w.newKey(access.Scope{Operations: []access.Operation{access.ReadSubscriptions}, Components: []tuoguan.ComponentAppID{component}})
	if r := w.callAs("Bearer "+bound, "GET", "/v1/subscriptions", ""); r.status != http.StatusOK || strings.Contains(r.body, "sub_new") {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if r := w.call("GET", "/v1/subscriptions", ""); r.status != http.StatusOK || !strings.Contains(r.body, `"problem":"this version cannot read it"`) {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if r := w.call("DELETE", "/v1/subscriptions/sub_new", ""); r.status != http.StatusNoContent {
		t.Errorf("got %d %s", r.status, r.body)
	}
}

// What cannot be recorded does not stay.
func TestCreateWithoutRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.auditFails = true
	if r := w.call("POST", "/v1/subscriptions", newSubscription); r.status != 503 {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if all := w.subscriptions.All(); len(all) != 0 {
		t.Errorf("there is %+v", all)
	}
}
