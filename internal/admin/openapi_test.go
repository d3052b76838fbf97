package admin_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan/internal/admin"
)

var update = flag.Bool("update", false, "rewrite api/openapi.yaml")

// TestOpenAPI compares api/openapi.yaml with what the code says. To rewrite it:
// go test ./internal/admin -run TestOpenAPI -update.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	const committed = "../../api/openapi.yaml"
	served := w.callAs("", "GET", "/openapi.yaml", "")
	if *update {
		if err := os.MkdirAll(filepath.Dir(committed), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(committed, []byte(served.body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(committed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), served.body); diff != "" {
		t.Errorf("api/openapi.yaml is not what the code says; rewrite it with: go test ./internal/admin -run TestOpenAPI -update\n%s", diff)
	}
	var document struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Needs       string `json:"x-needs"`
			Responses   map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(w.callAs("", "GET", "/openapi.json", "").body), &document); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(document.OpenAPI, "3.1.") {
		t.Errorf("the version is %q", document.OpenAPI)
	}
	described := 0
	ids := make(map[string]bool)
	for _, item := range document.Paths {
		described += len(item)
	}
	for _, route := range admin.Routes() {
		op := document.Paths[route.Pattern][strings.ToLower(route.Method)]
		if op.Needs != string(route.Needs) || op.Responses[strconv.Itoa(route.Status)] == nil || op.Responses["401"] == nil || ids[op.OperationID] {
			t.Errorf("%s %s is described as %+v", route.Method, route.Pattern, op)
		}
		ids[op.OperationID] = true
	}
	if described != len(admin.Routes()) {
		t.Errorf("%d operations are described, there are %d", described, len(admin.Routes()))
	}
	if strings.Contains(served.body, "ErrorModel") || strings.Contains(served.body, "$schema") {
		t.Error("there are leftovers of the framework's")
	}
}

// conforms demands that a reply is as the OpenAPI document says.
func (w *world) conforms(method, target string, r response) {
	w.t.Helper()
	path, _, _ := strings.Cut(target, "?")
	op := w.operation(method, path)
	if op == nil || r.status == http.StatusNotModified || strings.HasSuffix(path, "/nothing") && r.status == http.StatusNotFound {
		return
	}
	documented := op.Responses[strconv.Itoa(r.status)]
	if documented != nil && r.status == http.StatusNoContent && r.body == "" {
		return
	}
	content := (*huma.MediaType)(nil)
	if documented != nil {
		content = documented.Content[r.header.Get("Content-Type")]
	}
	if content == nil {
		w.t.Errorf("%s %s answers %d %s, which is not documented", method, target, r.status, r.header.Get("Content-Type"))
		return
	}
	var value any
	if err := json.Unmarshal([]byte(r.body), &value); err != nil {
		w.t.Errorf("%s %s: %v", method, target, err)
		return
	}
	result := new(huma.ValidateResult)
	huma.Validate(w.api.OpenAPI().Components.Schemas, content.Schema, huma.NewPathBuffer([]byte(""), 0), huma.ModeReadFromServer, value, result)
	for _, err := range result.Errors {
		w.t.Errorf("%s %s answers what does not conform: %v in %s", method, target, err, r.body)
	}
}

// operation returns the operation that a path belongs to. The one path that two
// patterns match belongs to the one without a variable.
func (w *world) operation(method, path string) *huma.Operation {
	var found *huma.PathItem
	for pattern, item := range w.api.OpenAPI().Paths {
		want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
		if len(want) != len(got) {
			continue
		}
		matches := true
		for i := range want {
			matches = matches && (want[i] == got[i] || strings.HasPrefix(want[i], "{"))
		}
		if matches && (found == nil || !strings.Contains(pattern, "{")) {
			found = item
		}
	}
	if found == nil {
		return nil
	}
	return map[string]*huma.Operation{"GET": found.Get, "POST": found.Post, "PUT": found.Put, "PATCH": found.Patch, "DELETE": found.Delete}[method]
}

func TestDocsPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	for lang, want := range map[string][]string{
		"en": {"A valid access token", "required", "curl -H", "no usable answer from WeChat", "Which component is meant"},
		"zh": {"有效的 access_token", "必填", "curl -H", "微信的应答无法使用", "账号授权了多个第三方平台时指明其一"},
	} {
		r := w.callAs("", "GET", "/docs?lang="+lang, "")
		if r.status != 200 || !strings.Contains(r.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: got %d %v", lang, r.status, r.header)
		}
		for _, text := range want {
			if !strings.Contains(r.body, text) {
				t.Errorf("%s: %q is missing", lang, text)
			}
		}
		for _, route := range admin.Routes() {
			if !strings.Contains(r.body, route.Method+" "+route.Pattern) || !strings.Contains(r.body, string(route.Needs)) {
				t.Errorf("%s: %s %s is missing", lang, route.Method, route.Pattern)
			}
		}
		for _, foreign := range []string{"<script", "//unpkg", "@import", "src="} {
			if strings.Contains(r.body, foreign) {
				t.Errorf("%s: %q is on the page", lang, foreign)
			}
		}
		for _, link := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(r.body, -1) {
			if !strings.Contains(r.body, `id="`+link[1]+`"`) {
				t.Errorf("%s: the link to %s leads nowhere", lang, link[1])
			}
		}
	}
}
