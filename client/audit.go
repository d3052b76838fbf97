package client

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/tuoguan/tuoguan"
)

// AuditEntry is one record of the audit log.
type AuditEntry struct {
	Seq             int64                   `json:"seq"` // from 1, without gaps
	At              time.Time               `json:"at"`
	Actor           string                  `json:"actor"` // id of an API key
	ActorName       string                  `json:"actor_name"`
	Address         string                  `json:"address"`
	Operation       string                  `json:"operation"`
	ComponentAppID  tuoguan.ComponentAppID  `json:"component_appid"`
	AuthorizerAppID tuoguan.AuthorizerAppID `json:"authorizer_appid"`
	Target          string                  `json:"target"` // what else was concerned, such as the id of a key
	Result          string                  `json:"result"`
	RequestID       string                  `json:"request_id"`
	Detail          map[string]string       `json:"detail"`
	Repeats         int64                   `json:"repeats"` // of a total: how often since Since
	Since           *time.Time              `json:"since"`
	Hash            string                  `json:"hash"`       // hexadecimal SHA-256
	Unreadable      bool                    `json:"unreadable"` // somebody has altered the record
}

// AuditHead is the end of the audit log's chain. Whoever keeps it elsewhere can tell
// later whether the log up to there is still the same.
type AuditHead struct {
	Seq  int64      `json:"seq"` // 0 while there is no record
	At   *time.Time `json:"at"`
	Hash string     `json:"hash"` // hexadecimal SHA-256
}

// String returns the form that tuoguan audit verify --head takes.
func (h AuditHead) String() string { return fmt.Sprintf("%d:%s", h.Seq, h.Hash) }

// Audit lists the audit log, newest first.
func (c *Client) Audit(ctx context.Context) iter.Seq2[AuditEntry, error] {
	return list[AuditEntry](ctx, c, get("v1", "audit"))
}

// AuditHead returns the end of the audit log.
func (c *Client) AuditHead(ctx context.Context) (AuditHead, error) {
	var head AuditHead
	_, err := c.call(ctx, get("v1", "audit", "head"), &head)
	return head, err
}
