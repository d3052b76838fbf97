package push_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/wxcrypt"
)

const component = tuoguan.ComponentAppID("wx0123456789abcdef")

var settings = wxcrypt.Config{
	AppID:          string(component),
	Token:          "SimToken01",
	EncodingAESKey: "DApfUNUyFp9mBEp5VTXhDYIDod4BqBOr7y86vT5EEnu",
}

// memory is a Sink that forgets everything when the process ends. A real one keeps
// the pushes in a database.
type memory struct {
	mu      sync.Mutex
	replies map[string][]byte
}

func (m *memory) Accept(_ context.Context, p *push.Push) (push.Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	reply, known := m.replies[p.DedupeKey()]
	if !known {
		m.replies[p.DedupeKey()] = nil
	}
	return push.Outcome{Duplicate: known, Reply: reply}, nil
}

func (m *memory) SaveReply(_ context.Context, p *push.Push, plaintext []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replies[p.DedupeKey()] = plaintext
	return nil
}

// single serves one component.
type single struct{ crypter *wxcrypt.Crypter }

func (s single) Crypter(_ context.Context, c tuoguan.ComponentAppID) (*wxcrypt.Crypter, error) {
	if string(c) != s.crypter.AppID() {
		return nil, push.ErrUnknownComponent
	}
	return s.crypter, nil
}

// echo answers every text with the same text.
type echo struct{}

func (echo) Respond(_ context.Context, p *push.Push) (push.Reply, error) {
	message, ok := push.As[push.TextMessage](p)
	if !ok {
		return nil, nil
	}
	return push.Text{Content: "You said " + message.Content}, nil
}

func ExampleHandler() {
	crypter, err := wxcrypt.New(settings)
	if err != nil {
		log.Fatal(err)
	}
	handler, err := push.NewHandler(push.Config{
		Components: single{crypter},
		Sink:       &memory{replies: make(map[string][]byte)},
		Responder:  echo{},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer handler.Wait()
	server := httptest.NewServer(handler) // in a server: mux.Handle("/wx/", handler)
	defer server.Close()

	// WeChat's side.
	encrypt, err := crypter.Encrypt([]byte("<xml><ToUserName>gh_0123456789ab</ToUserName><FromUserName>oSim0001</FromUserName>"+
		"<CreateTime>1700000600</CreateTime><MsgType>text</MsgType><Content>hello</Content><MsgId>24000000000000001</MsgId></xml>"), wxcrypt.Current)
	if err != nil {
		log.Fatal(err)
	}
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	query := url.Values{
		"signature": {wxcrypt.Signature(settings.Token, timestamp, "42")},
		"timestamp": {timestamp}, "nonce": {"42"}, "encrypt_type": {"aes"},
		"msg_signature": {crypter.Sign(timestamp, "42", encrypt, wxcrypt.Current)},
	}
	response, err := server.Client().Post(server.URL+"/wx/wx0123456789abcdef/message/wxaaaaaaaaaaaaaaaa?"+query.Encode(),
		"text/xml", strings.NewReader("<xml><Encrypt>"+string(encrypt)+"</Encrypt></xml>"))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	fmt.Println(response.Status, response.Header.Get("Content-Type"))
	// Output: 200 OK text/xml; charset=utf-8
}

func ExampleParse() {
	p := push.Parse(tuoguan.Authorization{Component: component}, []byte("<xml><AppId>wx0123456789abcdef</AppId><CreateTime>1700000400</CreateTime>"+
		"<InfoType>unauthorized</InfoType><AuthorizerAppid>wxaaaaaaaaaaaaaaaa</AuthorizerAppid></xml>"))
	switch view := p.View().(type) {
	case *push.Unauthorized:
		fmt.Println(view.Authorizer, "took its authorization back at", p.CreatedAt.UTC())
	default:
		fmt.Println("something else:", p.Kind())
	}
	// Output: wxaaaaaaaaaaaaaaaa took its authorization back at 2023-11-14 22:20:00 +0000 UTC
}

func ExamplePush_Field() {
	p := push.Parse(tuoguan.Authorization{Component: component}, []byte("<xml><MsgType>event</MsgType><Event>brand_new</Event>"+
		"<Detail><Price>9 &lt; 10</Price></Detail></xml>"))
	fmt.Println(p.Kind(), p.Field("Detail", "Price"))
	// Output: event.brand_new 9 < 10
}

func ExamplePlaintext() {
	p := push.Parse(tuoguan.Authorization{Component: component}, []byte("<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>text</MsgType></xml>"))
	_, err := push.Plaintext(p, push.News{Articles: []push.Article{{Title: "one"}, {Title: "two"}}}, time.Unix(1700000601, 0))
	fmt.Println(err)
	// Output: push: reply not possible: 2 articles, 1 to 1 are allowed
}
