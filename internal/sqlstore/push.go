package sqlstore

import (
	"context"
	"errors"
	"strings"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// pushColumns are what push reads.
const pushColumns = "id, seq, dedup_key, component, authorizer, kind, body, reply, created_at, received_at"

// sealedPush is a push whose body and reply have not been opened yet.
type sealedPush struct {
	store.Push
	body, reply []byte
}

func push(r *Row) sealedPush {
	var p sealedPush
	p.ID, p.Seq, p.Key = r.Int64(), r.Int64(), r.Text()
	p.Component, p.Authorizer = tuoguan.ComponentAppID(r.Text()), tuoguan.AuthorizerAppID(r.Text())
	p.Kind = r.Text()
	p.body, p.reply = r.Blob(), r.Blob()
	p.CreatedAt, p.ReceivedAt = r.Time(), r.Time()
	return p
}

func (s *Store) push(r Row) (store.Push, error) {
	p := push(&r)
	var errBody, errReply error
	p.Body, errBody = s.openBytes(pushPlace(p.Push, "push"), p.body)
	p.Reply, errReply = s.openBytes(pushPlace(p.Push, "push_reply"), p.reply)
	return p.Push, errors.Join(errBody, errReply)
}

// SaveReply implements [store.Pushes].
func (s *Store) SaveReply(ctx context.Context, key string, reply []byte) error {
	// The place of the reply is known by the push only.
	p, err := readOne(ctx, s, func(r Row) (store.Push, error) { return push(&r).Push, nil }, s.q.SelectPushByKey, key)
	if err != nil {
		return err
	}
	sealed, err := s.sealBytes(pushPlace(p, "push_reply"), reply)
	if err != nil {
		return err
	}
	return s.write(ctx, 1, func(tx Tx) error {
		_, err := tx.Exec(s.q.SaveReply, sealed, key)
		return err
	})
}

// Push implements [store.Pushes].
func (s *Store) Push(ctx context.Context, id int64) (store.Push, error) {
	return readOne(ctx, s, s.push, s.q.SelectPush, id)
}

// Pushes implements [store.Pushes].
func (s *Store) Pushes(ctx context.Context, after int64, n int) ([]store.Push, error) {
	return readAll(ctx, s, s.push, s.q.SelectPushes, after, limit(n))
}

// PushByKey implements [store.Events].
func (s *Store) PushByKey(ctx context.Context, key string) (store.Push, error) {
	return readOne(ctx, s, s.push, s.q.SelectPushByKey, key)
}

// Events implements [store.Events]. The selection is found first, and read afterwards,
// for it may be sorted on the way.
func (s *Store) Events(ctx context.Context, q store.EventQuery) ([]store.Push, error) {
	var where conditions
	where.add(q.Component != "", "component = ?", q.Component)
	where.add(q.Authorizer != "", "authorizer = ?", q.Authorizer)
	if beginning, ok := strings.CutSuffix(q.Kind, "*"); ok {
		where.add(beginning != "", s.q.KindBegins, beginning)
	} else {
		where.add(q.Kind != "", "kind = ?", q.Kind)
	}
	where.add(!q.Since.IsZero(), "received_at >= ?", q.Since)
	where.add(!q.Until.IsZero(), "received_at < ?", q.Until)
	components := padded(q.Reach.Components)
	where.add(len(components) > 0, oneOf("component", len(components)), components...)
	if len(q.Reach.Authorizers)+len(q.Reach.Tags) > 0 {
		appIDs, texts := padded(q.Reach.Authorizers), padded(withCommas(q.Reach.Tags))
		tagged := `EXISTS (SELECT 1 FROM authorizers a WHERE a.component = pushes.component AND a.authorizer = pushes.authorizer
			AND ` + anyOf(s.q.TagsContain, len(texts)) + ")"
		where.add(true, "authorizer <> '' AND ("+oneOf("authorizer", len(appIDs))+" OR "+tagged+")", append(appIDs, texts...)...)
	}
	where.add(true, "id > ?", q.After)
	where.add(q.Before != 0, "id < ?", q.Before)
	order := "ORDER BY id"
	if q.Backwards {
		order += " DESC"
	}
	where.args = append(where.args, limit(q.Limit))
	return readAll(ctx, s, s.push, "SELECT "+pushColumns+" FROM (SELECT id AS event FROM pushes WHERE "+where.String()+" "+order+
		" LIMIT ?) selected JOIN pushes ON id = event "+order, where.args...)
}

// conditions gather what is demanded of a row.
type conditions struct {
	all  []string
	args []any
}

// add demands something if it is given.
func (c *conditions) add(given bool, condition string, args ...any) {
	if given {
		c.all = append(c.all, condition)
		c.args = append(c.args, args...)
	}
}

func (c *conditions) String() string { return strings.Join(c.all, " AND ") }
