package memory_test

import (
	"context"
	"fmt"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
)

func ExampleNew() {
	ctx := context.Background()
	s := memory.New(memory.Config{})
	defer s.Close()

	account := tuoguan.Authorization{Component: "wxc0000000000000", Authorizer: "wxa0000000000001"}
	for range 2 { // the merchant authorizes, and later once more
		a, moved, err := s.SaveGrant(ctx, store.Grant{
			Authorization: account,
			Tokens:        tuoguan.TokenSet{RefreshToken: tuoguan.NewSecret("refreshtoken@@@…")},
		})
		fmt.Println(a.Authorization, a.State, a.Grant, moved, err)
	}
	// Output:
	// wxc0000000000000/wxa0000000000001 active 1 true <nil>
	// wxc0000000000000/wxa0000000000001 active 2 true <nil>
}
