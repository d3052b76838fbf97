//go:build unix

package proof

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/proof/history"
	"github.com/tuoguan/tuoguan/internal/storage"
	"github.com/tuoguan/tuoguan/store"
)

// inventory opens the store, in which no server has its hands any more, and records
// every push that is there.
func (s *site) inventory(ctx context.Context) error {
	cfg, err := config.Load(config.Sources{File: s.configFile(0)})
	if err != nil {
		return fmt.Errorf("inventory: %w", err)
	}
	opened, err := storage.Open(ctx, cfg, storage.Options{})
	if err != nil {
		return fmt.Errorf("inventory: %w", err)
	}
	defer opened.Close()
	for after := int64(0); ; {
		pushes, err := opened.Store.Pushes(ctx, after, 500)
		if err != nil {
			return fmt.Errorf("inventory: %w", err)
		}
		for _, p := range pushes {
			e, err := s.platform.stored(p)
			if err != nil {
				return fmt.Errorf("inventory: push %d: %w", p.ID, err)
			}
			e.From = s.record.Since(p.ReceivedAt)
			if s.traffic != nil && numberIn(p.Body) != "" {
				e.From = s.traffic.began // whatever the server says
			}
			s.record.Add(e)
			after = p.ID
		}
		if len(pushes) == 0 {
			return opened.Close()
		}
	}
}

// stored names a push in the store as the journal names it.
func (p *platform) stored(push store.Push) (history.Event, error) {
	sum := sha256.Sum256([]byte(push.Key))
	e := history.Event{
		Kind: history.Stored, Merchant: string(push.Authorizer), Number: uint32(push.ID), Note: push.Key,
		Topic: push.Kind, EventID: "evt_" + hex.EncodeToString(sum[:16]), Sequence: push.Seq,
	}
	if strings.HasPrefix(push.Kind, "tuoguan.") {
		return e, nil // one of the servers' own, of which the platform knows nothing
	}
	if number := numberIn(push.Body); number != "" {
		e.Event, e.MsgID = strings.TrimPrefix(push.Kind, "event."), number
		return e, nil
	}
	var body struct {
		InfoType   string
		MsgType    string
		Event      string
		MsgID      string `xml:"MsgId"`
		Ticket     string `xml:"ComponentVerifyTicket"`
		Code       string `xml:"AuthorizationCode"`
		CreateTime int64
	}
	if err := xml.NewDecoder(bytes.NewReader(push.Body)).Decode(&body); err != nil {
		return history.Event{}, err
	}
	e.MsgID = body.MsgID
	number := func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
	switch {
	case body.InfoType == "unauthorized":
		p.mu.RLock()
		e.Event, e.MsgID = body.InfoType, number(p.revocations[revocation{e.Merchant, body.CreateTime}])
		p.mu.RUnlock()
	case body.InfoType != "":
		e.Event, e.MsgID = body.InfoType, number(p.identify(body.Ticket+body.Code).number)
	case body.MsgType == "event":
		e.Event = body.Event
	default:
		e.Event = body.MsgType
	}
	return e, nil
}
