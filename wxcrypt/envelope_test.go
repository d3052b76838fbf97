package wxcrypt

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseEnvelope(t *testing.T) {
	t.Parallel()
	b := func(s string) []byte { return []byte(s) }
	tests := map[string]struct {
		body string
		want Envelope
	}{
		"authorization event URL": {
			"<xml><AppId>wx0123456789abcdef</AppId><Encrypt>QUJD</Encrypt></xml>",
			Envelope{AppID: b("wx0123456789abcdef"), Encrypt: b("QUJD")},
		},
		"message and event URL": {
			"<xml>\n<ToUserName><![CDATA[gh_97417a04a28d]]></ToUserName>\n<Encrypt><![CDATA[QUJD+/==]]></Encrypt>\n</xml>\n",
			Envelope{ToUserName: b("gh_97417a04a28d"), Encrypt: b("QUJD+/==")},
		},
		"reply": {
			"<xml><Encrypt><![CDATA[QUJD]]></Encrypt><MsgSignature><![CDATA[aa]]></MsgSignature><TimeStamp>17</TimeStamp><Nonce><![CDATA[9]]></Nonce></xml>",
			Envelope{Encrypt: b("QUJD"), MsgSignature: b("aa"), TimeStamp: b("17"), Nonce: b("9")},
		},
		"declaration, spaces and unknown fields": {
			"\r\n<?xml version=\"1.0\" encoding='UTF-8' ?> <xml >\t<AgentID></AgentID><New-Field_1>x y</New-Field_1 ><Empty /><Encrypt> QUJD\n</Encrypt></xml >",
			Envelope{Encrypt: b("QUJD")},
		},
		"empty known field": {
			"<xml><ToUserName/><Encrypt>QUJD</Encrypt></xml>",
			Envelope{ToUserName: []byte{}, Encrypt: b("QUJD")},
		},
		"JSON push": {
			`{"ToUserName":"gh_97417a04a28d","Encrypt":"QUJD"}`,
			Envelope{ToUserName: b("gh_97417a04a28d"), Encrypt: b("QUJD"), JSON: true},
		},
		"JSON reply": {
			` { "Encrypt" : "QUJD" , "MsgSignature":"aa","TimeStamp":1714112445 ,"Nonce":"9", "more":null, "yes":true } `,
			Envelope{Encrypt: b("QUJD"), MsgSignature: b("aa"), TimeStamp: b("1714112445"), Nonce: b("9"), JSON: true},
		},
		"JSON escapes": {
			`{"Encrypt":"QU\/D\u002b"}`,
			Envelope{Encrypt: b("QU/D+"), JSON: true},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseEnvelope([]byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("envelope (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseEnvelopeRefuses(t *testing.T) {
	t.Parallel()
	const encrypt = "<Encrypt>QUJD</Encrypt>"
	tests := map[string]string{
		"empty":                       "",
		"spaces":                      " \n",
		"a word":                      "success",
		"no Encrypt":                  "<xml><AppId>a</AppId></xml>",
		"empty Encrypt":               "<xml><Encrypt></Encrypt></xml>",
		"spaces as Encrypt":           "<xml><Encrypt> \n </Encrypt></xml>",
		"Encrypt twice":               "<xml>" + encrypt + encrypt + "</xml>",
		"Encrypt twice, once empty":   "<xml><Encrypt/>" + encrypt + "</xml>",
		"AppId twice":                 "<xml><AppId>a</AppId><AppId>a</AppId>" + encrypt + "</xml>",
		"another root":                "<XML>" + encrypt + "</XML>",
		"a longer root":               "<xmls>" + encrypt + "</xmls>",
		"two roots":                   "<xml>" + encrypt + "</xml><xml/>",
		"text after the end":          "<xml>" + encrypt + "</xml>x",
		"text before the root":        "x<xml>" + encrypt + "</xml>",
		"text between elements":       "<xml>x" + encrypt + "</xml>",
		"unfinished root":             "<xml>" + encrypt,
		"unfinished element":          "<xml><Encrypt>QUJD",
		"unfinished CDATA":            "<xml><Encrypt><![CDATA[QUJD</Encrypt></xml>",
		"crossed tags":                "<xml><Encrypt>QUJD</AppId></xml>",
		"Encrypt one level down":      "<xml><a>" + encrypt + "</a></xml>",
		"deep":                        strings.Repeat("<xml>", 100_000),
		"DOCTYPE":                     `<!DOCTYPE xml [<!ENTITY e "QUJD">]><xml><Encrypt>&e;</Encrypt></xml>`,
		"DOCTYPE inside":              "<xml><!DOCTYPE x>" + encrypt + "</xml>",
		"entity":                      "<xml><Encrypt>QU&#74;D</Encrypt></xml>",
		"entity in an unknown field":  "<xml><a>&lt;</a>" + encrypt + "</xml>",
		"comment":                     "<xml><!-- -->" + encrypt + "</xml>",
		"comment in Encrypt":          "<xml><Encrypt>QU<!-- -->JD</Encrypt></xml>",
		"processing instruction":      "<?php x?><xml>" + encrypt + "</xml>",
		"processing instruction next": "<xml><?x y?>" + encrypt + "</xml>",
		"second declaration":          `<?xml version="1.0"?><?xml version="1.0"?><xml>` + encrypt + "</xml>",
		"attribute":                   `<xml><Encrypt a="b">QUJD</Encrypt></xml>`,
		"attribute of the root":       `<xml a="b">` + encrypt + "</xml>",
		"namespace":                   "<xml><a:Encrypt>QUJD</a:Encrypt></xml>",
		"CDATA beside text":           "<xml><Encrypt>QU<![CDATA[JD]]></Encrypt></xml>",
		"text beside CDATA":           "<xml><Encrypt><![CDATA[QU]]>JD</Encrypt></xml>",
		"two CDATA":                   "<xml><Encrypt><![CDATA[QU]]><![CDATA[JD]]></Encrypt></xml>",
		"GBK declared":                `<?xml version="1.0" encoding="GBK"?><xml>` + encrypt + "</xml>",
		"UTF-16":                      "\xff\xfe<\x00x\x00m\x00l\x00>\x00",
		"byte order mark":             "\ufeff<xml>" + encrypt + "</xml>",
		"not UTF-8":                   "<xml><a>\xc4\xe3</a>" + encrypt + "</xml>",
		"NUL":                         "<xml><a>\x00</a>" + encrypt + "</xml>",
		"17 fields":                   "<xml>" + strings.Repeat("<a/>", 16) + encrypt + "</xml>",
		"JSON array":                  `[{"Encrypt":"QUJD"}]`,
		"JSON string":                 `"Encrypt"`,
		"JSON empty":                  `{}`,
		"JSON Encrypt twice":          `{"Encrypt":"QUJD","Encrypt":"QUJD"}`,
		"JSON Encrypt twice, escaped": `{"Encrypt":"QUJD","\u0045ncrypt":"QUJD"}`,
		"JSON object inside":          `{"Encrypt":"QUJD","a":{}}`,
		"JSON array inside":           `{"Encrypt":"QUJD","a":[1]}`,
		"JSON unfinished":             `{"Encrypt":"QUJD"`,
		"JSON unfinished string":      `{"Encrypt":"QUJD`,
		"JSON comma at the end":       `{"Encrypt":"QUJD",}`,
		"JSON no colon":               `{"Encrypt" "QUJD"}`,
		"JSON bad value":              `{"Encrypt":"QUJD","a":tru}`,
		"JSON bad escape":             `{"Encrypt":"QU\xJD"}`,
		"JSON control character":      "{\"Encrypt\":\"QU\nJD\"}",
		"JSON text after the end":     `{"Encrypt":"QUJD"}{}`,
		"JSON 17 fields":              "{" + strings.Repeat(`"a":1,`, 16) + `"Encrypt":"QUJD"}`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseEnvelope([]byte(body))
			var e *Error
			if !errors.Is(err, ErrEnvelope) || !errors.As(err, &e) || e.Code != CodeParse {
				t.Errorf("error %v, want %v", err, ErrEnvelope)
			}
			if diff := cmp.Diff(Envelope{}, got); diff != "" {
				t.Errorf("an envelope beside the error: %s", diff)
			}
		})
	}
}

// What is appended to one field must not run into the next.
func TestEnvelopeFieldsAreCapped(t *testing.T) {
	t.Parallel()
	body := []byte("<xml><Encrypt>QUJD</Encrypt></xml>")
	before := bytes.Clone(body)
	e, err := ParseEnvelope(body)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(e.Encrypt, "overwritten"...)
	if !bytes.Equal(body, before) {
		t.Errorf("the body became %s", body)
	}
}
