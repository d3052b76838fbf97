package oauth

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/wxapi"
)

const (
	keySize = 32
	// visitLife is how long a visitor may take at WeChat.
	visitLife = 10 * time.Minute
	// openVisits is how many visits of one browser may be under way. Their cookies
	// come with every request, and proxies take 8 KiB of them.
	openVisits = 3

	cookieName  = "tuoguan_oauth_"
	stateLength = 8 + 22 // begins with the time, so that cookies sort by age
)

// visit is what a visitor came for. It is kept by the browser, sealed.
type visit struct {
	Authorizer tuoguan.AuthorizerAppID `json:"a"`
	Component  tuoguan.ComponentAppID  `json:"c"`
	ReturnURL  string                  `json:"r"`
	State      string                  `json:"s,omitempty"` // of the service that sent the visitor
	Scope      wxapi.OAuthScope        `json:"o"`
	Expires    int64                   `json:"e"` // Unix seconds
}

func newState(now time.Time) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%08x", uint32(now.Unix())) + base64.RawURLEncoding.EncodeToString(b[:])
}

// cipherOf returns the cipher of one visit. Its key is used for that alone, so the
// nonce may be a constant, and a cookie opens under its own state only.
func (l *Relay) cipherOf(state string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(l.cfg.Key.Reveal()), []byte(state), "tuoguan web oauth visit", keySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// put gives the browser a visit to keep, and takes away the oldest if it has many.
func (l *Relay) put(w http.ResponseWriter, r *http.Request, state string, v visit) error {
	aead, err := l.cipherOf(state)
	if err != nil {
		return fmt.Errorf("seal a visit: %w", err)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // an address with many & has to fit a cookie
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("seal a visit: %w", err)
	}
	sealed := aead.Seal(nil, make([]byte, aead.NonceSize()), text.Bytes(), nil)
	var known []string
	for _, c := range r.Cookies() {
		if name, ours := strings.CutPrefix(c.Name, l.cookiePrefix()); ours {
			known = append(known, name)
		}
	}
	slices.Sort(known)
	for _, old := range known[:max(0, len(known)-(openVisits-1))] {
		l.forget(w, old)
	}
	l.setCookie(w, state, base64.RawURLEncoding.EncodeToString(sealed), int(visitLife/time.Second))
	return nil
}

var (
	errNoVisit = errors.New("oauth: no such visit of this browser")
	errExpired = errors.New("oauth: the visit has expired")
)

// take returns the visit that a browser brings back: errNoVisit if it is not its own
// or was tampered with, errExpired together with the visit if it took too long.
func (l *Relay) take(r *http.Request, state string) (visit, error) {
	if len(state) != stateLength {
		return visit{}, errNoVisit
	}
	c, err := r.Cookie(l.cookiePrefix() + state)
	if err != nil {
		return visit{}, errNoVisit
	}
	sealed, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return visit{}, errNoVisit
	}
	aead, err := l.cipherOf(state)
	if err != nil {
		return visit{}, fmt.Errorf("open a visit: %w", err)
	}
	plain, err := aead.Open(nil, make([]byte, aead.NonceSize()), sealed, nil)
	if err != nil {
		return visit{}, errNoVisit
	}
	var v visit
	if err := json.Unmarshal(plain, &v); err != nil {
		return visit{}, errNoVisit
	}
	if l.now().Unix() >= v.Expires {
		return v, errExpired
	}
	return v, nil
}

// forget takes a visit away from the browser.
func (l *Relay) forget(w http.ResponseWriter, state string) { l.setCookie(w, state, "", -1) }

// setCookie sets a cookie that only this host gets back, over the same scheme, and
// that comes along when WeChat sends the browser here.
func (l *Relay) setCookie(w http.ResponseWriter, state, value string, seconds int) {
	http.SetCookie(w, &http.Cookie{
		Name: l.cookiePrefix() + state, Value: value, Path: "/", MaxAge: seconds,
		Secure: l.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func (l *Relay) cookiePrefix() string {
	if l.secure {
		return "__Host-" + cookieName
	}
	return cookieName
}
