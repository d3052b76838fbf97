package keeper_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/simulator/simtest"
)

// WeChat refuses calls from an address that is not in the whitelist, and names it.
func TestStatusNamesTheEgressAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, true)
		egress := func() string {
			t.Helper()
			s, err := w.keeper.Status(t.Context())
			if err != nil || len(s.Components) != 1 {
				t.Fatal(s, err)
			}
			if !s.Components[0].EgressIP.IsValid() {
				return ""
			}
			return s.Components[0].EgressIP.String()
		}
		component := tuoguan.ComponentToken(w.id)
		if _, err := w.keeper.Token(t.Context(), component); err != nil || egress() != "" {
			t.Fatalf("while all is well: %q, %v", egress(), err)
		}
		c := w.component
		c.IPWhitelist = []string{"203.0.113.0/24"}
		simtest.Register(t, w.sim, c)
		if _, err := w.keeper.Refresh(t.Context(), component); err == nil || egress() != "127.0.0.1" {
			t.Errorf("while the address is refused: %q, %v", egress(), err)
		}
		c.IPWhitelist = []string{"127.0.0.0/8"}
		simtest.Register(t, w.sim, c)
		time.Sleep(10 * time.Minute)
		if _, err := w.keeper.Refresh(t.Context(), component); err != nil || egress() != "" {
			t.Errorf("after it was added: %q, %v", egress(), err)
		}
	})
}
