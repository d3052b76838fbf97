package simulator

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"time"
)

const (
	temporaryMediaLife = 3 * 24 * time.Hour
	// maxUpload is how much of a multipart body is read at all.
	maxUpload = 256 << 20
	// mediaKept is how many bytes of media are kept, of all accounts together. What
	// is older is forgotten.
	mediaKept = 64 << 20
)

// mediaLimits are the largest files, in bytes. Source: Official Accounts docs,
// temporary media.
var mediaLimits = map[string]int64{"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20, "thumb": 64 << 10}

// largestMedia is the largest of the limits. What is longer is counted, not kept.
const largestMedia = 10 << 20

// medium is a file that an account has uploaded.
type medium struct {
	kind        string
	contentType string
	filename    string
	body        []byte // nil once forgotten
	expires     time.Time
}

// upload is what a multipart body carried.
type upload struct {
	filename    string
	contentType string
	size        int64  // of the whole file
	body        []byte // its beginning, as far as a file may reach
}

var errTooLarge = errors.New("simulator: the body is too large")

// readUpload takes a multipart body in, of which it keeps no more than one file may
// have. It returns nil if there is no file named media.
func readUpload(body io.Reader, boundary string) (*upload, error) {
	limited := &io.LimitedReader{R: body, N: maxUpload + 1}
	found := scanUpload(multipart.NewReader(limited, boundary))
	if _, err := io.Copy(io.Discard, limited); err != nil {
		return nil, err
	}
	if limited.N <= 0 {
		return nil, errTooLarge
	}
	return found, nil
}

func scanUpload(parts *multipart.Reader) *upload {
	for {
		part, err := parts.NextPart()
		if err != nil {
			return nil
		}
		if part.FormName() != "media" || part.FileName() == "" {
			continue // NextPart skips the rest of it
		}
		u := &upload{filename: part.FileName(), contentType: part.Header.Get("Content-Type")}
		var kept bytes.Buffer
		if _, err := io.Copy(&kept, io.LimitReader(part, largestMedia)); err != nil {
			return nil
		}
		u.body = kept.Bytes()
		rest, err := io.Copy(io.Discard, part)
		if err != nil {
			return nil
		}
		u.size = int64(len(u.body)) + rest
		return u
	}
}

// boundaryOf returns the boundary of a multipart body, or "" if it is none.
func boundaryOf(contentType string) string {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" {
		return ""
	}
	return parameters["boundary"]
}

// keepMedium checks and keeps what the call uploaded, and returns its id. A life of
// 0 is for ever. s.mu is held.
func (c *call) keepMedium(life time.Duration) (id, kind string, _ errcode) {
	kind = c.query.Get("type")
	limit := mediaLimits[kind]
	switch {
	case limit == 0:
		return "", "", codeBadMediaType
	case c.upload == nil || c.upload.size == 0:
		return "", "", codeMediaMissing
	case c.upload.size > limit && kind == "image":
		return "", "", codeBadImageSize
	case c.upload.size > limit:
		return "", "", codeBadMediaSize
	}
	m := &medium{kind: kind, contentType: c.upload.contentType, filename: c.upload.filename, body: c.upload.body}
	if life > 0 {
		m.expires = c.now.Add(life)
	}
	d := c.auth.acct.own()
	if d.media == nil {
		d.media = make(map[string]*medium)
	}
	id = fmt.Sprintf("media-%06d-%d", c.auth.acct.id, len(d.media)+1)
	d.media[id] = m
	s := c.s
	s.media = append(s.media, m)
	s.mediaBytes += len(m.body)
	for s.mediaBytes > mediaKept {
		s.mediaBytes -= len(s.media[0].body)
		s.media[0].body = nil
		s.media = s.media[1:]
	}
	return id, kind, 0
}

// medium returns what the account has uploaded under an id, or nil. s.mu is held.
func (c *call) medium(id string) *medium {
	m := c.auth.acct.own().media[id]
	if m == nil || m.body == nil || !m.expires.IsZero() && c.now.After(m.expires) {
		return nil
	}
	return m
}

func (m *medium) raw() raw {
	contentType := m.contentType
	if contentType == "" || strings.ContainsAny(contentType, "\r\n") {
		contentType = "application/octet-stream"
	}
	return raw{contentType, mime.FormatMediaType("attachment", map[string]string{"filename": m.filename}), m.body}
}

func uploadMedia(c *call) (any, errcode) {
	id, kind, code := c.keepMedium(temporaryMediaLife)
	if code != 0 {
		return nil, code
	}
	return struct {
		Type      string `json:"type"`
		MediaID   string `json:"media_id"`
		CreatedAt int64  `json:"created_at"`
	}{kind, id, c.now.Unix()}, 0
}

func getMedia(c *call) (any, errcode) {
	m := c.medium(c.query.Get("media_id"))
	switch {
	case m == nil:
		return nil, codeBadMediaID
	case m.kind == "video":
		return struct {
			URL string `json:"video_url"`
		}{"https://mp.example/video"}, 0
	}
	return m.raw(), 0
}

func addMaterial(c *call) (any, errcode) {
	id, kind, code := c.keepMedium(0)
	if code != 0 {
		return nil, code
	}
	var out struct {
		MediaID string `json:"media_id"`
		URL     string `json:"url,omitempty"`
	}
	out.MediaID = id
	if kind == "image" {
		out.URL = "https://mmbiz.qpic.example/" + id
	}
	return out, 0
}

func getMaterial(c *call) (any, errcode) {
	var in struct {
		MediaID string `json:"media_id"`
	}
	if code := c.decode(&in); code != 0 {
		return nil, code
	}
	m := c.medium(in.MediaID)
	switch {
	case m == nil:
		return nil, codeBadMediaID
	case m.kind == "video":
		return struct {
			Title string `json:"title"`
			Text  string `json:"description"`
			URL   string `json:"down_url"`
		}{m.filename, "", "https://mp.example/video"}, 0
	}
	return m.raw(), 0
}
