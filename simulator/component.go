package simulator

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan/wxcrypt"
)

// Component is a third-party platform as registered in WeChat's console.
type Component struct {
	AppID  string `json:"appid"`
	Secret string `json:"secret"` // AppSecret
	// Token and EncodingAESKey seal the pushes. Changing them keeps the previous
	// pair for the fault "previous_key".
	Token          string `json:"token"`
	EncodingAESKey string `json:"encoding_aes_key"`
	// EventURL is the authorization event URL.
	EventURL string `json:"event_url"`
	// MessageURL is the message and event URL; $APPID$ stands for the account.
	MessageURL string `json:"message_url"`
	// EntryDomain is the host, or host:port, that authorization pages are opened
	// from and redirect to. Ports are ignored on loopback. Empty allows all.
	EntryDomain string `json:"entry_domain"`

	// Name is what merchants see. Defaults to the appid.
	Name string `json:"name,omitempty"`
	// OAuthDomain is the host that web OAuth may redirect to. Defaults to EntryDomain.
	OAuthDomain string `json:"oauth_domain,omitempty"`
	// Published is nil for true. To an unpublished component only TestAccounts can authorize.
	Published    *bool    `json:"published,omitempty"`
	TestAccounts []string `json:"test_accounts,omitempty"`
	// IPWhitelist are the addresses or prefixes that may call the API. Defaults to loopback.
	IPWhitelist []string `json:"ip_whitelist,omitempty"`
	// PermissionSets are the sets that the component asks for. Defaults to all known ones.
	PermissionSets []int `json:"permission_sets,omitempty"`
	// TicketPush turns the ticket every ten minutes on or off. Nil leaves it as
	// it is; at first it is on.
	TicketPush *bool `json:"ticket_push,omitempty"`
}

// ComponentInfo is a component without its secrets.
type ComponentInfo struct {
	AppID          string   `json:"appid"`
	Name           string   `json:"name"`
	EventURL       string   `json:"event_url"`
	MessageURL     string   `json:"message_url"`
	EntryDomain    string   `json:"entry_domain"`
	OAuthDomain    string   `json:"oauth_domain"`
	Published      bool     `json:"published"`
	TestAccounts   []string `json:"test_accounts"`
	IPWhitelist    []string `json:"ip_whitelist"`
	PermissionSets []int    `json:"permission_sets"`
	TicketPush     bool     `json:"ticket_push"`
	Authorizers    int      `json:"authorizers"` // standing authorizations
}

type component struct {
	Component
	appid     string // as in Component, but never written again
	id        uint32
	whitelist []netip.Prefix
	crypter   *wxcrypt.Crypter
	previous  *wxcrypt.Crypter // before the last change of Token or EncodingAESKey
	rekeyedAt time.Time

	ticketsOn  bool
	nextTicket time.Time
	ticketN    uint32
	tickets    map[uint32]time.Time // issued when; those older than 12 h are dropped

	token tokenState

	preAuthN     uint32
	preAuthCodes map[uint32]*preAuthCode

	authorizers []*authorization // in the order of their first authorization
	gone        int              // how many of them do not stand
	pushed      chan struct{}    // closed and replaced when a push has gone out
	checking    bool             // a release check is under way
}

// preAuthCode is one pre-auth code and the last visit with it.
type preAuthCode struct {
	text        string
	expires     time.Time
	used        bool
	redirectURI string
}

func (c *component) published() bool { return c.Published == nil || *c.Published }

// mayAuthorize reports whether the account may authorize the component before it is published.
func (c *component) mayAuthorize(appid string) bool {
	return c.published() || slices.Contains(c.TestAccounts, appid)
}

// allows reports whether the API may be called from ip.
func (c *component) allows(ip string) bool {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	addr = addr.Unmap()
	return slices.ContainsFunc(c.whitelist, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// AddComponent registers a component, or changes one: an empty field keeps the
// value it had. It pushes nothing; the first periodic ticket is due ten minutes
// later.
func (s *Simulator) AddComponent(c Component) (ComponentInfo, error) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.components[c.AppID]
	if old != nil {
		c = c.over(old.Component)
	}
	if c.Name == "" {
		c.Name = c.AppID
	}
	if c.IPWhitelist == nil {
		c.IPWhitelist = []string{"127.0.0.0/8", "::1/128"}
	}
	if c.PermissionSets == nil {
		c.PermissionSets = knownSets()
	}
	whitelist, err := c.validate()
	if s.accounts[c.AppID] != nil {
		err = errors.Join(err, fmt.Errorf("appid %s is an account's", c.AppID))
	}
	var crypter *wxcrypt.Crypter
	if c.Token != "" && c.EncodingAESKey != "" {
		var keyErr error
		crypter, keyErr = wxcrypt.New(wxcrypt.Config{AppID: c.AppID, Token: c.Token, EncodingAESKey: c.EncodingAESKey})
		err = errors.Join(err, keyErr)
	}
	if err != nil {
		return ComponentInfo{}, refuse(http.StatusBadRequest, "component %q: %v", c.AppID, err)
	}
	if old == nil {
		old = &component{
			appid:        c.AppID,
			id:           uint32(len(s.componentList) + 1),
			tickets:      make(map[uint32]time.Time),
			preAuthCodes: make(map[uint32]*preAuthCode),
			pushed:       make(chan struct{}),
			ticketsOn:    true,
			nextTicket:   now.Add(ticketInterval),
			crypter:      crypter,
		}
		s.components[c.AppID] = old
		s.componentList = append(s.componentList, old)
	} else if old.Token != c.Token || old.EncodingAESKey != c.EncodingAESKey {
		old.previous, old.crypter, old.rekeyedAt = old.crypter, crypter, now
	}
	old.Component, old.whitelist = c, whitelist
	old.PermissionSets = slices.Sorted(slices.Values(c.PermissionSets))
	if c.TicketPush != nil {
		old.ticketsOn = *c.TicketPush
	}
	for _, secret := range []string{c.Secret, c.Token, c.EncodingAESKey} {
		s.given[secret] = struct{}{}
	}
	return old.info(), nil
}

// over fills the empty fields of c from what was registered before.
func (c Component) over(old Component) Component {
	text := func(field *string, before string) {
		if *field == "" {
			*field = before
		}
	}
	text(&c.Secret, old.Secret)
	text(&c.Token, old.Token)
	text(&c.EncodingAESKey, old.EncodingAESKey)
	text(&c.EventURL, old.EventURL)
	text(&c.MessageURL, old.MessageURL)
	text(&c.EntryDomain, old.EntryDomain)
	text(&c.Name, old.Name)
	text(&c.OAuthDomain, old.OAuthDomain)
	if c.Published == nil {
		c.Published = old.Published
	}
	if c.TestAccounts == nil {
		c.TestAccounts = old.TestAccounts
	}
	if c.IPWhitelist == nil {
		c.IPWhitelist = old.IPWhitelist
	}
	if c.PermissionSets == nil {
		c.PermissionSets = old.PermissionSets
	}
	return c
}

// validate names every mistake at once; it returns the parsed whitelist.
func (c Component) validate() ([]netip.Prefix, error) {
	var errs []error
	if !strings.HasPrefix(c.AppID, "wx") || len(c.AppID) < 4 {
		errs = append(errs, errors.New("appid must begin with wx"))
	}
	for name, value := range map[string]string{"secret": c.Secret, "token": c.Token, "encoding_aes_key": c.EncodingAESKey} {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s is missing", name))
		}
	}
	for name, value := range map[string]string{"event_url": c.EventURL, "message_url": c.MessageURL} {
		if u, err := url.Parse(value); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			errs = append(errs, fmt.Errorf("%s must be an absolute http or https URL", name))
		}
	}
	prefixes := make([]netip.Prefix, 0, len(c.IPWhitelist))
	for _, text := range c.IPWhitelist {
		if addr, err := netip.ParseAddr(text); err == nil {
			prefixes = append(prefixes, netip.PrefixFrom(addr, addr.BitLen()))
		} else if prefix, err := netip.ParsePrefix(text); err == nil {
			prefixes = append(prefixes, prefix)
		} else {
			errs = append(errs, fmt.Errorf("ip_whitelist: %q is neither an address nor a prefix", text))
		}
	}
	return prefixes, errors.Join(errs...)
}

func (c *component) info() ComponentInfo {
	return ComponentInfo{
		AppID: c.AppID, Name: c.Name, EventURL: c.EventURL, MessageURL: c.MessageURL,
		EntryDomain: c.EntryDomain, OAuthDomain: c.oauthDomain(), Published: c.published(),
		TestAccounts: append([]string{}, c.TestAccounts...), IPWhitelist: append([]string{}, c.IPWhitelist...),
		PermissionSets: append([]int{}, c.PermissionSets...), TicketPush: c.ticketsOn, Authorizers: len(c.authorizers) - c.gone,
	}
}

func (c *component) oauthDomain() string {
	if c.OAuthDomain != "" {
		return c.OAuthDomain
	}
	return c.EntryDomain
}

// Components lists the registered components in the order of registration.
func (s *Simulator) Components() []ComponentInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	infos := make([]ComponentInfo, len(s.componentList))
	for i, c := range s.componentList {
		infos[i] = c.info()
	}
	return infos
}

// find returns a component, or a refusal that says how to register it. s.mu is held.
func (s *Simulator) find(appid string) (*component, error) {
	if c := s.components[appid]; c != nil {
		return c, nil
	}
	return nil, refuse(http.StatusNotFound, "there is no component %q; register it with POST /components", appid)
}

// issueTicket makes the next verify ticket and forgets those that expired long ago. s.mu is held.
func (s *Simulator) issueTicket(c *component, now time.Time) string {
	c.ticketN++
	for n, issued := range c.tickets {
		if now.Sub(issued) > 2*ticketLife {
			delete(c.tickets, n)
		}
	}
	c.tickets[c.ticketN] = now
	return s.issued(now, secretTicket, c, nil, c.id, c.ticketN)
}

// checkTicket says what api_component_token answers to a ticket, 0 for a good one. s.mu is held.
func (s *Simulator) checkTicket(c *component, ticket string, now time.Time) errcode {
	id, ok := s.mint.identify(ticket, secretTicket)
	if !ok || id.owner != c.id || id.n > c.ticketN {
		return codeTicketInvalid
	}
	if issued, known := c.tickets[id.n]; !known || now.Sub(issued) > ticketLife {
		return codeTicketExpired
	}
	return 0
}

// sameHost reports whether a URL's host is the configured domain. Ports are
// ignored on loopback, where they say which process is meant and nothing more.
func sameHost(host, domain string) bool {
	if strings.EqualFold(host, domain) {
		return true
	}
	h, d := hostname(host), hostname(domain)
	return isLoopback(h) && strings.EqualFold(h, d)
}

func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return strings.Trim(host, "[]")
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
