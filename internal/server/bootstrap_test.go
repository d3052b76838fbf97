package server_test

import (
	"testing"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/server"
)

// TestBootstrapIsAppliedOnce changes a component while the server runs. A restart with
// the same configuration leaves the change; one with another applies that.
func TestBootstrapIsAppliedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	id := tuoguan.ComponentAppID(w.component.AppID)
	open := func() *server.Server {
		t.Helper()
		s, err := server.New(t.Context(), server.Options{Config: w.config, PublicListener: w.listen(""), AdminListener: w.listen("")})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	token := func(s *server.Server) string {
		t.Helper()
		c, err := s.Keeper().Component(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return c.Token.Reveal()
	}

	s := open()
	c, err := s.Keeper().Component(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	c.Token = tuoguan.NewSecret("changed")
	if err := s.Keeper().PutComponent(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	if got := token(s); got != "changed" {
		t.Errorf("a restart made it %q", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w.config.Bootstrap.Components[0].Token = tuoguan.NewSecret("configured")
	s = open()
	if got := token(s); got != "configured" {
		t.Errorf("another configuration left it %q", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
