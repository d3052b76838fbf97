package wxapi

import (
	"context"
	"encoding/json"
	"errors"
	"hash/maphash"
	"iter"
	"time"

	"github.com/tuoguan/tuoguan"
)

// AuthorizerInfo is the profile of an account and its authorization.
type AuthorizerInfo struct {
	NickName    string        `json:"nick_name"`
	HeadImage   string        `json:"head_img"`
	ServiceType NumberedType  `json:"service_type_info"`
	VerifyType  NumberedType  `json:"verify_type_info"`
	UserName    string        `json:"user_name"` // the original id, gh_…
	Alias       string        `json:"alias"`     // the WeChat id, may be empty
	QRCodeURL   string        `json:"qrcode_url"`
	Business    BusinessInfo  `json:"business_info"`
	Principal   string        `json:"principal_name"` // the owner's legal name
	Signature   string        `json:"signature"`      // the introduction
	IDC         int           `json:"idc"`            // without meaning today
	Register    int           `json:"register_type"`
	Status      AccountStatus `json:"account_status"`
	Contact     BasicConfig   `json:"basic_config"`
	Channels    IDInfo        `json:"channels_info"`
	Store       IDInfo        `json:"store_info"`
	Talent      IDInfo        `json:"talent_info"`
	Supplier    IDInfo        `json:"supplier_info"`
	// MiniProgram is present if the account is a Mini Program, and only then.
	MiniProgram *MiniProgramInfo `json:"MiniProgramInfo"`
	// Authorization holds the refresh token, but no access token.
	Authorization AuthorizationInfo `json:"-"`
}

// Kind tells whether the account is a Mini Program or an Official Account.
func (i *AuthorizerInfo) Kind() tuoguan.Kind {
	if i.MiniProgram != nil {
		return tuoguan.KindMiniProgram
	}
	return tuoguan.KindOfficialAccount
}

// NumberedType is a type with a number.
//
// As a service type of an Official Account: 0 subscription, 1 subscription from an
// old account, 2 service; of a Mini Program: 0 ordinary, 2 or 3 store, 4 mini game,
// 10 mini shop, 12 trial. As a verify type: -1 none, 0 verified by WeChat, others
// verified in part or by another service.
type NumberedType struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

// BusinessInfo says which abilities the account has opened; 1 is yes, 0 is no.
type BusinessInfo struct {
	Pay   int `json:"open_pay"`
	Shake int `json:"open_shake"`
	Scan  int `json:"open_scan"`
	Card  int `json:"open_card"`
	Store int `json:"open_store"`
}

// AccountStatus is the state of the account itself, whatever its authorization.
type AccountStatus int

const (
	AccountNormal    AccountStatus = 1
	AccountCancelled AccountStatus = 14
	AccountBanned    AccountStatus = 16
	AccountWarned    AccountStatus = 18
	AccountFrozen    AccountStatus = 19
)

// BasicConfig says whether a phone number and an email address are set.
type BasicConfig struct {
	PhoneConfigured bool `json:"is_phone_configured"`
	EmailConfigured bool `json:"is_email_configured"`
}

// IDInfo holds the id of a linked account, empty if there is none.
type IDInfo struct {
	ID string `json:"id"`
}

// MiniProgramInfo is what only Mini Programs have.
type MiniProgramInfo struct {
	Network     MiniProgramNetwork    `json:"network"`
	Categories  []MiniProgramCategory `json:"categories"`
	VisitStatus int                   `json:"visit_status"` // without meaning today
}

// MiniProgramNetwork lists the servers that the Mini Program may talk to.
type MiniProgramNetwork struct {
	RequestDomain     []string `json:"RequestDomain"`
	WsRequestDomain   []string `json:"WsRequestDomain"`
	UploadDomain      []string `json:"UploadDomain"`
	DownloadDomain    []string `json:"DownloadDomain"`
	UDPDomain         []string `json:"UDPDomain"`
	TCPDomain         []string `json:"TCPDomain"`
	BizDomain         []string `json:"BizDomain"`
	PrefetchDNSDomain []string `json:"PrefetchDNSDomain"`
}

// MiniProgramCategory is a category of the Mini Program, in WeChat's words.
type MiniProgramCategory struct {
	First  string `json:"first"`
	Second string `json:"second"`
}

// GetAuthorizerInfo reads the profile of an account and its authorization,
// including the refresh token (api_get_authorizer_info). A field of the profile
// that comes with an unexpected type is left empty: the refresh token beside it
// matters more.
//
// Errors: [ErrNotAuthorized] if the authorization does not stand; any other
// [*APIError].
// Source: third-party platform docs, api_get_authorizer_info, read 2026.
//
//wx:api POST /cgi-bin/component/api_get_authorizer_info
func (c *Client) GetAuthorizerInfo(ctx context.Context, authorization tuoguan.Authorization) (*AuthorizerInfo, error) {
	r := post("/cgi-bin/component/api_get_authorizer_info", tuoguan.ComponentToken(authorization.Component),
		authorizationBody{authorization.Component, authorization.Authorizer}).repeat()
	var wire struct {
		Info          json.RawMessage       `json:"authorizer_info"`
		Authorization authorizationInfoWire `json:"authorization_info"`
	}
	got, err := c.call(ctx, r, &wire)
	if err != nil {
		return nil, err
	}
	var info AuthorizerInfo
	if info.Authorization, err = got.authorizationInfo(wire.Authorization); err != nil {
		return nil, err
	}
	if info.Authorization.Authorizer != authorization.Authorizer {
		return nil, got.unusable("authorizer_appid is not the one asked for")
	}
	if wire.Info == nil {
		return nil, got.unusable("no authorizer_info")
	}
	if err := json.Unmarshal(wire.Info, &info); err != nil {
		field := "all of it"
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
			field = wrong.Field
		}
		c.logger.Warn("profile of unexpected form", "op", r.op,
			"authorizer_appid", string(authorization.Authorizer), "field", field)
	}
	return &info, nil
}

// AuthorizerListItem is one authorization in the list.
type AuthorizerListItem struct {
	Authorizer tuoguan.AuthorizerAppID
	// RefreshToken is empty if the authorization code was never exchanged, so that
	// only the code, or the merchant, can help; or if what came cannot be a token.
	RefreshToken tuoguan.Secret
	// AuthorizedAt is the time of the authorization or of its last change, to the
	// second.
	AuthorizedAt time.Time
}

// AuthorizerList is one page of the list.
type AuthorizerList struct {
	// TotalCount is the length of the whole list.
	TotalCount int
	Items      []AuthorizerListItem
}

// maxListPage is the most that WeChat returns at once; more is errcode 40170.
const maxListPage = 500

// GetAuthorizerList reads up to count authorizations of a component from offset on
// (api_get_authorizer_list). The order is not documented. Being in the list is no
// proof that an authorization stands, only a successful refresh is.
//
// Source: third-party platform docs, api_get_authorizer_list, read 2026.
//
//wx:api POST /cgi-bin/component/api_get_authorizer_list
func (c *Client) GetAuthorizerList(ctx context.Context, component tuoguan.ComponentAppID, offset, count int) (AuthorizerList, error) {
	r := post("/cgi-bin/component/api_get_authorizer_list", tuoguan.ComponentToken(component), struct {
		componentBody
		Offset int `json:"offset"`
		Count  int `json:"count"`
	}{componentBody{component}, offset, count}).repeat()
	var wire struct {
		TotalCount *number `json:"total_count"`
		List       []struct {
			AuthorizerAppID tuoguan.AuthorizerAppID `json:"authorizer_appid"`
			RefreshToken    string                  `json:"refresh_token"`
			AuthTime        number                  `json:"auth_time"`
		} `json:"list"`
	}
	got, err := c.call(ctx, r, &wire)
	if err != nil {
		return AuthorizerList{}, err
	}
	if wire.TotalCount == nil {
		return AuthorizerList{}, got.unusable("no total_count")
	}
	list := AuthorizerList{TotalCount: int(*wire.TotalCount)}
	for _, entry := range wire.List {
		if entry.AuthorizerAppID == "" {
			return AuthorizerList{}, got.unusable("an entry without authorizer_appid")
		}
		if entry.RefreshToken != "" && !plausibleToken(entry.RefreshToken) {
			// One bad entry must not hide the others from whoever recovers by them.
			c.logger.Warn("list entry with an unusable refresh token", "op", r.op, "authorizer_appid", string(entry.AuthorizerAppID))
			entry.RefreshToken = ""
		}
		list.Items = append(list.Items, AuthorizerListItem{
			Authorizer:   entry.AuthorizerAppID,
			RefreshToken: tuoguan.NewSecret(entry.RefreshToken),
			AuthorizedAt: time.Unix(int64(entry.AuthTime), 0).UTC(),
		})
	}
	return list, nil
}

// maxListWalks bounds how often AllAuthorizers walks through a list that moves.
const maxListWalks = 3

// AllAuthorizers reads the whole list, page by page, and yields each account once.
// If the list changed on the way it walks again, so that no account is missed
// because others moved; after three walks it gives up with [ErrListIncomplete]. An
// error is yielded once, as the last thing.
func (c *Client) AllAuthorizers(ctx context.Context, component tuoguan.ComponentAppID) iter.Seq2[AuthorizerListItem, error] {
	return func(yield func(AuthorizerListItem, error) bool) {
		// In which walk each was seen last, by a number made of its AppID: the AppIDs of a
		// million would take five times the memory.
		seen := make(map[uint64]uint8)
		seed := maphash.MakeSeed()
		for walk := uint8(1); walk <= maxListWalks; walk++ {
			before := len(seen)
			total, steady := -1, true
			for offset := 0; ; {
				page, err := c.GetAuthorizerList(ctx, component, offset, maxListPage)
				if err != nil {
					yield(AuthorizerListItem{}, err)
					return
				}
				if total >= 0 && page.TotalCount != total {
					steady = false
				}
				total = page.TotalCount
				progress := false
				for _, item := range page.Items {
					key := maphash.String(seed, string(item.Authorizer))
					last, known := seen[key]
					progress = progress || last != walk
					seen[key] = walk
					if !known && !yield(item, nil) {
						return
					}
				}
				offset += len(page.Items)
				if offset >= total || !progress {
					break
				}
			}
			if steady && len(seen) >= total {
				return
			}
			if steady && walk > 1 && len(seen) == before {
				break // it says that there are more and never shows them
			}
		}
		yield(AuthorizerListItem{}, ErrListIncomplete)
	}
}

// Names of options, for [Client.GetAuthorizerOptionV1] and its like.
const (
	// OptionLocationReport: 0 off, 1 when the user enters the chat, 2 every 5 s.
	// Needs [tuoguan.PermissionUsers].
	OptionLocationReport = "location_report"
	// OptionVoiceRecognize: 0 off, 1 on. Needs [tuoguan.PermissionMessages].
	OptionVoiceRecognize = "voice_recognize"
	// OptionCustomerService: 0 off, 1 on. Needs [tuoguan.PermissionCustomerService].
	OptionCustomerService = "customer_service"
)

type optionBody struct {
	Name  string `json:"option_name"`
	Value string `json:"option_value,omitempty"`
}

// GetAuthorizerOptionV1 reads an option of an account with the component's token
// (api_get_authorizer_option). The newer form is [Client.GetAuthorizerOptionV2].
//
// Source: third-party platform docs until 2022, api_get_authorizer_option.
//
//wx:api POST /cgi-bin/component/api_get_authorizer_option
func (c *Client) GetAuthorizerOptionV1(ctx context.Context, authorization tuoguan.Authorization, name string) (value string, err error) {
	return c.getOption(ctx, post("/cgi-bin/component/api_get_authorizer_option",
		tuoguan.ComponentToken(authorization.Component), optionV1Body(authorization, name, "")))
}

// SetAuthorizerOptionV1 sets an option of an account with the component's token
// (api_set_authorizer_option). The newer form is [Client.SetAuthorizerOptionV2].
//
// Source: third-party platform docs until 2022, api_set_authorizer_option.
//
//wx:api POST /cgi-bin/component/api_set_authorizer_option
func (c *Client) SetAuthorizerOptionV1(ctx context.Context, authorization tuoguan.Authorization, name, value string) error {
	_, err := c.call(ctx, post("/cgi-bin/component/api_set_authorizer_option",
		tuoguan.ComponentToken(authorization.Component), optionV1Body(authorization, name, value)).repeat(), nil)
	return err
}

// GetAuthorizerOptionV2 reads an option of an account with the account's token.
//
// Source: third-party platform docs since 2023, getAuthorizerOptionInfo. Its
// Chinese page names the component's token, but nothing else in the request could
// say which account is meant.
//
//wx:api POST /cgi-bin/component/get_authorizer_option
func (c *Client) GetAuthorizerOptionV2(ctx context.Context, authorization tuoguan.Authorization, name string) (value string, err error) {
	return c.getOption(ctx, post("/cgi-bin/component/get_authorizer_option",
		accountToken(authorization), optionBody{Name: name}))
}

// SetAuthorizerOptionV2 sets an option of an account with the account's token.
//
// Source: third-party platform docs since 2023, setAuthorizerOptionInfo.
//
//wx:api POST /cgi-bin/component/set_authorizer_option
func (c *Client) SetAuthorizerOptionV2(ctx context.Context, authorization tuoguan.Authorization, name, value string) error {
	_, err := c.call(ctx, post("/cgi-bin/component/set_authorizer_option",
		accountToken(authorization), optionBody{name, value}).repeat(), nil)
	return err
}

func optionV1Body(authorization tuoguan.Authorization, name, value string) any {
	return struct {
		authorizationBody
		optionBody
	}{authorizationBody{authorization.Component, authorization.Authorizer}, optionBody{name, value}}
}

func (c *Client) getOption(ctx context.Context, r request) (string, error) {
	var wire struct {
		Value json.RawMessage `json:"option_value"`
	}
	got, err := c.call(ctx, r.repeat(), &wire)
	if err != nil {
		return "", err
	}
	// The docs make it a string; a number is understood too.
	var value string
	if json.Unmarshal(wire.Value, &value) == nil {
		return value, nil
	}
	var digits json.Number
	if json.Unmarshal(wire.Value, &digits) == nil && digits != "" {
		return digits.String(), nil
	}
	return "", got.unusable("no option_value")
}
