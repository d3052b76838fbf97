package catalogue

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"go/format"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite table.go from api/wechat")

// record is one entry of api/wechat.
type record struct {
	ID            string   `yaml:"id"`
	Method        string   `yaml:"method"`
	Path          string   `yaml:"path"`
	Token         string   `yaml:"token"`
	Parameter     string   `yaml:"token_param"`
	Query         []string `yaml:"query"`
	Body          string   `yaml:"body"`
	Reply         string   `yaml:"response_kind"`
	PermissionSet []string `yaml:"permission_set"`
	Read          bool     `yaml:"read"`
}

func records(t *testing.T) []record {
	t.Helper()
	files, err := filepath.Glob("../../../api/wechat/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var all []record
	ids := make(map[string]bool)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Endpoints []record `yaml:"endpoints"`
		}
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		decoder.KnownFields(true)
		if err := decoder.Decode(&file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, r := range file.Endpoints {
			if ids[r.ID] {
				t.Errorf("%s: the id %s is there twice", name, r.ID)
			}
			ids[r.ID] = true
			all = append(all, r)
		}
	}
	return all
}

func (r record) endpoint() (Endpoint, error) {
	tokens := map[string]Token{"none": NoToken, "authorizer": AuthorizerToken, "component": ComponentToken, "either": EitherToken}
	replies := map[string]Reply{"": JSON, "json_or_binary": BinaryOrJSON}
	token, ok := tokens[r.Token]
	if !ok {
		return Endpoint{}, fmt.Errorf("%s: token %q", r.ID, r.Token)
	}
	reply, ok := replies[r.Reply]
	if !ok {
		return Endpoint{}, fmt.Errorf("%s: response_kind %q", r.ID, r.Reply)
	}
	switch {
	case !strings.HasPrefix(r.Path, "/"):
		return Endpoint{}, fmt.Errorf("%s: path %q", r.ID, r.Path)
	case r.Method != "GET" && r.Method != "POST":
		return Endpoint{}, fmt.Errorf("%s: method %q", r.ID, r.Method)
	case r.Body != "" && r.Body != "json" && r.Body != "multipart":
		return Endpoint{}, fmt.Errorf("%s: body %q", r.ID, r.Body)
	case (token == NoToken) != (r.Parameter == ""):
		return Endpoint{}, fmt.Errorf("%s: token %s in parameter %q", r.ID, r.Token, r.Parameter)
	}
	e := Endpoint{
		Path: r.Path, Token: token, Parameter: r.Parameter, Multipart: r.Body == "multipart", Reply: reply, Read: r.Read,
		AppID: slices.Contains(r.Query, "appid") && slices.Contains(r.Query, "component_appid"),
	}
	for _, parameter := range r.Query {
		if e.AppID && strings.Contains(parameter, "=") {
			e.Fixed = parameter
		}
	}
	return e, nil
}

// merge combines the actions of one path.
func merge(a, b Endpoint) (Endpoint, error) {
	if a.Token != b.Token || a.Parameter != b.Parameter || a.Multipart != b.Multipart || a.AppID != b.AppID || a.Fixed != b.Fixed {
		return Endpoint{}, fmt.Errorf("%s: its actions disagree on token or body", a.Path)
	}
	a.Read = a.Read && b.Read
	a.Reply = max(a.Reply, b.Reply)
	return a, nil
}

func (e Endpoint) source() string {
	text := fmt.Sprintf("{Path: %q", e.Path)
	for _, field := range []struct {
		set  bool
		text string
	}{
		{true, ", Token: " + [...]string{"NoToken", "AuthorizerToken", "ComponentToken", "EitherToken"}[e.Token]},
		{e.Parameter != "", fmt.Sprintf(", Parameter: %q", e.Parameter)},
		{e.Multipart, ", Multipart: true"},
		{e.Reply == BinaryOrJSON, ", Reply: BinaryOrJSON"},
		{e.Read, ", Read: true"},
		{e.AppID, ", AppID: true"},
		{e.Fixed != "", fmt.Sprintf(", Fixed: %q", e.Fixed)},
	} {
		if field.set {
			text += field.text
		}
	}
	return text + "},\n"
}

// TestTable demands that table.go is what api/wechat says.
func TestTable(t *testing.T) {
	t.Parallel()
	byPath := make(map[string]Endpoint)
	for _, r := range records(t) {
		e, err := r.endpoint()
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := byPath[e.Path]; ok {
			if e, err = merge(other, e); err != nil {
				t.Fatal(err)
			}
		}
		byPath[e.Path] = e
	}
	var b bytes.Buffer
	b.WriteString("// Code generated from api/wechat by the test of this package with -update; DO NOT EDIT.\n\npackage catalogue\n\n")
	b.WriteString("// endpoints is sorted by path and never written.\nvar endpoints = [...]Endpoint{\n")
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		b.WriteString(byPath[path].source())
	}
	b.WriteString("}\n")
	want, err := format.Source(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("table.go", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile("table.go"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("table.go is not what api/wechat says (%v); run: make generate", err)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	all := All()
	if !slices.IsSortedFunc(all, func(a, b Endpoint) int { return cmp.Compare(a.Path, b.Path) }) || len(all) < 400 {
		t.Errorf("%d paths, or not sorted", len(all))
	}
	for _, test := range []struct {
		path  string
		known bool
		want  Endpoint
	}{
		{"/cgi-bin/user/info", true, Endpoint{Token: AuthorizerToken, Parameter: "access_token", Read: true}},
		{"/cgi-bin/message/custom/send", true, Endpoint{Token: AuthorizerToken, Parameter: "access_token"}},
		{"/cgi-bin/menu/delete", true, Endpoint{Token: AuthorizerToken, Parameter: "access_token"}},
		{"/cgi-bin/media/upload", true, Endpoint{Token: AuthorizerToken, Parameter: "access_token", Multipart: true}},
		{"/cgi-bin/media/get", true, Endpoint{Token: AuthorizerToken, Parameter: "access_token", Reply: BinaryOrJSON, Read: true}},
		{"/wxa/gettemplatelist", true, Endpoint{Token: ComponentToken, Parameter: "access_token", Read: true}},
		{"/sns/component/jscode2session", true, Endpoint{Token: ComponentToken, Parameter: "component_access_token", AppID: true, Fixed: "grant_type=authorization_code"}},
		{"/wxa/revertcoderelease", true, Endpoint{Token: AuthorizerToken, Parameter: "access_token"}},
		{"/cgi-bin/component/api_query_auth", false, Endpoint{}},
		{"/CGI-BIN/user/info", false, Endpoint{}},
		{"", false, Endpoint{}},
	} {
		if test.known {
			test.want.Path = test.path
		}
		if got, known := Lookup(test.path); got != test.want || known != test.known {
			t.Errorf("%q: %+v %v, want %+v %v", test.path, got, known, test.want, test.known)
		}
	}
}
