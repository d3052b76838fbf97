package console

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	script := strings.Repeat("export const a = 1;\n", 100)
	h, err := from(fstest.MapFS{
		"index.html":         {Data: []byte("<!doctype html><title>console</title>")},
		"assets/app-1234.js": {Data: []byte(script)},
		"favicon.svg":        {Data: []byte("<svg/>")},
		".gitkeep":           {},
		"assets/dot.png":     {Data: []byte{0x89, 'P', 'N', 'G'}},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		path, accept string
		status       int
		contentType  string
		cache        string
		encoded      bool
		body         string
	}{
		"front page":      {path: "/console/", status: 200, contentType: "text/html; charset=utf-8", cache: "no-cache", body: "<!doctype html><title>console</title>"},
		"page of its own": {path: "/console/authorizers/wx0123456789abcdef", status: 200, contentType: "text/html; charset=utf-8", cache: "no-cache", body: "<!doctype html><title>console</title>"},
		"asset":           {path: "/console/assets/app-1234.js", status: 200, contentType: "text/javascript; charset=utf-8", cache: "public, max-age=31536000, immutable", body: script},
		"asset, packed":   {path: "/console/assets/app-1234.js", accept: "br, gzip", status: 200, contentType: "text/javascript; charset=utf-8", cache: "public, max-age=31536000, immutable", encoded: true, body: script},
		"too small":       {path: "/console/favicon.svg", accept: "gzip", status: 200, contentType: "image/svg+xml", cache: "no-cache", body: "<svg/>"},
		"missing asset":   {path: "/console/assets/app-0000.js", status: 404, contentType: "text/plain; charset=utf-8", body: "404 page not found\n"},
		"hidden file":     {path: "/console/.gitkeep", status: 200, contentType: "text/html; charset=utf-8", cache: "no-cache", body: "<!doctype html><title>console</title>"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, test.path, nil)
			r.Header.Set("Accept-Encoding", test.accept)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			var body io.Reader = w.Body
			if encoded := w.Header().Get("Content-Encoding") == "gzip"; encoded != test.encoded {
				t.Fatalf("packed: %v", encoded)
			} else if encoded {
				if body, err = gzip.NewReader(bytes.NewReader(w.Body.Bytes())); err != nil {
					t.Fatal(err)
				}
			}
			text, err := io.ReadAll(body)
			if err != nil || string(text) != test.body {
				t.Errorf("%q, %v", text, err)
			}
			if w.Code != test.status || w.Header().Get("Content-Type") != test.contentType || w.Header().Get("Cache-Control") != test.cache {
				t.Errorf("%d %v", w.Code, w.Header())
			}
			if test.status != http.StatusOK {
				return
			}
			r.Header.Set("If-None-Match", w.Header().Get("ETag"))
			again := httptest.NewRecorder()
			h.ServeHTTP(again, r)
			if again.Code != http.StatusNotModified || again.Body.Len() > 0 {
				t.Errorf("asked again: %d", again.Code)
			}
		})
	}
}

func TestNotBuilt(t *testing.T) {
	t.Parallel()
	if _, err := from(fstest.MapFS{".gitkeep": {}}); !errors.Is(err, ErrNotBuilt) {
		t.Errorf("got %v", err)
	}
}
