// Package sdktest runs libraries that others have published against the gateway: made
// for the one account whose secret they hold, and unmodified except for the base URL.
package sdktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/gateway"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
	"github.com/tuoguan/tuoguan/wxapi"
)

// world is a gateway with all that it stands on, in front of the simulated WeChat.
type world struct {
	t         *testing.T
	sim       *simtest.Sim
	keeper    *keeper.Keeper
	keys      *access.Keys
	component simulator.Component
	url       string // of the gateway
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	var receiver http.Handler
	w.sim = simtest.Start(t, simulator.Config{Seed: 1, PushTransport: simtest.HandlerTransport{
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { receiver.ServeHTTP(rw, r) }),
	}})
	w.component = simtest.Register(t, w.sim.Simulator, simtest.Component("Acme", "http://127.0.0.1"))
	logger := slog.New(slog.DiscardHandler)
	records := memory.New(memory.Config{})
	var err error
	if w.keeper, err = keeper.New(keeper.Config{Store: records, API: wxapi.Config{BaseURLs: []string{w.sim.URL}}}); err != nil {
		t.Fatal(err)
	}
	pushes, err := push.NewHandler(push.Config{Components: w.keeper, Sink: w.keeper, Accounts: w.keeper})
	if err != nil {
		t.Fatal(err)
	}
	receiver = pushes
	if err := w.keeper.PutComponent(t.Context(), store.Component{
		AppID:          tuoguan.ComponentAppID(w.component.AppID),
		Secret:         tuoguan.NewSecret(w.component.Secret),
		Token:          tuoguan.NewSecret(w.component.Token),
		EncodingAESKey: tuoguan.NewSecret(w.component.EncodingAESKey),
	}); err != nil {
		t.Fatal(err)
	}
	if w.keys, err = access.New(access.Config{Store: records, Logger: logger}); err != nil {
		t.Fatal(err)
	}
	directory, err := access.NewDirectory(access.DirectoryConfig{Store: records, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{
		Keys: w.keys, Directory: directory, Tokens: w.keeper, WeChat: w.keeper.API(), Values: records,
		TokenKey: [32]byte{1}, BaseURLs: []string{w.sim.URL}, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g)
	w.url = server.URL

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for name, run := range map[string]func(context.Context) error{"keeper": w.keeper.Run, "keys": w.keys.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	t.Cleanup(func() {
		server.Close()
		cancel()
		running.Wait()
		pushes.Wait()
		directory.Close()
		if err := errors.Join(g.Close(context.Background()), w.keeper.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	if ticket, err := w.sim.PushTicket(t.Context(), w.component.AppID); err != nil || !ticket.Accepted {
		t.Fatalf("the ticket was not taken: %+v, %v", ticket, err)
	}
	return w
}

// account makes an account that has authorized the component.
func (w *world) account() tuoguan.AuthorizerAppID {
	w.t.Helper()
	made, err := w.sim.AddAccount(simulator.Account{})
	if err != nil {
		w.t.Fatal(err)
	}
	granted, err := w.sim.Authorize(w.t.Context(), made.AppID, simulator.AuthorizeRequest{ComponentAppID: w.component.AppID})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.keeper.Exchange(w.t.Context(), tuoguan.ComponentAppID(w.component.AppID), tuoguan.NewSecret(granted.AuthorizationCode)); err != nil {
		w.t.Fatal(err)
	}
	return tuoguan.AuthorizerAppID(made.AppID)
}

// key makes an API key that may call the gateway for one account.
func (w *world) key(a tuoguan.AuthorizerAppID) (id string, key tuoguan.Secret) {
	w.t.Helper()
	made, key, err := w.keys.Create(w.t.Context(), access.NewKey{
		Name:  "a service",
		Scope: access.Scope{Operations: []access.Operation{access.CallGateway}, Authorizers: []tuoguan.AuthorizerAppID{a}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return made.ID, key
}

// library is a process with one API object of a library.
type library struct {
	t      *testing.T
	in     *json.Encoder
	out    *json.Decoder
	stderr *strings.Builder
	all    bytes.Buffer // what came out
}

// library starts one with an account and an API key in place of its secret.
func (w *world) library(dir string, a tuoguan.AuthorizerAppID, key tuoguan.Secret) *library {
	w.t.Helper()
	l := &library{t: w.t, stderr: new(strings.Builder)}
	node := exec.CommandContext(w.t.Context(), "node", "calls.js")
	node.Dir, node.Stderr = dir, l.stderr
	in, err := node.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := node.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = in.Close() // it ends then
		_ = node.Wait()
	})
	l.in, l.out = json.NewEncoder(in), json.NewDecoder(io.TeeReader(out, &l.all))
	if err := l.in.Encode(map[string]any{"base": w.url, "appid": a, "secret": key.Reveal()}); err != nil {
		w.t.Fatal(err)
	}
	return l
}

// answer is what a call came to.
type answer struct {
	Value json.RawMessage `json:"value"`
	Error *struct {
		Name    string `json:"name"`
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func (l *library) call(method string, args ...any) answer {
	l.t.Helper()
	var a answer
	if err := errors.Join(l.in.Encode(map[string]any{"method": method, "args": append([]any{}, args...)}), l.out.Decode(&a)); err != nil {
		l.t.Fatalf("node: %v\n%s", err, l.stderr)
	}
	return a
}

// must makes a call that has to succeed and reads what it returns.
func (l *library) must(v any, method string, args ...any) {
	l.t.Helper()
	a := l.call(method, args...)
	if a.Error != nil {
		l.t.Errorf("%s: %+v", method, *a.Error)
	} else if err := json.Unmarshal(a.Value, v); err != nil {
		l.t.Errorf("%s: %s: %v", method, a.Value, err)
	}
}

// refused makes a call that has to fail with an errcode.
func (l *library) refused(code int, method string, args ...any) {
	l.t.Helper()
	if a := l.call(method, args...); a.Error == nil || a.Error.Code != code {
		l.t.Errorf("%s: %s, %+v, want errcode %d", method, a.Value, a.Error, code)
	}
}

// buffer is a Buffer of Node.
type buffer struct {
	Base64 []byte `json:"base64"`
}

func TestCoWechatAPI(t *testing.T) {
	t.Parallel()
	dir := install(t, "co-wechat-api")
	w := newWorld(t)
	account := w.account()
	id, key := w.key(account)
	const openid = "oUser1"
	if _, err := w.sim.SendMessage(t.Context(), string(account), simulator.Message{From: openid, Type: "text", Fields: map[string]any{"content": "hello"}}); err != nil {
		t.Fatal(err)
	}
	l := w.library(dir, account, key)

	var token struct {
		AccessToken string `json:"accessToken"`
	}
	if l.must(&token, "getAccessToken"); token.AccessToken == "" || len(token.AccessToken) > 512 {
		t.Errorf("a token of %d characters: WeChat's have 1 to 512", len(token.AccessToken))
	}

	var done struct {
		Errcode int    `json:"errcode"`
		Errmsg  string `json:"errmsg"`
	}
	menu := json.RawMessage(`{"button":[{"type":"click","name":"今日歌曲","key":"V1001"}]}`)
	var kept struct {
		Menu json.RawMessage `json:"menu"`
	}
	l.must(&done, "createMenu", menu)
	if l.must(&kept, "getMenu"); !sameJSON(t, kept.Menu, menu) {
		t.Errorf("the menu is %s, want %s", kept.Menu, menu)
	}
	l.must(&done, "removeMenu")
	l.refused(46003, "getMenu") // WeChat's own word for "there is none"

	var user struct {
		OpenID string `json:"openid"`
	}
	if l.must(&user, "getUser", openid); user.OpenID != openid {
		t.Errorf("user %+v", user)
	}
	var followers struct {
		Total int `json:"total"`
	}
	if l.must(&followers, "getFollowers"); followers.Total == 0 {
		t.Error("no followers")
	}

	picture := buffer{[]byte("\x89PNG\r\n\x1a\n" + strings.Repeat("picture\x00", 32<<10))}
	var uploaded struct {
		MediaID string `json:"media_id"`
	}
	l.must(&uploaded, "uploadMedia", picture, "image", "a.png", "image/png")

	const text = "你好 <b>&"
	l.must(&done, "sendText", openid, text)
	if sent, err := w.sim.Sent(string(account)); err != nil || len(sent) != 1 || sent[0].Text == nil || sent[0].Text.Content != text {
		t.Errorf("sent %+v, %v", sent, err)
	}

	// A token of WeChat's that dies is none of the library's business.
	if _, err := w.sim.ExpireTokens(w.component.AppID, string(account)); err != nil {
		t.Fatal(err)
	}
	var downloaded buffer
	if l.must(&downloaded, "getMedia", uploaded.MediaID); !bytes.Equal(downloaded.Base64, picture.Base64) {
		t.Errorf("%d bytes came back of %d", len(downloaded.Base64), len(picture.Base64))
	}
	simtest.WithoutSecrets(t, w.sim.Simulator, "what the library got", l.all.String())

	var tickets [2]struct {
		Ticket string `json:"ticket"`
	}
	l.must(&tickets[0], "getTicket")
	l.must(&tickets[1], "getTicket", "wx_card")
	if tickets[0].Ticket == "" || tickets[1].Ticket == "" || tickets[0] == tickets[1] {
		t.Error("the tickets are empty or the same")
	}

	w.library(dir, w.account(), key).refused(40013, "getFollowers") // an account that the key is not for
	if _, err := w.keys.Revoke(t.Context(), id, 0); err != nil {
		t.Fatal(err)
	}
	// The token that the library holds is worth nothing from now on, and so is the key
	// with which it then asks for another.
	l.refused(40125, "getFollowers")
	w.library(dir, account, key).refused(40125, "getFollowers")
}

func sameJSON(t *testing.T, a, b json.RawMessage) bool {
	t.Helper()
	var left, right any
	if err := errors.Join(json.Unmarshal(a, &left), json.Unmarshal(b, &right)); err != nil {
		t.Error(err)
	}
	return cmp.Equal(left, right)
}

// install returns a directory in which node finds the packages that a directory of
// testdata names.
func install(t *testing.T, name string) string {
	t.Helper()
	missing := func(what string) {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(program + " is missing")
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/"+name)); err != nil {
		t.Fatal(err)
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	npm.Dir = dir
	if output, err := npm.CombinedOutput(); err != nil {
		missing("npm cannot install " + name + ": " + err.Error() + "\n" + string(output))
	}
	return dir
}
