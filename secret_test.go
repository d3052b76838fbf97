package tuoguan_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/tuoguan/tuoguan"
)

// TestSecretDoesNotLeaveByAccident prints, logs and encodes a secret in every way,
// alone and within something else.
func TestSecretDoesNotLeaveByAccident(t *testing.T) {
	t.Parallel()
	const value = "canary-0123456789abcdef"
	secret := tuoguan.NewSecret(value)
	within := struct {
		Name   string
		Secret tuoguan.Secret
		Other  *tuoguan.Secret
		List   []tuoguan.Secret
		Map    map[string]any
	}{"name", secret, &secret, []tuoguan.Secret{secret}, map[string]any{"key": secret}}
	for _, thing := range []any{secret, &secret, within, &within, []any{secret}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3v"} {
			if printed := fmt.Sprintf(verb, thing); strings.Contains(printed, value[:8]) || strings.Contains(strings.ToLower(printed), "63616e617279") {
				t.Errorf("%s of %T prints %s", verb, thing, printed)
			}
		}
		var out strings.Builder
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).Info("message", "thing", thing, slog.Group("group", "secret", secret))
		}
		if strings.Contains(out.String(), value[:8]) {
			t.Errorf("%T is logged as %s", thing, out.String())
		}
		if text, err := json.Marshal(thing); !errors.Is(err, tuoguan.ErrSecretEncoding) {
			t.Errorf("%T is encoded as JSON: %s, %v", thing, text, err)
		}
	}
	if text, err := xml.Marshal(secret); !errors.Is(err, tuoguan.ErrSecretEncoding) {
		t.Errorf("it is encoded as XML: %s, %v", text, err)
	}
	if secret.Reveal() != value || secret.IsZero() || !secret.Equal(tuoguan.NewSecret(value)) || secret.Equal(tuoguan.NewSecret("other")) {
		t.Error("it is not what it was made of")
	}
}
