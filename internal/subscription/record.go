package subscription

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tuoguan/tuoguan/store"
)

// NewID returns the id of a new subscription: sub_ and 80 random bits.
func NewID() string {
	raw := make([]byte, 10)
	_, _ = rand.Read(raw) // never fails
	return "sub_" + strings.ToLower(base32.StdEncoding.EncodeToString(raw))
}

// Parse reads a stored subscription.
//
// Errors: one with a wish that this version does not know cannot be read at all. If its
// secrets do not open, the error is [store.ErrQuarantined], and the subscription comes
// as one that is disabled: its events are gathered.
func Parse(r store.Subscription) (Subscription, error) {
	s := Subscription{
		ID: r.ID, Name: r.Name, State: r.State, Problem: r.Problem,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Version: r.Version,
	}
	if err := decode([]byte(r.Spec), &s.Spec); err != nil {
		return Subscription{}, fmt.Errorf("spec of subscription %s: %w", r.ID, err)
	}
	if sinkTypes[s.Spec.Sink.Type] == nil {
		return Subscription{}, fmt.Errorf("spec of subscription %s: sink of an unknown type", r.ID)
	}
	if len(r.Secrets) == 0 {
		s.State, s.Problem = store.SubscriptionDisabled, "its secrets cannot be opened"
		return s, fmt.Errorf("secrets of subscription %s: %w", r.ID, store.ErrQuarantined)
	}
	var err error
	if s.Secrets, err = openSecrets(r.Secrets); err != nil {
		return Subscription{}, fmt.Errorf("secrets of subscription %s: %w", r.ID, err)
	}
	return s, nil
}

// Record returns the subscription as it is stored.
func (s Subscription) Record() (store.Subscription, error) {
	spec, err := json.Marshal(s.Spec)
	if err != nil {
		return store.Subscription{}, fmt.Errorf("spec: %w", err)
	}
	secrets, err := s.Secrets.record()
	if err != nil {
		return store.Subscription{}, fmt.Errorf("secrets: %w", err)
	}
	return store.Subscription{
		ID: s.ID, Name: s.Name, Spec: string(spec), Secrets: secrets, State: s.State, Problem: s.Problem,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, Version: s.Version,
	}, nil
}

var errTrailing = errors.New("something follows the JSON")

// decode reads JSON that holds nothing but what v has a place for.
func decode(raw []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errTrailing
	}
	return nil
}
