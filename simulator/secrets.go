package simulator

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// secretKind says what a secret is good for.
type secretKind uint8

const (
	secretTicket secretKind = iota + 1
	secretComponentToken
	secretPreAuthCode
	secretAuthorizationCode
	secretAccessToken
	secretRefreshToken
	secretOAuthCode
	secretUserToken
	secretUserRefreshToken
	secretJSCode
	secretSessionKey
)

// form is the outside of a secret: a prefix as seen on the platform, then the
// base64url text of so many 16-byte blocks.
type form struct {
	name   string
	prefix string
	blocks int
}

var forms = [...]form{
	secretTicket:            {"component_verify_ticket", "ticket@@@", 4},
	secretComponentToken:    {"component_access_token", "77_", 6},
	secretPreAuthCode:       {"pre_auth_code", "preauthcode@@@", 4},
	secretAuthorizationCode: {"authorization_code", "queryauthcode@@@", 4},
	secretAccessToken:       {"authorizer_access_token", "77_", 6},
	secretRefreshToken:      {"authorizer_refresh_token", "refreshtoken@@@", 2},
	secretOAuthCode:         {"oauth_code", "0", 2},
	secretUserToken:         {"user_access_token", "77_", 6},
	secretUserRefreshToken:  {"user_refresh_token", "77_", 5},
	secretJSCode:            {"js_code", "0", 2},
	secretSessionKey:        {"session_key", "", 1},
}

// mint makes secrets from numbers: the n-th secret of a kind that belongs to an
// owner is always the same text, and the text yields the numbers again. So the
// simulator stores counters instead of secrets, a million accounts cost little,
// and every secret ever issued can be listed.
type mint struct{ block cipher.Block }

func newMint(seed uint64) mint {
	key := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("secrets of the simulator"), seed))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("simulator: " + err.Error()) // a 32-byte key is always accepted
	}
	return mint{block: block}
}

// coin returns the text of a secret.
func (m mint) coin(kind secretKind, owner, n uint32) string {
	f := forms[kind]
	var raw [6 * aes.BlockSize]byte
	for i := range f.blocks {
		b := raw[i*aes.BlockSize : (i+1)*aes.BlockSize]
		b[0], b[1] = byte(kind), byte(i)
		binary.BigEndian.PutUint32(b[4:], owner)
		binary.BigEndian.PutUint32(b[8:], n)
		m.block.Encrypt(b, b)
	}
	if kind == secretSessionKey {
		return base64.StdEncoding.EncodeToString(raw[:f.blocks*aes.BlockSize])
	}
	text := make([]byte, 0, len(f.prefix)+128)
	text = append(text, f.prefix...)
	return string(base64.RawURLEncoding.AppendEncode(text, raw[:f.blocks*aes.BlockSize]))
}

// identity is what a secret's text says about it.
type identity struct {
	kind     secretKind
	owner, n uint32
}

// identify recognises a secret of one of the given kinds.
func (m mint) identify(text string, kinds ...secretKind) (identity, bool) {
	for _, kind := range kinds {
		f := forms[kind]
		body, found := strings.CutPrefix(text, f.prefix)
		if !found || len(body) != base64.RawURLEncoding.EncodedLen(f.blocks*aes.BlockSize) {
			continue
		}
		var first [18]byte
		if _, err := base64.RawURLEncoding.Decode(first[:], []byte(body[:24])); err != nil {
			continue
		}
		m.block.Decrypt(first[:aes.BlockSize], first[:aes.BlockSize])
		if secretKind(first[0]) != kind {
			continue
		}
		id := identity{kind, binary.BigEndian.Uint32(first[4:]), binary.BigEndian.Uint32(first[8:])}
		if sameText(m.coin(kind, id.owner, id.n), text) {
			return id, true
		}
	}
	return identity{}, false
}

// looksLikeToken reports whether text could be an access token at all; the
// platform answers 40014 to what could not.
func looksLikeToken(text string) bool {
	if len(text) < 16 || len(text) > 512 {
		return false
	}
	for _, r := range []byte(text) {
		switch {
		case '0' <= r && r <= '9', 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', r == '_', r == '-', r == '@':
		default:
			return false
		}
	}
	return true
}

func sameText(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// hashOf is how the journal names a secret.
func hashOf(secret string) string {
	if secret == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Secrets returns every secret that the simulator ever issued or was given:
// tickets, tokens, refresh tokens, codes, session keys, component secrets, push
// tokens and EncodingAESKeys. A leak test searches for them in what a server
// writes.
func (s *Simulator) Secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	list := func(kind secretKind, owner, last uint32) {
		for n := uint32(1); n <= last; n++ {
			all = append(all, s.mint.coin(kind, owner, n))
		}
	}
	for secret := range s.given {
		all = append(all, secret)
	}
	for _, c := range s.componentList {
		list(secretTicket, c.id, c.ticketN)
		list(secretComponentToken, c.id, c.token.n)
		list(secretPreAuthCode, c.id, c.preAuthN)
	}
	for _, a := range s.authorizations {
		list(secretAuthorizationCode, a.id, a.codeN)
		list(secretAccessToken, a.id, a.access.n)
		list(secretRefreshToken, a.id, a.refreshN)
	}
	list(secretOAuthCode, 0, s.oauthN)
	list(secretUserToken, 0, s.userTokenN)
	list(secretUserRefreshToken, 0, s.userTokenN)
	list(secretJSCode, 0, s.jsCodeN)
	list(secretSessionKey, 0, s.jsCodeN)
	return all
}
