package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/page"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

const (
	// longestCode is more than any code of WeChat's; observed are 32 characters.
	longestCode = 1024
	// codeLife is how long a service may take to redeem a code of ours.
	codeLife = time.Minute
	// waitLimit bounds what a visitor waits for WeChat and the store together.
	waitLimit = 15 * time.Second
)

// back serves GET /oauth/{authorizer}/back: where WeChat sends the browser, with code,
// state and appid, or with state alone if the user refused.
func (l *Relay) back(w http.ResponseWriter, r *http.Request) {
	lang := page.Language(r)
	if r.Method == http.MethodHead { // a look is not the visit
		l.pages.Harden(w)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	query := r.URL.Query()
	state, code, appid := query["state"], query["code"], query["appid"]
	if len(state) != 1 || len(code) > 1 || len(appid) > 1 {
		l.show(w, lang, http.StatusBadRequest, "forged", view{})
		return
	}
	v, err := l.take(r, state[0])
	switch {
	case errors.Is(err, errExpired) && l.returnable(v.ReturnURL):
		l.show(w, lang, http.StatusBadRequest, "over", view{Again: l.again(v)})
		return
	case err == nil && string(v.Authorizer) == r.PathValue("authorizer") &&
		(len(appid) == 0 || appid[0] == string(v.Authorizer)) && l.returnable(v.ReturnURL):
	default:
		l.cfg.Logger.Warn("a web OAuth redirect came back to a browser that did not set out, or too late")
		l.show(w, lang, http.StatusBadRequest, "forged", view{})
		return
	}
	if !l.backs.allowAny() || !l.backs.allow(v.Authorizer) {
		l.busy(w, lang)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), waitLimit)
	defer cancel()
	switch err := l.end(ctx, state[0], v); {
	case errors.Is(err, store.ErrConflict):
		l.show(w, lang, http.StatusBadRequest, "over", view{Again: l.again(v)})
		return
	case err != nil:
		l.cfg.Logger.Error("the end of a web OAuth visit cannot be stored", "error", err)
		l.unavailable(w, lang, view{})
		return
	}
	l.forget(w, state[0])
	if len(code) == 0 || code[0] == "" {
		l.goBack(w, r, v, url.Values{"error": {"access_denied"}})
		return
	}
	if len(code[0]) > longestCode {
		l.show(w, lang, http.StatusBadRequest, "forged", view{})
		return
	}
	ours, err := l.exchange(ctx, v, tuoguan.NewSecret(code[0]))
	if err != nil {
		l.exchangeFailed(w, lang, v, err)
		return
	}
	l.goBack(w, r, v, url.Values{"code": {ours}})
}

// goBack sends the browser to the service that it came from.
func (l *Relay) goBack(w http.ResponseWriter, r *http.Request, v visit, add url.Values) {
	if v.State != "" {
		add.Set("state", v.State)
	}
	l.pages.Harden(w)
	http.Redirect(w, r, returnTo(v.ReturnURL, add), http.StatusFound)
}

// end marks a visit as over: store.ErrConflict if it was already.
func (l *Relay) end(ctx context.Context, state string, v visit) error {
	// The mark outlives the visit by as much as clocks may differ.
	return l.cfg.Store.PutValue(ctx, store.Value{
		Key: "oauth/over/" + digest(state), Data: []byte("{}"), ExpiresAt: time.Unix(v.Expires, 0).Add(visitLife).UTC(),
	})
}

// exchange learns from WeChat who the visitor is and returns a code for that.
func (l *Relay) exchange(ctx context.Context, v visit, code tuoguan.Secret) (string, error) {
	authorization := tuoguan.Authorization{Component: v.Component, Authorizer: v.Authorizer}
	user, err := l.cfg.WeChat.OAuthAccessToken(ctx, authorization, code)
	if err != nil {
		return "", err
	}
	who := Identity{
		AuthorizerAppID: v.Authorizer, ComponentAppID: v.Component,
		OpenID: user.OpenID, UnionID: user.UnionID, Scope: user.Scope, SnapshotUser: user.SnapshotUser,
	}
	if v.Scope == wxapi.ScopeUserInfo {
		info, err := l.cfg.WeChat.GetUserInfo(ctx, user.AccessToken, user.OpenID)
		if err != nil {
			// The openid is what logs a user in; a name and a picture can wait.
			l.cfg.Logger.Warn("a user's profile cannot be read", "authorizer_appid", v.Authorizer, "error", err)
		} else {
			who.UserInfo = &UserInfo{NickName: info.NickName, HeadImageURL: info.HeadImage}
			if who.UnionID == "" {
				who.UnionID = info.UnionID
			}
		}
	}
	data, err := json.Marshal(who)
	if err != nil {
		return "", fmt.Errorf("encode an identity: %w", err)
	}
	ours := newCode()
	err = l.cfg.Store.PutValue(ctx, store.Value{Key: codeKey(ours), Data: data, ExpiresAt: l.now().Add(codeLife).UTC()})
	if err != nil {
		return "", fmt.Errorf("store an identity: %w", err)
	}
	return ours, nil
}

func (l *Relay) exchangeFailed(w http.ResponseWriter, lang string, v visit, err error) {
	l.cfg.Logger.Warn("a web OAuth code could not be exchanged", "component_appid", v.Component, "authorizer_appid", v.Authorizer, "error", err)
	shown := view{Again: l.again(v)}
	var refusal *wxapi.APIError
	switch {
	case errors.Is(err, wxapi.ErrUser): // the code is wrong, used or too old
		l.show(w, lang, http.StatusBadRequest, "over", shown)
	case errors.As(err, &refusal):
		shown.Errcode = refusal.Code
		l.show(w, lang, http.StatusBadGateway, "refused", shown)
	case errors.Is(err, wxapi.ErrNotSent), errors.Is(err, wxapi.ErrOutcomeUnknown):
		l.show(w, lang, http.StatusBadGateway, "refused", shown)
	default:
		l.unavailable(w, lang, shown)
	}
}

// codeLength is that of our codes: 32 bytes in base64.
const codeLength = 43

func newCode() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func codeKey(code string) string { return "oauth/code/" + digest(code) }

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
