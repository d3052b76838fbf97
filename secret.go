package tuoguan

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Secret is a value that must not leave by accident: a token, a code, a ticket,
// an AppSecret. Printing, logging or encoding it shows a fingerprint or fails;
// only [Secret.Reveal] yields the value. The zero Secret is empty.
type Secret struct{ value string }

// ErrSecretEncoding is returned where a Secret would be written out by an encoder.
// Writing the fingerprint instead would silently lose the value.
var ErrSecretEncoding = errors.New("tuoguan: a Secret does not encode itself; call Reveal where it must be stored or sent")

// NewSecret wraps value.
func NewSecret(value string) Secret { return Secret{value: value} }

// Reveal returns the value. Few packages may call it; a test lists them.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.value == "" }

// Equal compares in time that does not depend on where the values differ.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.value), []byte(other.value)) == 1
}

// Fingerprint returns a short text by which two log lines about the same secret
// can be matched: the first 32 bits of its SHA-256. It is "" for an empty secret.
func (s Secret) Fingerprint() string {
	if s.value == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(s.value))
	return "secret:" + hex.EncodeToString(sum[:4])
}

// String returns the fingerprint.
func (s Secret) String() string { return s.Fingerprint() }

// GoString returns the fingerprint.
func (s Secret) GoString() string { return s.Fingerprint() }

// Format prints the fingerprint for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.Fingerprint()) }

// LogValue logs the fingerprint.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.Fingerprint()) }

// MarshalText refuses.
func (s Secret) MarshalText() ([]byte, error) { return nil, ErrSecretEncoding }
