package page_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tuoguan/tuoguan/internal/page"
)

func TestLanguage(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ query, header, want string }{
		"nothing":                {"", "", "zh"},
		"English browser":        {"", "en-US,en;q=0.9", "en"},
		"Chinese browser":        {"", "zh-CN,zh;q=0.9,en;q=0.8", "zh"},
		"English before Chinese": {"", "fr;q=1, zh;q=0.3, en;q=0.5", "en"},
		"neither":                {"", "fr-FR,fr;q=0.9", "zh"},
		"refused":                {"", "en;q=0", "zh"},
		"nonsense":               {"", ";;,q=,en;q=x", "zh"},
		"chosen":                 {"?lang=en", "zh-CN", "en"},
		"chosen but unknown":     {"?lang=fr", "en", "en"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/"+tt.query, nil)
			r.Header.Set("Accept-Language", tt.header)
			if got := page.Language(r); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	set, err := page.Parse(fstest.MapFS{
		"style.css": {Data: []byte(`body{font:16px "PingFang SC"}`)},
		"a.html":    {Data: []byte(`{{define "a"}}<style>{{style}}</style>{{t "中文" "English"}} {{.}}{{end}}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	set.Show(w, "zh", 410, "a", "<script>")
	body := w.Body.String()
	if w.Code != 410 || !strings.Contains(body, "中文") || strings.Contains(body, "English") {
		t.Errorf("got %d %s", w.Code, body)
	}
	if strings.Contains(body, "<script>") {
		t.Errorf("not escaped: %s", body)
	}
	_, style, _ := strings.Cut(body, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Errorf("the policy %q does not allow the style sheet %q", policy, style)
	}
	if strings.Contains(policy, "script-src") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy allows too much: %q", policy)
	}
	if got := w.Header().Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("Referrer-Policy is %q", got)
	}
}
