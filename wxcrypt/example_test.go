package wxcrypt_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/tuoguan/tuoguan/wxcrypt"
)

// The settings of these examples are the ones of WeChat's published samples.
var settings = wxcrypt.Config{
	AppID:          "wx134c8103faa5a59e",
	Token:          "AAAAA",
	EncodingAESKey: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
}

func Example() {
	crypter, err := wxcrypt.New(settings)
	if err != nil {
		log.Fatal(err)
	}
	// What WeChat does to push a message.
	encrypt, err := crypter.Encrypt([]byte("<xml><MsgType>text</MsgType></xml>"), wxcrypt.Current)
	if err != nil {
		log.Fatal(err)
	}
	body := fmt.Sprintf("<xml><ToUserName>gh_1</ToUserName><Encrypt>%s</Encrypt></xml>", encrypt)
	query := wxcrypt.Query{
		Timestamp:    "1700000000",
		Nonce:        "42",
		MsgSignature: crypter.Sign("1700000000", "42", encrypt, wxcrypt.Current),
	}

	// What a receiver does with it.
	envelope, err := wxcrypt.ParseEnvelope([]byte(body))
	if err != nil {
		log.Fatal(err)
	}
	message, err := crypter.Open(query, envelope.Encrypt)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", message.Body)
	reply, err := crypter.SealXML(nil, []byte("<xml>the reply</xml>"), "1700000001", "42", message.Generation)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(reply), "bytes of reply")
	// Output:
	// <xml><MsgType>text</MsgType></xml>
	// 273 bytes of reply
}

func ExampleCrypter_Open() {
	crypter, err := wxcrypt.New(settings)
	if err != nil {
		log.Fatal(err)
	}
	// WeChat's published sample of a reply, with its signature.
	message, err := crypter.Open(wxcrypt.Query{
		Timestamp:    "1713424427",
		Nonce:        "415670741",
		MsgSignature: "03e0812039325c2712ef5f0f980fd14c70d6e307",
	}, []byte("hE8R6mGXHkJJjU72KxzKUd1GEkKJaEZq7vRL8XgK3o+00k8JGq6+pZJUIlTSyhsX+bxIBQ72g3GyvDdIZcr6+3HAZbSvPT9t/o11MI7d6WELwqrGd7jMnV0zv3Zc9Nq7"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", message.Body)
	// Output: <xml><demo_resp>[CDATA[good luck]]</demo_resp></xml>
}

func ExampleError() {
	crypter, err := wxcrypt.New(settings)
	if err != nil {
		log.Fatal(err)
	}
	_, err = crypter.Open(wxcrypt.Query{Timestamp: "1", Nonce: "2", MsgSignature: "forged"}, []byte("QUJD"))
	var failure *wxcrypt.Error
	if errors.As(err, &failure) && errors.Is(err, wxcrypt.ErrSignature) {
		fmt.Println(failure.Code, failure)
	}
	// Output: -40001 wxcrypt: msg_signature does not match
}

func ExampleNew() {
	_, err := wxcrypt.New(wxcrypt.Config{AppID: "wx134c8103faa5a59e", Token: "?", EncodingAESKey: "too short"})
	fmt.Println(err)
	// Output:
	// wxcrypt: bad configuration: Token must be 3 to 32 letters and digits
	// EncodingAESKey must be exactly 43 letters and digits
}

func ExampleSignature() {
	// The signature parameter of a URL, from WeChat's published sample.
	fmt.Println(wxcrypt.Signature("AAAAA", "1714036504", "1514711492"))
	// Output: f464b24fc39322e44b38aa78f5edd27bd1441696
}
