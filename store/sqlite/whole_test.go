package sqlite_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// TestTokenSetsAreWhole reads an authorizer all the time while its tokens are
// replaced. Nobody ever sees one half of a token set beside one half of another, so a
// process that dies leaves none behind either.
func TestTokenSetsAreWhole(t *testing.T) {
	t.Parallel()
	s := open(t, newPath(t))
	set := func(n int64) tuoguan.TokenSet {
		return tuoguan.TokenSet{AccessToken: tuoguan.NewSecret(fmt.Sprint("access ", n)), RefreshToken: tuoguan.NewSecret(fmt.Sprint("refresh ", n))}
	}
	a, _, err := s.SaveGrant(t.Context(), store.Grant{Authorization: account, Tokens: set(0)})
	if err != nil {
		t.Fatal(err)
	}
	const saves = 300
	done := make(chan error, 1)
	go func() {
		for epoch := int64(1); epoch <= saves; epoch++ {
			moved, err := s.SaveTokens(t.Context(), store.TokenWrite{Authorization: account, Grant: a.Grant, Epoch: epoch, Tokens: set(epoch)})
			if err != nil || !moved {
				done <- fmt.Errorf("epoch %d: moved %v, %w", epoch, moved, err)
				return
			}
		}
		done <- nil
	}()
	for reads := 0; ; reads++ {
		a, err := s.Authorizer(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		access, refresh := strings.TrimPrefix(a.Tokens.AccessToken.Reveal(), "access "), strings.TrimPrefix(a.Tokens.RefreshToken.Reveal(), "refresh ")
		if epoch := fmt.Sprint(a.Epoch); access != epoch || refresh != epoch {
			t.Fatalf("in epoch %s there are access token %s and refresh token %s", epoch, access, refresh)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d reads", reads)
			return
		default:
		}
	}
}
