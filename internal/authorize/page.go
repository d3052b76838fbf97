package authorize

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
	Refresh   bool   // reload in a moment
	ReturnURL string // back to whoever made the link
	Here      string // address of this page

	PCURL, MobileURL  string
	InWeChat, OnPhone bool
	Wanted            []setName
	BizAppID          string
	Errcode           int

	AppID, NickName  string
	Granted, Missing []setName
	OtherAccount     bool // not the one that the link is for
	Revoked          bool // taken back since
}

func parsePages() (*page.Set, error) {
	dir, err := fs.Sub(files, "pages")
	if err != nil {
		return nil, err
	}
	return page.Parse(dir)
}

// show answers with one of our pages.
func (l *Links) show(w http.ResponseWriter, lang string, status int, name string, v view) {
	l.pages.Show(w, lang, status, name, v)
}
