package admin

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/tuoguan/tuoguan/internal/problem"
)

// Cached is embedded in the input of routes that show one resource.
type Cached struct {
	IfNoneMatch string `header:"If-None-Match" doc:"The ETag of what the caller has; 304 if it is still so · 已有内容的 ETag，未变则应答 304"`
}

// Guarded is embedded in the input of routes that change one resource.
type Guarded struct {
	IfMatch string `header:"If-Match" doc:"The ETag of what the caller has read; 412 if somebody has changed it since · 此前读到的 ETag，若已被修改则应答 412"`
}

// resource is a reply with one resource.
type resource[T any] struct {
	Status int
	ETag   string `header:"ETag" doc:"Names this state of the resource · 资源当前状态的标识"`
	Body   T
}

// live is a resource of which a part changes by itself.
type live interface {
	// settled returns the part that only requests change.
	settled() any
}

// show answers a read of a resource.
func show[T any](body T, in Cached) (*resource[T], error) {
	tag, err := etag(body)
	if err != nil {
		return nil, err
	}
	out := &resource[T]{Status: http.StatusOK, ETag: tag, Body: body}
	if named(in.IfNoneMatch, func(candidate string) bool { return candidate == tag }) {
		out.Status = http.StatusNotModified
	}
	return out, nil
}

// changed answers a change of a resource with what it is now.
func changed[T any](status int, body T) (*resource[T], error) {
	tag, err := etag(body)
	return &resource[T]{Status: status, ETag: tag, Body: body}, err
}

// check demands that nobody has changed a resource since the caller has read it. What
// changes by itself does not count.
func (g Guarded) check(current any) error {
	if g.IfMatch == "" {
		return nil
	}
	tag, err := etag(current)
	if err != nil {
		return err
	}
	settled, _, _ := strings.Cut(tag, ".")
	if !named(g.IfMatch, func(candidate string) bool { return strings.HasPrefix(candidate, settled+".") }) {
		return problem.PreconditionFailed
	}
	return nil
}

// etag names a state of a resource by two hashes: of what only requests change, and of
// all that is shown.
func etag(shown any) (string, error) {
	all, err := hash(shown)
	if err != nil {
		return "", err
	}
	settled := all
	if l, ok := shown.(live); ok {
		settled, err = hash(l.settled())
	}
	return `"` + settled + "." + all + `"`, err
}

func hash(shown any) (string, error) {
	text, err := json.Marshal(shown)
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:12]), err
}

// named reports whether a list of ETags, as in If-Match, has one that is meant. Proxies
// that compress make a tag weak; that changes nothing here.
func named(header string, meant func(string) bool) bool {
	if header == "" {
		return false
	}
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || meant(strings.TrimPrefix(candidate, "W/")) {
			return true
		}
	}
	return false
}
