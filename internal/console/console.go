// Package console serves the console, a program for browsers that is built by "make
// console" and embedded here. It knows nothing of the API: whatever the console does
// goes through /v1.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// Prefix is where the console is.
const Prefix = "/console/"

// Without "make console" there is nothing but a file that keeps the directory.
//
//go:embed all:dist
var built embed.FS

// ErrNotBuilt: this program was built without the console.
var ErrNotBuilt = errors.New("console: not in this build")

const index = "index.html"

// file is one file of the console as it is sent.
type file struct {
	contentType string
	etag        string
	forever     bool // its name changes with its content
	plain, gzip []byte
}

// New returns the handler of everything under [Prefix], or [ErrNotBuilt].
func New() (http.Handler, error) {
	dist, err := fs.Sub(built, "dist")
	if err != nil {
		return nil, err
	}
	return from(dist)
}

func from(dist fs.FS) (http.Handler, error) {
	files := make(map[string]*file)
	err := fs.WalkDir(dist, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		content, err := fs.ReadFile(dist, name)
		if err != nil {
			return err
		}
		if files[name], err = prepare(name, content); err != nil {
			return fmt.Errorf("console: %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if files[index] == nil {
		return nil, ErrNotBuilt
	}
	return handler(files), nil
}

// prepare compresses a file once, for all who will ask for it.
func prepare(name string, content []byte) (*file, error) {
	sum := sha256.Sum256(content)
	f := &file{
		contentType: contentType(name), etag: `"` + hex.EncodeToString(sum[:12]) + `"`,
		forever: strings.HasPrefix(name, "assets/"), plain: content,
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err = w.Write(content); err == nil {
		err = w.Close()
	}
	if packed.Len() < len(content)*9/10 {
		f.gzip = packed.Bytes()
	}
	return f, err
}

// contentType does not depend on what the machine knows of types.
func contentType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".woff":
		return "font/woff"
	default:
		if known := mime.TypeByExtension(ext); known != "" {
			return known
		}
		return "application/octet-stream"
	}
}

type handler map[string]*file

// ServeHTTP sends a file. A path that names none is a page of the console, which finds
// its way by itself; a missing asset is missing, or a browser would take a page for it.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, Prefix)
	f := h[name]
	if f == nil {
		if path.Ext(name) != "" && strings.HasPrefix(name, "assets/") {
			http.NotFound(w, r)
			return
		}
		f = h[index]
	}
	header := w.Header()
	header.Set("Content-Type", f.contentType)
	header.Set("Vary", "Accept-Encoding")
	header.Set("Cache-Control", "no-cache") // asked for anew each time, answered with 304
	if f.forever {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	header.Set("ETag", f.etag)
	if r.Header.Get("If-None-Match") == f.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.plain
	if f.gzip != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body = f.gzip
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a browser that went away is no concern of ours
}
