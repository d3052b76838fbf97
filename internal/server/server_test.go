package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/internal/server"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
)

const key = "0123456789abcdef0123456789abcdef"

// buffer is a log that several goroutines write.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// echo answers texts.
type echo struct{}

func (echo) Respond(_ context.Context, p *push.Push) (push.Reply, error) {
	text, ok := push.As[push.TextMessage](p)
	if !ok {
		return nil, nil
	}
	return push.Text{Content: "echo: " + text.Content}, nil
}

// world is a simulator, and a server on loopback that knows one component of it.
type world struct {
	t         *testing.T
	sim       *simtest.Sim
	component simulator.Component
	config    config.Config
	public    string // base URL
	admin     string
	log       *buffer
	seen      []string // everything that was answered to anybody

	stop func() error
}

// newWorld makes a world whose server does not run yet.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, sim: simtest.Start(t, simulator.Config{Seed: 1}), log: new(buffer)}
	dir := t.TempDir()
	w.config = config.Default()
	w.config.Gateway.Listen = "127.0.0.1:0"
	w.config.Storage = "sqlite://" + filepath.Join(dir, "data", "tuoguan.db")
	w.config.MasterKeyFile = filepath.Join(dir, "master.key")
	w.config.WeChat = config.WeChat{APIBaseURLs: []string{w.sim.URL}, MPBaseURL: w.sim.URL, OpenBaseURL: w.sim.URL}
	w.config.Bootstrap.APIKey = tuoguan.NewSecret(key)
	t.Cleanup(func() {
		if w.stop != nil {
			if err := w.stop(); err != nil {
				t.Errorf("stopping: %v", err)
			}
		}
		if t.Failed() {
			t.Log(w.log.String())
		}
	})
	return w
}

// listen opens a port of loopback, the same one again if there was one.
func (w *world) listen(previous string) net.Listener {
	w.t.Helper()
	address := "127.0.0.1:0"
	if previous != "" {
		address = strings.TrimPrefix(previous, "http://")
	}
	l, err := new(net.ListenConfig).Listen(w.t.Context(), "tcp", address)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// start runs the server until stop is called.
func (w *world) start() {
	w.t.Helper()
	public, admin := w.listen(w.public), w.listen(w.admin)
	w.public, w.admin = "http://"+public.Addr().String(), "http://"+admin.Addr().String()
	w.config.Public.BaseURL = w.public
	if w.component.AppID == "" {
		w.component = simtest.Register(w.t, w.sim.Simulator, simtest.Component("server", w.public))
		w.config.Bootstrap.Components = []config.Component{{
			AppID:          tuoguan.ComponentAppID(w.component.AppID),
			Secret:         tuoguan.NewSecret(w.component.Secret),
			Token:          tuoguan.NewSecret(w.component.Token),
			EncodingAESKey: tuoguan.NewSecret(w.component.EncodingAESKey),
		}}
	}
	s, err := server.New(w.t.Context(), server.Options{
		Config: w.config, Clock: w.sim.Clock(), Logger: obs.NewLogger(w.log, "debug", "json"), Responder: echo{},
		PublicListener: public, AdminListener: admin,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	w.stop = func() error {
		w.stop = nil
		cancel()
		return <-done
	}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (w *world) do(method, address, body string, header ...string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(r) // follows no redirects
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(raw)}
}

// page opens a page as a browser does, redirects included.
func (w *world) page(address, referer string) answer {
	w.t.Helper()
	a := w.do("GET", address, "", "Referer", referer, "Accept-Language", "en")
	for range 3 {
		if a.status != http.StatusSeeOther {
			break
		}
		a = w.do("GET", a.header.Get("Location"), "", "Accept-Language", "en")
	}
	if strings.HasPrefix(address, w.public) {
		w.seen = append(w.seen, a.body)
	}
	return a
}

// rest calls the REST API and decodes the answer into out, unless it is nil.
func (w *world) rest(method, path, body string, want int, out any) answer {
	w.t.Helper()
	a := w.do(method, w.admin+path, body, "Authorization", "Bearer "+key)
	if a.status != want {
		w.t.Fatalf("%s %s answered %d: %s", method, path, a.status, a.body)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(a.body), out); err != nil {
			w.t.Fatal(err)
		}
	}
	if !strings.Contains(path, "access-token") && !strings.HasSuffix(path, "/refresh") {
		w.seen = append(w.seen, a.body) // these two hand out a token on purpose
	}
	return a
}

// eventually repeats check until it is content, for at most ten seconds.
func (w *world) eventually(what string, check func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !check(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("not within ten seconds: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// ready waits for the first ticket to become a token.
func (w *world) ready() {
	w.t.Helper()
	if _, err := w.sim.PushTicket(w.t.Context(), w.component.AppID); err != nil {
		w.t.Fatal(err)
	}
	w.eventually("a component token", func() bool {
		var c struct {
			TokenExpiresAt *time.Time `json:"token_expires_at"`
		}
		w.rest("GET", "/v1/components/"+w.component.AppID, "", 200, &c)
		return c.TokenExpiresAt != nil
	})
}

var loginPage = regexp.MustCompile(`href="([^"]*/cgi-bin/componentloginpage\?[^"]*)"`)

// open makes a link, opens it, and goes to WeChat's page, whose address it returns.
func (w *world) open(body string) (link struct{ ID, URL string }, login *url.URL) {
	w.t.Helper()
	w.rest("POST", "/v1/authorization-links", body, http.StatusCreated, &link)
	entry := w.do("GET", link.URL, "", "Accept-Language", "en")
	found := loginPage.FindStringSubmatch(entry.body)
	if entry.status != http.StatusOK || found == nil {
		w.t.Fatalf("the entry page answered %d: %s", entry.status, entry.body)
	}
	target := html.UnescapeString(found[1])
	if a := w.page(target, link.URL); a.status != http.StatusOK {
		w.t.Fatalf("WeChat's page answered %d: %s", a.status, a.body)
	}
	login, err := url.Parse(target)
	if err != nil {
		w.t.Fatal(err)
	}
	return link, login
}

func (w *world) account(kind string) string {
	w.t.Helper()
	a, err := w.sim.AddAccount(simulator.Account{Kind: kind, NickName: "Coffee & Tea"})
	if err != nil {
		w.t.Fatal(err)
	}
	return a.AppID
}

// confirm lets the administrator confirm on WeChat's page and returns where the
// browser goes.
func (w *world) confirm(account string, login *url.URL, sets ...int) string {
	w.t.Helper()
	result, err := w.sim.Authorize(w.t.Context(), account, simulator.AuthorizeRequest{
		ComponentAppID: w.component.AppID, PreAuthCode: login.Query().Get("pre_auth_code"), PermissionSets: sets,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if !result.Accepted {
		w.t.Fatalf("the push was answered %+v", result.Attempts)
	}
	return result.RedirectURL
}

type token struct {
	AccessToken string    `json:"access_token"`
	ExpiresAt   time.Time `json:"expires_at"`
}

func TestFromScanToToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	if a := w.do("GET", w.admin+"/readyz", ""); a.status != 200 || !strings.Contains(a.body, "ticket_missing") {
		t.Errorf("before the first ticket /readyz answers %d %s", a.status, a.body)
	}
	w.ready()
	if a := w.do("GET", w.admin+"/readyz", ""); a.status != 200 || !strings.Contains(a.body, `"missing":[]`) {
		t.Errorf("/readyz answers %d %s", a.status, a.body)
	}

	account := w.account("official_account")
	link, login := w.open(fmt.Sprintf(`{"component_appid":%q,"reference":"shop-1","permission_sets":[1,2,7],"return_url":"https://app.example.com/"}`, w.component.AppID))
	back := w.confirm(account, login, 1, 7)
	result := w.page(back, "")
	for _, want := range []string{"Authorized", account, "messages", "users", "not granted", "https://app.example.com/"} {
		if !strings.Contains(result.body, want) {
			t.Errorf("the result page lacks %q: %s", want, result.body)
		}
	}
	if a := w.page(link.URL, ""); a.status != http.StatusGone {
		t.Errorf("the link answers %d when it is used up", a.status)
	}

	var a struct {
		State          string
		Reference      string
		NickName       string `json:"nick_name"`
		PermissionSets []int  `json:"permission_sets"`
		Grant          int
	}
	w.eventually("the profile", func() bool {
		w.rest("GET", "/v1/authorizers/"+account, "", 200, &a)
		return a.NickName != ""
	})
	if a.State != "active" || a.Reference != "shop-1" || a.NickName != "Coffee & Tea" || fmt.Sprint(a.PermissionSets) != "[1 7]" || a.Grant != 1 {
		t.Errorf("got %+v", a)
	}
	var first, second token
	w.rest("GET", "/v1/authorizers/"+account+"/access-token", "", 200, &first)
	if status := w.sim.Token(first.AccessToken); status.Errcode != 0 {
		t.Errorf("the token is %+v", status)
	}
	w.rest("POST", "/v1/authorizers/"+account+"/access-token/invalid", fmt.Sprintf(`{"access_token":%q}`, first.AccessToken), 200, &second)
	if second.AccessToken == first.AccessToken {
		t.Error("a token reported as failed is handed out again")
	}
	var third token
	w.rest("POST", "/v1/authorizers/"+account+"/access-token/invalid", fmt.Sprintf(`{"access_token":%q}`, first.AccessToken), 200, &third)
	if third != second {
		t.Error("a late report causes a refresh")
	}

	message, err := w.sim.SendMessage(t.Context(), account, simulator.Message{ComponentAppID: w.component.AppID, From: "oUser", Type: "text", Fields: map[string]any{"content": "hello"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(message.Reply); !strings.Contains(got, "echo: hello") {
		t.Errorf("the reply is %s", got)
	}

	if _, err := w.sim.Unauthorize(t.Context(), account, w.component.AppID); err != nil {
		t.Fatal(err)
	}
	w.eventually("the revocation", func() bool {
		return w.do("GET", w.admin+"/v1/authorizers/"+account+"/access-token", "", "Authorization", "Bearer "+key).status == http.StatusConflict
	})
	if p := w.rest("GET", "/v1/authorizers/"+account+"/access-token", "", 409, nil); !strings.Contains(p.body, "#revoked") {
		t.Errorf("got %s", p.body)
	}

	_, login = w.open(fmt.Sprintf(`{"component_appid":%q}`, w.component.AppID))
	w.page(w.confirm(account, login, 1), "")
	w.rest("GET", "/v1/authorizers/"+account+"/access-token", "", 200, &third)
	if status := w.sim.Token(third.AccessToken); status.Errcode != 0 {
		t.Errorf("after a re-authorization the token is %+v", status)
	}

	metrics := w.do("GET", w.admin+"/metrics", "").body
	for _, want := range []string{
		`tuoguan_pushes_total{outcome="stored",url="event"}`, `tuoguan_pushes_total{outcome="replied",url="message"} 1`,
		`tuoguan_operations_total{kind="exchange",result="ok"}`, `tuoguan_authorizers{component_appid="` + w.component.AppID + `",state="active"} 1`,
		`tuoguan_wechat_calls_total{op="api_component_token",result="ok"} 1`,
		`route="GET /authorize/{link}",status="410"`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(metrics, account) {
		t.Error("the metrics name an authorizer")
	}
	w.rest("GET", "/v1/authorizers", "", 200, nil)
	w.rest("GET", "/v1/authorization-links", "", 200, nil)
	for _, page := range []string{"/", "/?lang=zh", "/readyz", "/console/"} {
		w.seen = append(w.seen, w.do("GET", w.admin+page, "").body)
	}
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	simtest.WithoutSecrets(t, w.sim.Simulator, "the log", w.log.String())
	simtest.WithoutSecrets(t, w.sim.Simulator, "a page, a reply or the metrics", strings.Join(append(w.seen, metrics), "\n"))
	if strings.Contains(w.log.String(), key) {
		t.Error("the API key is in the log")
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.ready()
	account := w.account("mini_program")
	_, login := w.open(fmt.Sprintf(`{"component_appid":%q}`, w.component.AppID))
	w.page(w.confirm(account, login, 17, 18), "")
	var before, after token
	w.rest("GET", "/v1/authorizers/"+account+"/access-token", "", 200, &before)
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.config.Bootstrap.Components[0].Token = tuoguan.NewSecret("anothertoken")
	w.start()
	w.rest("GET", "/v1/authorizers/"+account+"/access-token", "", 200, &after)
	if after != before {
		t.Error("the token did not survive a restart")
	}
	// WeChat goes on using the old Token for a while.
	if result, err := w.sim.PushTicket(t.Context(), w.component.AppID); err != nil || !result.Accepted {
		t.Errorf("a push under the previous token is answered %+v, %v", result, err)
	}
}

func TestReleaseCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.ready()
	for group := 1; group <= 5; group++ {
		result, err := w.sim.ReleaseCheck(t.Context(), w.component.AppID, simulator.ReleaseCheckOptions{Group: group})
		if err != nil {
			t.Fatal(err)
		}
		if !result.Passed {
			t.Errorf("group %d: %+v", group, result.Steps)
		}
	}
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	simtest.WithoutSecrets(t, w.sim.Simulator, "the log", w.log.String())
}

func TestForgedRedirect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.ready()
	link, login := w.open(fmt.Sprintf(`{"component_appid":%q}`, w.component.AppID))
	real := login.Query().Get("redirect_uri")
	for _, forged := range []string{
		link.URL + "/done?auth_code=queryauthcode@@@x&expires_in=600",
		link.URL + "/done?nonce=guess&auth_code=queryauthcode@@@x&expires_in=600",
		real + "&auth_code=" + url.QueryEscape("queryauthcode@@@x") + "&expires_in=600",
	} {
		if a := w.page(forged, ""); a.status != http.StatusBadRequest || !strings.Contains(a.body, "Nothing changed") {
			t.Errorf("%s answers %d: %s", forged, a.status, a.body)
		}
	}
	var list struct{ Items []any }
	if w.rest("GET", "/v1/authorizers", "", 200, &list); len(list.Items) != 0 {
		t.Errorf("there are authorizers: %v", list.Items)
	}
	var state struct{ State string }
	if w.rest("GET", "/v1/authorization-links/"+link.ID, "", 200, &state); state.State != "open" {
		t.Errorf("the link is %s", state.State)
	}
	// The merchant can still finish.
	if a := w.page(w.confirm(w.account("official_account"), login, 1), ""); a.status != 200 || !strings.Contains(a.body, "Authorized") {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	refusal := w.do("POST", w.public+"/wx/"+w.component.AppID+"/event", "")
	if refusal.status != http.StatusForbidden {
		t.Errorf("a push without anything got %d", refusal.status)
	}
	tests := []struct {
		method, address string
		status          int
	}{
		{"GET", w.public + "/", 404},
		{"GET", w.public + "/v1/authorizers", 404},
		{"GET", w.public + "/metrics", 404},
		{"GET", w.public + "/healthz", 404},
		{"GET", w.public + "/console/", 404},
		{"GET", w.public + "/authorize", 404},
		{"GET", w.public + "/authorize/nothing", 404},
		{"GET", w.public + "/authorize/nothing/done", 400},
		{"GET", w.public + "//authorize/x", 404},
		{"GET", w.public + "/authorize/../wx/x/event", 404},
		{"POST", w.public + "/authorize/nothing", 405},
		{"GET", w.public + "/wx/" + w.component.AppID + "/event", 403},
		{"POST", w.public + "/wx/" + w.component.AppID + "/event?timestamp=1", 403},
		{"POST", w.public + "/wx/wx9999999999999999/event", 403},
		{"POST", w.public + "/wx/", 403},
		{"GET", w.admin + "/wx/" + w.component.AppID + "/event", 404},
		{"GET", w.admin + "/authorize/nothing", 404},
		{"GET", w.admin + "/v1/authorizers", 401},
		{"GET", w.admin + "/healthz", 200},
		{"GET", w.admin + "/", 200},
	}
	for _, tt := range tests {
		a := w.do(tt.method, tt.address, "")
		if a.status != tt.status {
			t.Errorf("%s %s answers %d, want %d", tt.method, tt.address, a.status, tt.status)
		}
		if a.status == http.StatusForbidden && a.body != refusal.body {
			t.Errorf("%s %s is refused in other words: %q", tt.method, tt.address, a.body)
		}
	}
}

func TestStopLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.ready()
	account := w.account("official_account")
	_, login := w.open(fmt.Sprintf(`{"component_appid":%q}`, w.component.AppID))
	w.page(w.confirm(account, login, 1), "")

	faults := w.sim.Faults()
	faults.SlowReply = 1
	if err := w.sim.SetFaults(faults); err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() {
		r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), "POST", w.admin+"/v1/authorizers/"+account+"/refresh", nil)
		if err != nil {
			answered <- 0
			return
		}
		r.Header.Set("Authorization", "Bearer "+key)
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			answered <- 0
			return
		}
		_ = response.Body.Close()
		answered <- response.StatusCode
	}()
	w.eventually("the refresh begins", func() bool {
		for _, e := range w.sim.Journal(0, 10_000) {
			if strings.HasSuffix(e.Path, "/api_authorizer_token") {
				return true
			}
		}
		return len(answered) == 1
	})
	if err := w.stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	if status := <-answered; status != http.StatusOK {
		t.Errorf("the request under way got %d", status)
	}
}

func TestSlowClientIsCutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.public, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	began := time.Now()
	if _, err := io.WriteString(conn, "POST /wx/x/event HTTP/1.1\r\nHost: x\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(began.Add(8 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, conn)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("half a request is kept for %v", took)
	}
}

func TestListenerThatFailsEndsTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.config.Public.BaseURL = "https://open.example.com"
	listener := w.listen("")
	s, err := server.New(t.Context(), server.Options{Config: w.config, PublicListener: w.listen(""), AdminListener: listener})
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil {
		t.Error("the server ends without an error")
	}
}

func TestWhatCannotStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mistakes config.Mistakes
	if _, err := server.New(t.Context(), server.Options{}); !errors.As(err, &mistakes) {
		t.Errorf("an empty configuration gives %v", err)
	}
	w.start()
	second := w.config
	second.Public.Listen, second.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	if s, err := server.New(t.Context(), server.Options{Config: second, Logger: slog.New(slog.DiscardHandler)}); err == nil {
		_ = s.Close()
		t.Error("two servers have the same database open")
	}
	third := w.config
	third.Storage = "sqlite://" + filepath.Join(t.TempDir(), "other.db")
	third.Public.Listen, third.Admin.Listen = strings.TrimPrefix(w.public, "http://"), "127.0.0.1:0"
	if s, err := server.New(t.Context(), server.Options{Config: third}); err == nil {
		_ = s.Close()
		t.Error("two servers have the same port")
	}
	// What failed to start holds nothing back.
	third.Public.Listen = "127.0.0.1:0"
	s, err := server.New(t.Context(), server.Options{Config: third})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
