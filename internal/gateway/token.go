package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// TokenPrefix begins every token that the gateway gives out, so that one which has
// leaked can be recognised.
const TokenPrefix = "tgt_"

// tokenLife is what WeChat's tokens live.
const tokenLife = 7200 * time.Second

// maxTokenLength bounds a token: SDKs reserve so much for WeChat's.
const maxTokenLength = 512

// pass is what a token of the gateway's stands for: a key that may call for an account.
type pass struct {
	credential string // see [access.Caller]
	component  tuoguan.ComponentAppID
	authorizer tuoguan.AuthorizerAppID
	expiresAt  time.Time // in whole seconds
}

// sealer makes and opens tokens. They hold no secret; what they say is authenticated.
type sealer struct{ key [sha256.Size]byte }

func newSealer(master [32]byte) sealer {
	mac := hmac.New(sha256.New, master[:])
	_, _ = mac.Write([]byte("tuoguan gateway token, version 1"))
	return sealer{[sha256.Size]byte(mac.Sum(nil))}
}

// A token is, in base64: the expiry in 8 bytes, three texts each after its length, and
// an HMAC-SHA256 over all of it.
func (s sealer) seal(p pass) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(p.expiresAt.Unix()))
	for _, text := range []string{p.credential, string(p.component), string(p.authorizer)} {
		b = append(b, byte(len(text)))
		b = append(b, text...)
	}
	return TokenPrefix + base64.RawURLEncoding.EncodeToString(s.sign(b))
}

// sign appends the MAC.
func (s sealer) sign(b []byte) []byte {
	mac := hmac.New(sha256.New, s.key[:])
	_, _ = mac.Write(b)
	return mac.Sum(b)
}

// open returns what a token stands for, also when it has expired.
func (s sealer) open(token string) (pass, bool) {
	encoded, ok := strings.CutPrefix(token, TokenPrefix)
	if !ok || len(token) > maxTokenLength {
		return pass{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(b) < 8+3+sha256.Size {
		return pass{}, false
	}
	said := b[:len(b)-sha256.Size]
	if !hmac.Equal(b, s.sign(said[:len(said):len(said)])) {
		return pass{}, false
	}
	p := pass{expiresAt: time.Unix(int64(binary.BigEndian.Uint64(said)), 0)}
	said = said[8:]
	for _, into := range []func(string){
		func(t string) { p.credential = t },
		func(t string) { p.component = tuoguan.ComponentAppID(t) },
		func(t string) { p.authorizer = tuoguan.AuthorizerAppID(t) },
	} {
		n := int(said[0])
		into(string(said[1 : 1+n]))
		said = said[1+n:]
	}
	return p, true
}

// openToken identifies the caller by a token that the gateway gave out.
func (c *call) openToken() error {
	token := parameter(c.query, "access_token")
	if token == "" {
		return shapedError{41001, "access_token missing"}
	}
	p, ok := c.g.sealer.open(token)
	if !ok {
		return shapedError{codeInvalidCredential, "invalid credential, access_token is not one that this gateway gave out"}
	}
	if !c.g.cfg.Clock.Now().Before(p.expiresAt) {
		return shapedError{codeExpiredToken, "access_token expired"}
	}
	var err error
	c.caller, err = c.g.cfg.Keys.Caller(c.r.Context(), p.credential, remote(c.r))
	c.report.KeyID = c.caller.KeyID
	if err != nil {
		return err
	}
	c.entry, err = c.find(p.authorizer, p.component)
	return err
}

// issueToken answers what an SDK for a single account asks WeChat for first.
func (c *call) issueToken() error {
	c.report.Endpoint = c.path
	var ask struct {
		GrantType string `json:"grant_type"`
		AppID     string `json:"appid"`
		Secret    string `json:"secret"`
	}
	switch {
	case c.path == "/cgi-bin/token":
		ask.GrantType, ask.AppID, ask.Secret = parameter(c.query, "grant_type"), parameter(c.query, "appid"), parameter(c.query, "secret")
	case c.r.Method != http.MethodPost:
		return shapedError{43002, "require POST method"}
	default:
		text, err := io.ReadAll(io.LimitReader(c.r.Body, 4<<10))
		if err != nil || json.Unmarshal(text, &ask) != nil {
			return shapedError{47001, "data format error"}
		}
	}
	switch {
	case ask.GrantType != "client_credential":
		return shapedError{40002, "invalid grant_type"}
	case ask.AppID == "":
		return shapedError{41002, "appid missing"}
	case ask.Secret == "":
		return shapedError{41004, "appsecret missing; it is an API key of this gateway"}
	}
	caller, err := c.g.cfg.Keys.Authenticate(c.r.Context(), ask.Secret, remote(c.r))
	switch {
	case errors.Is(err, access.ErrUnknownKey), errors.Is(err, access.ErrExpiredKey), errors.Is(err, access.ErrRevokedKey):
		return shapedError{40125, "invalid appsecret; it is an API key of this gateway that is valid"}
	case err != nil:
		return err
	}
	c.caller, c.report.KeyID = caller, caller.KeyID
	if !caller.May(access.CallGateway) {
		return problem.MissingScope
	}
	entry, err := c.find(tuoguan.AuthorizerAppID(ask.AppID), "")
	if err != nil {
		return err
	}
	c.report.Component, c.report.Authorizer = entry.Component, entry.Authorizer
	if err := c.allow(entry.Authorizer); err != nil {
		return err
	}
	now := c.g.cfg.Clock.Now()
	expiresAt := now.Add(tokenLife)
	if !caller.ExpiresAt.IsZero() && caller.ExpiresAt.Before(expiresAt) {
		expiresAt = caller.ExpiresAt
	}
	p := pass{caller.Credential, entry.Component, entry.Authorizer, expiresAt}
	c.writeJSON(http.StatusOK, struct {
		Token     string `json:"access_token"`
		ExpiresIn int64  `json:"expires_in"`
	}{c.g.sealer.seal(p), int64(expiresAt.Sub(now) / time.Second)})
	return nil
}
