package wxapi_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/wxapi"
)

var errNoRoute = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("no route to host")}

// site is the API on several hosts, each of which can be broken.
type site struct {
	mu     sync.Mutex
	broken map[string]func() (*http.Response, error)
	asked  []string
}

func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.URL.Host)
	if failing := s.broken[r.URL.Host]; failing != nil {
		return failing()
	}
	return reply(http.StatusOK, `{"errcode":0,"errmsg":"ok","total_count":0,"list":[],"authorizer_access_token":"77_access","expires_in":7200}`)
}

func (s *site) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

const first, second = "api.weixin.qq.com", "api2.weixin.qq.com"

func list(ctx context.Context, c *wxapi.Client) error {
	_, err := c.GetAuthorizerList(ctx, component, 0, 500)
	return err
}

func refresh(ctx context.Context, c *wxapi.Client) error {
	_, err := c.RefreshAuthorizerToken(ctx, authorization, tuoguan.NewSecret("refreshtoken@@@0"))
	return err
}

func TestFailOver(t *testing.T) {
	t.Parallel()
	dial := func() (*http.Response, error) { return nil, errNoRoute }
	reset := func() (*http.Response, error) { return nil, errors.New("connection reset by peer") }
	gateway := func() (*http.Response, error) { return reply(http.StatusBadGateway, "<html>") }
	html := func() (*http.Response, error) { return reply(http.StatusOK, "<html>") }
	quota := func() (*http.Response, error) { return reply(http.StatusOK, `{"errcode":45009}`) }
	both, one := []string{first, second}, []string{first}
	tests := []struct {
		name   string
		call   func(context.Context, *wxapi.Client) error
		first  func() (*http.Response, error)
		second func() (*http.Response, error)
		asked  []string
		want   []string // classes; none is a success
	}{
		{"both well", list, nil, nil, one, nil},
		{"no connection", list, dial, nil, both, nil},
		{"no connection, not repeatable", refresh, dial, nil, both, nil},
		{"reset", list, reset, nil, both, nil},
		{"reset, not repeatable", refresh, reset, nil, one, []string{"unknown"}},
		{"bad gateway", list, gateway, nil, both, nil},
		{"bad gateway, not repeatable", refresh, gateway, nil, one, []string{"unknown", "unusable"}},
		{"html", list, html, nil, one, []string{"unknown", "unusable"}},
		{"refusal", list, quota, nil, one, []string{"quota"}},
		{"nobody there", refresh, dial, dial, both, []string{"not sent"}},
		{"no connection, then reset", refresh, dial, reset, both, []string{"unknown"}},
		{"reset, then no connection", list, reset, dial, both, []string{"unknown"}},
		{"no connection, then a refusal", refresh, dial, quota, both, []string{"quota"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &site{broken: map[string]func() (*http.Response, error){first: tt.first, second: tt.second}}
			client := newClient(t, wxapi.Config{Tokens: newTokens(), HTTPClient: &http.Client{Transport: s}})
			err := tt.call(t.Context(), client)
			if (err == nil) != (tt.want == nil) {
				t.Errorf("error %v", err)
			}
			wantClasses(t, err, tt.want...)
			if diff := cmp.Diff(tt.asked, s.take()); diff != "" {
				t.Errorf("hosts asked (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHealthyHostIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &site{broken: map[string]func() (*http.Response, error){first: func() (*http.Response, error) { return nil, errNoRoute }}}
		client := newClient(t, wxapi.Config{Tokens: newTokens(), HTTPClient: &http.Client{Transport: s}})
		step := func(what string, want ...string) {
			t.Helper()
			if err := refresh(t.Context(), client); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if diff := cmp.Diff(want, s.take()); diff != "" {
				t.Errorf("%s: hosts asked (-want +got):\n%s", what, diff)
			}
		}
		step("the first fails", first, second)
		step("the second stays first", second)
		time.Sleep(59 * time.Second)
		step("within the minute", second)
		time.Sleep(2 * time.Second)
		step("the first is tried again, by one call", first, second)
		step("the others stay", second)
		delete(s.broken, first)
		time.Sleep(61 * time.Second)
		step("the first is well again", first)
		step("and is the first again", first)
	})
}

// What really happens on a socket: nothing listens, or the reply never comes.
func TestSentOrNot(t *testing.T) {
	t.Parallel()
	gone := newPlatform(t, says(http.StatusOK, "{}"))
	gone.Close()
	cut := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	half := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"authorizer_access_token":"77_half`))
	})
	plain := newPlatform(t, says(http.StatusOK, "{}"))
	tests := []struct {
		name, base string
		want       string
	}{
		{"nothing listens", gone.base(), "not sent"},
		{"no TLS there", "https" + plain.base()[len("http"):], "not sent"},
		{"closed without a reply", cut.base(), "unknown"},
		{"closed within the reply", half.base(), "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, wxapi.Config{BaseURLs: []string{tt.base}, Tokens: newTokens()})
			err := refresh(t.Context(), client)
			wantClasses(t, err, tt.want)
			var failure *wxapi.TransportError
			if !errors.As(err, &failure) || !failure.Temporary() {
				t.Errorf("%T: %v", err, err)
			}
		})
	}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	var seen []wxapi.Exchange
	p := newPlatform(t, saysInTurn(`{"errcode":42001,"errmsg":"expired"}`, `{"errcode":0}`))
	client := newClient(t, wxapi.Config{
		BaseURLs: []string{p.base()}, Tokens: newTokens("77_freshTokenOfTheTest"),
		Observe: func(e wxapi.Exchange) { seen = append(seen, e) },
	})
	if err := client.SendCustomMessage(t.Context(), authorization, "o1", "hello"); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 {
		t.Fatalf("%d exchanges observed, want 2", len(seen))
	}
	if seen[0].Op != "/cgi-bin/message/custom/send" || seen[0].HTTPStatus != 200 || !errors.Is(seen[0].Err, wxapi.ErrTokenInvalid) || seen[0].Host == "" {
		t.Errorf("first exchange: %+v", seen[0])
	}
	if seen[1].Err != nil || seen[1].Duration <= 0 {
		t.Errorf("second exchange: %+v", seen[1])
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		cfg   wxapi.Config
		wrong []string // in the error, all of them; none is a success
	}{
		{"defaults", wxapi.Config{}, nil},
		{"loopback", wxapi.Config{BaseURLs: []string{"http://127.0.0.1:8090", "http://[::1]:8090/x/", "http://localhost:1"}}, nil},
		{"path", wxapi.Config{BaseURLs: []string{"https://proxy.example/wechat/"}}, nil},
		{"plain http", wxapi.Config{BaseURLs: []string{"http://api.weixin.qq.com"}}, []string{"BaseURLs[0]: plain http to api.weixin.qq.com"}},
		{"loopback in name only", wxapi.Config{BaseURLs: []string{"http://127.0.0.1.evil.example"}}, []string{"BaseURLs[0]: plain http"}},
		{"all mistakes at once", wxapi.Config{
			BaseURLs: []string{"https://ok.example", "ftp://x", "https://u:sesame@x", "https://x?q=1", "://", ""}, MPBaseURL: "mp", OpenBaseURL: "http://open", Timeout: -1,
		}, []string{"BaseURLs[1]", "BaseURLs[2]", "BaseURLs[3]", "BaseURLs[4]", "BaseURLs[5]", "MPBaseURL", "OpenBaseURL", "Timeout"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := wxapi.New(tt.cfg)
			if (err == nil) != (tt.wrong == nil) {
				t.Fatalf("error %v", err)
			}
			for _, want := range tt.wrong {
				wantText(t, err.Error(), want)
			}
			if err != nil {
				wantNoText(t, err.Error(), "sesame")
				wantNoText(t, err.Error(), "BaseURLs[0]: not")
			}
		})
	}
}
