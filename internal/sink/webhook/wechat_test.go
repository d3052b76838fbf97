package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/wxcrypt"
)

const (
	receiverToken = "receiverToken1"
	receiverKey   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
)

// inWeChat has a subscription delivered to in WeChat's format.
func inWeChat(s *subscription.Subscription) {
	s.Spec.Sink.Format = subscription.WeChat
	s.Secrets = subscription.Secrets{Token: tuoguan.NewSecret(receiverToken), EncodingAESKey: tuoguan.NewSecret(receiverKey)}
}

// platform is a program written for WeChat: it has a component and keeps what is pushed.
type platform struct {
	crypter *wxcrypt.Crypter
	pushes  []*push.Push
	reply   push.Reply
}

func (p *platform) Crypter(context.Context, tuoguan.ComponentAppID) (*wxcrypt.Crypter, error) {
	return p.crypter, nil
}

func (p *platform) Accept(_ context.Context, one *push.Push) (push.Outcome, error) {
	p.pushes = append(p.pushes, one)
	return push.Outcome{}, nil
}

func (p *platform) SaveReply(context.Context, *push.Push, []byte) error { return nil }

func (p *platform) Respond(context.Context, *push.Push) (push.Reply, error) { return p.reply, nil }

func newPlatform(t *testing.T) (*platform, *push.Handler) {
	t.Helper()
	crypter, err := wxcrypt.New(wxcrypt.Config{AppID: string(component), Token: receiverToken, EncodingAESKey: receiverKey})
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{crypter: crypter}
	handler, err := push.NewHandler(push.Config{Components: p, Sink: p, Responder: p})
	if err != nil {
		t.Fatal(err)
	}
	return p, handler
}

// TestWeChatHandler: a handler written for WeChat, ours for one, takes what is delivered
// in WeChat's format as if WeChat had sent it, and its passive reply comes back.
func TestWeChatHandler(t *testing.T) {
	t.Parallel()
	const (
		eventPath   = "/wx/" + string(component) + "/event"
		messagePath = "/wx/" + string(component) + "/message/" + string(authorizer)
	)
	own := event.Sample(event.NeedsReauthorization, tuoguan.Authorization{Component: component, Authorizer: authorizer}, time.Now())
	for name, test := range map[string]struct {
		path     string
		message  sink.Message
		want     string // what arrives
		reply    push.Reply
		received string // of the reply
	}{
		"message": {messagePath, message(textPush), textPush, nil, ""},
		"reply":   {messagePath, message(textPush), textPush, push.Text{Content: "好的"}, "好的"},
		"authorized": {eventPath,
			message(`<xml><AppId>wx0123456789abcdef</AppId><CreateTime>1700000301</CreateTime><InfoType>authorized</InfoType><AuthorizerAppid>wxaaaaaaaaaaaaaaaa</AuthorizerAppid><AuthorizationCode>queryauthcode@@@x</AuthorizationCode></xml>`),
			`<xml><AppId>wx0123456789abcdef</AppId><CreateTime>1700000301</CreateTime><InfoType>authorized</InfoType><AuthorizerAppid>wxaaaaaaaaaaaaaaaa</AuthorizerAppid><AuthorizationCode></AuthorizationCode></xml>`, nil, ""},
		"not readable": {messagePath, message(`<xml><MsgType>text`), `<xml><MsgType>text`, nil, ""},
		"our own":      {eventPath, sink.Message{ID: event.ID(own.Key), Event: own, Attempt: 1}, string(event.XML(own)), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, handler := newPlatform(t)
			p.reply = test.reply
			var query url.Values
			var header http.Header
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				query, header = r.URL.Query(), r.Header
				handler.ServeHTTP(w, r)
			}))
			t.Cleanup(s.Close)
			w := open(t, spec(s.URL+test.path+"?tenant=7", inWeChat), Config{Guard: guard(t)})
			if test.reply != nil {
				test.message.ReplyBy = time.Now().Add(4 * time.Second)
			}
			receipt, err := w.Send(t.Context(), test.message)
			if err != nil || receipt.Status != http.StatusOK {
				t.Fatal(receipt, err)
			}
			if len(p.pushes) != 1 || string(p.pushes[0].Body) != test.want {
				t.Errorf("arrived: %v", p.pushes)
			}
			if query.Get("tenant") != "7" || query.Get("signature") != wxcrypt.Signature(receiverToken, query.Get("timestamp"), query.Get("nonce")) {
				t.Errorf("query %v", query)
			}
			if user, _ := event.Parties(test.message.Event); query.Get("openid") != user {
				t.Errorf("openid %q of %q", query.Get("openid"), user)
			}
			if header.Get("Webhook-Id") != test.message.ID || header.Get("Tuoguan-Attempt") != "1" || header.Get("Webhook-Signature") != "" {
				t.Errorf("headers %v", header)
			}
			got := push.Parse(tuoguan.Authorization{}, receipt.Reply).Field("Content")
			if got != test.received || (receipt.Reply == nil) != (test.reply == nil) {
				t.Errorf("reply %s", receipt.Reply)
			}
		})
	}
}

// TestWeChatReplies: what is answered to a question for a reply, other than one.
func TestWeChatReplies(t *testing.T) {
	t.Parallel()
	stranger, err := wxcrypt.New(wxcrypt.Config{AppID: string(component), Token: "another1", EncodingAESKey: receiverKey})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := stranger.SealXML(nil, []byte("<xml></xml>"), strconv.FormatInt(time.Now().Unix(), 10), "1", wxcrypt.Current)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		body, reply string
		refused     bool
	}{
		"success":     {"success", "", false},
		"nothing":     {"", "", false},
		"plaintext":   {"<xml><MsgType>text</MsgType></xml>", "<xml><MsgType>text</MsgType></xml>", false},
		"another key": {string(sealed), "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := receiver(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, test.body) }, inWeChat)
			m := message(textPush)
			m.ReplyBy = time.Now().Add(4 * time.Second)
			receipt, err := w.Send(t.Context(), m)
			if string(receipt.Reply) != test.reply || (err != nil) != test.refused {
				t.Errorf("%s, %v", receipt.Reply, err)
			}
		})
	}
}

// TestWeChatNotTold: what cannot be told in WeChat's format is refused for good, and
// nothing is sent.
func TestWeChatNotTold(t *testing.T) {
	t.Parallel()
	calls := 0
	w := receiver(t, func(http.ResponseWriter, *http.Request) { calls++ }, inWeChat)
	disabled := event.NewSubscriptionDisabled("sub_1", "orders", "gone", 1, time.Now())
	for name, m := range map[string]sink.Message{
		"ticket":       message(`<xml><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>t</ComponentVerifyTicket></xml>`),
		"withheld":     message(`<xml><InfoType>authorized</InfoType><AuthorizationCode>x`),
		"no component": {ID: "evt", Event: disabled, Attempt: 1},
	} {
		_, err := w.Send(t.Context(), m)
		if refusal, _ := errors.AsType[*sink.Refusal](err); refusal == nil || !refusal.Final || calls > 0 {
			t.Errorf("%s: %v, %d calls", name, err, calls)
		}
	}
}

// TestWeComCrypto: WeCom's published library opens what is delivered in WeChat's format,
// and finds its signature right.
func TestWeComCrypto(t *testing.T) {
	t.Parallel()
	dir := installWeComCrypto(t)
	type exchange struct {
		Command   string `json:"command,omitempty"`
		Token     string `json:"token,omitempty"`
		Key       string `json:"key,omitempty"`
		ID        string `json:"id,omitempty"`
		Timestamp string `json:"timestamp,omitempty"`
		Nonce     string `json:"nonce,omitempty"`
		Message   string `json:"message,omitempty"`
		Encrypt   string `json:"encrypt,omitempty"`
		Signature string `json:"signature,omitempty"`
	}
	var bodies, signatures []string
	var list []exchange
	w := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		envelope, err := wxcrypt.ParseEnvelope(body)
		if err != nil {
			t.Error(err)
		}
		q := r.URL.Query()
		signatures = append(signatures, q.Get("msg_signature"))
		list = append(list, exchange{
			Command: "open", Token: receiverToken, Key: receiverKey,
			Timestamp: q.Get("timestamp"), Nonce: q.Get("nonce"), Encrypt: string(envelope.Encrypt),
		})
	}, inWeChat)
	for n := range 34 { // lengths around the padding block
		bodies = append(bodies, strings.Replace(textPush, "s3cr3t-content", strings.Repeat("x", n)+"é你好😀", 1))
		if _, err := w.Send(t.Context(), message(bodies[n])); err != nil {
			t.Fatal(err)
		}
	}
	input, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", "interop.js")
	node.Dir, node.Stdin = dir, bytes.NewReader(input)
	output, err := node.Output()
	if err != nil {
		t.Fatal(err)
	}
	var opened []exchange
	if err := json.Unmarshal(output, &opened); err != nil || len(opened) != len(bodies) {
		t.Fatalf("%d opened, %v", len(opened), err)
	}
	for i, theirs := range opened {
		if theirs.Message != bodies[i] || theirs.ID != string(component) || theirs.Signature != signatures[i] {
			t.Errorf("they read %q for %s, with the signature %s", theirs.Message, theirs.ID, theirs.Signature)
		}
	}
}

// installWeComCrypto returns a directory in which node finds the library.
func installWeComCrypto(t *testing.T) string {
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
	const source = "../../../push/testdata/wecom"
	if _, err := os.Stat(filepath.Join(source, "node_modules", "@wecom", "crypto")); err == nil {
		return source
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	npm.Dir = dir
	if output, err := npm.CombinedOutput(); err != nil {
		missing("npm cannot install @wecom/crypto: " + err.Error() + "\n" + string(output))
	}
	return dir
}
