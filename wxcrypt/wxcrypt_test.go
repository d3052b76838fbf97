package wxcrypt

import (
	"bytes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	testAppID = "wx0123456789abcdef"
	testToken = "SimToken01"
	testKey   = "DApfUNUyFp9mBEp5VTXhDYIDod4BqBOr7y86vT5EEnu"
	otherKey  = "eSiJHlRJff7q9aLr7vuDqqc1jOduxAGH3JEnHmzsob4"
)

type vector struct {
	Name           string
	Token          string
	EncodingAESKey string `json:"encoding_aes_key"`
	AppID          string
	ExpectedAppID  string `json:"expected_appid"`
	Timestamp      string
	Nonce          string
	Random16       string `json:"random16_hex"`
	Plaintext      string
	EncryptBase64  string `json:"encrypt_base64"`
	MsgSignature   string `json:"msg_signature"`
	URLSignature   string `json:"url_signature"`
	Signature      string
	Expect         string
	DecryptsWith   string `json:"decrypts_with"`
}

func (v vector) query() Query {
	return Query{Timestamp: v.Timestamp, Nonce: v.Nonce, MsgSignature: v.MsgSignature}
}

type vectorFile struct {
	Vectors         []vector
	OfficialVectors []vector `json:"official_vectors"`
	OfficialURLs    []vector `json:"official_url_signatures"`
	NegativeVectors []vector `json:"negative_vectors"`
	positive        []vector
}

func readVectors(t testing.TB) vectorFile {
	t.Helper()
	raw, err := os.ReadFile("testdata/crypto_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file vectorFile
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	file.positive = append(append(file.positive, file.Vectors...), file.OfficialVectors...)
	if len(file.positive) != 17 || len(file.NegativeVectors) != 8 || len(file.OfficialURLs) != 2 {
		t.Fatalf("%d positive, %d negative, %d URL vectors", len(file.positive), len(file.NegativeVectors), len(file.OfficialURLs))
	}
	return file
}

func mustCrypter(t testing.TB, c Config) *Crypter {
	t.Helper()
	// Not New: two of the vectors have a Token that no console would take.
	crypter, err := newCrypter(c)
	if err != nil {
		t.Fatal(err)
	}
	return crypter
}

// seal builds an Encrypt text piece by piece, independently of appendEncrypt, so
// that every part can be wrong.
func seal(t testing.TB, encodedKey string, text []byte) []byte {
	t.Helper()
	c := mustCrypter(t, Config{EncodingAESKey: encodedKey})
	out := bytes.Clone(text)
	cipher.NewCBCEncrypter(c.keys[0].block, c.keys[0].iv).CryptBlocks(out, out)
	return []byte(base64.StdEncoding.EncodeToString(out))
}

func packed(random, msg, appID []byte, length uint32, pad int) []byte {
	text := binary.BigEndian.AppendUint32(bytes.Clone(random), length)
	text = append(append(text, msg...), appID...)
	return append(text, bytes.Repeat([]byte{byte(pad)}, pad)...)
}

func padFor(n int) int { return 32 - n%32 }

func signed(token string, encrypt []byte) Query {
	return Query{Timestamp: "1700000000", Nonce: "42", MsgSignature: Signature(token, "1700000000", "42", string(encrypt))}
}

func TestPositiveVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t).positive {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			c := mustCrypter(t, Config{AppID: v.AppID, Token: v.Token, EncodingAESKey: v.EncodingAESKey})
			got, err := c.Open(v.query(), []byte(v.EncryptBase64))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Message{Body: []byte(v.Plaintext)}, got, cmp.Transformer("text", func(b []byte) string { return string(b) })); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if got := c.Sign(v.Timestamp, v.Nonce, []byte(v.EncryptBase64), Current); got != v.MsgSignature {
				t.Errorf("Sign = %s, want %s", got, v.MsgSignature)
			}
			if got := Signature(v.Token, v.Timestamp, v.Nonce); got != v.URLSignature {
				t.Errorf("Signature = %s, want %s", got, v.URLSignature)
			}
			random, _ := hex.DecodeString(v.Random16)
			n := headerSize + len(v.Plaintext) + len(v.AppID)
			again := seal(t, v.EncodingAESKey, packed(random, []byte(v.Plaintext), []byte(v.AppID), uint32(len(v.Plaintext)), padFor(n)))
			if string(again) != v.EncryptBase64 {
				t.Error("sealing the plaintext again gives another text")
			}
		})
	}
}

func TestNegativeVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t).NegativeVectors {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			c := mustCrypter(t, Config{AppID: v.ExpectedAppID, Token: v.Token, EncodingAESKey: v.EncodingAESKey})
			got, err := c.Open(v.query(), []byte(v.EncryptBase64))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("Open = %q, %v; want an *Error", got.Body, err)
			}
			if !strings.Contains(v.Expect, strconv.Itoa(e.Code)) {
				t.Errorf("code %d (%v), want %s", e.Code, err, v.Expect)
			}
			if got.Body != nil || got.Generation != Current {
				t.Errorf("a result beside the error: %v", got)
			}
			if v.DecryptsWith == "" {
				return
			}
			rotated := mustCrypter(t, Config{AppID: v.ExpectedAppID, Token: v.Token, EncodingAESKey: v.EncodingAESKey, PreviousEncodingAESKey: v.DecryptsWith})
			if got, err := rotated.Open(v.query(), []byte(v.EncryptBase64)); err != nil || got.Generation != Previous {
				t.Errorf("with the previous key: %v, %v", got.Generation, err)
			}
		})
	}
}

func TestOfficialURLSignatures(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t).OfficialURLs {
		if got := Signature(v.Token, v.Timestamp, v.Nonce); got != v.Signature {
			t.Errorf("%s: %s, want %s", v.Name, got, v.Signature)
		}
	}
}

// The structure of a text is checked byte by byte, so every length around the
// block size is gone through, in each direction.
func TestEveryLength(t *testing.T) {
	t.Parallel()
	c := mustCrypter(t, Config{AppID: testAppID, Token: testToken, EncodingAESKey: testKey})
	for n := range 3*blockSize + 2 {
		msg := bytes.Repeat([]byte("m"), n)
		encrypt, err := c.Encrypt(msg, Current)
		if err != nil {
			t.Fatal(err)
		}
		if len(encrypt) != c.encryptedLen(msg) {
			t.Errorf("%d bytes: %d long, foretold %d", n, len(encrypt), c.encryptedLen(msg))
		}
		got, err := c.Open(signed(testToken, encrypt), encrypt)
		if err != nil || !bytes.Equal(got.Body, msg) {
			t.Errorf("%d bytes: %q, %v", n, got.Body, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	random := bytes.Repeat([]byte("r"), 16)
	// With this message the packed text is 64 bytes less the padding.
	text := func(change func([]byte)) []byte {
		plain := packed(random, []byte("hello"), []byte(testAppID), 5, padFor(headerSize+5+len(testAppID)))
		change(plain)
		return seal(t, testKey, plain)
	}
	valid := text(func([]byte) {})
	tests := map[string]struct {
		encrypt []byte
		want    error
		code    int
	}{
		"empty":                  {[]byte(""), ErrCiphertext, CodeDecrypt},
		"not base64":             {[]byte("!!!!"), ErrCiphertext, CodeBase64},
		"one bad character":      {append([]byte("*"), valid[1:]...), ErrCiphertext, CodeBase64},
		"line break":             {append(bytes.Clone(valid[:4]), append([]byte("\n"), valid[4:]...)...), ErrCiphertext, CodeBase64},
		"trailing line break":    {append(bytes.Clone(valid), '\n'), ErrCiphertext, CodeBase64},
		"unpadded base64":        {bytes.TrimRight(bytes.Clone(valid), "="), ErrCiphertext, CodeBase64},
		"spare bits set":         {[]byte(strings.Repeat("A", 21) + "B=="), ErrCiphertext, CodeBase64},
		"33 bytes":               {[]byte(base64.StdEncoding.EncodeToString(make([]byte, 33))), ErrCiphertext, CodeDecrypt},
		"one block":              {seal(t, testKey, bytes.Repeat([]byte{1}, 16)), ErrDecrypt, CodeBuffer},
		"pad beyond the text":    {seal(t, testKey, bytes.Repeat([]byte{17}, 16)), ErrDecrypt, CodeDecrypt},
		"pad 0":                  {text(func(b []byte) { b[len(b)-1] = 0 }), ErrDecrypt, CodeDecrypt},
		"pad 33":                 {text(func(b []byte) { b[len(b)-1] = 33 }), ErrDecrypt, CodeDecrypt},
		"pad bytes differ":       {text(func(b []byte) { b[len(b)-2]++ }), ErrDecrypt, CodeDecrypt},
		"19 bytes":               {seal(t, testKey, append(bytes.Repeat([]byte("x"), 19), bytes.Repeat([]byte{13}, 13)...)), ErrDecrypt, CodeBuffer},
		"no receiver":            {seal(t, testKey, packed(random, []byte("0123456789ab"), nil, 12, 32)), ErrReceiver, CodeReceiver},
		"receiver cut":           {text(func(b []byte) { b[19]++ }), ErrReceiver, CodeReceiver},
		"receiver longer":        {text(func(b []byte) { b[19]-- }), ErrReceiver, CodeReceiver},
		"length is the rest":     {text(func(b []byte) { b[19] = byte(5 + len(testAppID)) }), ErrReceiver, CodeReceiver},
		"length one more":        {text(func(b []byte) { b[19] = byte(6 + len(testAppID)) }), ErrDecrypt, CodeBuffer},
		"length wraps in uint32": {text(func(b []byte) { copy(b[16:], "\xff\xff\xff\xec") }), ErrDecrypt, CodeBuffer},
		"length 2 GiB":           {text(func(b []byte) { copy(b[16:], "\x7f\xff\xff\xff") }), ErrDecrypt, CodeBuffer},
	}
	c := mustCrypter(t, Config{AppID: testAppID, Token: testToken, EncodingAESKey: testKey})
	if _, err := c.Open(signed(testToken, valid), valid); err != nil {
		t.Fatal(err)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := c.Open(signed(testToken, test.encrypt), test.encrypt)
			var e *Error
			if !errors.Is(err, test.want) || !errors.As(err, &e) || e.Code != test.code {
				t.Errorf("error %v, want %v with code %d", err, test.want, test.code)
			}
			if got.Body != nil {
				t.Errorf("a body beside the error: %q", got.Body)
			}
			// Unsigned, none of this is looked at.
			if _, err := c.Open(signed("OtherToken", test.encrypt), test.encrypt); !errors.Is(err, ErrSignature) {
				t.Errorf("unsigned: %v, want %v", err, ErrSignature)
			}
		})
	}
}

// A text padded to AES's own 16 bytes is WeChat's layout too, as other encoders write it.
func TestOpenAcceptsHalfBlocks(t *testing.T) {
	t.Parallel()
	random := bytes.Repeat([]byte("r"), 16)
	encrypt := seal(t, testKey, packed(random, []byte("hello"), []byte(testAppID), 5, 5))
	c := mustCrypter(t, Config{AppID: testAppID, Token: testToken, EncodingAESKey: testKey})
	if got, err := c.Open(signed(testToken, encrypt), encrypt); err != nil || string(got.Body) != "hello" {
		t.Errorf("%q, %v", got.Body, err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	before := mustCrypter(t, Config{AppID: testAppID, Token: "OldToken", EncodingAESKey: otherKey})
	between := mustCrypter(t, Config{AppID: testAppID, Token: testToken, EncodingAESKey: otherKey})
	tokenFirst := mustCrypter(t, Config{AppID: testAppID, Token: "OldToken", EncodingAESKey: testKey})
	after := mustCrypter(t, Config{AppID: testAppID, Token: testToken, EncodingAESKey: testKey})
	c := mustCrypter(t, Config{
		AppID: testAppID, Token: testToken, EncodingAESKey: testKey,
		PreviousToken: "OldToken", PreviousEncodingAESKey: otherKey,
	})
	tests := map[string]struct {
		peer *Crypter
		want Generation
	}{
		"all current":    {after, Current},
		"previous key":   {between, Previous},
		"previous token": {tokenFirst, PreviousToken},
		"both previous":  {before, Previous | PreviousToken},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A wrong key yields plausible padding now and then: hence the many rounds.
			for i := range 200 {
				want := fmt.Sprint("message ", i)
				encrypt, err := test.peer.Encrypt([]byte(want), Current)
				if err != nil {
					t.Fatal(err)
				}
				got, err := c.Open(Query{Timestamp: "1", Nonce: "2", MsgSignature: test.peer.Sign("1", "2", encrypt, Current)}, encrypt)
				if err != nil || string(got.Body) != want || got.Generation != test.want {
					t.Fatalf("%q, generation %d, %v", got.Body, got.Generation, err)
				}
			}
			reply, err := c.SealXML(nil, []byte("reply"), "3", "4", test.want)
			if err != nil {
				t.Fatal(err)
			}
			if got := openReply(t, test.peer, reply); got != "reply" {
				t.Errorf("the peer reads %q", got)
			}
		})
	}
	if _, err := after.Encrypt(nil, Previous); !errors.Is(err, ErrSeal) {
		t.Errorf("sealing under a key that is not there: %v", err)
	}
	if _, err := after.SealXML(nil, nil, "1", "2", PreviousToken); !errors.Is(err, ErrSeal) {
		t.Errorf("signing with a token that is not there: %v", err)
	}
	if got := after.Sign("1", "2", nil, PreviousToken); got != "" {
		t.Errorf("signature %q with a token that is not there", got)
	}
}

func openReply(t testing.TB, c *Crypter, reply []byte) string {
	t.Helper()
	e, err := ParseEnvelope(reply)
	if err != nil {
		t.Fatalf("%v in %s", err, reply)
	}
	q := Query{Timestamp: string(e.TimeStamp), Nonce: string(e.Nonce), MsgSignature: string(e.MsgSignature)}
	m, err := c.Open(q, e.Encrypt)
	if err != nil {
		t.Fatal(err)
	}
	return string(m.Body)
}

func TestSeal(t *testing.T) {
	t.Parallel()
	c := mustCrypter(t, Config{AppID: testAppID, Token: testToken, EncodingAESKey: testKey})
	for name, seal := range map[string]func(dst, msg []byte, timestamp, nonce string, g Generation) ([]byte, error){
		"XML": c.SealXML, "JSON": c.SealJSON,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{0, 1, 25, 26, 27, 1000, 100_000} {
				msg := bytes.Repeat([]byte("a"), size)
				out, err := seal([]byte("before "), msg, "1700000601", "1000000001", Current)
				if err != nil {
					t.Fatal(err)
				}
				reply, kept := bytes.CutPrefix(out, []byte("before "))
				if !kept {
					t.Fatal("what was in dst is gone")
				}
				if got := openReply(t, c, reply); got != string(msg) {
					t.Errorf("%d bytes: another message came out", size)
				}
				e, _ := ParseEnvelope(reply)
				if string(e.TimeStamp) != "1700000601" || string(e.Nonce) != "1000000001" || e.JSON != (name == "JSON") {
					t.Errorf("envelope %s", reply)
				}
				if e.JSON && !json.Valid(reply) {
					t.Errorf("not JSON: %s", reply)
				}
			}
			for _, bad := range [][2]string{{"", "n"}, {"1e3", "n"}, {"01", "n"}, {"1", "]]>"}, {"1", `"`}, {"1", "\n"}, {"1", strings.Repeat("n", 129)}} {
				if got, err := seal(nil, nil, bad[0], bad[1], Current); !errors.Is(err, ErrSeal) || got != nil {
					t.Errorf("timestamp %q, nonce %q: %q, %v", bad[0], bad[1], got, err)
				}
			}
		})
	}
	if _, err := c.Encrypt(make([]byte, maxMessage+1), Current); !errors.Is(err, ErrSeal) {
		t.Errorf("a giant message: %v", err)
	}
}

func TestEncryptIsRandom(t *testing.T) {
	t.Parallel()
	c := mustCrypter(t, Config{AppID: testAppID, Token: testToken, EncodingAESKey: testKey})
	first, _ := c.Encrypt([]byte("same"), Current)
	second, _ := c.Encrypt([]byte("same"), Current)
	if bytes.Equal(first, second) {
		t.Error("equal messages give equal texts")
	}
}

func TestAllocations(t *testing.T) {
	c := mustCrypter(t, Config{AppID: testAppID, Token: testToken, EncodingAESKey: testKey})
	msg := bytes.Repeat([]byte("m"), 2048)
	encrypt, _ := c.Encrypt(msg, Current)
	q := signed(testToken, encrypt)
	envelope, _ := c.SealXML(nil, msg, "1", "2", Current)
	dst := make([]byte, 0, 8192)
	for name, test := range map[string]struct {
		run  func()
		most float64
	}{
		"Open":          {func() { _, _ = c.Open(q, encrypt) }, 1},
		"SealXML":       {func() { _, _ = c.SealXML(dst, msg, "1", "2", Current) }, 0},
		"ParseEnvelope": {func() { _, _ = ParseEnvelope(envelope) }, 0},
	} {
		// A pool may be emptied by the collector and, under the race detector, at whim.
		if got := testing.AllocsPerRun(200, test.run); got > test.most && !raceEnabled {
			t.Errorf("%s: %v allocations, want at most %v", name, got, test.most)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	c := mustCrypter(t, Config{AppID: testAppID, Token: testToken, EncodingAESKey: testKey, PreviousEncodingAESKey: otherKey})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			msg := bytes.Repeat([]byte{byte('a' + i)}, 100*i)
			for n := range 50 {
				reply, err := c.SealXML(nil, msg, "1", "2", Generation(n%2))
				if err != nil {
					t.Error(err)
					return
				}
				e, _ := ParseEnvelope(reply)
				m, err := c.Open(Query{"1", "2", string(e.MsgSignature)}, e.Encrypt)
				if err != nil || !bytes.Equal(m.Body, msg) || m.Generation != Generation(n%2) {
					t.Errorf("goroutine %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNewNamesEveryMistake(t *testing.T) {
	t.Parallel()
	secret := "very-secret-value"
	_, err := New(Config{Token: secret, EncodingAESKey: secret, PreviousToken: secret, PreviousEncodingAESKey: secret})
	if !errors.Is(err, ErrConfig) {
		t.Fatalf("error %v, want %v", err, ErrConfig)
	}
	for _, field := range []string{"AppID", " Token", " EncodingAESKey", "PreviousToken", "PreviousEncodingAESKey"} {
		if !strings.Contains(strings.ReplaceAll(err.Error(), "\n", " "), field) {
			t.Errorf("%s is not named in %q", strings.TrimSpace(field), err)
		}
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("a value is named in %q", err)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	valid := Config{AppID: testAppID, Token: testToken, EncodingAESKey: testKey}
	tests := map[string]struct {
		change func(*Config)
		ok     bool
	}{
		"as it is":                 {func(*Config) {}, true},
		"every last character":     {func(c *Config) { c.EncodingAESKey = testKey[:42] + "9" }, true},
		"token of 3":               {func(c *Config) { c.Token = "abc" }, true},
		"token of 32":              {func(c *Config) { c.Token = strings.Repeat("a", 32) }, true},
		"token of 2":               {func(c *Config) { c.Token = "ab" }, false},
		"token of 33":              {func(c *Config) { c.Token = strings.Repeat("a", 33) }, false},
		"token with a space":       {func(c *Config) { c.Token = "abc " }, false},
		"key of 42":                {func(c *Config) { c.EncodingAESKey = testKey[:42] }, false},
		"key of 44":                {func(c *Config) { c.EncodingAESKey = testKey + "=" }, false},
		"key with a line break":    {func(c *Config) { c.EncodingAESKey = testKey[:42] + "\n" }, false},
		"key with a plus":          {func(c *Config) { c.EncodingAESKey = testKey[:42] + "+" }, false},
		"no AppID":                 {func(c *Config) { c.AppID = "" }, false},
		"AppID with a space":       {func(c *Config) { c.AppID += " " }, false},
		"bad previous key":         {func(c *Config) { c.PreviousEncodingAESKey = "x" }, false},
		"previous key and token":   {func(c *Config) { c.PreviousEncodingAESKey, c.PreviousToken = otherKey, "OldToken" }, true},
		"nothing but an empty one": {func(c *Config) { *c = Config{} }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := valid
			test.change(&c)
			crypter, err := New(c)
			if (err == nil) != test.ok || (crypter != nil) != test.ok {
				t.Errorf("New = %v, %v", crypter, err)
			}
		})
	}
}

func TestPrintingShowsNoSecret(t *testing.T) {
	t.Parallel()
	config := Config{AppID: testAppID, Token: testToken, EncodingAESKey: testKey}
	crypter, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []any{config, crypter, &config} {
		var logged bytes.Buffer
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("m", "value", value)
		if strings.Contains(logged.String(), testToken) || strings.Contains(logged.String(), testKey) {
			t.Errorf("logged: %s", &logged)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			got := fmt.Sprintf(verb, value)
			if strings.Contains(got, testToken) || strings.Contains(got, testKey) || !strings.Contains(got, testAppID) {
				t.Errorf("%s prints %s", verb, got)
			}
		}
	}
}
