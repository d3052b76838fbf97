package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Kinds of accounts.
const (
	OfficialAccount = "official_account"
	MiniProgram     = "mini_program"
)

// maxProviders is how many components an account can authorize at a time.
// Source: third-party platform docs, permission sets.
const maxProviders = 15

// Account is a merchant's account.
type Account struct {
	AppID string `json:"appid"`
	// UserName is the original id, gh_…
	UserName string `json:"user_name"`
	Kind     string `json:"kind"`
	NickName string `json:"nick_name"`
	// PrincipalName is the owner; accounts of one owner share union ids.
	PrincipalName string `json:"principal_name"`
	// Unverified accounts lack WeChat verification.
	Unverified bool `json:"unverified,omitempty"`
	// Status as in account_status: 1 normal, 14 cancelled, 16 banned, 18 warned,
	// 19 frozen. Defaults to 1. Calls on behalf of 14, 16 and 19 answer 50002,
	// and the authorization page does not offer them.
	Status int `json:"account_status"`
}

// AccountInfo is an account with its authorizations.
type AccountInfo struct {
	Account
	Authorizations []AuthorizationInfo `json:"authorizations"`
}

type account struct {
	id             uint32
	appid          string
	kind           string
	detail         *accountDetail // nil where everything is as it was made
	authorizations []*authorization
	testAccount    bool // of the release check
}

// accountDetail is what most accounts never need.
type accountDetail struct {
	Account
	options   map[string]string
	menu      []byte
	openAppID string
	windows   map[string]*replyWindow // by openid
	sent      []SentMessage
	media     map[string]*medium    // by media_id
	tickets   map[string]pageTicket // by type
}

// describe returns what is known of an account.
func (a *account) describe() Account {
	if a.detail != nil {
		return a.detail.Account
	}
	return Account{
		AppID:         a.appid,
		UserName:      fmt.Sprintf("gh_%012x", scramble(uint64(a.id))>>16),
		Kind:          a.kind,
		NickName:      fmt.Sprintf("Shop %06d", a.id),
		PrincipalName: "Sim Co Ltd",
		Status:        1,
	}
}

// own returns the detail, made on first use.
func (a *account) own() *accountDetail {
	if a.detail == nil {
		a.detail = &accountDetail{Account: a.describe()}
	}
	return a.detail
}

// offered reports whether the authorization page shows the account at all.
func (a *account) offered() bool {
	status := a.describe().Status
	return status == 1 || status == 18
}

// AddAccount makes a merchant's account, or changes one. What is empty is made
// up; Kind defaults to [OfficialAccount].
func (s *Simulator) AddAccount(a Account) (Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.Kind != "" && a.Kind != OfficialAccount && a.Kind != MiniProgram {
		return Account{}, refuse(http.StatusBadRequest, "kind is %q: must be %s or %s", a.Kind, OfficialAccount, MiniProgram)
	}
	if a.AppID == "" {
		for {
			a.AppID = fmt.Sprintf("wx%016x", s.dice.next("appid", ""))
			if s.accounts[a.AppID] == nil && s.components[a.AppID] == nil {
				break
			}
		}
	}
	if !strings.HasPrefix(a.AppID, "wx") || len(a.AppID) < 4 {
		return Account{}, refuse(http.StatusBadRequest, "appid is %q: must begin with wx", a.AppID)
	}
	if s.components[a.AppID] != nil {
		return Account{}, refuse(http.StatusConflict, "appid %s is a component's", a.AppID)
	}
	acct := s.accounts[a.AppID]
	if acct == nil {
		kind := a.Kind
		if kind == "" {
			kind = OfficialAccount
		}
		acct = &account{id: uint32(len(s.accountList) + 1), appid: a.AppID, kind: kind}
		s.accounts[a.AppID] = acct
		s.accountList = append(s.accountList, acct)
	} else if a.Kind != "" && a.Kind != acct.kind {
		return Account{}, refuse(http.StatusConflict, "account %s is a %s", a.AppID, acct.kind)
	}
	d := acct.own()
	d.Unverified = a.Unverified
	for _, f := range []struct {
		to   *string
		from string
	}{{&d.UserName, a.UserName}, {&d.NickName, a.NickName}, {&d.PrincipalName, a.PrincipalName}} {
		if f.from != "" {
			*f.to = f.from
		}
	}
	if a.Status != 0 {
		d.Status = a.Status
	}
	return d.Account, nil
}

// Account returns one account and its authorizations.
func (s *Simulator) Account(appid string) (AccountInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.findAccount(appid)
	if err != nil {
		return AccountInfo{}, err
	}
	return a.info(), nil
}

// Accounts lists at most limit accounts, in the order they were made, beginning
// behind the one named after.
func (s *Simulator) Accounts(after string, limit int) []AccountInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := 0
	if a := s.accounts[after]; a != nil {
		from = int(a.id)
	}
	page := s.accountList[from:min(len(s.accountList), from+max(limit, 0))]
	infos := make([]AccountInfo, len(page))
	for i, a := range page {
		infos[i] = a.info()
	}
	return infos
}

func (a *account) info() AccountInfo {
	info := AccountInfo{Account: a.describe(), Authorizations: []AuthorizationInfo{}}
	for _, auth := range a.authorizations {
		info.Authorizations = append(info.Authorizations, auth.info())
	}
	return info
}

// findAccount returns an account, or a refusal that says how to make it. s.mu is held.
func (s *Simulator) findAccount(appid string) (*account, error) {
	if a := s.accounts[appid]; a != nil {
		return a, nil
	}
	return nil, refuse(http.StatusNotFound, "there is no account %q; make it with POST /accounts", appid)
}

// standing returns the account's authorizations that stand.
func (a *account) standing() []*authorization {
	return slices.DeleteFunc(slices.Clone(a.authorizations), func(auth *authorization) bool { return !auth.standing })
}

// to returns the account's authorization to a component, standing or not, or nil.
func (a *account) to(c *component) *authorization {
	for _, auth := range a.authorizations {
		if auth.comp == c {
			return auth
		}
	}
	return nil
}

// replyWindow is how long, and how many times, a user may still be written to.
type replyWindow struct {
	until time.Time
	left  int
}
