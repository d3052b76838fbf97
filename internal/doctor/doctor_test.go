package doctor_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/doctor"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
)

// installation is a server's inside: a store with one component that has a ticket, the
// simulator as WeChat, and a public address that leads to it.
func installation(t *testing.T, whitelist ...string) doctor.Inside {
	t.Helper()
	sim := simtest.Start(t, simulator.Config{Seed: 1})
	c := simtest.Component("main", "http://127.0.0.1")
	c.IPWhitelist = whitelist
	c = simtest.Register(t, sim.Simulator, c)
	st := memory.New(memory.Config{})
	id := tuoguan.ComponentAppID(c.AppID)
	if err := st.PutComponent(t.Context(), store.Component{AppID: id, Secret: tuoguan.NewSecret(c.Secret), CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Minute)
	if _, _, err := st.AcceptPush(t.Context(), store.Intake{
		Push:   store.Push{Key: "ticket", Component: id, Kind: "component_verify_ticket", ReceivedAt: at},
		Ticket: &store.Ticket{Component: id, Value: tuoguan.NewSecret("ticket@@@1"), ReceivedAt: at},
	}); err != nil {
		t.Fatal(err)
	}
	public := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/wx/") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`<meta name="generator" content="tuoguan">`))
	}))
	t.Cleanup(public.Close)
	cfg := config.Default()
	cfg.Public.BaseURL = public.URL
	cfg.WeChat.APIBaseURLs = []string{sim.URL}
	dir := t.TempDir()
	cfg.Storage = "sqlite://" + filepath.Join(dir, "tuoguan.db")
	cfg.MasterKeyFile = filepath.Join(dir, "master.key")
	return doctor.Inside{Config: cfg, Store: st, Problems: func(context.Context) []obs.Problem { return nil }}
}

func named(t *testing.T, r doctor.Report, name string) doctor.Check {
	t.Helper()
	i := slices.IndexFunc(r.Checks, func(c doctor.Check) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("there is no check of %s: %+v", name, r.Checks)
	}
	return r.Checks[i]
}

func TestInside(t *testing.T) {
	t.Parallel()
	in := installation(t)
	in.Problems = func(context.Context) []obs.Problem {
		return []obs.Problem{{Code: "ticket_missing"}, {Code: "spill_damaged", Message: "a part of it", Action: "look", ActionChinese: "检查"}}
	}
	report := in.Examine(t.Context())
	if !report.OK {
		t.Errorf("%+v", report.Checks)
	}
	var names []string
	for _, c := range report.Checks {
		names = append(names, c.Name)
		if c.Detail == "" || c.DetailZh == "" {
			t.Errorf("%+v", c)
		}
	}
	for name, want := range map[string]doctor.Status{
		"configuration": doctor.OK, "server": doctor.OK, "storage": doctor.OK, "spill_damaged": doctor.Warning, "clock": doctor.OK,
		"whitelist, secret": doctor.OK, "ticket": doctor.OK, "public address": doctor.Warning, // it names a port
	} {
		if c := named(t, report, name); c.Status != want {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if slices.Contains(names, "ticket_missing") || slices.Index(names, "clock") > slices.Index(names, "ticket") || names[len(names)-1] != "public address" {
		t.Errorf("the checks are %v", names)
	}
}

func TestInsideNamesTheEgressAddress(t *testing.T) {
	t.Parallel()
	report := installation(t, "203.0.113.0/24").Examine(t.Context())
	if c := named(t, report, "whitelist, secret"); report.OK || c.Status != doctor.Failed || !strings.Contains(c.Action, "127.0.0.1") || !strings.Contains(c.ActionZh, "127.0.0.1") {
		t.Errorf("%v %+v", report.OK, c)
	}
}

// Whoever does not answer in time is said to be late, and holds nothing up.
func TestInsideHasLittleTime(t *testing.T) {
	t.Parallel()
	in := installation(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ctx.Done() }))
	t.Cleanup(silent.Close)
	in.Config.WeChat.APIBaseURLs = []string{silent.URL}
	in.Config.Public.BaseURL = silent.URL
	began := time.Now()
	report := in.Examine(ctx)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	for _, name := range []string{"clock", "whitelist, secret"} {
		if c := named(t, report, name); c.Status != doctor.Skipped || !strings.Contains(c.Detail, "no answer within the time") {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if c := named(t, report, "ticket"); c.Status != doctor.OK {
		t.Errorf("%+v", c)
	}
}
