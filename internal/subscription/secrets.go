package subscription

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
)

const (
	keyPrefix   = "whsec_"
	keySize     = 32 // bytes of a new signing key
	minKeySize  = 24
	maxKeySize  = 64
	maxLiveKeys = 2
)

// NewSigningKey returns a key for signing webhooks, in the form of Standard Webhooks:
// whsec_ and 32 random bytes in base64.
//
// Source: Standard Webhooks specification, "signature scheme", read 2026-11.
func NewSigningKey() tuoguan.Secret {
	raw := make([]byte, keySize)
	_, _ = rand.Read(raw) // never fails
	return tuoguan.NewSecret(keyPrefix + base64.StdEncoding.EncodeToString(raw))
}

// validKey reports whether a text is a signing key.
func validKey(key tuoguan.Secret) bool {
	encoded, ok := strings.CutPrefix(key.Reveal(), keyPrefix)
	raw, err := base64.StdEncoding.DecodeString(encoded)
	return ok && err == nil && len(raw) >= minKeySize && len(raw) <= maxKeySize
}

// LiveKeys returns the signing keys in force at an instant, the newest first: one, or
// two while one is being replaced.
func (s Secrets) LiveKeys(at time.Time) []tuoguan.Secret {
	var live []tuoguan.Secret
	for _, k := range s.Signing {
		if k.Until.IsZero() || at.Before(k.Until) {
			live = append(live, k.Key)
		}
	}
	return live[:min(len(live), maxLiveKeys)]
}

// RotateSigning makes a new signing key and returns it. The one before it stays in force
// for the overlap; any older one ends now.
func (s *Secrets) RotateSigning(at time.Time, overlap time.Duration) tuoguan.Secret {
	fresh := NewSigningKey()
	keys := []SigningKey{{Key: fresh}}
	if live := s.LiveKeys(at); len(live) > 0 && overlap > 0 {
		keys = append(keys, SigningKey{Key: live[0], Until: at.Add(overlap)})
	}
	s.Signing = keys
	return fresh
}

// storedSecrets is the form in which a store gets secrets, to be sealed by it.
type storedSecrets struct {
	Signing        []storedKey       `json:"signing,omitempty"`
	Token          string            `json:"token,omitempty"`
	EncodingAESKey string            `json:"encoding_aes_key,omitempty"`
	Headers        map[string]string `json:"headers,omitempty"`
	User           string            `json:"user,omitempty"`
	Password       string            `json:"password,omitempty"`
}

type storedKey struct {
	Key   string    `json:"key"`
	Until time.Time `json:"until,omitzero"`
}

// record reveals the secrets for the store. It is never empty, so that secrets that
// could not be opened are told apart from none.
func (s Secrets) record() ([]byte, error) {
	out := storedSecrets{
		Token: s.Token.Reveal(), EncodingAESKey: s.EncodingAESKey.Reveal(),
		User: s.User, Password: s.Password.Reveal(),
	}
	for _, k := range s.Signing {
		out.Signing = append(out.Signing, storedKey{Key: k.Key.Reveal(), Until: k.Until})
	}
	if len(s.Headers) > 0 {
		out.Headers = make(map[string]string, len(s.Headers))
	}
	for name, value := range s.Headers {
		out.Headers[name] = value.Reveal()
	}
	return json.Marshal(out)
}

// errSecrets stands for errors of the decoder, which quote what they read.
var errSecrets = errors.New("not in a form that this version knows")

func openSecrets(raw []byte) (Secrets, error) {
	var in storedSecrets
	if decode(raw, &in) != nil {
		return Secrets{}, errSecrets
	}
	s := Secrets{
		Token: tuoguan.NewSecret(in.Token), EncodingAESKey: tuoguan.NewSecret(in.EncodingAESKey),
		User: in.User, Password: tuoguan.NewSecret(in.Password),
	}
	for _, k := range in.Signing {
		s.Signing = append(s.Signing, SigningKey{Key: tuoguan.NewSecret(k.Key), Until: k.Until})
	}
	if len(in.Headers) > 0 {
		s.Headers = make(map[string]tuoguan.Secret, len(in.Headers))
	}
	for name, value := range in.Headers {
		s.Headers[name] = tuoguan.NewSecret(value)
	}
	return s, nil
}
