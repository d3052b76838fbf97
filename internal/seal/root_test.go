package seal

import (
	"strconv"
	"testing"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

func TestSubkeysKeptReadyAreBounded(t *testing.T) {
	t.Parallel()
	r := newRoot(make([]byte, KeySize))
	for i := range 3 * maxSubkeys {
		if _, err := r.subkey(store.Place{Authorizer: tuoguan.AuthorizerAppID(strconv.Itoa(i))}); err != nil {
			t.Fatal(err)
		}
		if len(r.subkeys) > maxSubkeys {
			t.Fatalf("%d subkeys for %d accounts", len(r.subkeys), i+1)
		}
	}
}
