package oauth

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/tuoguan/tuoguan/internal/page"
)

//go:embed pages
var files embed.FS

// view is what the pages show.
type view struct {
	Parameter string // at fault
	Again     string // begins the visit anew
	Errcode   int
}

func parsePages() (*page.Set, error) {
	dir, err := fs.Sub(files, "pages")
	if err != nil {
		return nil, err
	}
	return page.Parse(dir)
}

// show answers with one of our pages.
func (l *Relay) show(w http.ResponseWriter, lang string, status int, name string, v view) {
	l.pages.Show(w, lang, status, name, v)
}

func (l *Relay) busy(w http.ResponseWriter, lang string) {
	w.Header().Set("Retry-After", "2")
	l.show(w, lang, http.StatusTooManyRequests, "busy", view{})
}

func (l *Relay) unavailable(w http.ResponseWriter, lang string, v view) {
	w.Header().Set("Retry-After", "10")
	l.show(w, lang, http.StatusServiceUnavailable, "unavailable", v)
}
