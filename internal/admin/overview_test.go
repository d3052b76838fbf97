package admin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/jobs"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

func (w *world) Replicas() int { return 3 }

// read decodes what a request with the API key answers.
func read[T any](w *world, status int, method, target, body string) (value T) {
	w.t.Helper()
	r := w.call(method, target, body)
	if r.status != status {
		w.t.Fatalf("%s %s: %d %s", method, target, r.status, r.body)
	}
	if err := json.Unmarshal([]byte(r.body), &value); err != nil {
		w.t.Fatal(err)
	}
	return value
}

func TestOverview(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.addComponent(component)
	w.addComponent(other)
	w.problems = []obs.Problem{
		{Code: "subscription_disabled", Subscription: "sub_1", Message: "m", Action: "a", ActionChinese: "z"},
		{Code: "ticket_overdue", Component: string(component), Message: "late", Action: "a", ActionChinese: "z"},
		{Code: "something_new", Message: "new"},
	}
	expiring, _, err := w.keys.Create(t.Context(), access.NewKey{Name: "shop", Scope: access.Scope{Operations: []access.Operation{access.ReadTokens}}, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	type shown struct {
		Replicas    int
		Authorizers map[string]int
		Components  []map[string]any
		Alerts      []map[string]string
	}
	got := read[shown](w, http.StatusOK, "GET", "/v1/overview", "")
	if got.Replicas != 3 || got.Authorizers["active"] != 4 || len(got.Components) != 2 {
		t.Errorf("%+v", got)
	}
	var alerts []string
	for _, a := range got.Alerts {
		alerts = append(alerts, a["severity"]+" "+a["code"]+" "+a["component_appid"]+a["subscription"])
		if a["message"] == "" || a["message_zh"] == "" {
			t.Errorf("an alert says nothing: %v", a)
		}
	}
	want := []string{"critical ticket_overdue " + string(component), "warning subscription_disabled sub_1", "warning something_new ", "info key_expiring "}
	if diff := cmp.Diff(want, alerts); diff != "" {
		t.Error(diff)
	}

	_, viewer := w.newKey(access.Scope{Operations: []access.Operation{access.ReadAuthorizers}})
	if r := w.callAs("Bearer "+viewer, "GET", "/v1/overview", ""); r.status != http.StatusOK || strings.Contains(r.body, expiring.Name) || !strings.Contains(r.body, "ticket_overdue") {
		t.Errorf("without keys:read: %d %s", r.status, r.body)
	}
	if s := read[struct {
		Step   int `json:"step_seconds"`
		Points []struct{}
	}](w, http.StatusOK, "GET", "/v1/overview/series?minutes=90", ""); s.Step != 60 || len(s.Points) == 0 {
		t.Errorf("series: %+v", s)
	}
	for _, minutes := range []string{"0", "1441", "x"} {
		if r := w.call("GET", "/v1/overview/series?minutes="+minutes, ""); r.status != http.StatusBadRequest {
			t.Errorf("minutes=%s: %d", minutes, r.status)
		}
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.addComponent(component)
	w.authorize(component, account, "")
	of := tuoguan.Authorization{Component: component, Authorizer: account}
	var events []store.TokenEvent
	for i := range 5 {
		events = append(events, store.TokenEvent{Authorization: of, Kind: "refresh", Result: "ok", Cause: "read", Actor: fmt.Sprint("caller ", i), At: expiry, Duration: 1500 * time.Millisecond})
	}
	if err := w.store.AppendTokenEvents(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	type page struct {
		Items []struct {
			Cause, Actor string
			Duration     int64 `json:"duration_ms"`
		}
		Next string `json:"next_cursor"`
	}
	var actors []string
	cursor := ""
	for range 4 {
		p := read[page](w, http.StatusOK, "GET", "/v1/authorizers/"+string(account)+"/history?limit=2&cursor="+cursor, "")
		for _, item := range p.Items {
			actors = append(actors, item.Actor)
			if item.Cause != "read" || item.Duration != 1500 {
				t.Errorf("%+v", item)
			}
		}
		if cursor = p.Next; cursor == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"caller 4", "caller 3", "caller 2", "caller 1", "caller 0"}, actors); diff != "" {
		t.Error(diff)
	}
	for _, cursor := range []string{"x", "-1", "0"} {
		if r := w.call("GET", "/v1/authorizers/"+string(account)+"/history?cursor="+cursor, ""); r.status != http.StatusBadRequest {
			t.Errorf("cursor %q: %d", cursor, r.status)
		}
	}
}

// ended waits until a job has ended and returns it.
func (w *world) ended(id string) jobs.Job {
	w.t.Helper()
	for {
		if j := read[jobs.Job](w, http.StatusOK, "GET", "/v1/jobs/"+id, ""); !j.EndedAt.IsZero() {
			return j
		}
		time.Sleep(time.Millisecond)
	}
}

func TestBulkJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.addComponent(component)
	w.addComponent(other)
	broken := tuoguan.AuthorizerAppID("wx000000000000000b")
	for i := range 30 {
		w.authorize(component, tuoguan.AuthorizerAppID(fmt.Sprintf("wx00000000000000%02d", i)), "")
	}
	w.authorize(other, broken, "")
	gone := tuoguan.Authorization{Component: component, Authorizer: "wx0000000000000007"}
	if _, err := w.store.Revoke(t.Context(), gone, time.Now()); err != nil {
		t.Fatal(err)
	}
	w.token = func(owner tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
		if owner.Authorization().Authorizer == broken {
			return tuoguan.AccessToken{}, fmt.Errorf("refresh: %w", keeper.ErrNeedsReauthorization)
		}
		return tuoguan.AccessToken{Value: tuoguan.NewSecret("t"), ExpiresAt: expiry}, nil
	}
	start := func(body string) jobs.Job {
		t.Helper()
		return w.ended(read[jobs.Job](w, http.StatusAccepted, "POST", "/v1/jobs", body).ID)
	}
	for _, test := range []struct {
		name, body          string
		done, total, failed int64
	}{
		{"all but the revoked", `{"kind":"refresh-authorizers","authorizers":{}}`, 30, 30, 1},
		{"of a component", `{"kind":"refresh-authorizers","authorizers":{"component":"` + string(component) + `"}}`, 29, 29, 0},
		{"named, and one unknown", `{"kind":"refresh-authorizers","authorizers":{"appids":["wx0000000000000001","wxnone","` + string(broken) + `"]}}`, 3, 3, 2},
		{"nobody", `{"kind":"refresh-authorizers","authorizers":{"tag":"none"}}`, 0, 0, 0},
		{"tags, also of the revoked", `{"kind":"tag-authorizers","authorizers":{"component":"` + string(component) + `"},"add_tags":["b","a"]}`, 30, 30, 0},
		{"tags taken", `{"kind":"tag-authorizers","authorizers":{"tag":"a"},"remove_tags":["a"],"add_tags":["c"]}`, 30, 30, 0},
	} {
		j := start(test.body)
		if j.State != jobs.Done || j.Done != test.done || j.Total != test.total || j.Failed != test.failed || len(j.Failures) != int(test.failed) {
			t.Errorf("%s: %+v", test.name, j)
		}
		if test.name == "all but the revoked" && (j.Failures[0].AppID != string(broken) || j.Failures[0].Component != string(other) || j.Failures[0].Problem == "" || j.Failures[0].ProblemZh == "") {
			t.Errorf("the failure is told as %+v", j.Failures[0])
		}
	}
	if a, err := w.store.Authorizer(t.Context(), gone); err != nil || !slices.Equal(a.Tags, []string{"b", "c"}) {
		t.Errorf("tags are %v, %v", a.Tags, err)
	}
	for body, want := range map[string]string{
		`{"kind":"refresh-authorizers"}`:                                          "bad-request",
		`{"kind":"refresh-authorizers","authorizers":{"appids":[]}}`:              "invalid-field",
		`{"kind":"refresh-authorizers","authorizers":{"appids":["a"],"tag":"b"}}`: "invalid-field",
		`{"kind":"refresh-authorizers","authorizers":{"state":"dead"}}`:           "invalid-field",
		`{"kind":"refresh-authorizers","authorizers":{"kind":"x"}}`:               "invalid-field",
		`{"kind":"refresh-authorizers","authorizers":{},"add_tags":["x"]}`:        "invalid-field",
		`{"kind":"tag-authorizers","authorizers":{}}`:                             "invalid-field",
		`{"kind":"tag-authorizers","authorizers":{},"add_tags":["a\nb"]}`:         "invalid-field",
		`{"kind":"rekey","authorizers":{}}`:                                       "invalid-field",
		`{"kind":"burn-authorizers","authorizers":{}}`:                            "invalid-field",
	} {
		if r := w.call("POST", "/v1/jobs", body); r.name(t) != want {
			t.Errorf("%s: %d %s, want %s", body, r.status, r.body, want)
		}
	}
}

func TestBulkJobsOfBoundCallers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.addComponent(component)
	mine, foreign := tuoguan.AuthorizerAppID("wx0000000000000001"), tuoguan.AuthorizerAppID("wx0000000000000002")
	for i, a := range []tuoguan.AuthorizerAppID{mine, foreign} {
		w.authorize(component, a, "")
		if err := w.store.SaveTags(t.Context(), tuoguan.Authorization{Component: component, Authorizer: a}, []string{[]string{"vip", "plain"}[i]}); err != nil {
			t.Fatal(err)
		}
	}
	_, bound := w.newKey(access.Scope{Operations: []access.Operation{access.RunJobs, access.ReadJobs, access.RefreshTokens, access.WriteAuthorizers}, Tags: []string{"vip"}})
	_, powerless := w.newKey(access.Scope{Operations: []access.Operation{access.RunJobs}})
	as := func(secret, method, target, body string) response {
		return w.callAs("Bearer "+secret, method, target, body)
	}

	r := as(bound, "POST", "/v1/jobs", `{"kind":"refresh-authorizers","authorizers":{}}`)
	if r.status != http.StatusAccepted {
		t.Fatalf("%d %s", r.status, r.body)
	}
	id := w.field(r, "id")
	if j := w.ended(id); j.Total != 1 || j.Done != 1 || j.Failed != 0 || j.StartedBy != "test" {
		t.Errorf("%+v", j)
	}
	if r := as(bound, "GET", "/v1/jobs/"+id, ""); r.status != http.StatusOK {
		t.Errorf("its own job: %d %s", r.status, r.body)
	}
	others := read[jobs.Job](w, http.StatusAccepted, "POST", "/v1/jobs", `{"kind":"refresh-authorizers","authorizers":{}}`)
	if w.ended(others.ID).Total != 2 {
		t.Error("who is not bound does not reach all")
	}
	if r := as(bound, "GET", "/v1/jobs", ""); !strings.Contains(r.body, id) || strings.Contains(r.body, others.ID) {
		t.Errorf("the list of a bound caller: %s", r.body)
	}
	for what, r := range map[string]response{
		"somebody else's job":   as(bound, "GET", "/v1/jobs/"+others.ID, ""),
		"to cancel one of them": as(bound, "POST", "/v1/jobs/"+others.ID+"/cancel", ""),
	} {
		if r.name(t) != "unknown-job" {
			t.Errorf("%s: %d %s", what, r.status, r.body)
		}
	}
	for _, kind := range []string{"refresh-authorizers", "verify-authorizers", "tag-authorizers"} {
		if r := as(powerless, "POST", "/v1/jobs", `{"kind":"`+kind+`","authorizers":{},"add_tags":["x"]}`); r.name(t) != "missing-scope" {
			t.Errorf("%s with jobs:run alone: %d %s", kind, r.status, r.body)
		}
	}
	r = as(bound, "POST", "/v1/jobs", `{"kind":"tag-authorizers","authorizers":{},"add_tags":["plain"]}`)
	if j := w.ended(w.field(r, "id")); j.Failed != 1 {
		t.Errorf("a tag that is not the caller's: %+v", j)
	}
}

func TestCancelJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.addComponent(component)
	for i := range 100 {
		w.authorize(component, tuoguan.AuthorizerAppID(fmt.Sprintf("wx00000000000000%02d", i)), "")
	}
	reached, release := make(chan struct{}, 100), make(chan struct{})
	w.token = func(tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
		reached <- struct{}{}
		<-release
		return tuoguan.AccessToken{}, errors.New("cancelled meanwhile")
	}
	j := read[jobs.Job](w, http.StatusAccepted, "POST", "/v1/jobs", `{"kind":"refresh-authorizers","authorizers":{}}`)
	<-reached
	if j = read[jobs.Job](w, http.StatusOK, "POST", "/v1/jobs/"+j.ID+"/cancel", ""); j.State != jobs.Cancelled {
		t.Errorf("%+v", j)
	}
	if r := w.call("POST", "/v1/jobs", `{"kind":"refresh-authorizers","authorizers":{}}`); r.name(t) != "job-running" {
		t.Errorf("while it still ends: %d %s", r.status, r.body)
	}
	close(release)
	if j = w.ended(j.ID); j.State != jobs.Cancelled || j.Done > 17 || j.Failed != 0 {
		t.Errorf("%+v", j)
	}
	if r := w.call("POST", "/v1/jobs/nothing/cancel", ""); r.name(t) != "unknown-job" {
		t.Errorf("%d %s", r.status, r.body)
	}
}
