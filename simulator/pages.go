package simulator

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"image/png"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
)

// What the authorization page refuses. Source: script of the page as published
// around 2016; whether today's page uses the same numbers is not known.
const (
	pageNoLongerValid    = -101
	pageBadSetList       = -104
	pageExpired          = -105
	pageNotPublished     = -108
	pageCodeUsed         = -110
	pageTooManyProviders = -114
	pageBadParameters    = -301
	pageHostMismatch     = -302
	pageBadComponent     = -305
	pageNoComponent      = -306
	pageNoPreAuthCode    = -307
	pageNoRedirectURI    = -308
)

// pageTexts are the refusals in Chinese and English.
var pageTexts = map[int][2]string{
	pageNoLongerValid:    {"授权已失效，请重新发起授权", "This authorization is no longer valid; start again"},
	pageBadSetList:       {"权限集列表不合法", "The list of permission sets is illegal"},
	pageExpired:          {"授权凭证已过期，请重新发起授权", "The authorization ticket has expired; start again"},
	pageNotPublished:     {"第三方平台尚未全网发布，且该账号不在授权测试列表中", "The component is not published and this account is not in its test list"},
	pageCodeUsed:         {"该预授权码已完成过授权，请重新发起授权", "This pre-auth code was already used to authorize; start again"},
	pageTooManyProviders: {"该账号授权的第三方平台数量已达上限", "This account has reached its maximum number of providers"},
	pageBadParameters:    {"请求参数错误", "Bad parameters"},
	pageHostMismatch:     {"授权入口页所在域名，与授权后回调页所在域名不相同，请确认", "The host of the entry page, of the callback, and the configured entry domain must be the same"},
	pageBadComponent:     {"第三方平台 AppID 不合法", "The component AppID is not valid"},
	pageNoComponent:      {"缺少参数 component_appid", "The parameter component_appid is missing"},
	pageNoPreAuthCode:    {"缺少参数 pre_auth_code", "The parameter pre_auth_code is missing"},
	pageNoRedirectURI:    {"缺少参数 redirect_uri", "The parameter redirect_uri is missing"},
}

const (
	pathPC          = "/cgi-bin/componentloginpage"
	pathMobile      = "/wxaopen/safe/bindcomponent"
	pathOlderMobile = "/safe/bindcomponent"
	pathWebOAuth    = "/connect/oauth2/authorize"
	// pagePrefix is where the simulator's own pages are, which stand for
	// WeChat's application on a phone.
	pagePrefix = "/wxsim/"

	visitLife     = time.Hour
	offeredAtOnce = 50
	// redirectLead is how much later a push may come than the redirect, real time.
	redirectLead = 1500 * time.Millisecond
)

// States of a visit.
const (
	visitWaiting   = "waiting"
	visitScanned   = "scanned"
	visitDone      = "done"
	visitCancelled = "cancelled"
)

// visit is one opening of the authorization page.
type visit struct {
	id          string
	comp        *component
	preAuthCode string
	redirectURI string
	kinds       []string // of the accounts offered
	bizAppID    string
	sets        []int // that the page offers
	mobile      bool
	state       string
	redirect    string // once done
	until       time.Time
}

//go:embed pages.html
var pagesHTML string

// isPage reports whether a path is a page for browsers rather than the API.
func (s *Simulator) isPage(path string) bool {
	switch path {
	case pathPC, pathMobile, pathOlderMobile, pathWebOAuth:
		return true
	}
	return strings.HasPrefix(path, pagePrefix)
}

func (s *Simulator) pageRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathPC, s.pcPage)
	mux.HandleFunc("GET "+pathMobile, s.mobilePage)
	mux.HandleFunc("GET "+pathOlderMobile, s.mobilePage)
	mux.HandleFunc("GET "+pathWebOAuth, s.oauthPage)
	mux.HandleFunc("GET "+pagePrefix+"pc/{visit}", s.waitingPage)
	mux.HandleFunc("GET "+pagePrefix+"state/{visit}", s.visitState)
	mux.HandleFunc("GET "+pagePrefix+"scan/{visit}", s.phonePage)
	mux.HandleFunc("POST "+pagePrefix+"scan/{visit}/confirm", s.confirmPage)
	mux.HandleFunc("POST "+pagePrefix+"scan/{visit}/cancel", s.cancelPage)
	mux.HandleFunc("POST "+pagePrefix+"scan/{visit}/account", s.newAccountPage)
	return mux
}

// view is what a template sees.
type view struct {
	Lang     string
	Here     string // the page's own address without lang
	Title    string
	Code     int
	Detail   string
	Name     string // of the component
	AppID    string
	Visit    string
	QR       template.URL
	ScanURL  string
	Kinds    string
	Mobile   bool
	Query    string
	Accounts []accountView
	More     bool
	Account  accountView
	Sets     []setView
	Conflict bool
	Existing bool
	Redirect string
	Lost     bool
	Allow    string
	Reject   string
}

type accountView struct{ AppID, Name, UserName, Kind, Badge string }

type setView struct {
	ID      int
	Name    string
	Checked bool
	// HeldBy is the component that holds an exclusive set already.
	HeldBy string
}

// T chooses between Chinese and English.
func (v view) T(chinese, english string) string {
	if v.Lang == "en" {
		return english
	}
	return chinese
}

// Other is the address of this page in the other language.
func (v view) Other() string {
	return withQuery(v.Here, "lang="+map[string]string{"en": "zh", "zh": "en"}[v.Lang])
}

// newView finds the language and keeps it in a cookie.
func newView(w http.ResponseWriter, r *http.Request) view {
	lang := r.URL.Query().Get("lang")
	if lang != "en" && lang != "zh" {
		lang = "zh"
		if c, err := r.Cookie("wxsim_lang"); err == nil && c.Value == "en" {
			lang = "en"
		}
	} else {
		http.SetCookie(w, &http.Cookie{Name: "wxsim_lang", Value: lang, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	here := *r.URL
	q := here.Query()
	q.Del("lang")
	here.RawQuery = q.Encode()
	return view{Lang: lang, Here: here.RequestURI()}
}

func (s *Simulator) show(w http.ResponseWriter, name string, v view) {
	var b bytes.Buffer
	if err := s.templates.ExecuteTemplate(&b, name, v); err != nil {
		s.log.Error("page not rendered", "page", name, "error", err)
		http.Error(w, "page not rendered", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
}

// refusePage shows a refusal. Its number is in a header too, for machines.
func (s *Simulator) refusePage(w http.ResponseWriter, r *http.Request, code int, detail string) {
	v := newView(w, r)
	v.Code, v.Detail = code, detail
	text := pageTexts[code]
	v.Title = v.T(text[0], text[1])
	w.Header().Set("X-Wxsim-Refusal", strconv.Itoa(code))
	s.show(w, "refusal", v)
}

// enter checks a link to the authorization page and opens a visit, or shows why not.
func (s *Simulator) enter(w http.ResponseWriter, r *http.Request, mobile bool) *visit {
	code, detail, v := s.checkLink(r, mobile)
	e := Entry{Time: s.now(), Kind: KindRequest, Method: r.Method, Path: r.URL.Path, Status: http.StatusOK, Errcode: code}
	e.ComponentAppID = r.URL.Query().Get("component_appid")
	if text := r.URL.Query().Get("pre_auth_code"); text != "" {
		e.Presented = map[string]string{"pre_auth_code": hashOf(text)}
	}
	s.journal.add(e)
	s.stats.count(r.URL.Path, errcode(code))
	if code != 0 {
		s.refusePage(w, r, code, detail)
		return nil
	}
	return v
}

func (s *Simulator) checkLink(r *http.Request, mobile bool) (code int, detail string, v *visit) {
	q := r.URL.Query()
	redirectURI := q.Get("redirect_uri")
	switch {
	case q.Get("component_appid") == "":
		return pageNoComponent, "", nil
	case q.Get("pre_auth_code") == "":
		return pageNoPreAuthCode, "", nil
	case redirectURI == "":
		return pageNoRedirectURI, "", nil
	case mobile && q.Get("action") != "bindcomponent":
		return pageBadParameters, "action=bindcomponent", nil
	}
	kinds, ok := offeredKinds(q.Get("auth_type"))
	if !ok {
		return pageBadParameters, "auth_type", nil
	}
	target, err := url.Parse(redirectURI)
	if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Host == "" {
		return pageBadParameters, "redirect_uri", nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.components[q.Get("component_appid")]
	if c == nil {
		return pageBadComponent, "", nil
	}
	if c.EntryDomain != "" {
		hosts := "redirect_uri: " + target.Host + ", entry domain: " + c.EntryDomain
		if !sameHost(target.Host, c.EntryDomain) {
			return pageHostMismatch, hosts, nil
		}
		if from, err := url.Parse(r.Referer()); err == nil && from.Host != "" && from.Host != r.Host && !sameHost(from.Host, c.EntryDomain) {
			return pageHostMismatch, "entry page: " + from.Host + ", " + hosts, nil
		}
	}
	sets := c.PermissionSets
	if list := q.Get("category_id_list"); list != "" {
		sets = nil
		for _, id := range strings.Split(list, "|") {
			set, err := strconv.Atoi(id)
			if err != nil || !slices.Contains(c.PermissionSets, set) {
				return pageBadSetList, id, nil
			}
			sets = append(sets, set)
		}
	}
	pre, code := s.checkPreAuthCode(c, q.Get("pre_auth_code"), s.now())
	if code != 0 {
		return code, "", nil
	}
	pre.redirectURI = redirectURI
	return 0, "", s.openVisit(&visit{
		comp: c, preAuthCode: pre.text, redirectURI: redirectURI, kinds: kinds, bizAppID: q.Get("biz_appid"), sets: sets, mobile: mobile,
	})
}

// openVisit gives a visit its number and forgets old ones. s.mu is held.
func (s *Simulator) openVisit(v *visit) *visit {
	now := s.now()
	for id, old := range s.visits {
		if now.After(old.until) {
			delete(s.visits, id)
		}
	}
	v.id = fmt.Sprintf("%016x", s.dice.next("visit", ""))
	v.state, v.until = visitWaiting, now.Add(visitLife)
	s.visits[v.id] = v
	return v
}

// offeredKinds says which accounts an auth_type shows. The simulator has no
// promoter, Channels or talent accounts, so those show none.
func offeredKinds(authType string) ([]string, bool) {
	switch authType {
	case "1":
		return []string{OfficialAccount}, true
	case "2":
		return []string{MiniProgram}, true
	case "", "3", "6":
		return []string{OfficialAccount, MiniProgram}, true
	case "4", "5", "8":
		return nil, true
	}
	return nil, false
}

// pcPage is the page with the QR code.
func (s *Simulator) pcPage(w http.ResponseWriter, r *http.Request) {
	if v := s.enter(w, r, false); v != nil {
		s.showWaiting(w, r, v)
	}
}

func (s *Simulator) showWaiting(w http.ResponseWriter, r *http.Request, v *visit) {
	page := newView(w, r)
	page.Title = page.T("公众平台账号授权", "Authorize an account")
	page.Name, page.AppID, page.Visit = s.componentName(v.comp), v.comp.appid, v.id
	page.ScanURL = origin(r) + pagePrefix + "scan/" + v.id
	image, err := qrCode(page.ScanURL)
	if err != nil {
		s.log.Error("QR code not drawn", "error", err)
	}
	page.QR = image
	s.show(w, "pc", page)
}

func (s *Simulator) componentName(c *component) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.Name
}

func origin(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// qrCode draws text as an image that a page can hold.
func qrCode(text string) (template.URL, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return "", err
	}
	if code, err = barcode.Scale(code, 240, 240); err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, code); err != nil {
		return "", err
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())), nil
}

// mobilePage is the link opened inside WeChat: no QR code.
func (s *Simulator) mobilePage(w http.ResponseWriter, r *http.Request) {
	if v := s.enter(w, r, true); v != nil {
		http.Redirect(w, r, pagePrefix+"scan/"+v.id, http.StatusFound)
	}
}

// visitOf finds the visit that a page belongs to, or shows that it is over.
func (s *Simulator) visitOf(w http.ResponseWriter, r *http.Request) *visit {
	s.mu.Lock()
	v := s.visits[r.PathValue("visit")]
	s.mu.Unlock()
	if v == nil {
		s.refusePage(w, r, pageNoLongerValid, "")
	}
	return v
}

// waitingPage is the PC page again, for browsers without scripts.
func (s *Simulator) waitingPage(w http.ResponseWriter, r *http.Request) {
	v := s.visitOf(w, r)
	if v == nil {
		return
	}
	s.mu.Lock()
	state, redirect := v.state, v.redirect
	s.mu.Unlock()
	switch {
	case redirect != "":
		http.Redirect(w, r, redirect, http.StatusFound)
	case state == visitDone || state == visitCancelled:
		s.showOver(w, r, v)
	default:
		s.showWaiting(w, r, v)
	}
}

// visitState is what the PC page polls.
func (s *Simulator) visitState(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	state, redirect := visitCancelled, ""
	if v := s.visits[r.PathValue("visit")]; v != nil {
		state, redirect = v.state, v.redirect
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(render(map[string]string{"state": state, "redirect": redirect}))
}

// showOver is the phone after the administrator has confirmed or cancelled.
func (s *Simulator) showOver(w http.ResponseWriter, r *http.Request, v *visit) {
	s.mu.Lock()
	state := v.state
	s.mu.Unlock()
	page := newView(w, r)
	page.Name, page.Mobile = s.componentName(v.comp), v.mobile
	page.Title = page.T("授权成功", "Authorized")
	if state == visitCancelled {
		page.Title = page.T("已取消授权", "Cancelled")
	}
	page.Lost = state != visitCancelled
	s.show(w, "over", page)
}

// phonePage is WeChat on the administrator's phone: first the accounts, then the
// permission sets of the one chosen.
func (s *Simulator) phonePage(w http.ResponseWriter, r *http.Request) {
	v := s.visitOf(w, r)
	if v == nil {
		return
	}
	page := newView(w, r)
	page.Name, page.Visit, page.Mobile = s.componentName(v.comp), v.id, v.mobile
	s.mu.Lock()
	state := v.state
	if state == visitWaiting {
		v.state = visitScanned
	}
	chosen := r.URL.Query().Get("account")
	if chosen == "" {
		chosen = v.bizAppID
	}
	page.Query = strings.TrimSpace(r.URL.Query().Get("q"))
	account := s.accounts[chosen]
	if account != nil && !s.mayChoose(v, account) {
		account = nil
	}
	if account != nil {
		s.describeChoice(&page, v, account)
	} else {
		page.Accounts, page.More = s.choices(v, page)
	}
	s.mu.Unlock()
	switch {
	case state == visitDone || state == visitCancelled:
		s.showOver(w, r, v)
	case account != nil:
		page.Title = page.T("授权给", "Authorize")
		s.show(w, "sets", page)
	default:
		page.Title = page.T("选择账号", "Choose an account")
		s.show(w, "accounts", page)
	}
}

// mayChoose reports whether the page offers an account. s.mu is held.
func (s *Simulator) mayChoose(v *visit, a *account) bool {
	if v.bizAppID != "" {
		return a.appid == v.bizAppID && a.offered()
	}
	return slices.Contains(v.kinds, a.kind) && a.offered() && !a.testAccount
}

func (v view) account(a *account) accountView {
	d := a.describe()
	kind, badge := v.T("公众号", "Official account"), v.T("公", "OA")
	if a.kind == MiniProgram {
		kind, badge = v.T("小程序", "Mini program"), v.T("小", "MP")
	}
	return accountView{d.AppID, d.NickName, d.UserName, kind, badge}
}

// choices lists the accounts that the simulated administrator can choose. s.mu is held.
func (s *Simulator) choices(v *visit, page view) (accounts []accountView, more bool) {
	for _, a := range s.accountList {
		if !s.mayChoose(v, a) {
			continue
		}
		shown := page.account(a)
		if page.Query != "" && !strings.Contains(shown.AppID+" "+shown.Name+" "+shown.UserName, page.Query) {
			continue
		}
		if len(accounts) == offeredAtOnce {
			return accounts, true
		}
		accounts = append(accounts, shown)
	}
	return accounts, false
}

// describeChoice fills in the page of permission sets. s.mu is held.
func (s *Simulator) describeChoice(page *view, v *visit, a *account) {
	page.Account = page.account(a)
	auth := a.to(v.comp)
	page.Existing = auth != nil && auth.standing
	names := make(map[int]setName)
	for _, set := range setsOf(a.kind) {
		names[set.id] = set
	}
	for _, id := range v.sets {
		if !grantable(a.kind, id) {
			continue
		}
		set := setView{ID: id, Name: page.T("权限集", "Permission set") + " " + strconv.Itoa(id), Checked: true}
		if name, known := names[id]; known {
			set.Name = page.T(name.chinese, name.english)
		}
		if holder := s.exclusiveHolder(v.comp, a, id); holder != nil {
			set.HeldBy, set.Checked, page.Conflict = holder.Name, false, true
		}
		page.Sets = append(page.Sets, set)
	}
}

// confirmPage is the administrator's confirmation.
func (s *Simulator) confirmPage(w http.ResponseWriter, r *http.Request) {
	v := s.visitOf(w, r)
	if v == nil {
		return
	}
	if err := r.ParseForm(); err != nil {
		s.refusePage(w, r, pageBadParameters, "")
		return
	}
	done, redirect, code := s.confirmVisit(v, r.PostForm)
	if code != 0 {
		s.refusePage(w, r, code, "")
		return
	}
	f := s.Faults()
	if done.push != nil && s.strikes(f.LostRedirect, "lost_redirect", v.comp.appid) {
		redirect = ""
		done.push.noLoss = true // one of the two always gets through
	}
	switch {
	case done.push == nil:
	case redirect != "" && s.strikes(f.RedirectFirst, "redirect_first", v.comp.appid):
		delay := s.dice.between("redirect lead", v.comp.appid, 0, redirectLead)
		s.background(func(ctx context.Context) {
			sleep(ctx, delay)
			s.send(ctx, done.push)
		})
	default:
		s.send(context.WithoutCancel(r.Context()), done.push)
	}
	s.mu.Lock()
	v.state, v.redirect = visitDone, redirect
	s.mu.Unlock()
	if v.mobile && redirect != "" {
		http.Redirect(w, r, redirect, http.StatusFound)
		return
	}
	s.showOver(w, r, v)
}

// confirmVisit authorizes what the form says, if the page still allows it.
func (s *Simulator) confirmVisit(v *visit, form url.Values) (done confirmation, redirect string, code int) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.state == visitCancelled {
		return done, "", pageNoLongerValid
	}
	pre, code := s.checkPreAuthCode(v.comp, v.preAuthCode, now)
	if code != 0 {
		return done, "", code
	}
	a := s.accounts[form.Get("account")]
	if a == nil || !s.mayChoose(v, a) {
		return done, "", pageBadParameters
	}
	if !v.comp.mayAuthorize(a.appid) {
		return done, "", pageNotPublished
	}
	if auth := a.to(v.comp); (auth == nil || !auth.standing) && len(a.standing()) >= maxProviders {
		return done, "", pageTooManyProviders
	}
	var wanted []int
	for _, text := range form["set"] {
		if set, err := strconv.Atoi(text); err == nil && slices.Contains(v.sets, set) {
			wanted = append(wanted, set)
		}
	}
	done = s.confirm(now, v.comp, a, wanted, pre)
	redirect = redirectURL(v.redirectURI, done.code, int(done.codeExpires.Sub(now)/time.Second))
	return done, redirect, 0
}

func (s *Simulator) cancelPage(w http.ResponseWriter, r *http.Request) {
	v := s.visitOf(w, r)
	if v == nil {
		return
	}
	s.mu.Lock()
	if v.state != visitDone {
		v.state = visitCancelled
	}
	s.mu.Unlock()
	s.showOver(w, r, v)
}

// newAccountPage makes an account for somebody who has none to choose.
func (s *Simulator) newAccountPage(w http.ResponseWriter, r *http.Request) {
	v := s.visitOf(w, r)
	if v == nil {
		return
	}
	kind := OfficialAccount
	if r.FormValue("kind") == MiniProgram {
		kind = MiniProgram
	}
	if _, err := s.AddAccount(Account{Kind: kind}); err != nil {
		s.refusePage(w, r, pageBadParameters, "")
		return
	}
	http.Redirect(w, r, pagePrefix+"scan/"+v.id, http.StatusSeeOther)
}

// oauthPage is web OAuth: silent for snsapi_base, a question for snsapi_userinfo.
func (s *Simulator) oauthPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.journal.add(Entry{
		Time: s.now(), Kind: KindRequest, Method: r.Method, Path: r.URL.Path, Status: http.StatusOK,
		ComponentAppID: q.Get("component_appid"), AuthorizerAppID: q.Get("appid"),
	})
	s.stats.count(r.URL.Path, 0)
	target, err := url.Parse(q.Get("redirect_uri"))
	scope := q.Get("scope")
	s.mu.Lock()
	auth := s.webAuthorization(q.Get("component_appid"), q.Get("appid"))
	problem := ""
	switch {
	case auth == nil:
		problem = "10005: appid, component_appid, 61003/61007"
	case q.Get("response_type") != "code":
		problem = "response_type"
	case scope != scopeBase && scope != scopeUserInfo:
		problem = "10005: scope"
	case err != nil || target.Host == "" || auth.comp.oauthDomain() != "" && !sameHost(target.Host, auth.comp.oauthDomain()):
		problem = "10003: redirect_uri"
	case len(q.Get("state")) > 128:
		problem = "state"
	}
	if problem != "" {
		s.mu.Unlock()
		s.refusePage(w, r, pageBadParameters, problem)
		return
	}
	page := newView(w, r)
	page.Title, page.Name = page.T("网页授权", "Web authorization"), auth.acct.describe().NickName
	state := "state=" + url.QueryEscape(q.Get("state"))
	allowed := scope == scopeBase || q.Get("wxsim_allow") == "1"
	if allowed {
		query := "code=" + url.QueryEscape(s.webCode(auth, scope)) + "&" + state + "&appid=" + url.QueryEscape(auth.acct.appid)
		page.Allow = withQuery(target.String(), query)
	}
	s.mu.Unlock()
	if allowed {
		http.Redirect(w, r, page.Allow, http.StatusFound)
		return
	}
	page.Allow = withQuery(page.Here, "wxsim_allow=1")
	page.Reject = withQuery(target.String(), state)
	s.show(w, "oauth", page)
}
