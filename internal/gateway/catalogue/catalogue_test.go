package catalogue

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"go/format"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite table.go from api/wechat")

func records(t *testing.T) []record {
	t.Helper()
	_, groups, err := readGroups()
	if err != nil {
		t.Fatal(err)
	}
	var all []record
	ids := make(map[string]bool)
	for _, g := range groups {
		for _, r := range g.Endpoints {
			if ids[r.ID] {
				t.Errorf("the id %s is there twice", r.ID)
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
		AppID: hasParameter(r.Query, "appid") && hasParameter(r.Query, "component_appid"),
	}
	for _, parameter := range r.Query {
		if value, ok := parameter.Fixed(); e.AppID && ok {
			e.Fixed = parameter.Name + "=" + value
		}
	}
	return e, nil
}

func hasParameter(query []Field, name string) bool {
	return slices.ContainsFunc(query, func(f Field) bool { return f.Name == name })
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

// fieldNames are dotted; an element of a list is marked, and * stands for any name.
var fieldNames = regexp.MustCompile(`^[A-Za-z_0-9*-]+(\[\])*(\.[A-Za-z_0-9*-]+(\[\])*)*$`)

// TestEntries demands that what is shown of each call is complete, and well-formed
// enough to make a form of.
func TestEntries(t *testing.T) {
	t.Parallel()
	entries, err := Entries()
	if err != nil {
		t.Fatal(err)
	}
	if want := len(records(t)); len(entries) != want {
		t.Errorf("%d entries of %d records", len(entries), want)
	}
	types := []string{"string", "integer", "number", "boolean", "object", "file", "any", "array<string>", "array<integer>", "array<object>"}
	for _, e := range entries {
		if e.Title == "" || e.TitleZh == "" || e.GroupTitle == "" || e.GroupTitleZh == "" || len(e.Title) > 48 {
			t.Errorf("%s: the titles are %q %q, %q %q", e.ID, e.Title, e.TitleZh, e.GroupTitle, e.GroupTitleZh)
		}
		if _, known := Lookup(e.Path); !known {
			t.Errorf("%s: the gateway does not know %s", e.ID, e.Path)
		}
		if e.Doc != "" && (!strings.HasPrefix(e.Doc, "https://") || !strings.Contains(e.Doc, ".qq.com/")) {
			t.Errorf("%s: the page is %q", e.ID, e.Doc)
		}
		if slices.Contains(e.Errcodes, 0) {
			t.Errorf("%s: 0 is no error", e.ID)
		}
		if e.Method == "GET" && e.Body != "none" {
			t.Errorf("%s: GET with a body", e.ID)
		}
		for _, part := range [][]Field{e.Query, e.Request, e.Response} {
			names := make(map[string]bool)
			for _, f := range part {
				if !fieldNames.MatchString(f.Name) || names[f.Name] || !slices.Contains(types, f.Type) || !slices.Contains([]string{"yes", "no", "conditional", "unknown"}, f.Required) {
					t.Errorf("%s: field %+v, or it is there twice", e.ID, f)
				}
				names[f.Name] = true
			}
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	e, ok, err := Find("custom_message_send")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if e.Path != "/cgi-bin/message/custom/send" || e.Group != "message" || !slices.Equal(e.PermissionSets, []int{1, 6, 19, 100, 101}) || e.Body != "json" || e.ResponseKind != "json" {
		t.Errorf("%+v", e.EndpointSummary)
	}
	if !slices.ContainsFunc(e.Request, func(f Field) bool { return f.Name == "touser" && f.Required == "yes" && f.Type == "string" }) {
		t.Errorf("the request is %+v", e.Request)
	}
	e, _, _ = Find("get_history_versions")
	if i := slices.IndexFunc(e.Query, func(f Field) bool { return f.Name == "action" }); i < 0 {
		t.Errorf("the query is %+v", e.Query)
	} else if value, fixed := e.Query[i].Fixed(); !fixed || value != "get_history_version" {
		t.Errorf("the action is %q", value)
	}
	if _, ok, err := Find("nothing"); ok || err != nil {
		t.Error(ok, err)
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
