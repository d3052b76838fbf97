package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/tuoguan/tuoguan/internal/console"
	"github.com/tuoguan/tuoguan/internal/operator"
)

// callbackPath is where an identity provider sends browsers back to.
const callbackPath = "/console/oidc/callback"

// simulatedLife is how long people stay signed in where whoever likes moves the clock,
// by which the store forgets sessions.
const simulatedLife = 365 * 24 * time.Hour

// newOperators makes what has to do with the people who use the console.
func (s *Server) newOperators(simulated bool) (*operator.Operators, error) {
	c := s.config.Console
	cfg := operator.Config{
		Store: s.store, Clock: s.clock, Logger: s.log, TOTP: c.TOTP,
		HTTPClient: &http.Client{Timeout: 10 * time.Second},
	}
	if simulated {
		cfg.SessionLife, cfg.SessionIdle = simulatedLife, simulatedLife
	}
	if c.OIDC.Issuer != "" {
		mapped := make(map[string]operator.Role)
		for _, m := range c.OIDC.Mapping() {
			mapped[m.Group] = operator.Role(m.Role)
		}
		cfg.OIDC = &operator.OIDCConfig{
			Name: c.OIDC.Name, Issuer: c.OIDC.Issuer, ClientID: c.OIDC.ClientID, ClientSecret: c.OIDC.ClientSecret,
			RedirectURL: c.BaseURL + callbackPath, RoleClaim: c.OIDC.RoleClaim, Roles: mapped, DefaultRole: operator.Role(c.OIDC.DefaultRole),
		}
	}
	return operator.New(cfg)
}

// newConsole returns the console, or nil if this program was built without it.
func (s *Server) newConsole() (http.Handler, error) {
	h, err := console.New()
	if errors.Is(err, console.ErrNotBuilt) {
		s.log.Warn("this program was built without the console; see make console")
		return nil, nil
	}
	return h, err
}
