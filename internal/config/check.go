package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/tuoguan/tuoguan"
)

// maxWorkers bounds refresh.workers: each is a call to WeChat under way.
const maxWorkers = 4096

const (
	// minRetentionDays covers the three days for which the same push may come again.
	minRetentionDays = 4
	// minEvents covers what comes within those days at a small installation.
	minEvents = 10_000
)

// MinAPIKeyLength is the least number of characters of an API key.
const MinAPIKeyLength = 32

var (
	appIDPattern  = regexp.MustCompile(`^wx[0-9A-Za-z]{16}$`)
	tokenPattern  = regexp.MustCompile(`^[0-9A-Za-z]{3,32}$`)
	aesKeyPattern = regexp.MustCompile(`^[0-9A-Za-z]{43}$`)
)

// IsAppID reports whether text has the form of an AppID.
func IsAppID(text string) bool { return appIDPattern.MatchString(text) }

// Check returns everything that is wrong with c as [Mistakes], or nil.
func (c Config) Check() error { return c.check().err() }

func (c Config) check() Mistakes {
	var m Mistakes
	m.checkListeners(c)
	m.checkURL("public.base_url", c.Public.BaseURL, "give the address under which WeChat and browsers reach the public listener, such as https://open.example.com")
	m.checkStorage(c)
	m.checkMasterKey(c)
	if c.Refresh.Workers < 0 || c.Refresh.Workers > maxWorkers {
		m.add("refresh.workers", strconv.Itoa(c.Refresh.Workers)+" is out of range", "give a number from 1 to "+strconv.Itoa(maxWorkers)+", or remove the key")
	}
	if c.Refresh.Rate < 0 {
		m.add("refresh.rate", strconv.Itoa(c.Refresh.Rate)+" is out of range", "give a number above 0, or remove the key")
	}

	if len(c.WeChat.APIBaseURLs) == 0 {
		m.add("wechat.api_base_urls", "is empty", "remove the key to use WeChat's own")
	}
	for i, base := range c.WeChat.APIBaseURLs {
		m.checkURL("wechat.api_base_urls["+strconv.Itoa(i)+"]", base, "give a base URL such as https://api.weixin.qq.com")
	}
	m.checkURL("wechat.mp_base_url", c.WeChat.MPBaseURL, "give a base URL such as https://mp.weixin.qq.com")
	m.checkURL("wechat.open_base_url", c.WeChat.OpenBaseURL, "give a base URL such as https://open.weixin.qq.com")

	for key, limit := range map[string]int{"limits.key": c.Limits.Key, "limits.authorizer": c.Limits.Authorizer} {
		if limit < -1 {
			m.add(key, strconv.Itoa(limit)+" is out of range", "give a number above 0, -1 for any number of requests, or remove the key")
		}
	}
	if c.Limits.QuotaFloor < 0 {
		m.add("limits.quota_floor", strconv.Itoa(c.Limits.QuotaFloor)+" is out of range", "give a number from 0, or remove the key")
	}
	for i, text := range c.OAuth.ReturnURLs {
		m.checkURL("oauth.return_urls["+strconv.Itoa(i)+"]", strings.TrimSuffix(text, "/"), "give the beginning of a URL of one of your services, such as https://shop.example.com/login/")
	}
	m.checkDelivery(c.Delivery)
	m.checkConsole(c.Console)
	m.checkAPIKey(c.Bootstrap.APIKey)
	seen := make(map[tuoguan.ComponentAppID]bool)
	for i, component := range c.Bootstrap.Components {
		m.addAll(component.check(componentKey(i)))
		if seen[component.AppID] && component.AppID != "" {
			m.add(componentKey(i)+"appid", string(component.AppID)+" is listed twice", "remove one of the two")
		}
		seen[component.AppID] = true
	}

	m.checkChoice("log.level", c.Log.Level, "info", "debug")
	m.checkChoice("log.format", c.Log.Format, "json", "text")
	return m
}

// Check returns everything that is wrong with the component as [Mistakes], or nil.
// The keys are those of the component alone.
func (c Component) Check() error { return c.check("").err() }

func (c Component) check(at string) Mistakes {
	var m Mistakes
	if c.AppID == "" {
		m.add(at+"appid", "is missing", "copy the AppID from the component's console")
	} else if !IsAppID(string(c.AppID)) {
		m.add(at+"appid", "is not an AppID", "copy it from the component's console: wx and 16 letters or digits")
	}
	const console = "copy it from the component's console, without spaces: "
	m.checkSecret(at+"secret", c.Secret, nil, true, console+"the AppSecret")
	m.checkSecret(at+"token", c.Token, tokenPattern, true, console+"the Token, 3 to 32 letters and digits")
	m.checkSecret(at+"encoding_aes_key", c.EncodingAESKey, aesKeyPattern, true, console+"the EncodingAESKey, exactly 43 letters and digits")
	m.checkSecret(at+"previous_token", c.PreviousToken, tokenPattern, false, "give the Token used before, 3 to 32 letters and digits, or remove the key")
	m.checkSecret(at+"previous_encoding_aes_key", c.PreviousEncodingAESKey, aesKeyPattern, false, "give the EncodingAESKey used before, exactly 43 letters and digits, or remove the key")
	return m
}

func (m *Mistakes) checkListeners(c Config) {
	takenBy := make(map[int]string)
	for _, l := range []struct{ key, address string }{
		{"public.listen", c.Public.Listen}, {"admin.listen", c.Admin.Listen}, {"gateway.listen", c.Gateway.Listen},
	} {
		_, text, err := net.SplitHostPort(l.address)
		port, err2 := strconv.ParseUint(text, 10, 16)
		if err != nil || err2 != nil {
			m.add(l.key, strconv.Quote(l.address)+" is not host:port", "give an address such as 127.0.0.1:8081, or :8080 for all interfaces")
			continue
		}
		if other, taken := takenBy[int(port)]; taken && port != 0 {
			m.add(l.key, "has the same port as "+other, "choose another port: what is public and what is not never share one")
		}
		takenBy[int(port)] = l.key
	}
}

func (m *Mistakes) checkURL(key, text, fix string) {
	if text == "" {
		m.add(key, "is missing", fix)
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		m.add(key, "is not an absolute URL", fix)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		m.add(key, "has a user, a query or a fragment", fix)
	case strings.HasSuffix(u.Path, "/"):
		m.add(key, "ends with a slash", "remove the slash")
	case u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()):
	case u.Scheme == "http":
		m.add(key, "is plain http, which is for loopback hosts only", "use https")
	default:
		m.add(key, "is neither https nor http", fix)
	}
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (m *Mistakes) checkDelivery(d Delivery) {
	for i, text := range d.AllowNetworks {
		if _, err := network(text); err != nil {
			m.add("delivery.allow_networks["+strconv.Itoa(i)+"]", strconv.Quote(text)+" is not a network", "write it like 10.0.0.0/8, or like 10.1.2.3 for one address")
		}
	}
	if d.RetentionDays < minRetentionDays {
		m.add("delivery.retention_days", strconv.Itoa(d.RetentionDays)+" is out of range", "give a number from "+strconv.Itoa(minRetentionDays)+", or remove the key")
	}
	if d.MaxEvents < 0 || d.MaxEvents > 0 && d.MaxEvents < minEvents {
		m.add("delivery.max_events", strconv.Itoa(d.MaxEvents)+" is out of range", "give a number from "+strconv.Itoa(minEvents)+", or 0 for any number")
	}
}

func (m *Mistakes) checkConsole(c Console) {
	m.checkChoice("console.totp", c.TOTP, "admins", "all", "off")
	if c.BaseURL != "" || c.OIDC.Issuer != "" {
		m.checkURL("console.base_url", c.BaseURL, "give the base URL that browsers open the console at, such as https://tuoguan.example.com")
	}
	if c.OIDC.Issuer == "" {
		return
	}
	m.checkURL("console.oidc.issuer", strings.TrimSuffix(c.OIDC.Issuer, "/"), "give the issuer of the identity provider, such as https://login.example.com")
	if c.OIDC.ClientID == "" {
		m.add("console.oidc.client_id", "is missing", "give the id under which the identity provider knows the console")
	}
	for i, text := range c.OIDC.Roles {
		if _, _, ok := cutRole(text); !ok {
			m.add("console.oidc.roles["+strconv.Itoa(i)+"]", strconv.Quote(text)+" does not give a group a role", "write it like platform-team=admin; roles are "+strings.Join(roles, ", "))
		}
	}
	if c.OIDC.DefaultRole != "" {
		m.checkChoice("console.oidc.default_role", c.OIDC.DefaultRole, roles...)
	}
}

func (m *Mistakes) checkAPIKey(key tuoguan.Secret) {
	const fix = "give at least 32 printable characters without spaces, for example the output of: openssl rand -hex 32"
	text := key.Reveal()
	switch {
	case text == "":
	case len(text) < MinAPIKeyLength:
		m.add("bootstrap.api_key", "has "+strconv.Itoa(len(text))+" characters", fix)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		m.add("bootstrap.api_key", "has spaces or characters that do not fit into a header", fix)
	}
}

func (m *Mistakes) checkSecret(key string, value tuoguan.Secret, pattern *regexp.Regexp, required bool, fix string) {
	text := value.Reveal()
	switch {
	case text == "":
		if required {
			m.add(key, "is missing", fix)
		}
	case strings.ContainsFunc(text, unicode.IsSpace):
		m.add(key, "has a space or a line break in it", fix)
	case pattern != nil && !pattern.MatchString(text):
		m.add(key, "has "+strconv.Itoa(len(text))+" characters or others than letters and digits", fix)
	}
}

func (m *Mistakes) checkChoice(key, value string, choices ...string) {
	for _, choice := range choices {
		if value == choice {
			return
		}
	}
	m.add(key, strconv.Quote(value)+" is unknown", "use "+strings.Join(choices, " or "))
}
