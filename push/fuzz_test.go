package push

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tuoguan/tuoguan"
)

// FuzzParseXML compares our reading of a body with the one of encoding/xml: where
// both accept it, they must agree on every element and every character.
//
// We refuse on purpose what encoding/xml lets pass: any root but one <xml>, text
// around it, attributes and namespaces, comments and processing instructions,
// text beside elements, names outside of ASCII, an element of identity twice, more
// than four levels or 256 elements, and numeric entities of surrogates. We accept
// what it refuses: control characters other than NUL, which users do send.
func FuzzParseXML(f *testing.F) {
	for _, file := range wireSamples(f) {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	for _, body := range []string{
		"<xml><a>1 &lt; 2 &amp;&#x4f60;&#10;</a></xml>",
		"<xml><a> x\r\ny\rz </a><b><![CDATA[\r\n]]>\r</b></xml>",
		"<xml><d>1<![CDATA[<2>]]>3<![CDATA[]]]]><![CDATA[>]]></d></xml>",
		"<?xml version=\"1.0\" encoding='UTF-8'?><xml ><e/><f >\n<g></g\n></f ></xml>\n",
		"<xml><a>&#13;\n&apos;&quot;&gt;</a>\t<b>]]</b></xml>",
		"<!DOCTYPE xml [<!ENTITY a \"b\">]><xml>&a;</xml>",
		"<xml><a><!-- x --></a><?b?></xml>",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p := Parse(tuoguan.Authorization{}, body)
		checkRefused(t, p)
		if p.Problem != nil || bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
			return
		}
		want, err := readWithStandardLibrary(body)
		if err != nil {
			return
		}
		var got []string
		path := []string{"xml"}
		for i := range p.fields {
			field := &p.fields[i]
			path = append(path[:field.depth], string(field.name.of(p.Body)))
			line := strings.Join(path, "/")
			if field.form != parent {
				line += "=" + fmt.Sprintf("%q", field.text(p.Body))
			}
			got = append(got, line)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q (-encoding/xml +ours):\n%s", body, diff)
		}
	})
}

// checkRefused demands that nothing was read of a body with a problem.
func checkRefused(t *testing.T, p *Push) {
	t.Helper()
	if p.Problem == nil {
		return
	}
	if len(p.fields) > 0 || p.InfoType+p.MsgType+p.Event != "" || !p.CreatedAt.IsZero() || p.View() != nil {
		t.Fatalf("something was read of a body with a problem: %v", p)
	}
}

// readWithStandardLibrary lists the elements below the root in order of their
// start, with the text of those that have no children.
func readWithStandardLibrary(body []byte) ([]string, error) {
	type element struct {
		line   int
		text   strings.Builder
		parent bool
	}
	decoder := xml.NewDecoder(bytes.NewReader(body))
	var lines, path []string
	var open []*element
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if len(open) > 0 {
				open[len(open)-1].parent = true
			}
			path = append(path, token.Name.Local)
			open = append(open, &element{line: len(lines)})
			if len(path) > 1 {
				lines = append(lines, strings.Join(path, "/"))
			}
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text.Write(token)
			}
		case xml.EndElement:
			last := open[len(open)-1]
			if len(path) > 1 && !last.parent {
				lines[last.line] += fmt.Sprintf("=%q", last.text.String())
			}
			open, path = open[:len(open)-1], path[:len(path)-1]
		}
	}
}

// FuzzParseJSON compares the top level of an object with encoding/json.
func FuzzParseJSON(f *testing.F) {
	for _, file := range wireSamples(f) {
		if body, err := os.ReadFile(file); err == nil && strings.HasSuffix(file, ".json") {
			f.Add(body)
		}
	}
	f.Add([]byte(`{"a":"\u4f60\n\/","b":1.5e3,"c":null,"d":true,"e":[{"f":1},{"f":2}],"g":["x","y"],"h":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p := Parse(tuoguan.Authorization{}, body)
		checkRefused(t, p)
		if p.Problem != nil || !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("%q was accepted, but is not JSON: %v", body, err)
		}
		seen := make(map[string]int)
		for i := range p.fields {
			if p.fields[i].depth == 1 {
				seen[string(p.fields[i].name.of(p.Body))]++
			}
		}
		for name, raw := range want {
			var text string
			if json.Unmarshal(raw, &text) != nil || raw[0] != '"' || seen[name] != 1 {
				continue
			}
			if got := p.Field(name); got != text {
				t.Fatalf("%q: %s is %q, want %q", body, name, got, text)
			}
		}
	})
}

// FuzzPlaintext: whatever a user wrote and a responder answers, the reply parses
// and says just that.
func FuzzPlaintext(f *testing.F) {
	f.Add("oSim0001", "hello")
	f.Add("]]>", "]]]]>><![CDATA[]]>&lt;")
	f.Add("o\r\n", "\r\n")
	f.Fuzz(func(t *testing.T, user, content string) {
		p := Parse(tuoguan.Authorization{}, appendEnd(appendCDATA(appendCDATA([]byte("<xml>"), "FromUserName", user), "ToUserName", "gh_1"), "xml"))
		plaintext, err := Plaintext(p, Text{Content: content}, p.CreatedAt)
		if err != nil {
			if plaintext != nil {
				t.Fatal("a plaintext beside the error")
			}
			return
		}
		reply := Parse(tuoguan.Authorization{}, plaintext)
		if reply.Problem != nil {
			t.Fatalf("%s: %v", plaintext, reply.Problem)
		}
		lines := strings.NewReplacer("\r\n", "\n", "\r", "\n")
		if reply.Field("Content") != lines.Replace(content) || reply.Field("ToUserName") != p.Field("FromUserName") {
			t.Fatalf("%q to %q became %s", content, user, plaintext)
		}
	})
}
