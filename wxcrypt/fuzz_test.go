package wxcrypt

import (
	"bytes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzOpen feeds texts of which only the signature is right, so that everything
// behind it is reached.
func FuzzOpen(f *testing.F) {
	file := readVectors(f)
	for _, v := range append(file.positive, file.NegativeVectors...) {
		f.Add([]byte(v.EncryptBase64))
	}
	f.Add([]byte("MTIzNDU2Nzg5MDEyMzQ1Ng=="))
	crypters := map[string]*Crypter{
		"one key":  mustCrypter(f, Config{AppID: testAppID, Token: testToken, EncodingAESKey: testKey}),
		"two keys": mustCrypter(f, Config{AppID: testAppID, Token: testToken, EncodingAESKey: otherKey, PreviousEncodingAESKey: testKey}),
	}
	f.Fuzz(func(t *testing.T, encrypt []byte) {
		before := bytes.Clone(encrypt)
		for name, c := range crypters {
			m, err := c.Open(signed(testToken, encrypt), encrypt)
			if err != nil {
				if m.Body != nil || m.Generation != Current {
					t.Fatalf("%s: a result beside the error: %v", name, m)
				}
				continue
			}
			checkAccepted(t, c, m, encrypt)
		}
		if !bytes.Equal(encrypt, before) {
			t.Fatal("Open changed its input")
		}
	})
}

// FuzzMalleability changes the decrypted text instead, which random ciphertext
// would hardly ever make sense of.
func FuzzMalleability(f *testing.F) {
	c := mustCrypter(f, Config{AppID: testAppID, Token: testToken, EncodingAESKey: testKey})
	random := []byte("0123456789abcdef")
	for _, n := range []int{0, 1, 25, 26, 57, 58, 59} {
		f.Add(packed(random, bytes.Repeat([]byte("m"), n), []byte(testAppID), uint32(n), padFor(headerSize+n+len(testAppID))))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text)%16 != 0 {
			return
		}
		encrypt := seal(t, testKey, text)
		m, err := c.Open(signed(testToken, encrypt), encrypt)
		if err == nil {
			checkAccepted(t, c, m, encrypt)
		} else if m.Body != nil {
			t.Fatalf("a body beside the error: %q", m.Body)
		}
	})
}

// checkAccepted takes the accepted text apart and puts it together again: every
// byte of it must follow from the message, the 16 random bytes and the padding.
func checkAccepted(t *testing.T, c *Crypter, m Message, encrypt []byte) {
	t.Helper()
	k := c.keys[m.Generation.keyIndex()]
	text, err := base64.StdEncoding.Strict().DecodeString(string(encrypt))
	if err != nil {
		t.Fatal(err)
	}
	s := c.borrow()
	s.decrypter(c, m.Generation.keyIndex()).CryptBlocks(text, text)
	pad := int(text[len(text)-1])
	again := packed(text[:16], m.Body, []byte(c.appID), uint32(len(m.Body)), pad)
	if !bytes.Equal(again, text) {
		t.Fatalf("accepted %q, which packs as %q", text, again)
	}
	if uint64(len(m.Body)) != uint64(binary.BigEndian.Uint32(text[16:])) {
		t.Fatal("the body has another length than its field says")
	}
	mode := cipher.NewCBCEncrypter(k.block, k.iv)
	mode.CryptBlocks(again, again)
	if base64.StdEncoding.EncodeToString(again) != string(encrypt) {
		t.Fatal("accepted text encrypts to another one")
	}
}

func FuzzParseEnvelope(f *testing.F) {
	c := mustCrypter(f, Config{AppID: testAppID, Token: testToken, EncodingAESKey: testKey})
	for _, seal := range []func(dst, msg []byte, timestamp, nonce string, g Generation) ([]byte, error){c.SealXML, c.SealJSON} {
		reply, err := seal(nil, []byte("hello"), "1700000601", "42", Current)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(reply)
	}
	f.Add([]byte("<xml><ToUserName><![CDATA[gh_1]]></ToUserName><Encrypt> QUJD </Encrypt></xml>"))
	f.Add([]byte(`<?xml version="1.0" encoding="utf-8"?><xml><AppId/><Encrypt>QUJD</Encrypt></xml>`))
	f.Add([]byte(`{"ToUserName":"gh_1","Encrypt":"QU\/D","n":-1.5e3}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := ParseEnvelope(body)
		if err != nil {
			if diff := cmp.Diff(Envelope{}, e); diff != "" {
				t.Fatalf("an envelope beside the error: %s", diff)
			}
			return
		}
		if len(e.Encrypt) == 0 {
			t.Fatal("accepted without Encrypt")
		}
		if e.JSON {
			return // a value that was escaped cannot be put back as it is
		}
		var again bytes.Buffer
		again.WriteString("<xml>")
		for name, value := range map[string][]byte{
			"Encrypt": e.Encrypt, "MsgSignature": e.MsgSignature, "TimeStamp": e.TimeStamp,
			"Nonce": e.Nonce, "ToUserName": e.ToUserName, "AppId": e.AppID,
		} {
			if value != nil {
				again.WriteString("<" + name + "><![CDATA[" + string(value) + "]]></" + name + ">")
			}
		}
		again.WriteString("</xml>")
		got, err := ParseEnvelope(again.Bytes())
		if err != nil {
			t.Fatalf("%s was accepted, %s is not: %v", body, &again, err)
		}
		if diff := cmp.Diff(e, got); diff != "" {
			t.Fatalf("%s means another thing when written again:\n%s", body, diff)
		}
	})
}

// FuzzBase64 compares our base64 with the standard library's strict one, whose only
// leniency, line breaks, ours does not have.
func FuzzBase64(f *testing.F) {
	for _, v := range readVectors(f).positive {
		f.Add([]byte(v.EncryptBase64))
	}
	for _, text := range []string{"", "QUJD", "QUJDREVGR0hJSktMTU5P\n", "QUJDREVGR0hJ=EtMTU5P", "QUJD*EVGR0hJSktMTU5PUA==", "QUJDREVGR0hJSkt*TU5PUA==", "QUJDREVGR0hJSktMTU5PUA==", "////////////////////++=="} {
		f.Add([]byte(text))
	}
	b := newBase64Codec()
	f.Fuzz(func(t *testing.T, text []byte) {
		want, wantErr := base64.StdEncoding.Strict().DecodeString(string(text))
		if bytes.ContainsAny(text, "\r\n") {
			wantErr = ErrCiphertext
		}
		got, err := b.decode(make([]byte, base64.StdEncoding.DecodedLen(len(text))), text)
		if len(want) == 0 || len(want)%16 != 0 {
			if err == nil {
				t.Fatalf("%q was accepted", text)
			}
		} else if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%q: %x, %v; want %x, %v", text, got, err, want, wantErr)
		}
		if again := b.appendEncode([]byte("x"), text); string(again) != "x"+base64.StdEncoding.EncodeToString(text) {
			t.Fatalf("%x became %s", text, again)
		}
	})
}
