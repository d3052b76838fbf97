// Package page renders the server's own HTML pages: in Chinese or English, without
// script, and with headers that allow a browser nothing but the page itself.
package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
)

// Set is a set of pages. In its templates, {{t "中文" "English"}} is a text in the
// page's language, {{lang}} that language, and {{style}} the style sheet, which has
// to stand in one <style> element and nowhere else.
type Set struct {
	byLanguage map[string]*template.Template
	policy     string // Content-Security-Policy
}

// Parse reads the templates *.html and style.css of a directory.
func Parse(files fs.FS) (*Set, error) {
	style, err := fs.ReadFile(files, "style.css")
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	sum := sha256.Sum256(style)
	s := &Set{
		byLanguage: make(map[string]*template.Template),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
	for _, lang := range []string{"zh", "en"} {
		t, err := template.New(lang).Funcs(template.FuncMap{
			"lang":  func() string { return lang },
			"style": func() template.CSS { return template.CSS(style) },
			"t": func(chinese, english string) string {
				if lang == "zh" {
					return chinese
				}
				return english
			},
		}).ParseFS(files, "*.html")
		if err != nil {
			return nil, fmt.Errorf("pages: %w", err)
		}
		s.byLanguage[lang] = t
	}
	return s, nil
}

// Show answers with the page made by the named template.
func (s *Set) Show(w http.ResponseWriter, lang string, status int, name string, data any) {
	var body bytes.Buffer
	if err := s.byLanguage[lang].ExecuteTemplate(&body, name, data); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	s.Harden(w)
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Language", lang)
	header.Set("Vary", "Accept-Language, User-Agent")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the browser went away
}

// Harden sets the headers that keep an answer to itself. A Referrer-Policy that is
// set already stays.
func (s *Set) Harden(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Security-Policy", s.policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("X-Robots-Tag", "noindex, nofollow")
	header.Set("Cache-Control", "no-store")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	if header.Get("Referrer-Policy") == "" {
		header.Set("Referrer-Policy", "no-referrer")
	}
}

// Language returns "zh" or "en": as chosen by ?lang=, else as the browser prefers,
// else Chinese.
func Language(r *http.Request) string {
	switch chosen := r.URL.Query().Get("lang"); chosen {
	case "zh", "en":
		return chosen
	}
	best, bestWeight := "zh", 0.0
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, parameters, _ := strings.Cut(strings.TrimSpace(part), ";")
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.TrimSpace(parameters), "q="); ok {
			weight, _ = strconv.ParseFloat(q, 64)
		}
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if (primary == "zh" || primary == "en") && weight > bestWeight {
			best, bestWeight = primary, weight
		}
	}
	return best
}
