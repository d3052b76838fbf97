package event

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
)

var (
	authorization = tuoguan.Authorization{Component: "wx0123456789abcdef", Authorizer: "wxaaaaaaaaaaaaaaaa"}
	created       = time.Unix(1700000600, 0)
	received      = time.Date(2023, 11, 14, 22, 23, 21, 500_000_000, time.UTC)
)

// pushOf returns what is stored of a push with this body.
func pushOf(body string) store.Push {
	parsed := push.Parse(authorization, []byte(body))
	return store.Push{
		ID: 7, Seq: 3, Key: parsed.DedupeKey(), Component: authorization.Component, Authorizer: authorization.Authorizer,
		Kind: parsed.Kind(), Body: []byte(body), CreatedAt: parsed.CreatedAt, ReceivedAt: received,
	}
}

// encode returns an event as its receivers read it: by the SDK of CloudEvents.
func encode(t *testing.T, p store.Push) (cloudevents.Event, map[string]any) {
	t.Helper()
	raw, err := CloudEvent(p)
	if err != nil {
		t.Fatal(err)
	}
	var e cloudevents.Event
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	if err := e.Validate(); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	var data map[string]any
	if err := e.DataAs(&data); err != nil {
		t.Fatal(err)
	}
	return e, data
}

func TestCloudEvent(t *testing.T) {
	t.Parallel()
	const body = `<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName><FromUserName>oSim0001</FromUserName>` +
		`<CreateTime>1700000600</CreateTime><MsgType>text</MsgType><Content><![CDATA[你好 "<\]]></Content><MsgId>24</MsgId></xml>`
	raw, err := CloudEvent(pushOf(body))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"specversion":"1.0","id":"` + ID("wx0123456789abcdef/wxaaaaaaaaaaaaaaaa/message/24") + `",` +
		`"source":"/components/wx0123456789abcdef/authorizers/wxaaaaaaaaaaaaaaaa","type":"wechat.text","subject":"oSim0001",` +
		`"time":"2023-11-14T22:23:20Z","datacontenttype":"application/json","componentappid":"wx0123456789abcdef",` +
		`"authorizerappid":"wxaaaaaaaaaaaaaaaa","sequence":"3","eventnumber":"7","data":{"kind":"text",` +
		`"component_appid":"wx0123456789abcdef","authorizer_appid":"wxaaaaaaaaaaaaaaaa","received_at":"2023-11-14T22:23:21.5Z",` +
		`"fields":{"ToUserName":"gh_0123456789ab","FromUserName":"oSim0001","CreateTime":"1700000600","MsgType":"text",` +
		`"Content":"你好 \"<\\","MsgId":"24"},"xml":"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(body) + `"}}`
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Error(diff)
	}
	e, _ := encode(t, pushOf(body))
	if e.Type() != "wechat.text" || e.Subject() != "oSim0001" || !e.Time().Equal(created) || e.Extensions()["sequence"] != "3" || e.Extensions()["eventnumber"] != "7" {
		t.Errorf("the SDK reads %v", e)
	}
}

// TestWireSamples: whatever WeChat sends becomes an event, and of its fields none is
// lost but the secrets.
func TestWireSamples(t *testing.T) {
	t.Parallel()
	samples, err := filepath.Glob("../../push/testdata/wire/*")
	if err != nil || len(samples) < 50 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	for _, file := range samples {
		if strings.HasSuffix(file, ".golden") {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := pushOf(string(body))
			if !Deliverable(p.Kind) {
				if _, err := CloudEvent(p); !errors.Is(err, ErrEncoding) {
					t.Errorf("a %s is told: %v", p.Kind, err)
				}
				return
			}
			e, data := encode(t, p)
			if e.Type() != "wechat."+p.Kind {
				t.Errorf("type %s of a %s", e.Type(), p.Kind)
			}
			fields, _ := data["fields"].(map[string]any)
			for _, element := range push.Parse(authorization, body).Elements() {
				if element.Depth > 1 || element.Parent {
					continue
				}
				want := element.Text
				if isSecret(element.Name) {
					want = ""
				}
				switch got := fields[element.Name].(type) {
				case string:
					if got != want {
						t.Errorf("%s is %q, want %q", element.Name, got, want)
					}
				case []any:
				default:
					t.Errorf("%s is %v", element.Name, got)
				}
			}
			text, _ := data["xml"].(string)
			if isJSON(body) {
				text, _ = data["json"].(string)
			}
			if text != string(XML(p)) || !strings.Contains(p.Kind, "uthorized") && p.Kind != "notify_third_fasteregister" && text != string(body) {
				t.Errorf("the text is %q", text)
			}
		})
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ body, want string }{
		"nested": {`<xml><MsgType>event</MsgType><A><B>1</B><C><D>2</D></C></A></xml>`, `{"MsgType":"event","A":{"B":"1","C":{"D":"2"}}}`},
		"repeated": {`<xml><a>1</a><b>2</b><a>3</a><l><item><x>1</x></item><item><x>2</x><y/></item></l></xml>`,
			`{"a":["1","3"],"b":"2","l":{"item":[{"x":"1"},{"x":"2","y":""}]}}`},
		"json":        {`{"a":1,"b":{"c":true},"d":[1,2],"e":null,"f":"\u4f60\"","g":{}}`, `{"a":"1","b":{"c":"true"},"d":["1","2"],"e":"","f":"你\"","g":{}}`},
		"characters":  {"<xml><a>\x01\t&#10;\u2028\u007f</a></xml>", `{"a":"\u0001\u0009\n` + "\u2028\u007f" + `"}`},
		"none":        {`<xml></xml>`, `{}`},
		"one in list": {`{"d":["x"]}`, `{"d":"x"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, err := CloudEvent(pushOf(test.body))
			if err != nil || !json.Valid(raw) {
				t.Fatalf("%s, %v", raw, err)
			}
			if !strings.Contains(string(raw), `"fields":`+test.want+`,`) {
				t.Errorf("%s, want %s", raw, test.want)
			}
		})
	}
}

// code is what no receiver may see.
const code = "s3cr3t-0123456789"

func TestSecrets(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		want string // of the text; "" if it is withheld
	}{
		"xml":              {`<xml><InfoType>authorized</InfoType><AuthorizationCode>` + code + `</AuthorizationCode><PreAuthCode><![CDATA[` + code + `]]></PreAuthCode></xml>`, `<xml><InfoType>authorized</InfoType><AuthorizationCode></AuthorizationCode><PreAuthCode><![CDATA[]]></PreAuthCode></xml>`},
		"entities":         {`<xml><auth_code>a&amp;` + code + `</auth_code><b>1</b></xml>`, `<xml><auth_code></auth_code><b>1</b></xml>`},
		"several sections": {`<xml><auth_code><![CDATA[x]]>` + code + `<![CDATA[</auth_code>]]></auth_code></xml>`, `<xml><auth_code></auth_code></xml>`},
		"other spelling":   {`<xml><authorization-code>` + code + `</authorization-code><AUTH_CODE >` + code + `</AUTH_CODE></xml>`, `<xml><authorization-code></authorization-code><AUTH_CODE ></AUTH_CODE></xml>`},
		"twice":            {`<xml><auth_code>` + code + `</auth_code><auth_code>` + code + `</auth_code></xml>`, `<xml><auth_code></auth_code><auth_code></auth_code></xml>`},
		"below":            {`<xml><info><auth_code><v>` + code + `</v><w><x>` + code + `</x></w></auth_code><y>1</y></info></xml>`, `<xml><info><auth_code><v></v><w><x></x></w></auth_code><y>1</y></info></xml>`},
		"ticket":           {`<xml><InfoType>x</InfoType><ComponentVerifyTicket>` + code + `</ComponentVerifyTicket></xml>`, `<xml><InfoType>x</InfoType><ComponentVerifyTicket></ComponentVerifyTicket></xml>`},
		"json":             {`{"InfoType":"authorized","AuthorizationCode":"` + code + `","auth_code": "a\"` + code + `","PreAuthCode":["` + code + `"]}`, `{"InfoType":"authorized","AuthorizationCode":"","auth_code": "","PreAuthCode":[""]}`},
		"json, no string":  {`{"auth_code": 98765432198765,"pre_auth_code":{"a":` + `"` + code + `","b":true},"c":1}`, `{"auth_code": "","pre_auth_code":{"a":"","b":""},"c":1}`},
		"told by a user":   {`<xml><MsgType>text</MsgType><Content><![CDATA[<auth_code>mine</auth_code>]]></Content></xml>`, `<xml><MsgType>text</MsgType><Content><![CDATA[<auth_code>mine</auth_code>]]></Content></xml>`},
		"a time":           {`<xml><AuthorizationCodeExpiredTime>17</AuthorizationCodeExpiredTime></xml>`, `<xml><AuthorizationCodeExpiredTime>17</AuthorizationCodeExpiredTime></xml>`},

		"broken":                {`<xml><InfoType>authorized</InfoType><AuthorizationCode>` + code + `</AuthorizationCode>`, ""},
		"broken in the name":    {`<xml><AuthorizationCod` + code, ""},
		"cut":                   {`izationCode>queryauthcode@@@` + code + `</xml>`, ""},
		"attribute":             {`<xml><auth_code a="b">` + code + `</auth_code></xml>`, ""},
		"comment within":        {`<xml><auth<!-- -->_code>` + code + `</auth_code></xml>`, ""},
		"utf-16":                {strings.Join(strings.Split("<xml><auth_code>"+code, ""), "\x00"), ""},
		"broken json":           {`{"auth_code":"` + code + `"`, ""},
		"escaped name":          {`{"\u0061uth_code":"` + code + `"}`, ""},
		"too deep":              {`<xml><a><b><c><d><e>1</e></d></c></b></a><auth_code>` + code + `</auth_code></xml>`, ""},
		"broken, and no secret": {`<xml><MsgType>text</MsgType><Content>hi`, `<xml><MsgType>text</MsgType><Content>hi`},
		"not xml":               {`hello`, `hello`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pushOf(test.body)
			raw, err := CloudEvent(p)
			if err != nil || !json.Valid(raw) {
				t.Fatalf("%s, %v", raw, err)
			}
			for what, text := range map[string]string{"the event": string(raw), "the XML": string(XML(p))} {
				for _, secret := range []string{code, "98765432198765", strings.Join(strings.Split(code, ""), `\u0000`)} {
					if strings.Contains(text, secret) {
						t.Errorf("%s has the code: %s", what, text)
					}
				}
			}
			if got := string(XML(p)); got != test.want {
				t.Errorf("text %q, want %q", got, test.want)
			}
			_, data := encode(t, p)
			if withheld := data["withheld"] == true; withheld != (test.want == "") {
				t.Errorf("withheld: %t in %s", withheld, raw)
			}
			if _, unparsed := data["problem"]; unparsed != (p.Kind == "unparsed") {
				t.Errorf("a %s: %s", p.Kind, raw)
			}
		})
	}
}

func TestNotUTF8(t *testing.T) {
	t.Parallel()
	const body = "<xml><Content>\xc4\xe3\xba\xc3</Content></xml>"
	_, data := encode(t, pushOf(body))
	if want := base64.StdEncoding.EncodeToString([]byte(body)); data["base64"] != want || data["xml"] != nil {
		t.Errorf("%v, want the text in base64", data)
	}
}

func TestNotEncodable(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]store.Push{
		"ticket":          {Kind: "component_verify_ticket", Body: []byte(`<xml><ComponentVerifyTicket>t</ComponentVerifyTicket></xml>`)},
		"no body":         {Kind: "text"},
		"own, no body":    {Kind: Test},
		"own, no object":  {Kind: Test, Body: []byte(`[1]`)},
		"own, broken":     {Kind: Test, Body: []byte(`{"a":`)},
		"own, two values": {Kind: Test, Body: []byte(`{} {}`)},
	} {
		if raw, err := CloudEvent(p); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: %s, %v", name, raw, err)
		}
	}
}

// TestOwn: an event of our own has one key for one occurrence, and reads in both formats.
func TestOwn(t *testing.T) {
	t.Parallel()
	at := received
	grant := store.Grant{Authorization: authorization, ObtainedAt: at, AuthorizedAt: created, CodeHash: "hash", Reference: "order 7",
		PermissionSets: []tuoguan.PermissionSet{1, 2}}
	trouble := store.Trouble{Authorization: authorization, Grant: 4, Epoch: 9, Info: store.TroubleInfo{Code: 61023, Message: "no"}, At: at}
	later := at.Add(time.Hour)
	for name, test := range map[string]struct {
		first, again, other store.Push
		body                string
	}{
		"authorized": {NewGrant(Authorized, grant), NewGrant(Authorized, with(grant, func(g *store.Grant) { g.ObtainedAt, g.CodeHash = later, "" })),
			NewGrant(Authorized, with(grant, func(g *store.Grant) { g.AuthorizedAt = created.Add(time.Second) })),
			`{"component_appid":"wx0123456789abcdef","authorizer_appid":"wxaaaaaaaaaaaaaaaa","permission_sets":[1,2],"reference":"order 7","authorized_at":"2023-11-14T22:23:20Z"}`},
		"authorized, nobody knows when": {NewGrant(Authorized, store.Grant{Authorization: authorization, ObtainedAt: at, CodeHash: "hash"}),
			NewGrant(Authorized, store.Grant{Authorization: authorization, ObtainedAt: later, CodeHash: "hash"}),
			NewGrant(Authorized, store.Grant{Authorization: authorization, ObtainedAt: at, CodeHash: "another"}),
			`{"component_appid":"wx0123456789abcdef","authorizer_appid":"wxaaaaaaaaaaaaaaaa","permission_sets":[],"reference":"","authorized_at":"2023-11-14T22:23:21.5Z"}`},
		"updated": {NewGrant(Updated, store.Grant{Authorization: authorization, ObtainedAt: at}), NewGrant(Updated, store.Grant{Authorization: authorization, ObtainedAt: at}),
			NewGrant(Updated, store.Grant{Authorization: authorization, ObtainedAt: later}),
			`{"component_appid":"wx0123456789abcdef","authorizer_appid":"wxaaaaaaaaaaaaaaaa","permission_sets":[],"reference":"","authorized_at":"2023-11-14T22:23:21.5Z"}`},
		"needs reauthorization": {NewNeedsReauthorization(trouble), NewNeedsReauthorization(with(trouble, func(x *store.Trouble) { x.At = later })),
			NewNeedsReauthorization(with(trouble, func(x *store.Trouble) { x.Epoch++ })),
			`{"component_appid":"wx0123456789abcdef","authorizer_appid":"wxaaaaaaaaaaaaaaaa","errcode":61023,"reason":"no","at":"2023-11-14T22:23:21.5Z"}`},
		"ticket overdue": {NewTicketOverdue(authorization.Component, created, at), NewTicketOverdue(authorization.Component, created, later), NewTicketOverdue(authorization.Component, at, later),
			`{"component_appid":"wx0123456789abcdef","since":"2023-11-14T22:23:20Z"}`},
		"quota low": {NewQuotaLow(authorization, "/cgi-bin/user/info", 0, later, at), NewQuotaLow(authorization, "/cgi-bin/user/info", -1, later, at.Add(time.Minute)),
			NewQuotaLow(authorization, "/cgi-bin/user/info", 5, later, at),
			`{"component_appid":"wx0123456789abcdef","authorizer_appid":"wxaaaaaaaaaaaaaaaa","path":"/cgi-bin/user/info","remaining":0,"until":"2023-11-14T23:23:21.5Z"}`},
		"subscription disabled": {NewSubscriptionDisabled("sub_1", "orders", "gone", 3, at), NewSubscriptionDisabled("sub_1", "orders", "gone", 3, later),
			NewSubscriptionDisabled("sub_1", "orders", "gone", 4, at),
			`{"subscription":"sub_1","name":"orders","reason":"gone","at":"2023-11-14T22:23:21.5Z"}`},
		"test": {Sample(Test, authorization, at), Sample(Test, authorization, at), Sample(Test, authorization, later),
			`{"message":"A test from Tuoguan. 托管的测试事件。","at":"2023-11-14T22:23:21.5Z"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.first.Key != test.again.Key || test.first.Key == test.other.Key || !strings.HasPrefix(test.first.Key, KeyPrefix) || len(test.first.Key) > 200 {
				t.Errorf("keys %q, %q, %q", test.first.Key, test.again.Key, test.other.Key)
			}
			if diff := cmp.Diff(test.body, string(test.first.Body)); diff != "" {
				t.Error(diff)
			}
			e, data := encode(t, test.first)
			if e.Type() != test.first.Kind || !Own(e.Type()) || data["fields"] != nil {
				t.Errorf("%v", e)
			}
			parsed := push.Parse(authorization, XML(test.first))
			if parsed.Problem != nil || parsed.Kind() != test.first.Kind || parsed.Field("AppId") != string(test.first.Component) {
				t.Errorf("in WeChat's format it is %s", XML(test.first))
			}
		})
	}
	if long := NewQuotaLow(authorization, "/"+strings.Repeat("x", 1000), 0, later, at).Key; len(long) > 200 {
		t.Errorf("a key of %d bytes", len(long))
	}
}

// with returns a changed copy.
func with[T any](value T, change func(*T)) T {
	change(&value)
	return value
}

// TestSample: a sample of a kind is an event of that kind, and encodes.
func TestSample(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{
		Authorized, Updated, NeedsReauthorization, TicketOverdue, QuotaLow, SubscriptionDisabled, Test,
		"authorized", "updateauthorized", "unauthorized", "text", "image", "event.subscribe", "event.a_future_one",
	} {
		for _, a := range []tuoguan.Authorization{{}, authorization} {
			p := Sample(kind, a, received)
			p.ID, p.Seq = 1, 1
			e, _ := encode(t, p)
			if !strings.HasSuffix(e.Type(), kind) || e.ID() != ID(p.Key) || p.Kind != kind {
				t.Errorf("the sample of %s is %v", kind, e)
			}
			if parsed := push.Parse(a, XML(p)); parsed.Kind() != kind {
				t.Errorf("the sample of %s is a %s in WeChat's format", kind, parsed.Kind())
			}
		}
	}
	if Sample("text", authorization, received).Key == Sample("text", authorization, received.Add(1)).Key {
		t.Error("two samples have one key")
	}
}

func TestParties(t *testing.T) {
	t.Parallel()
	user, account := Parties(pushOf(`<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>text</MsgType></xml>`))
	if user != "o1" || account != "gh_1" {
		t.Errorf("%q to %q", user, account)
	}
	if user, account := Parties(Sample(Test, authorization, received)); user+account != "" {
		t.Errorf("%q to %q", user, account)
	}
}

// FuzzCloudEvent: whatever a push says, it becomes valid JSON that the SDK of
// CloudEvents reads, twice the same, and a code in it is not told.
func FuzzCloudEvent(f *testing.F) {
	for _, body := range []string{
		`<xml><InfoType>authorized</InfoType><AuthorizationCode>CODE</AuthorizationCode></xml>`, `{"auth_code":"CODE","a":[{"b":1}]}`,
		`<xml><MsgType>event</MsgType><Event>x</Event><a><b>CODE</b></a></xml>`, "\xff\x00", `{"a`, `<xml><auth_code>CODE`,
		`<xml><auth_code>&#67;ODE</auth_code><a><![CDATA[]]>]]&gt;</a></xml>`, `{"tuoguan":1}`,
	} {
		f.Add([]byte(body), "wxaaaaaaaaaaaaaaaa", "text")
	}
	f.Fuzz(func(t *testing.T, body []byte, authorizer, kind string) {
		p := pushOf(string(body))
		p.Authorizer, p.Kind = tuoguan.AuthorizerAppID(authorizer), kind
		raw, err := CloudEvent(p)
		if err != nil {
			if !errors.Is(err, ErrEncoding) || raw != nil {
				t.Fatal(raw, err)
			}
			return
		}
		again, _ := CloudEvent(p)
		if !json.Valid(raw) || string(raw) != string(again) {
			t.Fatalf("%q", raw)
		}
		var e cloudevents.Event
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatalf("%v in %q", err, raw)
		}
		if err := e.Validate(); err != nil {
			t.Fatalf("%v in %q", err, raw)
		}
		if Own(kind) {
			return
		}
		if !utf8.Valid(raw) {
			t.Fatalf("not UTF-8: %q", raw)
		}
		parsed := push.Parse(authorization, XML(p))
		if parsed.Problem != nil {
			if parsed = push.Parse(authorization, body); parsed.Problem == nil {
				t.Fatalf("%q became unreadable: %q", body, XML(p))
			}
			if text := XML(p); text != nil && mayHoldSecret(text) {
				t.Fatalf("%q is told", text)
			}
			return
		}
		if !isBlank(parsed) {
			t.Fatalf("%q has a secret", XML(p))
		}
	})
}

func BenchmarkCloudEvent(b *testing.B) {
	p := pushOf(`<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName><FromUserName><![CDATA[oSim0001000000000000000000000]]></FromUserName>` +
		`<CreateTime>1700000600</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[你好，请问今天营业吗？]]></Content><MsgId>24000000000000001</MsgId></xml>`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := CloudEvent(p); err != nil {
			b.Fatal(err)
		}
	}
}
