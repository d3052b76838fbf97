package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
)

const (
	keyPrefix = "whsec_"
	minKey    = 24 // bytes, as Standard Webhooks demands
	maxKey    = 64
)

// signed is CloudEvents, signed as by Standard Webhooks 1.0.
type signed struct {
	clock *tuoguan.Clock
	keys  []signingKey
}

type signingKey struct {
	signer *standardwebhooks.Webhook
	until  time.Time // zero: in force
}

func newSigned(keys []subscription.SigningKey, clock *tuoguan.Clock) (*signed, error) {
	s := &signed{clock: clock}
	inForce := false
	for i, key := range keys {
		encoded, found := strings.CutPrefix(key.Key.Reveal(), keyPrefix)
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if !found || err != nil || len(raw) < minKey || len(raw) > maxKey {
			return nil, fmt.Errorf("signing key %d is not whsec_ and %d to %d bytes of base64", i+1, minKey, maxKey)
		}
		signer, err := standardwebhooks.NewWebhookRaw(raw)
		if err != nil {
			return nil, fmt.Errorf("signing key %d cannot be used", i+1)
		}
		s.keys = append(s.keys, signingKey{signer, key.Until})
		inForce = inForce || key.Until.IsZero()
	}
	if !inForce {
		return nil, errors.New("there is no signing key in force")
	}
	return s, nil
}

func (s *signed) write(m sink.Message, at time.Time) (content, error) {
	body, err := event.CloudEvent(m.Event)
	if err != nil {
		return content{}, err
	}
	now := s.clock.Now()
	var signatures []string
	for _, key := range s.keys {
		if !key.until.IsZero() && !now.Before(key.until) {
			continue
		}
		signature, err := key.signer.Sign(m.ID, at, body)
		if err != nil {
			return content{}, errors.New("the event cannot be signed")
		}
		signatures = append(signatures, signature)
	}
	return content{
		body: body, contentType: "application/cloudevents+json; charset=utf-8",
		timestamp: strconv.FormatInt(at.Unix(), 10), signature: strings.Join(signatures, " "),
	}, nil
}

// open leaves the reply as it came: JSON, or XML.
func (s *signed) open(sink.Message, *sink.Receipt) error { return nil }
