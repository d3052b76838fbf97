package sqlite_test

import (
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/sqlite"
)

// interrupted is a cipher by which every value is to be sealed anew. Before it does so
// for a place for the first time, it lets something else happen.
type interrupted struct {
	store.Cipher
	field string
	first func()
}

func (*interrupted) Current([]byte) bool { return false }

func (c *interrupted) Seal(place store.Place, plaintext []byte) ([]byte, error) {
	if first := c.first; first != nil && place.Field == c.field {
		c.first = nil
		first()
	}
	return c.Cipher.Seal(place, plaintext)
}

// TestResealDoesNotUndo stores a new token set after a record was read to be sealed
// anew, and before it is written. The new one stays.
func TestResealDoesNotUndo(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"access_token", "refresh_token"} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			cipher := &interrupted{Cipher: newCipher(t, 1), field: field}
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: newPath(t), Keys: store.Under(cipher)})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			set := func(name string) tuoguan.TokenSet {
				return tuoguan.TokenSet{AccessToken: tuoguan.NewSecret("access " + name), RefreshToken: tuoguan.NewSecret("refresh " + name), ExpiresAt: time.Now()}
			}
			a, _, err := s.SaveGrant(t.Context(), store.Grant{Authorization: account, Tokens: set("old")})
			if err != nil {
				t.Fatal(err)
			}
			cipher.first = func() {
				moved, err := s.SaveTokens(t.Context(), store.TokenWrite{Authorization: account, Grant: a.Grant, Epoch: 1, Tokens: set("new")})
				if err != nil || !moved {
					t.Errorf("moved %v, %v", moved, err)
				}
			}
			if _, err := s.Reseal(t.Context(), "", 100); err != nil || cipher.first != nil {
				t.Fatalf("nothing was sealed anew, %v", err)
			}
			a, err = s.Authorizer(t.Context(), account)
			if err != nil || a.Tokens.AccessToken.Reveal() != "access new" || a.Tokens.RefreshToken.Reveal() != "refresh new" {
				t.Errorf("stored are %q and %q, %v", a.Tokens.AccessToken.Reveal(), a.Tokens.RefreshToken.Reveal(), err)
			}
		})
	}
}
