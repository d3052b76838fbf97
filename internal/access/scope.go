package access

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tuoguan/tuoguan"
)

// FieldError is one thing that is wrong with a request for a key.
type FieldError struct {
	Field   string // as named in the REST API
	Problem string
	Chinese string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// Mistakes are all things that are wrong with a request for a key.
type Mistakes []*FieldError

func (m Mistakes) Error() string {
	texts := make([]string, len(m))
	for i, e := range m {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns each mistake.
func (m Mistakes) Unwrap() []error {
	errs := make([]error, len(m))
	for i, e := range m {
		errs[i] = e
	}
	return errs
}

func (m *Mistakes) add(field, problem, chinese string) {
	*m = append(*m, &FieldError{Field: field, Problem: problem, Chinese: chinese})
}

// orNil returns the mistakes as an error, if there are any.
func (m Mistakes) orNil() error {
	if len(m) == 0 {
		return nil
	}
	return m
}

const (
	maxEntries = 1000      // of each list in a scope
	maxPath    = 256       // bytes
	maxTag     = 64        // bytes
	maxName    = 128       // bytes
	maxRate    = 1_000_000 // requests per second
)

var appIDPattern = regexp.MustCompile(`^wx[0-9A-Za-z]{16}$`)

// ValidTag reports whether a text can be the tag of an authorizer: a line of at most
// 64 bytes that does not begin or end with a space.
func ValidTag(tag string) bool { return isLine(tag, maxTag) }

func isLine(text string, size int) bool {
	return text != "" && len(text) <= size && utf8.ValidString(text) && strings.TrimSpace(text) == text &&
		!strings.ContainsFunc(text, unicode.IsControl)
}

// Normalized returns the scope as it is stored: lists ascending and without
// repetitions, networks without host bits. The error, if any, is a [Mistakes].
func (s Scope) Normalized() (Scope, error) {
	var wrong Mistakes
	known := Operations()
	if len(s.Operations) == 0 {
		wrong.add("operations", "at least one is required", "至少需要一项")
	}
	check(&wrong, "operations", s.Operations, func(op Operation) bool { return slices.Contains(known, op) },
		"is not an operation", "不是有效的操作")
	check(&wrong, "components", s.Components, func(id tuoguan.ComponentAppID) bool { return appIDPattern.MatchString(string(id)) },
		"is not an AppID", "不是有效的 AppID")
	check(&wrong, "authorizers", s.Authorizers, func(id tuoguan.AuthorizerAppID) bool { return appIDPattern.MatchString(string(id)) },
		"is not an AppID", "不是有效的 AppID")
	check(&wrong, "tags", s.Tags, ValidTag,
		"must be a line of at most 64 bytes", "须为单行且不超过 64 字节")
	check(&wrong, "paths", s.Paths, isPattern,
		`must be a path that begins with "/", or such a path with "/*" at its end`, `须为以 "/" 开头的路径，末尾可为 "/*"`)
	check(&wrong, "networks", s.Networks, netip.Prefix.IsValid,
		"must be a network such as 10.0.0.0/8", "须为 10.0.0.0/8 形式的网段")
	if !(s.Rate >= 0 && s.Rate <= maxRate) {
		wrong.add("rate", "must be requests per second, from 0 (the default) to 1000000", "须为每秒请求数，取值 0（默认值）至 1000000")
	}
	if len(wrong) > 0 {
		return Scope{}, wrong
	}
	return Scope{
		Operations:  inOrder(s.Operations, cmp.Compare[Operation]),
		Components:  inOrder(s.Components, cmp.Compare[tuoguan.ComponentAppID]),
		Authorizers: inOrder(s.Authorizers, cmp.Compare[tuoguan.AuthorizerAppID]),
		Tags:        inOrder(s.Tags, cmp.Compare[string]),
		Paths:       inOrder(s.Paths, cmp.Compare[string]),
		Networks:    inOrder(masked(s.Networks), netip.Prefix.Compare),
		Rate:        s.Rate,
	}, nil
}

// check names every entry of a list that is not valid.
func check[T any](wrong *Mistakes, field string, entries []T, valid func(T) bool, problem, chinese string) {
	if len(entries) > maxEntries {
		wrong.add(field, "are too many, at most 1000", "数量过多，至多 1000 项")
		return
	}
	for i, entry := range entries {
		if !valid(entry) {
			wrong.add(fmt.Sprintf("%s[%d]", field, i), problem, chinese)
		}
	}
}

// isPattern reports whether a text can be a pattern of WeChat paths. None of WeChat's
// has a character that would have to be escaped.
func isPattern(text string) bool {
	plain, everything := strings.CutSuffix(text, "/*")
	return len(text) <= maxPath && (everything && plain == "" || strings.HasPrefix(plain, "/") && plain != "/" && path.Clean(plain) == plain) &&
		!strings.ContainsFunc(plain, func(r rune) bool {
			return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/_-.", r))
		})
}

// masked returns networks without host bits, and those of mapped addresses as the
// IPv4 networks they are.
func masked(networks []netip.Prefix) []netip.Prefix {
	result := make([]netip.Prefix, len(networks))
	for i, n := range networks {
		if n.Addr().Is4In6() && n.Bits() >= 96 {
			n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
		}
		result[i] = n.Masked()
	}
	return result
}

// inOrder returns a copy that is sorted and has nothing twice; nil for an empty list.
func inOrder[T comparable](list []T, compare func(a, b T) int) []T {
	if len(list) == 0 {
		return nil
	}
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, compare)
	return slices.Compact(sorted)
}

// Covers reports whether all that other allows is allowed by s too. Whoever gives a
// key out, or changes one, must hold a scope that covers that of the key, or keys
// could be made to do more than their makers may.
func (s Scope) Covers(other Scope) bool {
	return !slices.ContainsFunc(other.Operations, func(op Operation) bool { return !s.may(op) }) &&
		within(other.Components, s.Components) &&
		s.coversAccounts(other) &&
		(!other.may(CallGateway) || covered(other.Paths, s.Paths, coversPath)) &&
		covered(other.Networks, s.Networks, coversNetwork)
}

func (s Scope) coversAccounts(other Scope) bool {
	if len(s.Authorizers) == 0 && len(s.Tags) == 0 {
		return true
	}
	return len(other.Authorizers)+len(other.Tags) > 0 &&
		!slices.ContainsFunc(other.Authorizers, func(a tuoguan.AuthorizerAppID) bool { return !slices.Contains(s.Authorizers, a) }) &&
		!slices.ContainsFunc(other.Tags, func(tag string) bool { return !slices.Contains(s.Tags, tag) })
}

// within is covered for lists whose entries stand for themselves.
func within[T comparable](inner, outer []T) bool {
	return covered(inner, outer, func(a, b T) bool { return a == b })
}

// covered reports whether each entry of inner is covered by one of outer, where an
// empty list stands for everything.
func covered[T any](inner, outer []T, covers func(outer, inner T) bool) bool {
	if len(outer) == 0 {
		return true
	}
	return len(inner) > 0 && !slices.ContainsFunc(inner, func(i T) bool {
		return !slices.ContainsFunc(outer, func(o T) bool { return covers(o, i) })
	})
}

func coversPath(outer, inner string) bool {
	return outer == inner || strings.HasSuffix(outer, "*") && matches(outer, inner)
}

func coversNetwork(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// text is the form in which a scope is stored.
func (s Scope) text() string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err) // a rate that is not a number; Normalized refuses that
	}
	return string(raw)
}

// parseScope reads a stored scope. A field that is not known may restrict the key, so
// a key with one is of no use to this version; an operation that is not known
// allows nothing here.
func parseScope(text string) (Scope, error) {
	var s Scope
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return Scope{}, fmt.Errorf("scope: %w", err)
	}
	return s, nil
}
