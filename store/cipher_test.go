package store_test

import (
	"testing"

	"github.com/tuoguan/tuoguan/store"
)

// TestPlaceIsForEver: what was sealed opens only while places keep their form.
func TestPlaceIsForEver(t *testing.T) {
	t.Parallel()
	seen := make(map[string]store.Place)
	for want, place := range map[string]store.Place{
		`""/""/""/""`:                     {},
		`"wxc"/"wxa"/"refresh_token"/"7"`: {Component: "wxc", Authorizer: "wxa", Field: "refresh_token", Row: "7"},
		`"wxc"/""/"ticket"/"1/2"`:         {Component: "wxc", Field: "ticket", Row: "1/2"},
		`"a\"/\"b"/""/""/""`:              {Component: `a"/"b`},
		`"a"/"b"/""/""`:                   {Component: "a", Authorizer: "b"},
		`"托管"/"\xff"/"\x00"/""`:           {Component: "托管", Authorizer: "\xff", Field: "\x00"},
	} {
		got := place.String()
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%+v and %+v are both %s", place, other, got)
		}
		seen[got] = place
	}
}
