package admin

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/store"
)

// verification is what WeChat says about an authorization now.
type verification struct {
	Authorizer authorizer `json:"authorizer"`
	Changed    []string   `json:"changed" doc:"The fields of the authorizer that are not as they were before · 与此前不同的字段"`
	Problem    *string    `json:"problem" doc:"What is wrong with the authorization; null if it stands · 授权存在的问题，正常为 null"`
	ProblemZh  *string    `json:"problem_zh"`
}

type verifyInput struct{ Account }

func (a *API) verify(ctx context.Context, in *verifyInput) (*output[verification], error) {
	found, err := a.authorizer(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	if err := a.allow(ctx, found.Authorization); err != nil {
		return nil, err
	}
	if err := a.record(ctx, found.Authorization, "", nil); err != nil {
		return nil, err
	}
	after, failure, err := a.Verify(ctx, found.Authorization)
	if err != nil {
		return nil, err
	}
	reply := verification{Authorizer: showAuthorizer(after), Changed: differences(showAuthorizer(found), showAuthorizer(after))}
	if failure != nil {
		p := problem.Of(failure)
		reply.Problem, reply.ProblemZh = &p.Detail, &p.DetailZh
	}
	return &output[verification]{http.StatusOK, reply}, nil
}

// Verify asks WeChat now about an authorization: for the profile, and whether the token
// works. It returns the record as it is then. The failure says what is wrong with the
// authorization; err is that it cannot be told.
func (a *API) Verify(ctx context.Context, of tuoguan.Authorization) (after store.Authorizer, failure, err error) {
	failure = a.cfg.Keeper.Verify(caused(ctx), of)
	if p := problem.Of(failure); failure != nil && !tellsOfAuthorization(p) {
		return store.Authorizer{}, nil, failure
	}
	found, err := a.cfg.Store.Authorizers(ctx, store.AuthorizerQuery{Component: of.Component, Authorizer: of.Authorizer})
	switch {
	case err != nil:
		return store.Authorizer{}, nil, problem.Storage(err)
	case len(found) == 0:
		return store.Authorizer{}, nil, problem.UnknownAuthorizer
	}
	a.cfg.Directory.Forget(of.Authorizer)
	return found[0], failure, nil
}

// tellsOfAuthorization reports whether a problem is the authorization's own, and not
// that WeChat or the storage could not be asked.
func tellsOfAuthorization(p problem.Problem) bool {
	return errors.Is(p, problem.WeChatRefused) || errors.Is(p, problem.Revoked) || errors.Is(p, problem.NeedsReauthorization)
}

// always are the fields that every look at an account may change.
var always = []string{"updated_at", "token_expires_at", "refreshed_at", "refresh_at"}

// differences names the fields in which two states of an authorizer differ.
func differences(before, after authorizer) []string {
	x, y := fieldsOf(before), fieldsOf(after)
	changed := []string{}
	for _, name := range slices.Sorted(maps.Keys(y)) {
		if !slices.Contains(always, name) && !reflect.DeepEqual(x[name], y[name]) {
			changed = append(changed, name)
		}
	}
	return changed
}

func fieldsOf(shown authorizer) map[string]any {
	var fields map[string]any
	if text, err := json.Marshal(shown); err == nil { // it always is
		_ = json.Unmarshal(text, &fields)
	}
	return fields
}
