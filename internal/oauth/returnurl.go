package oauth

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

const maxReturnURL = 1024

// reserved are the parameters that are added to a return address.
var reserved = []string{"code", "state", "error"}

// returnRule is an address that visitors may be sent back to, or to below it.
type returnRule struct {
	origin string // scheme and host as they have to be written
	path   string // without a slash at the end; "" is everything
	below  bool   // the path itself, without a slash, is not allowed
}

func parseReturnRule(text string) (returnRule, error) {
	u, err := url.Parse(text)
	if err == nil {
		err = plain(text, u)
	}
	switch {
	case err != nil:
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		err = errors.New("has to begin with https://, or http:// and a loopback host")
	case u.RawQuery != "" || u.ForceQuery:
		err = errors.New("has a query")
	}
	if err != nil {
		return returnRule{}, fmt.Errorf("return URL %q: %w", text, err)
	}
	path := u.EscapedPath()
	return returnRule{
		origin: u.Scheme + "://" + u.Host, path: strings.TrimRight(path, "/"), below: len(path) > 1 && strings.HasSuffix(path, "/"),
	}, nil
}

// plain refuses what two readers of a URL could take for different addresses.
func plain(text string, u *url.URL) error {
	switch {
	case !printable(text) || strings.ContainsAny(text, " \\\"<>^`{|}"):
		return errors.New("has a character that does not stand in a URL as it is")
	case u.Host == "" || u.Opaque != "" || u.Hostname() == "":
		return errors.New("has no host")
	case u.User != nil:
		return errors.New("names a user")
	case strings.Contains(text, "#"):
		return errors.New("has a fragment")
	case !strings.HasPrefix(text, u.Scheme+"://"+u.Host):
		return errors.New("has its scheme in capitals or its host in code")
	}
	for _, segment := range strings.Split(strings.TrimPrefix(u.Path, "/"), "/") {
		if segment == "." || segment == ".." {
			return errors.New("has a dot segment")
		}
	}
	raw := strings.ToLower(u.EscapedPath())
	for _, trick := range []string{"//", "%2f", "%5c", "%25"} {
		if strings.Contains(raw, trick) {
			return fmt.Errorf("has %q in its path", trick)
		}
	}
	return nil
}

// printable reports whether a text is printable ASCII.
func printable(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' })
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// returnable reports whether visitors may be sent back to an address. One that may be
// begins, letter by letter, with an origin of the rules, followed by nothing, a slash
// or a question mark, so that no reader of URLs can find another host in it.
func (l *Relay) returnable(text string) bool {
	if len(text) > maxReturnURL {
		return false
	}
	u, err := url.Parse(text)
	if err != nil || plain(text, u) != nil {
		return false
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || slices.ContainsFunc(reserved, query.Has) {
		return false
	}
	return slices.ContainsFunc(l.rules, func(r returnRule) bool { return r.allows(text, u) })
}

func (r returnRule) allows(text string, u *url.URL) bool {
	rest, ok := strings.CutPrefix(text, r.origin)
	if !ok || rest != "" && rest[0] != '/' && rest[0] != '?' {
		return false
	}
	path := u.EscapedPath()
	return path == r.path && !r.below || strings.HasPrefix(path, r.path+"/")
}

// returnTo returns the address with parameters added to its query, which stays as it is.
func returnTo(address string, add url.Values) string {
	switch {
	case !strings.Contains(address, "?"):
		return address + "?" + add.Encode()
	case strings.HasSuffix(address, "?"), strings.HasSuffix(address, "&"):
		return address + add.Encode()
	}
	return address + "&" + add.Encode()
}
