package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/tuoguan/tuoguan/internal/admin"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

// bootstrap applies what the configuration says of a component, once: a restart must
// not undo what was changed through the API since. It is applied again when the
// configuration says something else, or the component is not there.
func (s *Server) bootstrap(ctx context.Context, wanted config.Component) error {
	name := "bootstrap/" + string(wanted.AppID)
	fingerprint := fingerprintOf(wanted)
	applied, version, err := s.store.Setting(ctx, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	_, err = s.keeper.Component(ctx, wanted.AppID)
	if err != nil && !errors.Is(err, keeper.ErrUnknownComponent) {
		return err
	}
	if err == nil && bytes.Equal(applied, fingerprint) {
		return nil
	}
	if _, err := admin.PutComponent(ctx, s.keeper, wanted); err != nil {
		return err
	}
	if err := s.store.PutSetting(ctx, name, fingerprint, version); err != nil && !errors.Is(err, store.ErrConflict) {
		return err // a conflict is another replica that starts with the same
	}
	return nil
}

// fingerprintOf tells configurations of a component apart. The AppSecret in it keeps
// anybody from finding the others by trying.
func fingerprintOf(c config.Component) []byte {
	sum := sha256.New()
	for _, value := range []string{
		string(c.AppID), c.Secret.Reveal(), c.Token.Reveal(), c.EncodingAESKey.Reveal(), c.PreviousToken.Reveal(), c.PreviousEncodingAESKey.Reveal(),
	} {
		fmt.Fprintf(sum, "%d:%s", len(value), value)
	}
	return sum.Sum(nil)
}
