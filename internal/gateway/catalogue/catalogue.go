// Package catalogue is what the gateway knows of WeChat's endpoints: which token each
// takes under which name, what its body and reply are, and whether it changes
// anything. The facts are in api/wechat; the table here is generated from them.
package catalogue

import (
	"slices"
	"strings"
)

// Token says whose token an endpoint takes.
type Token uint8

// Kinds of tokens.
const (
	NoToken         Token = iota
	AuthorizerToken       // the account's
	ComponentToken        // the component's
	EitherToken           // whichever, and the answer is about its owner
)

// Reply says what an endpoint answers with when all goes well. Refusals are JSON.
type Reply uint8

// Kinds of replies.
const (
	JSON         Reply = iota
	BinaryOrJSON       // a file; or JSON, also for some successes
)

// Endpoint is what is known of one path. Where a path stands for several actions, it
// is what holds for all of them.
type Endpoint struct {
	Path  string
	Token Token
	// Parameter is the query parameter that carries the token; "" without one.
	Parameter string
	Multipart bool // the body is multipart/form-data, else JSON or none
	Reply     Reply
	// Read: calls change nothing at WeChat, so that one may be repeated though it is
	// not known what became of it.
	Read bool
	// AppID: the query names the account concerned as appid, and the component as
	// component_appid.
	AppID bool
	// Fixed is what such a query has to say besides, such as "grant_type=refresh_token".
	Fixed string
}

// Lookup returns what is known of a path, such as "/cgi-bin/user/info".
func Lookup(path string) (Endpoint, bool) {
	i, known := slices.BinarySearchFunc(endpoints[:], path, func(e Endpoint, path string) int { return strings.Compare(e.Path, path) })
	if !known {
		return Endpoint{}, false
	}
	return endpoints[i], true
}

// All returns the paths, sorted.
func All() []Endpoint { return slices.Clone(endpoints[:]) }
