package admin

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// tokenEvent is one thing that happened to the tokens of an authorizer.
type tokenEvent struct {
	ID         int64     `json:"id"`
	At         time.Time `json:"at"`
	Kind       string    `json:"kind" enum:"refresh,recovery,exchange,state,profile,reconcile"`
	Result     string    `json:"result" doc:"ok, or what class of failure: busy, denied, ticket, config, quota, storage, changed, error; for a state, the new one · 结果"`
	Cause      string    `json:"cause" doc:"background, read, reported, asked, push, link, restore; empty if unknown · 起因"`
	Actor      string    `json:"actor" doc:"Name of the API key or user behind the cause · 操作者"`
	Errcode    int       `json:"errcode"`
	Message    string    `json:"message"`
	Replica    string    `json:"replica"`
	DurationMs int64     `json:"duration_ms"`
}

type getHistoryInput struct {
	Account
	Paging
}

// getHistory tells what happened to the tokens of an authorizer, newest first.
func (a *API) getHistory(ctx context.Context, in *getHistoryInput) (*output[list[tokenEvent]], error) {
	before := int64(0)
	if in.Cursor != "" {
		var err error
		if before, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || before <= 0 {
			return nil, badCursor
		}
	}
	found, err := a.authorizer(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	events, err := a.cfg.Store.TokenEvents(ctx, found.Authorization, before, in.Limit+1)
	if err != nil {
		return nil, problem.Storage(err)
	}
	page := list[tokenEvent]{Items: []tokenEvent{}}
	if len(events) > in.Limit {
		events = events[:in.Limit]
		page.NextCursor = strconv.FormatInt(events[in.Limit-1].ID, 10)
	}
	for _, e := range events {
		page.Items = append(page.Items, tokenEvent{
			ID: e.ID, At: e.At.UTC(), Kind: e.Kind, Result: e.Result, Cause: e.Cause, Actor: e.Actor,
			Errcode: e.Errcode, Message: e.Message, Replica: e.Replica, DurationMs: e.Duration.Milliseconds(),
		})
	}
	return &output[list[tokenEvent]]{http.StatusOK, page}, nil
}

// wantedSets is a list that is null where nobody knows.
type wantedSets []tuoguan.PermissionSet

// wanted returns the permission sets that the newest link asked for through which an
// account has authorized.
func (a *API) wanted(ctx context.Context, authorization tuoguan.Authorization) (wantedSets, error) {
	links, err := a.cfg.Store.Links(ctx, authorization.Component, "", maxPage)
	if err != nil {
		return nil, problem.Storage(err)
	}
	for _, l := range links {
		if l.UsedBy == authorization.Authorizer {
			return l.PermissionSets, nil
		}
	}
	return nil, nil
}
