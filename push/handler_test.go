package push

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/wxcrypt"
)

var testConfig = wxcrypt.Config{
	AppID:          string(testComponent),
	Token:          "SimToken01",
	EncodingAESKey: "DApfUNUyFp9mBEp5VTXhDYIDod4BqBOr7y86vT5EEnu",
}

const (
	eventPath   = "/wx/wx0123456789abcdef/event"
	messagePath = "/wx/wx0123456789abcdef/message/wxaaaaaaaaaaaaaaaa"
	ticket      = "<xml><AppId>wx0123456789abcdef</AppId><CreateTime>1700000300</CreateTime><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>ticket@@@1</ComponentVerifyTicket></xml>"
	text        = "<xml><ToUserName>gh_0123456789ab</ToUserName><FromUserName>oSim0001</FromUserName><CreateTime>1700000600</CreateTime><MsgType>text</MsgType><Content>hello</Content><MsgId>24000000000000001</MsgId></xml>"
)

func testCrypter(t testing.TB) *wxcrypt.Crypter {
	t.Helper()
	c, err := wxcrypt.New(testConfig)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// world is what a Handler under test is connected to: one component, one account,
// a Sink in memory and a log.
type world struct {
	config  Config
	crypter *wxcrypt.Crypter
	log     bytes.Buffer

	mu       sync.Mutex
	accepted []string // kinds, in order
	replies  map[string][]byte
	observed []Observation

	accept  func(ctx context.Context) error // if not nil, called first
	respond func(ctx context.Context, p *Push) (Reply, error)
}

func newWorld(t testing.TB) *world {
	w := &world{crypter: testCrypter(t), replies: make(map[string][]byte)}
	w.config = Config{
		Components: w, Sink: w, Accounts: w, Responder: w,
		Logger: slog.New(slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Observe: func(o Observation) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.observed = append(w.observed, o)
		},
	}
	return w
}

func (w *world) handler(t testing.TB) *Handler {
	t.Helper()
	h, err := NewHandler(w.config)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (w *world) Crypter(_ context.Context, c tuoguan.ComponentAppID) (*wxcrypt.Crypter, error) {
	if c == "wxbroken" {
		return nil, errors.New("the store is down")
	}
	if c != testComponent {
		return nil, fmt.Errorf("%s: %w", c, ErrUnknownComponent)
	}
	return w.crypter, nil
}

func (w *world) Holder(_ context.Context, _ tuoguan.ComponentAppID, userName string) (tuoguan.AuthorizerAppID, bool) {
	return testAuthorization.Authorizer, userName == testAccount
}

func (w *world) UserName(_ context.Context, a tuoguan.Authorization) (string, bool) {
	return testAccount, a == testAuthorization
}

func (w *world) Accept(ctx context.Context, p *Push) (Outcome, error) {
	if w.accept != nil {
		if err := w.accept(ctx); err != nil {
			return Outcome{}, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if reply, found := w.replies[p.DedupeKey()]; found {
		return Outcome{Duplicate: true, Reply: reply}, nil
	}
	w.replies[p.DedupeKey()] = nil
	w.accepted = append(w.accepted, p.Kind())
	return Outcome{}, nil
}

func (w *world) SaveReply(_ context.Context, p *Push, plaintext []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replies[p.DedupeKey()] = plaintext
	return nil
}

func (w *world) Respond(ctx context.Context, p *Push) (Reply, error) {
	if w.respond == nil {
		return nil, nil
	}
	return w.respond(ctx, p)
}

// pushRequest is a push as WeChat sends it; change lets it be something else.
type pushRequest struct {
	method, path string
	query        url.Values
	rawQuery     string // instead of query
	body         string
}

func (w *world) request(t testing.TB, path, plaintext string, change func(*pushRequest)) *http.Request {
	t.Helper()
	return sealed(t, w.crypter, testConfig.Token, path, plaintext, change)
}

func sealed(t testing.TB, c *wxcrypt.Crypter, token, path, plaintext string, change func(*pushRequest)) *http.Request {
	t.Helper()
	encrypt, err := c.Encrypt([]byte(plaintext), wxcrypt.Current)
	if err != nil {
		t.Fatal(err)
	}
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), "1000000001"
	r := &pushRequest{
		method: http.MethodPost, path: path,
		query: url.Values{
			"signature": {wxcrypt.Signature(token, timestamp, nonce)},
			"timestamp": {timestamp}, "nonce": {nonce}, "encrypt_type": {"aes"},
			"msg_signature": {c.Sign(timestamp, nonce, encrypt, wxcrypt.Current)},
		},
		body: "<xml><AppId>wx0123456789abcdef</AppId><Encrypt><![CDATA[" + string(encrypt) + "]]></Encrypt></xml>",
	}
	if change != nil {
		change(r)
	}
	query := r.rawQuery
	if query == "" {
		query = r.query.Encode()
	}
	request := httptest.NewRequestWithContext(t.Context(), r.method, r.path+"?"+query, strings.NewReader(r.body))
	request.Header.Set("Content-Type", "text/xml")
	return request
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestSuccessIsExact(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := httptest.NewServer(w.handler(t))
	defer server.Close()
	for _, sample := range []struct{ path, plaintext string }{{eventPath, ticket}, {messagePath, text}} {
		r := w.request(t, sample.path, sample.plaintext, nil)
		r, err := http.NewRequestWithContext(t.Context(), r.Method, server.URL+r.URL.String(), r.Body)
		if err != nil {
			t.Fatal(err)
		}
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || string(body) != "success" || response.ContentLength != 7 {
			t.Errorf("%s: %d %q (%d bytes), %v", sample.path, response.StatusCode, body, response.ContentLength, err)
		}
		if got := response.Header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("X-Content-Type-Options %q", got)
		}
		if got := response.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain") {
			t.Errorf("Content-Type %q", got)
		}
	}
	if diff := cmp.Diff([]string{"component_verify_ticket", "text"}, w.accepted); diff != "" {
		t.Error(diff)
	}
	p := w.observed[1].Push
	if p.Authorization != testAuthorization || w.observed[0].Push.Authorizer != "" || time.Since(p.ReceivedAt) > time.Minute {
		t.Errorf("push of %s, received %s", p.Authorization, p.ReceivedAt)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	other, err := wxcrypt.New(wxcrypt.Config{AppID: string(testComponent), Token: "OtherToken", EncodingAESKey: testConfig.EncodingAESKey})
	if err != nil {
		t.Fatal(err)
	}
	otherKey, err := wxcrypt.New(wxcrypt.Config{AppID: string(testComponent), Token: testConfig.Token, EncodingAESKey: "eSiJHlRJff7q9aLr7vuDqqc1jOduxAGH3JEnHmzsob4"})
	if err != nil {
		t.Fatal(err)
	}
	otherAppID, err := wxcrypt.New(wxcrypt.Config{AppID: string(testAuthorizer), Token: testConfig.Token, EncodingAESKey: testConfig.EncodingAESKey})
	if err != nil {
		t.Fatal(err)
	}
	// resign makes the signature right for a body that was changed.
	resign := func(r *pushRequest, encrypt string) {
		r.body = "<xml><Encrypt>" + encrypt + "</Encrypt></xml>"
		r.query.Set("msg_signature", wxcrypt.Signature(testConfig.Token, r.query.Get("timestamp"), r.query.Get("nonce"), encrypt))
	}
	at := func(d time.Duration) func(*pushRequest) {
		return func(r *pushRequest) {
			encrypt := r.body[strings.Index(r.body, "[CDATA[")+7 : strings.Index(r.body, "]]")]
			r.query.Set("timestamp", strconv.FormatInt(time.Now().Add(d).Unix(), 10))
			resign(r, encrypt)
		}
	}
	type test struct {
		path      string
		plaintext string
		crypter   *wxcrypt.Crypter // instead of the right one
		change    func(*pushRequest)
		reason    Reason
	}
	tests := map[string]test{
		"GET":                      {change: func(r *pushRequest) { r.method = http.MethodGet }, reason: ReasonMethod},
		"GET with echostr":         {change: func(r *pushRequest) { r.method = http.MethodGet; r.query.Set("echostr", "<b>1</b>") }, reason: ReasonMethod},
		"PUT":                      {change: func(r *pushRequest) { r.method = http.MethodPut }, reason: ReasonMethod},
		"no such path":             {path: "/wx/wx0123456789abcdef/events", reason: ReasonPath},
		"below the event path":     {path: eventPath + "/x", reason: ReasonPath},
		"no account in the path":   {path: "/wx/wx0123456789abcdef/message/", reason: ReasonPath},
		"template not filled in":   {path: "/wx/wx0123456789abcdef/message/$APPID$", reason: ReasonPath},
		"two accounts in the path": {path: messagePath + "/x", reason: ReasonPath},
		"no component in the path": {path: "/wx//event", reason: ReasonPath},
		"unknown component":        {path: "/wx/wxfedcba9876543210/event", reason: ReasonComponent},
		"query that is none":       {change: func(r *pushRequest) { r.rawQuery = "%zz" }, reason: ReasonQuery},
		"encrypt_type=raw":         {change: func(r *pushRequest) { r.query.Set("encrypt_type", "raw") }, reason: ReasonQuery},
		"nonce with markup":        {change: func(r *pushRequest) { r.query.Set("nonce", "]]>") }, reason: ReasonQuery},
		"timestamp in words":       {change: func(r *pushRequest) { r.query.Set("timestamp", "now") }, reason: ReasonTimestamp},
		"negative timestamp":       {change: func(r *pushRequest) { r.query.Set("timestamp", "-1") }, reason: ReasonTimestamp},
		"11 minutes old":           {change: at(-11 * time.Minute), reason: ReasonTimestamp},
		"11 minutes early":         {change: at(11 * time.Minute), reason: ReasonTimestamp},
		"timestamp not the signed": {change: func(r *pushRequest) {
			r.query.Set("timestamp", strconv.FormatInt(time.Now().Unix()+7, 10))
		}, reason: ReasonSignature},
		"no body":         {change: func(r *pushRequest) { r.body = "" }, reason: ReasonBody},
		"257 KiB":         {change: func(r *pushRequest) { r.body += strings.Repeat(" ", 257<<10) }, reason: ReasonBody},
		"not an envelope": {change: func(r *pushRequest) { r.body = "hello" }, reason: ReasonEnvelope},
		"plaintext":       {change: func(r *pushRequest) { r.body = ticket }, reason: ReasonEnvelope},
		"DOCTYPE around":  {change: func(r *pushRequest) { r.body = "<!DOCTYPE xml>" + r.body }, reason: ReasonEnvelope},
		"Encrypt twice":   {change: func(r *pushRequest) { r.body = strings.ReplaceAll(r.body, "</xml>", "<Encrypt>a</Encrypt></xml>") }, reason: ReasonEnvelope},
		"very deep":       {change: func(r *pushRequest) { r.body = strings.Repeat("<xml>", 50_000) }, reason: ReasonEnvelope},
		"UTF-16":          {change: func(r *pushRequest) { r.body = "\xff\xfe<\x00x\x00" }, reason: ReasonEnvelope},
		"cut short":       {change: func(r *pushRequest) { r.body = r.body[:len(r.body)/2] }, reason: ReasonEnvelope},
		"wrong signature": {change: func(r *pushRequest) { r.query.Set("msg_signature", strings.Repeat("0", 40)) }, reason: ReasonSignature},
		"signature used as msg_signature": {change: func(r *pushRequest) {
			r.query.Set("msg_signature", r.query.Get("signature"))
		}, reason: ReasonSignature},
		"ciphertext changed":                            {change: func(r *pushRequest) { r.body = strings.Replace(r.body, "[CDATA[", "[CDATA[A", 1) }, reason: ReasonSignature},
		"another token":                                 {crypter: other, reason: ReasonSignature},
		"another key":                                   {crypter: otherKey, reason: ReasonDecrypt},
		"another receiver":                              {crypter: otherAppID, reason: ReasonReceiver},
		"signed, not base64":                            {change: func(r *pushRequest) { resign(r, "****") }, reason: ReasonDecrypt},
		"signed, half a block":                          {change: func(r *pushRequest) { resign(r, "QUJDRA==") }, reason: ReasonDecrypt},
		"DOCTYPE inside":                                {plaintext: "<!DOCTYPE xml [<!ENTITY a \"b\">]>" + ticket, reason: ReasonDoctype},
		"nothing inside":                                {plaintext: "\x00empty", reason: ReasonDoctype},
		"AppId of another component":                    {plaintext: strings.ReplaceAll(ticket, "wx0123456789abcdef", "wxfedcba9876543210"), reason: ReasonComponent},
		"message on the event URL":                      {plaintext: text, reason: ReasonPath},
		"ticket on the message URL":                     {path: messagePath, plaintext: ticket, reason: ReasonPath},
		"message of another account":                    {path: messagePath, plaintext: strings.ReplaceAll(text, testAccount, "gh_other"), reason: ReasonAccount},
		"message of a known account on an unknown path": {path: "/wx/wx0123456789abcdef/message/wxcccccccccccccccc", plaintext: text, reason: ReasonAccount},
		"path that is no AppID":                         {path: "/wx/wx0123456789abcdef/message/zzz", plaintext: text, reason: ReasonPath},
		"message of no account":                         {path: messagePath, plaintext: "<xml><MsgType>text</MsgType></xml>", reason: ReasonAccount},
		"filing notice of another account": {
			path:      messagePath,
			plaintext: "<xml><InfoType>notify_apply_icpfiling_result</InfoType><authorizer_appid>wxbbbbbbbbbbbbbbbb</authorizer_appid></xml>", reason: ReasonAccount,
		},
	}
	for _, name := range []string{"signature", "timestamp", "nonce", "encrypt_type", "msg_signature"} {
		tests["without "+name] = test{change: func(r *pushRequest) { r.query.Del(name) }, reason: ReasonQuery}
		tests["with empty "+name] = test{change: func(r *pushRequest) { r.query.Set(name, "") }, reason: ReasonQuery}
		tests["with "+name+" twice"] = test{change: func(r *pushRequest) { r.query.Add(name, r.query.Get(name)) }, reason: ReasonQuery}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			path, plaintext, crypter := test.path, test.plaintext, test.crypter
			if path == "" {
				path = eventPath
			}
			switch plaintext {
			case "":
				plaintext = ticket
			case "\x00empty":
				plaintext = ""
			}
			if crypter == nil {
				crypter = w.crypter
			}
			got := serve(w.handler(t), sealed(t, crypter, testConfig.Token, path, plaintext, test.change))
			if got.Code != http.StatusForbidden || got.Body.String() != "forbidden\n" {
				t.Errorf("answer %d %q", got.Code, got.Body)
			}
			want := http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}, "Connection": {"close"}}
			if diff := cmp.Diff(want, got.Header()); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			if len(w.accepted) > 0 {
				t.Errorf("stored %v", w.accepted)
			}
			if len(w.observed) != 1 || w.observed[0].Reason != test.reason || w.observed[0].Result != Refused || w.observed[0].Push != nil {
				t.Errorf("observed %+v, want reason %s", w.observed, test.reason)
			}
			if log := w.log.String(); !strings.Contains(log, `"reason":"`+string(test.reason)+`"`) || strings.Contains(log, "ticket@@@") || strings.Contains(log, testConfig.Token) {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// A length that is claimed is not believed, one that is not claimed is bounded.
func TestBodyLength(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		claimed int64
		extra   int
		want    int
	}{
		"a TiB claimed":       {1 << 40, 0, http.StatusForbidden},
		"more than there is":  {100_000, 0, http.StatusForbidden},
		"not claimed":         {-1, 0, http.StatusOK},
		"257 KiB not claimed": {-1, 257 << 10, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.request(t, eventPath, ticket, func(r *pushRequest) { r.body += strings.Repeat(" ", test.extra) })
			r.ContentLength = test.claimed
			if got := serve(w.handler(t), r); got.Code != test.want {
				t.Errorf("answer %d, want %d", got.Code, test.want)
			}
		})
	}
}

func TestAcceptedKinds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		path, plaintext string
		change          func(*pushRequest)
		kind            string
	}{
		"unknown InfoType":           {eventPath, "<xml><AppId>wx0123456789abcdef</AppId><InfoType>new</InfoType></xml>", nil, "new"},
		"InfoType without AppId":     {eventPath, "<xml><InfoType>unauthorized</InfoType></xml>", nil, "unauthorized"},
		"neither InfoType nor other": {eventPath, "<xml><a/></xml>", nil, "unknown"},
		"unparsable":                 {eventPath, "<xml>", nil, "unparsed"},
		"unparsable message":         {messagePath, "<xml><MsgType>text</MsgType>", nil, "unparsed"},
		"too deep":                   {eventPath, "<xml><a><a><a><a><a/></a></a></a></a></xml>", nil, "unparsed"},
		"unknown MsgType":            {messagePath, strings.ReplaceAll(text, ">text<", ">new<"), nil, "new"},
		"unknown account":            {"/wx/wx0123456789abcdef/message/wx570bc396a51b8ff8", strings.ReplaceAll(text, testAccount, "gh_3c884a361561"), nil, "text"},
		"card of a mini program": {
			messagePath, "<xml><ToUserName>gh_0123456789ab</ToUserName><MsgType>miniprogrampage</MsgType><AppId>wxaaaaaaaaaaaaaaaa</AppId></xml>", nil, "miniprogrampage",
		},
		"filing notice, event URL":         {eventPath, "<xml><InfoType>notify_apply_icpfiling_result</InfoType></xml>", nil, "notify_apply_icpfiling_result"},
		"filing notice, event URL, JSON":   {eventPath, `{"MsgType":"event","Event":"notify_apply_icpfiling_result"}`, nil, "event.notify_apply_icpfiling_result"},
		"filing notice, message URL":       {messagePath, "<xml><InfoType>notify_apply_icpfiling_result</InfoType><authorizer_appid>wxaaaaaaaaaaaaaaaa</authorizer_appid></xml>", nil, "notify_apply_icpfiling_result"},
		"filing notice, message URL, JSON": {messagePath, `{"ToUserName":"gh_0123456789ab","MsgType":"event","Event":"notify_apply_icpfiling_result"}`, nil, "event.notify_apply_icpfiling_result"},
		"JSON envelope": {eventPath, ticket, func(r *pushRequest) {
			r.body = `{"Encrypt":"` + r.body[strings.Index(r.body, "[CDATA[")+7:strings.Index(r.body, "]]")] + `"}`
		}, "component_verify_ticket"},
		"more parameters":   {messagePath, text, func(r *pushRequest) { r.query.Set("openid", "oSim0001") }, "text"},
		"wrong signature":   {messagePath, text, func(r *pushRequest) { r.query.Set("signature", "0") }, "text"},
		"outer AppId wrong": {eventPath, ticket, func(r *pushRequest) { r.body = strings.Replace(r.body, "wx0123456789abcdef", "wxother", 1) }, "component_verify_ticket"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			got := serve(w.handler(t), w.request(t, test.path, test.plaintext, test.change))
			if got.Code != http.StatusOK || got.Body.String() != "success" {
				t.Errorf("answer %d %q; %s", got.Code, got.Body, &w.log)
			}
			if diff := cmp.Diff([]string{test.kind}, w.accepted); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The window is about the request on its way, which takes real time: a clock that
// the demo or a test has moved does not matter.
func TestWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.config.Clock = new(tuoguan.Clock)
		w.config.Clock.Advance(2 * time.Hour)
		h := w.handler(t)
		first, second := w.request(t, eventPath, ticket, nil), w.request(t, eventPath, ticket, nil)
		third := w.request(t, eventPath, ticket, nil)
		time.Sleep(9 * time.Minute)
		if got := serve(h, first); got.Code != http.StatusOK {
			t.Errorf("9 minutes off: %d", got.Code)
		}
		time.Sleep(2 * time.Minute)
		if got := serve(h, second); got.Code != http.StatusForbidden {
			t.Errorf("11 minutes off: %d", got.Code)
		}
		w.config.Window = 12 * time.Minute
		if got := serve(w.handler(t), third); got.Code != http.StatusOK {
			t.Errorf("11 minutes off in a window of 12: %d", got.Code)
		}
	})
}

func TestStoreFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*world){
		"error":         func(w *world) { w.accept = func(context.Context) error { return errors.New("disk full") } },
		"panic":         func(w *world) { w.accept = func(context.Context) error { panic("ticket@@@1") } },
		"nil in a map":  func(w *world) { w.replies = nil },
		"slow":          func(w *world) { w.accept = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() } },
		"deaf and slow": func(w *world) { w.accept = func(context.Context) error { time.Sleep(time.Minute); return nil } },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				change(w)
				h := w.handler(t)
				start := time.Now()
				got := serve(h, w.request(t, eventPath, ticket, nil))
				if got.Code != http.StatusInternalServerError || got.Body.String() != "try again\n" {
					t.Errorf("answer %d %q", got.Code, got.Body)
				}
				if took := time.Since(start); took > 3*time.Second {
					t.Errorf("took %s", took)
				}
				if len(w.observed) != 1 || w.observed[0].Result != Failed {
					t.Errorf("observed %+v", w.observed)
				}
				h.Wait()
				if log := w.log.String(); log == "" || strings.Contains(log, "ticket@@@") {
					t.Errorf("log: %s", log)
				}
			})
		})
	}
}

func TestComponentLookupFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := serve(w.handler(t), w.request(t, "/wx/wxbroken/event", ticket, nil))
	if got.Code != http.StatusInternalServerError || w.observed[0].Result != Failed {
		t.Errorf("answer %d, observed %+v", got.Code, w.observed)
	}
}

// openReply decrypts a passive reply as WeChat does.
func (w *world) openReply(t testing.TB, got *httptest.ResponseRecorder) *Push {
	t.Helper()
	if got.Code != http.StatusOK {
		t.Fatalf("answer %d %q", got.Code, got.Body)
	}
	envelope, err := wxcrypt.ParseEnvelope(got.Body.Bytes())
	if err != nil {
		t.Fatalf("%q: %v", got.Body, err)
	}
	q := wxcrypt.Query{Timestamp: string(envelope.TimeStamp), Nonce: string(envelope.Nonce), MsgSignature: string(envelope.MsgSignature)}
	m, err := w.crypter.Open(q, envelope.Encrypt)
	if err != nil {
		t.Fatal(err)
	}
	return Parse(testAuthorization, m.Body)
}

func TestPassiveReply(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked := 0
	w.respond = func(_ context.Context, p *Push) (Reply, error) {
		asked++
		message, _ := As[TextMessage](p)
		return Text{Content: message.Content + " too"}, nil
	}
	h := w.handler(t)
	first := serve(h, w.request(t, messagePath, text, nil))
	reply := w.openReply(t, first)
	if reply.Field("ToUserName") != "oSim0001" || reply.Field("FromUserName") != testAccount || reply.Field("Content") != "hello too" || reply.MsgType != "text" {
		t.Errorf("reply %s", reply.Body)
	}
	if got := first.Header().Get("X-Content-Type-Options"); got != "nosniff" {
		t.Errorf("X-Content-Type-Options %q", got)
	}
	// A retry gets the same plaintext, encrypted anew, and nobody is asked again.
	second := serve(h, w.request(t, messagePath, text, nil))
	if again := w.openReply(t, second); !bytes.Equal(again.Body, reply.Body) {
		t.Errorf("the retry was answered %s, the first copy %s", again.Body, reply.Body)
	}
	if bytes.Equal(first.Body.Bytes(), second.Body.Bytes()) {
		t.Error("the retry was answered with the same ciphertext")
	}
	if asked != 1 || len(w.accepted) != 1 {
		t.Errorf("asked %d times, stored %d times", asked, len(w.accepted))
	}
	if w.observed[0].Result != Replied || w.observed[1].Result != Duplicate {
		t.Errorf("observed %+v", w.observed)
	}
	// On the authorization event URL nobody is asked at all.
	if got := serve(h, w.request(t, eventPath, ticket, nil)); got.Body.String() != "success" || asked != 1 {
		t.Errorf("answer to a ticket %q, asked %d times", got.Body, asked)
	}
}

func TestNoReply(t *testing.T) {
	t.Parallel()
	tests := map[string]func(ctx context.Context, p *Push) (Reply, error){
		"nil":           func(context.Context, *Push) (Reply, error) { return nil, nil },
		"error":         func(context.Context, *Push) (Reply, error) { return Text{Content: "x"}, errors.New("failed") },
		"panic":         func(context.Context, *Push) (Reply, error) { panic("hello") },
		"invalid":       func(context.Context, *Push) (Reply, error) { return Text{}, nil },
		"too late":      func(ctx context.Context, _ *Push) (Reply, error) { <-ctx.Done(); return nil, ctx.Err() },
		"deaf and late": func(context.Context, *Push) (Reply, error) { time.Sleep(time.Minute); return Text{Content: "x"}, nil },
	}
	for name, respond := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.respond = respond
				h := w.handler(t)
				start := time.Now()
				got := serve(h, w.request(t, messagePath, text, nil))
				if got.Code != http.StatusOK || got.Body.String() != "success" {
					t.Errorf("answer %d %q", got.Code, got.Body)
				}
				if took := time.Since(start); took > 4500*time.Millisecond {
					t.Errorf("took %s", took)
				}
				h.Wait()
				if len(w.accepted) != 1 || w.observed[0].Result != Stored {
					t.Errorf("stored %v, observed %+v", w.accepted, w.observed)
				}
				if strings.Contains(w.log.String(), "hello") {
					t.Errorf("log: %s", &w.log)
				}
			})
		})
	}
}

// Copies that arrive together are stored once, asked about once and answered alike.
func TestConcurrentDuplicates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		asked, stored := 0, 0
		w.accept = func(context.Context) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			stored++
			return nil
		}
		w.respond = func(context.Context, *Push) (Reply, error) {
			time.Sleep(time.Second)
			asked++
			return Text{Content: "once"}, nil
		}
		h := w.handler(t)
		answers := make([]*httptest.ResponseRecorder, 64)
		var wg sync.WaitGroup
		for i := range answers {
			r := w.request(t, messagePath, text, nil)
			wg.Go(func() { answers[i] = serve(h, r) })
		}
		wg.Wait()
		first := w.openReply(t, answers[0])
		for i, got := range answers {
			if reply := w.openReply(t, got); !bytes.Equal(reply.Body, first.Body) {
				t.Errorf("copy %d was answered %s, the first %s", i, reply.Body, first.Body)
			}
		}
		if asked != 1 || len(w.accepted) != 1 || stored != 1 {
			t.Errorf("asked %d times, stored %d times of %d", asked, len(w.accepted), stored)
		}
		results := make(map[Result]int)
		for _, o := range w.observed {
			results[o.Result]++
		}
		if results[Replied] != 1 || results[Duplicate] != 63 {
			t.Errorf("results %v", results)
		}
		if len(h.flights) != 0 {
			t.Errorf("%d flights left", len(h.flights))
		}
	})
}

// The work on a push does not end with the connection that brought it.
func TestRequesterLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.accept = func(ctx context.Context) error {
			time.Sleep(time.Second)
			return ctx.Err()
		}
		h := w.handler(t)
		ctx, cancel := context.WithCancel(t.Context())
		r := w.request(t, eventPath, ticket, nil).WithContext(ctx)
		time.AfterFunc(time.Millisecond, cancel)
		if got := serve(h, r); got.Code != http.StatusOK {
			t.Errorf("answer %d", got.Code)
		}
	})
}

// While a key is being changed, a reply is made with what its push was made with.
func TestRotatedKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.crypter
	rotated, err := wxcrypt.New(wxcrypt.Config{
		AppID: testConfig.AppID, Token: "NewToken01", PreviousToken: testConfig.Token,
		EncodingAESKey: "eSiJHlRJff7q9aLr7vuDqqc1jOduxAGH3JEnHmzsob4", PreviousEncodingAESKey: testConfig.EncodingAESKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.respond = func(context.Context, *Push) (Reply, error) { return Text{Content: "x"}, nil }
	w.crypter = rotated
	h := w.handler(t)
	got := serve(h, sealed(t, old, testConfig.Token, messagePath, text, nil))
	if p := w.observed[0].Push; p == nil || p.Generation != wxcrypt.Previous|wxcrypt.PreviousToken {
		t.Fatalf("observed %+v", w.observed)
	}
	w.crypter = old
	if reply := w.openReply(t, got); reply.Field("Content") != "x" {
		t.Errorf("reply %s", reply.Body)
	}
}

func TestNewHandlerNamesEveryMistake(t *testing.T) {
	t.Parallel()
	_, err := NewHandler(Config{Window: -1, StoreTimeout: time.Hour})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"Components", "Sink", "Window", "StoreTimeout exceeds"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in %q", want, err)
		}
	}
}

func TestPlaintext(t *testing.T) {
	t.Parallel()
	const head = "<xml><ToUserName><![CDATA[oSim0001]]></ToUserName><FromUserName><![CDATA[gh_0123456789ab]]></FromUserName><CreateTime>1700000601</CreateTime>"
	message := Parse(testAuthorization, []byte(text))
	event := Parse(testAuthorization, []byte(strings.ReplaceAll(text, ">text<", ">event<")))
	nine := News{Articles: slices.Repeat([]Article{{Title: "T"}}, 9)}
	tests := map[string]struct {
		p     *Push
		reply Reply
		want  string // after head, or "" for an error
	}{
		"text":          {message, Text{"a\nb"}, "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[a\nb]]></Content></xml>"},
		"text with ]]>": {message, Text{"a]]>b"}, "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[a]]]]><![CDATA[>b]]></Content></xml>"},
		"text, 2048":    {message, Text{strings.Repeat("a", 2048)}, "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[" + strings.Repeat("a", 2048) + "]]></Content></xml>"},
		"image":         {message, Image{"m"}, "<MsgType><![CDATA[image]]></MsgType><Image><MediaId><![CDATA[m]]></MediaId></Image></xml>"},
		"voice":         {message, Voice{"m"}, "<MsgType><![CDATA[voice]]></MsgType><Voice><MediaId><![CDATA[m]]></MediaId></Voice></xml>"},
		"video":         {message, Video{"m", "t", ""}, "<MsgType><![CDATA[video]]></MsgType><Video><MediaId><![CDATA[m]]></MediaId><Title><![CDATA[t]]></Title></Video></xml>"},
		"music": {
			message, Music{"t", "d", "u", "h", "m"},
			"<MsgType><![CDATA[music]]></MsgType><Music><Title><![CDATA[t]]></Title><Description><![CDATA[d]]></Description><MusicUrl><![CDATA[u]]></MusicUrl><HQMusicUrl><![CDATA[h]]></HQMusicUrl><ThumbMediaId><![CDATA[m]]></ThumbMediaId></Music></xml>",
		},
		"news": {
			message, News{[]Article{{"t", "d", "p", "u"}}},
			"<MsgType><![CDATA[news]]></MsgType><ArticleCount>1</ArticleCount><Articles><item><Title><![CDATA[t]]></Title><Description><![CDATA[d]]></Description><PicUrl><![CDATA[p]]></PicUrl><Url><![CDATA[u]]></Url></item></Articles></xml>",
		},
		"transfer":                 {message, TransferCustomerService{}, "<MsgType><![CDATA[transfer_customer_service]]></MsgType></xml>"},
		"transfer to one":          {message, TransferCustomerService{"kf@x"}, "<MsgType><![CDATA[transfer_customer_service]]></MsgType><TransInfo><KfAccount><![CDATA[kf@x]]></KfAccount></TransInfo></xml>"},
		"none":                     {message, nil, ""},
		"empty text":               {message, Text{}, ""},
		"text, 2049":               {message, Text{strings.Repeat("a", 2049)}, ""},
		"text with NUL":            {message, Text{"\x00"}, ""},
		"text with a control":      {message, Text{"\x08"}, ""},
		"text not UTF-8":           {message, Text{"\xff"}, ""},
		"image of nothing":         {message, Image{}, ""},
		"voice of nothing":         {message, Voice{}, ""},
		"video of nothing":         {message, Video{Title: "t"}, ""},
		"music without thumb":      {message, Music{Title: "t"}, ""},
		"no news":                  {message, News{}, ""},
		"news without a title":     {message, News{[]Article{{}}}, ""},
		"two articles for a user":  {message, News{nine.Articles[:2]}, ""},
		"nine articles":            {event, nine, ""},
		"empty raw":                {message, Raw{}, ""},
		"raw not UTF-8":            {message, Raw("\xff"), ""},
		"giant raw":                {message, Raw(strings.Repeat("a", 64<<10+1)), ""},
		"to a push without a user": {Parse(testAuthorization, []byte("<xml><ToUserName>a</ToUserName></xml>")), Text{"a"}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Plaintext(test.p, test.reply, time.Unix(1700000601, 0))
			if test.want == "" {
				if !errors.Is(err, ErrReply) || got != nil {
					t.Errorf("%q, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(head+test.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if got, err := Plaintext(event, News{nine.Articles[:8]}, time.Unix(1, 0)); err != nil || strings.Count(string(got), "<item>") != 8 {
		t.Errorf("eight articles for an event: %v", err)
	}
	if got, err := Plaintext(message, Raw("<xml>r</xml>"), time.Unix(1, 0)); err != nil || string(got) != "<xml>r</xml>" {
		t.Errorf("raw: %q, %v", got, err)
	}
}
