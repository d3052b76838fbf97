package webhook

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/wxcrypt"
)

// sealed is WeChat's own format under the receiver's Token and EncodingAESKey. The
// receiver of a message is named by the AppID of the component, as in WeChat's.
type sealed struct {
	token, key string

	mu       sync.Mutex
	crypters map[tuoguan.ComponentAppID]*wxcrypt.Crypter
}

func newSealed(s subscription.Secrets) (*sealed, error) {
	f := &sealed{token: s.Token.Reveal(), key: s.EncodingAESKey.Reveal(), crypters: make(map[tuoguan.ComponentAppID]*wxcrypt.Crypter)}
	if _, err := f.crypter("any"); err != nil {
		return nil, err
	}
	return f, nil
}

// crypter returns the Crypter for the events of a component.
func (f *sealed) crypter(c tuoguan.ComponentAppID) (*wxcrypt.Crypter, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if crypter := f.crypters[c]; crypter != nil {
		return crypter, nil
	}
	crypter, err := wxcrypt.New(wxcrypt.Config{AppID: string(c), Token: f.token, EncodingAESKey: f.key})
	if err == nil {
		f.crypters[c] = crypter
	}
	return crypter, err
}

func (f *sealed) write(m sink.Message, at time.Time) (content, error) {
	text := event.XML(m.Event)
	if len(text) == 0 || !event.Deliverable(m.Event.Kind) {
		return content{}, errors.New("there is nothing of the event that may be told in WeChat's format")
	}
	crypter, err := f.crypter(m.Event.Component)
	if err != nil {
		return content{}, errors.New("an event of no component cannot be told in WeChat's format")
	}
	encrypted, err := crypter.Encrypt(text, wxcrypt.Current)
	if err != nil {
		return content{}, err
	}
	user, account := event.Parties(m.Event)
	timestamp, nonce := strconv.FormatInt(at.Unix(), 10), strconv.Itoa(1e9+rand.IntN(1e9))
	query := "signature=" + wxcrypt.Signature(f.token, timestamp, nonce) + "&timestamp=" + timestamp + "&nonce=" + nonce +
		"&encrypt_type=aes&msg_signature=" + crypter.Sign(timestamp, nonce, encrypted, wxcrypt.Current)
	// On the authorization event URL WeChat names the component, on the other the account.
	recipient := "<AppId><![CDATA[" + string(m.Event.Component) + "]]></AppId>"
	if account != "" {
		query += "&openid=" + url.QueryEscape(user)
		recipient = "<ToUserName><![CDATA[" + strings.ReplaceAll(account, "]]>", "") + "]]></ToUserName>"
	}
	body := make([]byte, 0, len(encrypted)+len(recipient)+64)
	body = append(append(body, "<xml>"+recipient+"<Encrypt><![CDATA["...), encrypted...)
	return content{body: append(body, "]]></Encrypt></xml>"...), contentType: "text/xml; charset=utf-8", query: query}, nil
}

// open decrypts a reply that is encrypted, as WeChat wants it.
func (f *sealed) open(m sink.Message, r *sink.Receipt) error {
	envelope, notSealed := wxcrypt.ParseEnvelope(r.Reply)
	if notSealed != nil {
		return nil //nolint:nilerr // perhaps a reply in plaintext; who asked for it looks at it
	}
	crypter, err := f.crypter(m.Event.Component)
	if err != nil {
		return err
	}
	message, err := crypter.Open(wxcrypt.Query{
		Timestamp: string(envelope.TimeStamp), Nonce: string(envelope.Nonce), MsgSignature: string(envelope.MsgSignature),
	}, envelope.Encrypt)
	if err != nil {
		return fmt.Errorf("the encrypted reply does not open: %w", err)
	}
	r.Reply, r.ContentType = message.Body, "text/xml; charset=utf-8"
	return nil
}
