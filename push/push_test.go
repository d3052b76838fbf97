package push

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	testComponent  = tuoguan.ComponentAppID("wx0123456789abcdef")
	testAuthorizer = tuoguan.AuthorizerAppID("wxaaaaaaaaaaaaaaaa")
	testAccount    = "gh_0123456789ab"
)

var testAuthorization = tuoguan.Authorization{Component: testComponent, Authorizer: testAuthorizer}

func wireSamples(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/wire/*")
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(file string) bool { return strings.HasSuffix(file, ".golden") })
	if len(files) < 50 {
		t.Fatalf("only %d samples", len(files))
	}
	return files
}

// Every kind, as it stands on the wire, with what is made of it.
func TestWireSamples(t *testing.T) {
	t.Parallel()
	for _, file := range wireSamples(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			a := testAuthorization
			p := Parse(a, body)
			if p.InfoType != "" {
				a.Authorizer = ""
				p = Parse(a, body)
			}
			created := "none"
			if !p.CreatedAt.IsZero() {
				created = p.CreatedAt.UTC().Format(time.RFC3339)
			}
			got := fmt.Sprintf("kind: %s\ncreated: %s\nkey: %s\nproblem: %v\nview: %T\n", p.Kind(), created, p.DedupeKey(), p.Problem, p.View())
			if view := p.View(); view != nil {
				got += strings.ReplaceAll(fmt.Sprintf("%+v\n", view), " +0000 UTC", "")
			}
			golden := file + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAs(t *testing.T) {
	t.Parallel()
	p := Parse(testAuthorization, []byte("<xml><MsgType>text</MsgType><Content>hi</Content></xml>"))
	if text, ok := As[TextMessage](p); !ok || text.Content != "hi" {
		t.Errorf("As[TextMessage] = %v, %v", text, ok)
	}
	if image, ok := As[ImageMessage](p); ok || image != nil {
		t.Errorf("As[ImageMessage] = %v, %v", image, ok)
	}
	unknown := Parse(testAuthorization, []byte("<xml><MsgType>new</MsgType></xml>"))
	if text, ok := As[TextMessage](unknown); ok || text != nil || unknown.View() != nil {
		t.Errorf("an unknown kind: %v, %v", text, ok)
	}
}

func TestViewSecrets(t *testing.T) {
	t.Parallel()
	p := Parse(testAuthorization, []byte("<xml><InfoType>authorized</InfoType><AuthorizerAppid>wxaaaaaaaaaaaaaaaa</AuthorizerAppid>"+
		"<AuthorizationCode>code-1</AuthorizationCode><PreAuthCode>pre-1</PreAuthCode></xml>"))
	got, ok := As[Authorized](p)
	if !ok || !got.Code.Equal(tuoguan.NewSecret("code-1")) || !got.PreAuthCode.Equal(tuoguan.NewSecret("pre-1")) || got.Authorizer != testAuthorizer {
		t.Errorf("As[Authorized] = %+v, %v", got, ok)
	}
}

func TestDedupeKey(t *testing.T) {
	t.Parallel()
	const event = "<xml><FromUserName>o</FromUserName><CreateTime>1700000000</CreateTime><MsgType>event</MsgType><Event>CLICK</Event><EventKey>a</EventKey></xml>"
	const authorized = "<xml><CreateTime>1700000000</CreateTime><InfoType>authorized</InfoType><AuthorizerAppid>wxa</AuthorizerAppid><AuthorizationCode>c1</AuthorizationCode></xml>"
	other := tuoguan.Authorization{Component: testComponent, Authorizer: "wxbbbbbbbbbbbbbbbb"}
	otherComponent := tuoguan.Authorization{Component: "wxfedcba9876543210", Authorizer: testAuthorizer}
	tests := map[string]struct {
		a, b   tuoguan.Authorization
		first  string
		second string
		same   bool
	}{
		"message again, written otherwise": {
			testAuthorization, testAuthorization,
			"<xml><MsgType>text</MsgType><MsgId>1</MsgId></xml>", "<xml><MsgType><![CDATA[text]]></MsgType>\n<MsgId><![CDATA[1]]></MsgId></xml>", true,
		},
		"another message":         {testAuthorization, testAuthorization, "<xml><MsgType>text</MsgType><MsgId>1</MsgId></xml>", "<xml><MsgType>text</MsgType><MsgId>2</MsgId></xml>", false},
		"of another account":      {testAuthorization, other, "<xml><MsgType>text</MsgType><MsgId>1</MsgId></xml>", "<xml><MsgType>text</MsgType><MsgId>1</MsgId></xml>", false},
		"of another component":    {testAuthorization, otherComponent, "<xml><MsgType>text</MsgType><MsgId>1</MsgId></xml>", "<xml><MsgType>text</MsgType><MsgId>1</MsgId></xml>", false},
		"message without an id":   {testAuthorization, testAuthorization, "<xml><MsgType>text</MsgType><Content>a</Content></xml>", "<xml><MsgType>text</MsgType><Content>b</Content></xml>", false},
		"event again":             {testAuthorization, testAuthorization, event, event, true},
		"another event":           {testAuthorization, testAuthorization, event, strings.Replace(event, "CLICK", "VIEW", 1), false},
		"event, another key":      {testAuthorization, testAuthorization, event, strings.Replace(event, "<EventKey>a", "<EventKey>b", 1), false},
		"event, another second":   {testAuthorization, testAuthorization, event, strings.Replace(event, "1700000000", "1700000001", 1), false},
		"event, another user":     {testAuthorization, testAuthorization, event, strings.Replace(event, ">o<", ">p<", 1), false},
		"authorized, other order": {testAuthorization, testAuthorization, authorized, "<xml><AuthorizationCode>c1</AuthorizationCode><AuthorizerAppid>wxa</AuthorizerAppid><InfoType>authorized</InfoType><CreateTime>1700000000</CreateTime></xml>", true},
		"authorized, other code":  {testAuthorization, testAuthorization, authorized, strings.Replace(authorized, ">c1<", ">c2<", 1), false},
		"codes with entities":     {testAuthorization, testAuthorization, strings.Replace(authorized, ">c1<", ">c&amp;1<", 1), strings.Replace(authorized, ">c1<", ">c&amp;2<", 1), false},
		"updateauthorized":        {testAuthorization, testAuthorization, authorized, strings.Replace(authorized, ">authorized<", ">updateauthorized<", 1), false},
		"another merchant":        {testAuthorization, testAuthorization, authorized, strings.Replace(authorized, ">wxa<", ">wxb<", 1), false},
		"another ticket": {
			testAuthorization, testAuthorization,
			"<xml><CreateTime>1</CreateTime><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>a</ComponentVerifyTicket></xml>",
			"<xml><CreateTime>1</CreateTime><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>b</ComponentVerifyTicket></xml>", false,
		},
		"unparsed":      {testAuthorization, testAuthorization, "<xml>", "<xml><", false},
		"no CreateTime": {testAuthorization, testAuthorization, "<xml><InfoType>unauthorized</InfoType><AuthorizerAppid>wxa</AuthorizerAppid><x>1</x></xml>", "<xml><InfoType>unauthorized</InfoType><AuthorizerAppid>wxa</AuthorizerAppid><x>2</x></xml>", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := Parse(test.a, []byte(test.first)).DedupeKey(), Parse(test.b, []byte(test.second)).DedupeKey()
			if (first == second) != test.same {
				t.Errorf("keys %s and %s", first, second)
			}
			for _, key := range []string{first, second} {
				if len(key) > 160 || strings.ContainsAny(key, " <>") {
					t.Errorf("key %q", key)
				}
			}
		})
	}
}

func TestParseProblems(t *testing.T) {
	t.Parallel()
	deep := func(n int) string {
		return "<xml>" + strings.Repeat("<a>", n) + strings.Repeat("</a>", n) + "</xml>"
	}
	tests := map[string]struct {
		body string
		want error
	}{
		"empty":                      {"", ErrEmpty},
		"spaces":                     {" \n", ErrMalformed},
		"a word":                     {"success", ErrMalformed},
		"another root":               {"<html></html>", ErrMalformed},
		"four deep":                  {deep(4), nil},
		"five deep":                  {deep(5), ErrTooComplex},
		"very deep":                  {strings.Repeat("<xml>", 100_000), ErrTooComplex},
		"256 elements":               {"<xml>" + strings.Repeat("<a/>", 256) + "</xml>", nil},
		"257 elements":               {"<xml>" + strings.Repeat("<a/>", 257) + "</xml>", ErrTooComplex},
		"a MiB":                      {"<xml><a>" + strings.Repeat("a", maxBody-len("<xml><a></a></xml>")) + "</a></xml>", nil},
		"more than a MiB":            {"<xml><a>" + strings.Repeat("a", maxBody) + "</a></xml>", ErrTooComplex},
		"DOCTYPE":                    {"<!DOCTYPE xml><xml></xml>", ErrDoctype},
		"DOCTYPE after declaration":  {"<?xml version=\"1.0\"?>\n<!DOCTYPE xml [<!ENTITY a \"b\">]><xml>&a;</xml>", ErrDoctype},
		"DOCTYPE in lower case":      {"<!doctype xml><xml></xml>", ErrDoctype},
		"DOCTYPE inside":             {"<xml><!DOCTYPE a></xml>", ErrDoctype},
		"DOCTYPE in an element":      {"<xml><a>x<!ENTITY a \"b\"></a></xml>", ErrDoctype},
		"DOCTYPE in CDATA":           {"<xml><a><![CDATA[<!DOCTYPE a>]]></a></xml>", nil},
		"comment":                    {"<xml><!-- a --></xml>", ErrMalformed},
		"processing instruction":     {"<xml><?a b?></xml>", ErrMalformed},
		"UTF-8 declared":             {"<?xml version='1.0' encoding='utf-8'?><xml></xml>", nil},
		"GBK declared":               {"<?xml version='1.0' encoding='GBK'?><xml></xml>", ErrMalformed},
		"declaration twice":          {"<?xml version='1.0'?><?xml version='1.0'?><xml></xml>", ErrMalformed},
		"attribute":                  {"<xml><a b='c'></a></xml>", ErrMalformed},
		"unknown entity":             {"<xml><a>&nbsp;</a></xml>", ErrMalformed},
		"bare ampersand":             {"<xml><a>a & b</a></xml>", ErrMalformed},
		"NUL entity":                 {"<xml><a>&#0;</a></xml>", ErrMalformed},
		"surrogate entity":           {"<xml><a>&#xD800;</a></xml>", ErrMalformed},
		"entity beyond Unicode":      {"<xml><a>&#x110000;</a></xml>", ErrMalformed},
		"text beside elements":       {"<xml><a>x<b/></a></xml>", ErrMalformed},
		"text after elements":        {"<xml><a><b/>x</a></xml>", ErrMalformed},
		"CDATA beside elements":      {"<xml><a><![CDATA[]]><b/></a></xml>", ErrMalformed},
		"text in the root":           {"<xml>x</xml>", ErrMalformed},
		"crossed tags":               {"<xml><a><b></a></b></xml>", ErrMalformed},
		"longer end tag":             {"<xml><a></aa></xml>", ErrMalformed},
		"CDATA end in text":          {"<xml><a>]]></a></xml>", ErrMalformed},
		"unfinished CDATA":           {"<xml><a><![CDATA[x</a></xml>", ErrMalformed},
		"unfinished":                 {"<xml><a>", ErrMalformed},
		"text after the end":         {"<xml></xml>x", ErrMalformed},
		"two roots":                  {"<xml></xml><xml></xml>", ErrMalformed},
		"NUL":                        {"<xml><a>\x00</a></xml>", ErrMalformed},
		"not UTF-8":                  {"<xml><a>\xc4\xe3</a></xml>", ErrMalformed},
		"surrogate in UTF-8":         {"<xml><a>\xed\xa0\x80你好你好你好</a></xml>", ErrMalformed},
		"overlong UTF-8":             {"<xml><a>\xe0\x80\x80你好你好你好</a></xml>", ErrMalformed},
		"Korean and Thai":            {"<xml><a>\u0e01\ud55c\ud7a3\u0800é😀 abc</a></xml>", nil},
		"NUL after Chinese":          {"<xml><a>你好你好\x00你好你好</a></xml>", ErrMalformed},
		"UTF-16":                     {"\xff\xfe<\x00", ErrMalformed},
		"control character":          {"<xml><a>\x08</a></xml>", nil},
		"MsgType twice":              {"<xml><MsgType>a</MsgType><MsgType>a</MsgType></xml>", ErrMalformed},
		"CreateTime twice in JSON":   {`{"CreateTime":1,"CreateTime":1}`, ErrMalformed},
		"other name twice":           {"<xml><a>1</a><a>2</a></xml>", nil},
		"same name deeper":           {"<xml><AppId>1</AppId><a><AppId>2</AppId></a></xml>", nil},
		"JSON, four deep":            {`{"a":{"b":{"c":{"d":1}}}}`, nil},
		"JSON, five deep":            {`{"a":{"b":{"c":{"d":{"e":1}}}}}`, ErrTooComplex},
		"JSON, very deep":            {strings.Repeat(`{"a":`, 100_000), ErrTooComplex},
		"JSON, 257 members":          {`{"a":[` + strings.Repeat("1,", 256) + `1]}`, ErrTooComplex},
		"JSON, array in an array":    {`{"a":[[1]]}`, ErrMalformed},
		"JSON, unfinished":           {`{"a":1`, ErrMalformed},
		"JSON, bad escape":           {`{"a":"\x"}`, ErrMalformed},
		"JSON, bad number":           {`{"a":01}`, ErrMalformed},
		"JSON, escaped name":         {`{"\u0061":1}`, ErrMalformed},
		"JSON, comma at the end":     {`{"a":1,}`, ErrMalformed},
		"JSON, text after the end":   {`{}{}`, ErrMalformed},
		"JSON, line break in string": {"{\"a\":\"\n\"}", ErrMalformed},
		"JSON, empty":                {"{}", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := Parse(testAuthorization, []byte(test.body))
			if !errors.Is(p.Problem, test.want) || (test.want == nil) != (p.Problem == nil) {
				t.Fatalf("problem %v, want %v", p.Problem, test.want)
			}
			if p.Problem != nil {
				if len(p.fields) > 0 || p.InfoType+p.MsgType+p.Event != "" || !p.CreatedAt.IsZero() || p.Kind() != "unparsed" || p.View() != nil {
					t.Errorf("something was read nevertheless: %v", p)
				}
			}
			if string(p.Body) != test.body || p.DedupeKey() == "" {
				t.Error("the body or the key is missing")
			}
		})
	}
}

func TestField(t *testing.T) {
	t.Parallel()
	body := "<xml><a>1 &lt; 2 &amp;&#x4f60;&#10;</a><b> x\r\ny\rz </b><c><![CDATA[a & b]]></c><d>1<![CDATA[<2>]]>3<![CDATA[]]]]><![CDATA[>]]></d>" +
		"<e/><f><g>deep</g><g>deeper</g></f><h>\n<i>spaced</i>\n</h></xml>"
	p := Parse(testAuthorization, []byte(body))
	if p.Problem != nil {
		t.Fatal(p.Problem)
	}
	for _, test := range []struct {
		path []string
		want string
		has  bool
	}{
		{[]string{"a"}, "1 < 2 &你\n", true},
		{[]string{"b"}, " x\ny\nz ", true},
		{[]string{"c"}, "a & b", true},
		{[]string{"d"}, "1<2>3]]>", true},
		{[]string{"e"}, "", true},
		{[]string{"f"}, "", true},
		{[]string{"f", "g"}, "deep", true},
		{[]string{"g"}, "", false},
		{[]string{"f", "i"}, "", false},
		{[]string{"h", "i"}, "spaced", true},
		{[]string{"h", "i", "j"}, "", false},
		{nil, "", false},
	} {
		if got, has := p.Field(test.path...), p.Has(test.path...); got != test.want || has != test.has {
			t.Errorf("%v: %q, %v; want %q, %v", test.path, got, has, test.want, test.has)
		}
	}
	p = Parse(testAuthorization, []byte(`{"a":"\u4f60\n\/","b":1.5,"c":null,"d":true,"e":[{"f":1},{"f":2}],"g":["x","y"]}`))
	for _, test := range []struct{ name, want string }{
		{"a", "你\n/"}, {"b", "1.5"}, {"c", ""}, {"d", "true"}, {"g", "x"},
	} {
		if got := p.Field(test.name); got != test.want {
			t.Errorf("JSON %s: %q, want %q", test.name, got, test.want)
		}
	}
	if got := p.Field("e", "f"); got != "1" {
		t.Errorf("JSON e/f: %q", got)
	}
}

func TestPrintingAPushShowsNothingOfIt(t *testing.T) {
	t.Parallel()
	const secret = "ticket@@@do-not-print"
	p := Parse(testAuthorization, []byte("<xml><InfoType>component_verify_ticket</InfoType><CreateTime>1700000000</CreateTime><ComponentVerifyTicket>"+secret+"</ComponentVerifyTicket></xml>"))
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "push", p, "view", p.View())
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "push", p, "view", p.View())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		fmt.Fprintf(&out, verb+verb, p, p.View())
	}
	if strings.Contains(out.String(), "do-not-print") {
		t.Errorf("printed: %s", &out)
	}
	if !strings.Contains(out.String(), string(testComponent)) {
		t.Errorf("not recognizable: %s", &out)
	}
}

func TestElements(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		want []Element
	}{
		"xml": {"<xml><a>1&amp;</a><b><c><![CDATA[x]]></c></b><d/></xml>", []Element{
			{Name: "a", Depth: 1, Text: "1&", Start: 8, End: 14}, {Name: "b", Depth: 1, Parent: true, Start: 21, End: 41},
			{Name: "c", Depth: 2, Text: "x", Start: 33, End: 34}, {Name: "d", Depth: 1, Start: 49, End: 49},
		}},
		"json": {`{"a":"\n","b":[1,{"c":null}]}`, []Element{
			{Name: "a", Depth: 1, Text: "\n", Start: 6, End: 8}, {Name: "b", Depth: 1, Text: "1", Start: 15, End: 16},
			{Name: "b", Depth: 1, Parent: true}, {Name: "c", Depth: 2, Start: 22, End: 22},
		}},
		"unreadable": {"<xml><a>", []Element{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, Parse(testAuthorization, []byte(test.body)).Elements()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
