package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/jobs"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/store"
)

// The kinds of work on many authorizers, with what they need besides jobs:run.
var bulkKinds = map[string]access.Operation{
	"refresh-authorizers": access.RefreshTokens,
	"verify-authorizers":  access.RefreshTokens,
	"tag-authorizers":     access.WriteAuthorizers,
}

const (
	// bulkConcurrency is how many authorizers a job works on at a time.
	bulkConcurrency = 16
	// maxSelected is how many AppIDs one job may be given by name.
	maxSelected = 1000
	// maxTotal is how far the authorizers of a job are counted before it begins. Where
	// there are more its total stays unknown.
	maxTotal = 200_000
)

// selection says which authorizers a job is for.
type selection struct {
	AppIDs    []string      `json:"appids,omitempty" maxItems:"1000" doc:"These accounts; at most 1000, and nothing but component beside it · 指定账号，至多 1000 个"`
	Component string        `json:"component,omitempty" doc:"AppID of a component · 第三方平台 AppID"`
	State     tuoguan.State `json:"state,omitempty" enum:"active,needs_reauthorization,revoked"`
	Kind      tuoguan.Kind  `json:"kind,omitempty" enum:"official_account,mini_program"`
	Tag       string        `json:"tag,omitempty"`
	Text      string        `json:"q,omitempty" doc:"As for the list of authorizers · 与账号列表的 q 相同"`
}

func (s selection) filters() bool {
	return s.State != "" || s.Kind != "" || s.Tag != "" || s.Text != ""
}

// check says what is wrong with a selection.
func (s *selection) check() error {
	switch {
	case s == nil:
		return problem.BadRequest.Field("authorizers", "is required; an empty object is all", "必填，空对象表示全部")
	case s.AppIDs != nil && len(s.AppIDs) == 0, len(s.AppIDs) > maxSelected:
		return problem.InvalidField.Field("authorizers.appids", "must be one to 1000 AppIDs", "须为 1 至 1000 个 AppID")
	case s.AppIDs != nil && s.filters():
		return problem.InvalidField.Field("authorizers.appids", "cannot be combined with state, kind, tag or q", "不能与 state、kind、tag、q 同时使用")
	case s.State != "" && !slices.Contains([]tuoguan.State{tuoguan.StateActive, tuoguan.StateNeedsReauthorization, tuoguan.StateRevoked}, s.State):
		return problem.InvalidField.Field("authorizers.state", "must be one of active, needs_reauthorization, revoked", "取值为 active、needs_reauthorization、revoked")
	case s.Kind != "" && s.Kind != tuoguan.KindOfficialAccount && s.Kind != tuoguan.KindMiniProgram:
		return problem.InvalidField.Field("authorizers.kind", "must be one of official_account, mini_program", "取值为 official_account、mini_program")
	}
	return nil
}

// bulk is work on many authorizers on behalf of a caller.
type bulk struct {
	*API
	call    *call
	body    jobBody
	work    func(context.Context, store.Authorizer) error
	revoked bool // those that are revoked are worked on although nobody named them

	mu          sync.Mutex
	done, total int64
}

// startBulk starts work on many authorizers.
func (a *API) startBulk(ctx context.Context, body jobBody) (*output[jobs.Job], error) {
	c := callOf(ctx)
	if needs := bulkKinds[body.Kind]; !c.May(needs) {
		return nil, problem.MissingScope.With("the scope of the API key does not include "+string(needs), "API 密钥的权限范围不包含 "+string(needs))
	}
	if err := body.Authorizers.check(); err != nil {
		return nil, err
	}
	b := &bulk{API: a, call: c, body: body}
	switch body.Kind {
	case "refresh-authorizers":
		b.work = b.refresh
	case "verify-authorizers":
		b.work = b.verify
	case "tag-authorizers":
		b.work, b.revoked = b.tag, true
		if err := checkTags(body); err != nil {
			return nil, err
		}
	}
	if body.Kind != "tag-authorizers" && (body.AddTags != nil || body.RemoveTags != nil) {
		return nil, problem.InvalidField.Field("add_tags", "and remove_tags are for tag-authorizers", "add_tags、remove_tags 仅用于 tag-authorizers")
	}
	chosen, err := json.Marshal(body.Authorizers)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, body.Kind, map[string]string{
		"authorizers": string(chosen), "add_tags": strings.Join(body.AddTags, ", "), "remove_tags": strings.Join(body.RemoveTags, ", "),
	}); err != nil {
		return nil, err
	}
	job, err := a.cfg.Jobs.RunBatch(body.Kind, jobs.By{Owner: c.KeyID, Name: c.Name}, b.run)
	return startedJob(job, err)
}

func checkTags(body jobBody) error {
	if len(body.AddTags)+len(body.RemoveTags) == 0 {
		return problem.InvalidField.Field("add_tags", "or remove_tags must not be empty", "add_tags 与 remove_tags 不能均为空")
	}
	for name, tags := range map[string][]string{"add_tags": body.AddTags, "remove_tags": body.RemoveTags} {
		if len(tags) > maxTags {
			return problem.InvalidField.Field(name, "are too many, at most 50", "数量过多，至多 50 个")
		}
		for i, tag := range tags {
			if !access.ValidTag(tag) {
				return problem.InvalidField.Field(fmt.Sprintf("%s[%d]", name, i), "must be a line of at most 64 bytes", "须为单行且不超过 64 字节")
			}
		}
	}
	return nil
}

// run implements [jobs.Batch].
func (b *bulk) run(ctx context.Context, report jobs.Report) error {
	ctx = context.WithValue(ctx, callKey{}, b.call)
	if err := b.count(ctx); err != nil {
		return err
	}
	report.Progress(0, b.total)
	workers := new(errgroup.Group)
	workers.SetLimit(bulkConcurrency)
	err := b.each(ctx, func(account store.Authorizer, err error) bool {
		workers.Go(func() error {
			if err == nil {
				err = b.work(ctx, account)
			}
			b.finished(ctx, account.Authorization, err, report)
			return nil
		})
		return ctx.Err() == nil
	})
	_ = workers.Wait() // every failure is reported by itself
	return cmp.Or(err, ctx.Err())
}

// finished tells what became of one authorizer.
func (b *bulk) finished(ctx context.Context, account tuoguan.Authorization, err error, report jobs.Report) {
	if err != nil && ctx.Err() != nil {
		return // it was not done; nothing is wrong with it
	}
	if err != nil {
		p := problem.Of(err)
		report.Failed(jobs.Failure{AppID: string(account.Authorizer), Component: string(account.Component), Problem: p.Detail, ProblemZh: p.DetailZh})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done++
	report.Progress(b.done, max(b.total, 0))
}

// count finds out how many authorizers there are to do.
func (b *bulk) count(ctx context.Context) error {
	if chosen := b.body.Authorizers; chosen.AppIDs != nil {
		b.total = int64(len(chosen.AppIDs))
		return nil
	}
	err := b.each(ctx, func(store.Authorizer, error) bool {
		b.total++
		return b.total < maxTotal
	})
	if b.total == maxTotal {
		b.total = 0
	}
	return err
}

// each calls yield for every authorizer that is selected and within the caller's reach,
// or with why there is none, until it returns false.
func (b *bulk) each(ctx context.Context, yield func(store.Authorizer, error) bool) error {
	chosen := b.body.Authorizers
	q := store.AuthorizerQuery{
		Component: tuoguan.ComponentAppID(chosen.Component), State: chosen.State, Kind: chosen.Kind, Tag: chosen.Tag, Text: chosen.Text,
		Reach: b.call.Reach(), Limit: maxPage,
	}
	if chosen.AppIDs != nil {
		return b.eachNamed(ctx, q, yield)
	}
	for {
		found, err := b.cfg.Store.Authorizers(ctx, q)
		if err != nil && !errors.Is(err, store.ErrQuarantined) {
			return problem.Storage(err)
		}
		for _, account := range found {
			if account.State == tuoguan.StateRevoked && chosen.State == "" && !b.revoked {
				continue
			}
			if !yield(account, nil) {
				return nil
			}
		}
		if len(found) < maxPage && err == nil || len(found) == 0 {
			return nil
		}
		q.After = found[len(found)-1].Authorization
	}
}

// eachNamed is each where accounts are named: all their authorizations.
func (b *bulk) eachNamed(ctx context.Context, q store.AuthorizerQuery, yield func(store.Authorizer, error) bool) error {
	for _, appID := range b.body.Authorizers.AppIDs {
		q.Authorizer = tuoguan.AuthorizerAppID(appID)
		found, err := b.cfg.Store.Authorizers(ctx, q)
		if err == nil && len(found) == 0 {
			err = problem.UnknownAuthorizer
		}
		if err != nil {
			missing := store.Authorizer{Authorization: tuoguan.Authorization{Component: q.Component, Authorizer: q.Authorizer}}
			if !yield(missing, problem.Storage(err)) {
				return nil
			}
			continue
		}
		for _, account := range found {
			if !yield(account, nil) {
				return nil
			}
		}
	}
	return nil
}

func (b *bulk) refresh(ctx context.Context, account store.Authorizer) error {
	_, err := b.cfg.Keeper.Refresh(caused(ctx), tuoguan.AuthorizerToken(account.Component, account.Authorizer))
	return err
}

func (b *bulk) verify(ctx context.Context, account store.Authorizer) error {
	_, failure, err := b.Verify(ctx, account.Authorization)
	return cmp.Or(err, failure)
}

// tag gives and takes the tags of one authorizer.
func (b *bulk) tag(ctx context.Context, account store.Authorizer) error {
	tags := slices.DeleteFunc(append(slices.Clone(account.Tags), b.body.AddTags...), func(tag string) bool {
		return slices.Contains(b.body.RemoveTags, tag)
	})
	slices.Sort(tags)
	tags = slices.Compact(tags)
	switch {
	case slices.Equal(tags, account.Tags):
		return nil
	case len(tags) > maxTags:
		return problem.InvalidField.With("the account would have more than 50 tags", "该账号的标签将超过 50 个")
	}
	return b.retag(ctx, account, tags)
}
