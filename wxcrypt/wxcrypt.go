// Package wxcrypt opens and seals the encrypted pushes of a WeChat third-party
// platform (WXBizMsgCrypt). Most callers need three things: [New], then
// [ParseEnvelope] with [Crypter.Open] for what arrives, and [Crypter.SealXML]
// for the reply.
//
// A message is AES-256-CBC over 16 random bytes, a 4-byte big-endian length, the
// message and the AppID of the receiver, padded to a multiple of 32. Nothing but
// the SHA-1 msg_signature authenticates it, and that signature does not depend
// on the AES key. So Open checks the signature, in constant time, before it
// decrypts anything, and it believes a key only if padding, length and AppID all
// fit. The receiver is the component on both of its URLs, never the authorizer.
//
// Keep Token and EncodingAESKey like passwords: whoever has the Token can forge
// pushes. The package has no state beyond a [Crypter], reads no configuration,
// logs nothing and depends on the standard library only.
//
// Source: third-party platform docs, "message encryption and decryption", read 2026-11.
package wxcrypt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"slices"
	"sync"
)

const (
	blockSize    = 32            // of the padding; AES's own is 16
	headerSize   = 16 + 4        // random bytes, length
	signatureLen = 2 * sha1.Size // hexadecimal
	maxCopied    = 4 << 10       // the largest text that Open copies
	maxScratch   = 64 << 10      // larger buffers are not kept for the next message
	maxMessage   = 1 << 24       // far beyond any reply
)

// Config holds the settings of one component, as they stand in its console.
// Printing a Config shows the AppID only.
type Config struct {
	// AppID is the component's own AppID. It stands at the end of every message.
	AppID string
	// Token signs: 3 to 32 letters and digits.
	Token string
	// EncodingAESKey encrypts: exactly 43 letters and digits.
	EncodingAESKey string
	// PreviousToken and PreviousEncodingAESKey are what was set before, or "".
	// WeChat goes on using them for a while after a change in the console.
	PreviousToken          string
	PreviousEncodingAESKey string
}

// String returns the AppID only.
func (c Config) String() string { return "wxcrypt.Config{AppID: " + c.AppID + "}" }

// GoString returns the AppID only.
func (c Config) GoString() string { return c.String() }

// LogValue logs the AppID only.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Generation says with which of a component's settings a push was made, so that
// its reply can be made with the same ones. Current is the zero value; the other
// two are bits and may stand together.
type Generation uint8

const (
	// Current stands for the present EncodingAESKey and Token.
	Current Generation = 0
	// Previous is set where the previous EncodingAESKey was used.
	Previous Generation = 1 << 0
	// PreviousToken is set where the previous Token was used.
	PreviousToken Generation = 1 << 1
)

// Query holds the parameters of a push URL that the signature covers.
type Query struct {
	Timestamp    string
	Nonce        string
	MsgSignature string // msg_signature, 40 lower-case hexadecimal digits
}

// Message is what a push contained. Body belongs to the caller and may be empty.
type Message struct {
	Body       []byte
	Generation Generation
}

// Crypter opens and seals the messages of one component. It is safe for
// concurrent use. Printing it shows the AppID only.
type Crypter struct {
	appID   string
	tokens  []string // current, previous
	keys    []key    // current, previous
	base64  *base64Codec
	scratch sync.Pool
}

// key is one decoded EncodingAESKey.
type key struct {
	block cipher.Block
	iv    []byte // the first 16 bytes of the key
}

// New returns the Crypter for one component. Its error names every mistake in
// the configuration and never a value.
func New(c Config) (*Crypter, error) {
	errs := []error{
		checkToken("Token", c.Token),
		checkKey("EncodingAESKey", c.EncodingAESKey),
	}
	if c.AppID == "" || !plain(c.AppID) {
		errs = append(errs, errors.New("AppID must be letters and digits"))
	}
	if c.PreviousToken != "" {
		errs = append(errs, checkToken("PreviousToken", c.PreviousToken))
	}
	if c.PreviousEncodingAESKey != "" {
		errs = append(errs, checkKey("PreviousEncodingAESKey", c.PreviousEncodingAESKey))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, &Error{Code: CodeIllegalKey, Err: fmt.Errorf("%w: %w", ErrConfig, err)}
	}
	return newCrypter(c)
}

// newCrypter does what New does for a token of any shape: the test vectors hold
// some that the console would refuse.
func newCrypter(c Config) (*Crypter, error) {
	crypter := &Crypter{appID: c.AppID, tokens: []string{c.Token}, base64: newBase64Codec()}
	if c.PreviousToken != "" {
		crypter.tokens = append(crypter.tokens, c.PreviousToken)
	}
	for _, encoded := range []string{c.EncodingAESKey, c.PreviousEncodingAESKey} {
		if encoded == "" {
			continue
		}
		// The 43rd character carries four bits and WeChat draws it freely, so the
		// two bits left over may be set: only a lenient decoder reads such a key.
		raw, err := base64.StdEncoding.DecodeString(encoded + "=")
		if err != nil {
			return nil, &Error{Code: CodeIllegalKey, Err: ErrConfig}
		}
		block, err := aes.NewCipher(raw)
		if err != nil {
			return nil, &Error{Code: CodeIllegalKey, Err: ErrConfig}
		}
		crypter.keys = append(crypter.keys, key{block: block, iv: raw[:aes.BlockSize]})
	}
	return crypter, nil
}

func checkToken(name, token string) error {
	if len(token) < 3 || len(token) > 32 || !alphanumeric(token) {
		return fmt.Errorf("%s must be 3 to 32 letters and digits", name)
	}
	return nil
}

func checkKey(name, encoded string) error {
	if len(encoded) != 43 || !alphanumeric(encoded) {
		return fmt.Errorf("%s must be exactly 43 letters and digits", name)
	}
	return nil
}

func alphanumeric(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// AppID returns the component's AppID.
func (c *Crypter) AppID() string { return c.appID }

// String returns the AppID only.
func (c *Crypter) String() string { return "wxcrypt.Crypter{AppID: " + c.appID + "}" }

// GoString returns the AppID only.
func (c *Crypter) GoString() string { return c.String() }

// Open verifies and decrypts the Encrypt text of a push. The signature is checked
// first, with the current Token and then the previous one; only if it is right is
// the text decrypted, with the current key and then the previous one.
//
// Errors: [ErrSignature], [ErrCiphertext], [ErrDecrypt], [ErrReceiver], each in an
// [*Error]; the Message is then zero. Tell the sender nothing but that it failed.
func (c *Crypter) Open(q Query, encrypt []byte) (Message, error) {
	s := c.borrow()
	defer c.scratch.Put(s)

	var generation Generation
	switch c.verify(s, q, encrypt) {
	case 0:
	case 1:
		generation = PreviousToken
	default:
		return Message{}, &Error{Code: CodeSignature, Err: ErrSignature}
	}

	// A small text is worked on where the last one was, which is in the processor's
	// cache, and its message copied. A large one is not worth that.
	size := base64.StdEncoding.DecodedLen(len(encrypt))
	var buffer []byte
	if size <= maxCopied {
		buffer = s.room(size)
	} else {
		buffer = make([]byte, size)
	}
	var failure error
	for i := range c.keys {
		// Decoding again for the second key is cheaper than keeping a copy for
		// the sake of the few days in which there is one.
		text, err := c.base64.decode(buffer, encrypt)
		if err != nil {
			return Message{}, err
		}
		s.decrypter(c, i).CryptBlocks(text, text)
		body, err := c.unpack(text)
		if err == nil {
			if i > 0 {
				generation |= Previous
			}
			if size <= maxCopied {
				copied := make([]byte, len(body))
				copy(copied, body)
				body = copied
			}
			return Message{Body: body, Generation: generation}, nil
		}
		if failure == nil || errors.Is(err, ErrReceiver) {
			failure = err // a wrong receiver says most: that key did fit
		}
	}
	return Message{}, failure
}

// verify returns the index of the token under which the signature is right, or -1.
func (c *Crypter) verify(s *scratch, q Query, encrypt []byte) int {
	found := -1
	for i, token := range c.tokens {
		sum := s.sign(token, q.Timestamp, q.Nonce, encrypt)
		s.text = append(s.text[:0], q.MsgSignature...)
		if subtle.ConstantTimeCompare(sum, s.text) == 1 && found < 0 {
			found = i
		}
	}
	return found
}

// unpack returns the message within a decrypted text. Nothing is allocated, so
// the length field cannot make anything large.
func (c *Crypter) unpack(text []byte) ([]byte, error) {
	pad := int(text[len(text)-1])
	if pad < 1 || pad > blockSize || pad > len(text) {
		return nil, &Error{Code: CodeDecrypt, Err: ErrDecrypt, Detail: "padding"}
	}
	var wrong byte
	for _, b := range text[len(text)-pad:] {
		wrong |= b ^ byte(pad)
	}
	if wrong != 0 {
		return nil, &Error{Code: CodeDecrypt, Err: ErrDecrypt, Detail: "padding"}
	}
	text = text[:len(text)-pad]
	if len(text) < headerSize {
		return nil, &Error{Code: CodeBuffer, Err: ErrDecrypt, Detail: "too short"}
	}
	length := uint64(binary.BigEndian.Uint32(text[16:headerSize]))
	text = text[headerSize:]
	if length > uint64(len(text)) {
		return nil, &Error{Code: CodeBuffer, Err: ErrDecrypt, Detail: "length field"}
	}
	if string(text[length:]) != c.appID {
		return nil, &Error{Code: CodeReceiver, Err: ErrReceiver}
	}
	return text[:length:length], nil
}

// Encrypt returns the Encrypt text of msg. The random bytes that it begins with
// are drawn anew, so no two results are equal.
func (c *Crypter) Encrypt(msg []byte, g Generation) ([]byte, error) {
	if err := c.checkSealing(msg, g); err != nil {
		return nil, err
	}
	s := c.borrow()
	defer c.scratch.Put(s)
	return c.appendEncrypt(nil, s, msg, g), nil
}

// checkSealing reports whether msg can be sealed with the settings g names.
func (c *Crypter) checkSealing(msg []byte, g Generation) error {
	if g.keyIndex() >= len(c.keys) || g.tokenIndex() >= len(c.tokens) || g > Previous|PreviousToken {
		return &Error{Code: CodeEncrypt, Err: ErrSeal, Detail: "no such generation"}
	}
	if len(msg) > maxMessage {
		return &Error{Code: CodeEncrypt, Err: ErrSeal, Detail: "message too large"}
	}
	return nil
}

func (g Generation) keyIndex() int   { return int(g & Previous) }
func (g Generation) tokenIndex() int { return int(g & PreviousToken >> 1) }

func (c *Crypter) encryptedLen(msg []byte) int {
	n := headerSize + len(msg) + len(c.appID)
	return base64.StdEncoding.EncodedLen(n + blockSize - n%blockSize)
}

func (c *Crypter) appendEncrypt(dst []byte, s *scratch, msg []byte, g Generation) []byte {
	n := headerSize + len(msg) + len(c.appID)
	pad := blockSize - n%blockSize
	text := append(s.room(n + pad)[:0], s.random16()...)
	text = binary.BigEndian.AppendUint32(text, uint32(len(msg)))
	text = append(text, msg...)
	text = append(text, c.appID...)
	for range pad {
		text = append(text, byte(pad))
	}
	s.encrypter(c, g.keyIndex()).CryptBlocks(text, text)
	return c.base64.appendEncode(dst, text)
}

// Sign returns the msg_signature of an Encrypt text under the Token of g. It is
// "" where there is no such Token.
func (c *Crypter) Sign(timestamp, nonce string, encrypt []byte, g Generation) string {
	if g.tokenIndex() >= len(c.tokens) {
		return ""
	}
	s := c.borrow()
	defer c.scratch.Put(s)
	return string(s.sign(c.tokens[g.tokenIndex()], timestamp, nonce, encrypt))
}

// Signature returns the lower-case hexadecimal SHA-1 of the parts, sorted as byte
// strings and joined. With Token, timestamp and nonce it is the signature
// parameter of a URL, which says nothing about the body; with the Encrypt text as
// well it is msg_signature.
func Signature(parts ...string) string {
	sorted := slices.Clone(parts)
	slices.Sort(sorted)
	h := sha1.New()
	for _, part := range sorted {
		_, _ = h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// scratch is what one call needs and the next can use again.
type scratch struct {
	sha     hash.Hash
	text    []byte // what is hashed, compared, decrypted or encrypted
	sum     [signatureLen]byte
	decrypt [2]blockMode
	encrypt [2]blockMode
	random  [512]byte // drawn in one go, which costs little more than 16 bytes
	unused  int       // how many of them are left
}

// random16 returns random bytes that were not returned before.
func (s *scratch) random16() []byte {
	if s.unused < 16 {
		_, _ = rand.Read(s.random[:]) // never fails
		s.unused = len(s.random)
	}
	s.unused -= 16
	return s.random[s.unused : s.unused+16]
}

// room returns n bytes that are valid until the next call.
func (s *scratch) room(n int) []byte {
	if n <= cap(s.text) {
		return s.text[:n]
	}
	text := make([]byte, n)
	if n <= maxScratch {
		s.text = text
	}
	return text
}

// blockMode is what the standard library's AES-CBC offers beyond its interface;
// resetting a mode is cheaper than making one, which copies the key schedule.
type blockMode interface {
	cipher.BlockMode
	SetIV(iv []byte)
}

func (c *Crypter) borrow() *scratch {
	if s, ok := c.scratch.Get().(*scratch); ok {
		return s
	}
	return &scratch{sha: sha1.New()}
}

func (s *scratch) decrypter(c *Crypter, i int) cipher.BlockMode {
	return reuse(&s.decrypt[i], cipher.NewCBCDecrypter, c.keys[i])
}

func (s *scratch) encrypter(c *Crypter, i int) cipher.BlockMode {
	return reuse(&s.encrypt[i], cipher.NewCBCEncrypter, c.keys[i])
}

func reuse(kept *blockMode, create func(cipher.Block, []byte) cipher.BlockMode, k key) cipher.BlockMode {
	if *kept != nil {
		(*kept).SetIV(k.iv)
		return *kept
	}
	mode := create(k.block, k.iv)
	*kept, _ = mode.(blockMode)
	return mode
}

// sign returns the hexadecimal signature; it is valid until the next call.
func (s *scratch) sign(token, timestamp, nonce string, encrypt []byte) []byte {
	if timestamp < token {
		token, timestamp = timestamp, token
	}
	if nonce < timestamp {
		timestamp, nonce = nonce, timestamp
	}
	if timestamp < token {
		token, timestamp = timestamp, token
	}
	parts := [...]string{token, timestamp, nonce} // now sorted
	before, after := s.text[:0], 0
	for after < len(parts) && parts[after] < string(encrypt) {
		before = append(before, parts[after]...)
		after++
	}
	s.sha.Reset()
	_, _ = s.sha.Write(before)
	_, _ = s.sha.Write(encrypt)
	for _, part := range parts[after:] {
		before = append(before[:0], part...)
		_, _ = s.sha.Write(before)
	}
	s.text = s.sha.Sum(before[:0])
	hex.Encode(s.sum[:], s.text)
	return s.sum[:]
}
