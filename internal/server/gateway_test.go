package server_test

import (
	"net"
	"strings"
	"testing"

	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/internal/server"
)

// TestGatewayPortIsTaken starts servers where the gateway's port is somebody else's. The
// default one is done without; one that was chosen is not.
func TestGatewayPortIsTaken(t *testing.T) {
	t.Parallel()
	if l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", config.Default().Gateway.Listen); err == nil {
		defer func() { _ = l.Close() }()
	} // else it is taken already
	w := newWorld(t)
	chosen := w.listen("")
	defer func() { _ = chosen.Close() }()
	start := func(address string) error {
		w.config.Gateway.Listen = address
		w.config.Public.BaseURL = "http://127.0.0.1"
		s, err := server.New(t.Context(), server.Options{
			Config: w.config, Logger: obs.NewLogger(w.log, "info", "json"), PublicListener: w.listen(""), AdminListener: w.listen(""),
		})
		if err != nil {
			return err
		}
		if s.GatewayAddr() != nil {
			t.Errorf("it serves the gateway on %v", s.GatewayAddr())
		}
		return s.Close()
	}
	if err := start(config.Default().Gateway.Listen); err != nil {
		t.Errorf("the default address: %v", err)
	}
	if !strings.Contains(w.log.String(), "set gateway.listen") {
		t.Errorf("the log does not say what to do: %s", w.log)
	}
	if err := start(chosen.Addr().String()); err == nil {
		t.Error("a chosen address that is taken was done without")
	}
}
