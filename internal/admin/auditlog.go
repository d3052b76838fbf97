package admin

import (
	"context"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/tuoguan/tuoguan/internal/audit"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// auditEntry is a record of the audit log as the API shows it.
type auditEntry struct {
	Seq        int64             `json:"seq" doc:"From 1, without gaps · 从 1 起连续编号"`
	At         time.Time         `json:"at"`
	Actor      string            `json:"actor" doc:"Id of the API key, or user: and the id of a user; empty where nobody was known · API 密钥 ID，或 user: 加用户 ID；身份不明时为空"`
	ActorName  string            `json:"actor_name"`
	Address    string            `json:"address"`
	Operation  string            `json:"operation" doc:"What was done: here, the id of an operation of this API · 操作"`
	Component  string            `json:"component_appid"`
	Authorizer string            `json:"authorizer_appid"`
	Target     string            `json:"target" doc:"What else was concerned, such as the id of a key · 其他对象，如密钥 ID"`
	Result     string            `json:"result"`
	RequestID  string            `json:"request_id"`
	Detail     map[string]string `json:"detail"`
	Repeats    int64             `json:"repeats" doc:"On totals: how often tokens were handed out again that the actor had been handed before · 汇总：重复取用次数"`
	Since      *time.Time        `json:"since" doc:"On totals: since when · 汇总：起始时间"`
	Hash       string            `json:"hash" doc:"SHA-256 in hex, of this record and the hash of the one before · 本记录与上一条哈希的 SHA-256"`
	Unreadable bool              `json:"unreadable" doc:"Whether somebody has altered the record · 记录是否已被篡改而无法读取"`
}

func showEntry(e audit.Entry) auditEntry {
	shown := auditEntry{
		Seq: e.Seq, At: e.At.UTC(), Actor: e.Actor, ActorName: e.ActorName, Address: e.Address, Operation: e.Operation,
		Component: e.Component, Authorizer: e.Authorizer, Target: e.Target, Result: e.Result, RequestID: e.RequestID,
		Detail: e.Detail, Repeats: e.Repeats, Since: instant(e.Since), Hash: hex.EncodeToString(e.Hash), Unreadable: e.Unreadable,
	}
	if shown.Detail == nil {
		shown.Detail = map[string]string{}
	}
	return shown
}

type listAuditInput struct{ Paging }

func (a *API) listAudit(ctx context.Context, in *listAuditInput) (*output[list[auditEntry]], error) {
	var before int64
	if in.Cursor != "" {
		var err error
		if before, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || before < 1 {
			return nil, badCursor
		}
	}
	page := list[auditEntry]{Items: []auditEntry{}}
	if before == 1 { // 0 would begin at the end again
		return &output[list[auditEntry]]{http.StatusOK, page}, nil
	}
	found, err := a.cfg.Audit.PageBackwards(ctx, before, in.Limit+1)
	if err != nil {
		return nil, problem.Storage(err)
	}
	if len(found) > in.Limit {
		found = found[:in.Limit]
		page.NextCursor = strconv.FormatInt(found[in.Limit-1].Seq, 10)
	}
	for _, e := range found {
		page.Items = append(page.Items, showEntry(e))
	}
	return &output[list[auditEntry]]{http.StatusOK, page}, nil
}

// auditHead names the end of the chain. Who keeps it elsewhere can prove later that
// nothing before it was changed.
type auditHead struct {
	Seq  int64      `json:"seq" doc:"0 while there is no record · 无记录时为 0"`
	At   *time.Time `json:"at"`
	Hash string     `json:"hash" doc:"SHA-256 in hex · 十六进制 SHA-256"`
}

type auditHeadInput struct{ Cached }

func (a *API) auditHead(ctx context.Context, in *auditHeadInput) (*resource[auditHead], error) {
	found, err := a.cfg.Audit.PageBackwards(ctx, 0, 1)
	if err != nil {
		return nil, problem.Storage(err)
	}
	var head auditHead
	if len(found) > 0 {
		head = auditHead{Seq: found[0].Seq, At: instant(found[0].At), Hash: hex.EncodeToString(found[0].Hash)}
	}
	return show(head, in.Cached)
}
