//go:build unix

package proof

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"

	"github.com/tuoguan/tuoguan/internal/proof/history"
)

func (s *site) configFile(replica int) string {
	return filepath.Join(s.dir, fmt.Sprintf("replica%d.yaml", replica))
}

func (s *site) backupFile() string { return filepath.Join(s.dir, "backup") }

// command runs a command of the server's program on the site's store.
func (s *site) command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, s.config.ServerBinary, append([]string{name, "--config", s.configFile(0)}, args...)...)
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tuoguan %s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// rekey tells a server to seal everything under a new key. It may die meanwhile; the
// next time it is told it goes on.
func (s *site) rekey(ctx context.Context, random *rand.Rand) {
	r, err := s.up(ctx, random)
	if err != nil {
		return
	}
	_, admin := r.addresses()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+admin+"/v1/jobs", bytes.NewReader([]byte(`{"kind":"rekey"}`)))
	if err != nil {
		return
	}
	request.Header.Set("Authorization", "Bearer "+s.apiKey)
	reply, err := r.client.Do(request)
	if err != nil {
		return // it is gone
	}
	_, _ = io.Copy(io.Discard, reply.Body) // whether it was begun shows in the server's log
	_ = reply.Body.Close()
}

// restore puts the backup in the place of the store, starts the servers on it, and sees
// whether all is well again.
func (s *site) restore(ctx context.Context) error {
	args := []string{"--force", s.backupFile()}
	if s.store.service != nil {
		if _, err := s.store.service.Exec(ctx, "", "DROP DATABASE tuoguan"); err != nil {
			return err
		}
		if err := s.store.service.CreateDatabase(ctx, "tuoguan"); err != nil {
			return err
		}
		args = args[1:]
	}
	if err := s.command(ctx, "restore", args...); err != nil {
		return err
	}
	s.record.Add(history.Event{Kind: history.Restored})
	if err := s.startAll(ctx); err != nil {
		return err
	}
	if _, err := s.platform.sim.PushTicket(ctx, s.platform.component.AppID); err != nil {
		return err
	}
	return s.settleAll(ctx)
}
