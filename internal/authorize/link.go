package authorize

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/wxapi"
)

const (
	// DefaultLife is how long a link can be used if nothing else is said.
	DefaultLife = 7 * 24 * time.Hour
	// MaxLife is the longest that can be asked for.
	MaxLife = 90 * 24 * time.Hour

	maxReference      = 256
	maxReturnURL      = 2048
	maxPermissionSets = 200
)

var appIDPattern = regexp.MustCompile(`^wx[0-9A-Za-z]{16}$`)

// NewLink is what a link is made from.
type NewLink struct {
	Component tuoguan.ComponentAppID // required
	// AuthType says which kinds of accounts WeChat offers. Defaults to
	// [wxapi.AuthOfficialAndMini].
	AuthType wxapi.AuthType
	// BizAppID restricts the link to one account.
	BizAppID tuoguan.AuthorizerAppID
	// PermissionSets are what WeChat's page offers; none for all that the component has.
	PermissionSets []tuoguan.PermissionSet
	// Reference names the tenant, in the words of whoever made the link.
	Reference string
	// ReturnURL is where the result page leads back to.
	ReturnURL string
	// ExpiresIn defaults to [DefaultLife].
	ExpiresIn time.Duration
}

// FieldError is a request for a link that cannot be met.
type FieldError struct {
	Field   string // as named in the REST API
	Problem string
	Chinese string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

func (n NewLink) check() error {
	fail := func(field, problem, chinese string) error {
		return &FieldError{Field: field, Problem: problem, Chinese: chinese}
	}
	switch {
	case n.Component == "":
		return fail("component_appid", "is required", "必填")
	case n.AuthType != 0 && !n.AuthType.Valid():
		return fail("auth_type", "must be 1, 2, 3, 4, 5, 6 or 8", "取值为 1、2、3、4、5、6 或 8")
	case n.BizAppID != "" && !appIDPattern.MatchString(string(n.BizAppID)):
		return fail("biz_appid", "is not an AppID", "不是有效的 AppID")
	case len(n.PermissionSets) > maxPermissionSets:
		return fail("permission_sets", "are too many", "数量过多")
	case slices.ContainsFunc(n.PermissionSets, func(p tuoguan.PermissionSet) bool { return p <= 0 }):
		return fail("permission_sets", "must be ids of permission sets", "必须是权限集 ID")
	case len(n.Reference) > maxReference || !utf8.ValidString(n.Reference) || strings.ContainsFunc(n.Reference, unicode.IsControl):
		return fail("reference", "must be a line of at most 256 bytes", "须为单行且不超过 256 字节")
	case n.ReturnURL != "" && !isReturnURL(n.ReturnURL):
		return fail("return_url", "must be an absolute http or https URL of at most 2048 bytes", "须为 http(s) 绝对地址且不超过 2048 字节")
	case n.ExpiresIn < 0 || n.ExpiresIn > MaxLife:
		return fail("expires_in", "must be between 1 second and 90 days", "取值为 1 秒至 90 天")
	}
	return nil
}

func isReturnURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && len(text) <= maxReturnURL && (u.Scheme == "https" || u.Scheme == "http") &&
		u.Hostname() != "" && u.User == nil && !strings.ContainsFunc(text, unicode.IsControl)
}

// idEncoding keeps the order of what it encodes.
var idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// newLinkID returns an id that sorts by age and has 128 random bits.
func newLinkID(now time.Time) string {
	var b [8 + 16]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixMilli()))
	_, _ = rand.Read(b[8:]) // never fails
	return idEncoding.EncodeToString(b[2:])
}

// newNonce returns 256 random bits.
func newNonce() tuoguan.Secret {
	var b [32]byte
	_, _ = rand.Read(b[:])
	return tuoguan.NewSecret(base64.RawURLEncoding.EncodeToString(b[:]))
}
