package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/server"
)

// child is a server in a process of its own, which can be killed.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; to be read after done
}

// ChildCommand is the hidden command by which the demo starts the server once more.
const ChildCommand = "demo-server"

// RunChild is what [ChildCommand] does: the server with the demo's clock.
func RunChild(ctx context.Context, file string, offset time.Duration, logger *slog.Logger) error {
	c, err := config.Load(config.Sources{File: file})
	if err != nil {
		return err
	}
	clock := new(tuoguan.Clock)
	clock.Advance(offset)
	srv, err := server.New(ctx, server.Options{Config: c, Clock: clock, Logger: logger})
	if err != nil {
		return err
	}
	return srv.Run(ctx)
}

// swap stops the server in this process and starts it in one of its own.
func (s *stage) swap(ctx context.Context) error {
	if err := s.stopServer(); err != nil {
		return err
	}
	file := filepath.Join(s.options.Dir, "tuoguan.yaml")
	if err := s.writeConfig(file); err != nil {
		return err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), s.options.Executable, ChildCommand, "--config", file, "--clock-offset", s.clock.Offset().String())
	cmd.Stderr = s.logFile
	cmd.Stdout = s.logFile
	if err := cmd.Start(); err != nil {
		return err
	}
	c := &child{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.err = cmd.Wait()
	}()
	s.child = c
	return s.awaitReady(ctx)
}

// kill ends the server in its own process without warning.
func (s *stage) kill() error {
	c := s.child
	s.child = nil
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-c.done
	return nil
}

// restart starts the server in this process, on the same database.
func (s *stage) restart(ctx context.Context) error {
	if err := s.startServer(ctx, nil, nil, nil); err != nil {
		return err
	}
	return s.awaitReady(ctx)
}

func (s *stage) awaitReady(ctx context.Context) error {
	admin := s.journey().admin
	return eventually(ctx, patience, func(ctx context.Context) error {
		if c := s.child; c != nil {
			select {
			case <-c.done:
				return fmt.Errorf("the server has ended: %w", c.err)
			default:
			}
		}
		return admin.call(ctx, http.MethodGet, "/readyz", nil, nil)
	})
}

// writeConfig writes the configuration as an operator would.
func (s *stage) writeConfig(file string) error {
	c := s.config
	b := c.Bootstrap.Components[0]
	var y strings.Builder
	fmt.Fprintf(&y, "public: {listen: %q, base_url: %q}\n", c.Public.Listen, c.Public.BaseURL)
	fmt.Fprintf(&y, "admin: {listen: %q}\n", c.Admin.Listen)
	fmt.Fprintf(&y, "gateway: {listen: %q}\n", c.Gateway.Listen)
	fmt.Fprintf(&y, "storage: %q\nmaster_key_file: %q\n", c.Storage, c.MasterKeyFile)
	fmt.Fprintf(&y, "wechat: {api_base_urls: [%q], mp_base_url: %q, open_base_url: %q}\n", c.WeChat.APIBaseURLs[0], c.WeChat.MPBaseURL, c.WeChat.OpenBaseURL)
	fmt.Fprintf(&y, "delivery: {allow_networks: [%q]}\n", c.Delivery.AllowNetworks[0])
	fmt.Fprintf(&y, "log: {level: %q, format: %q}\n", c.Log.Level, c.Log.Format)
	fmt.Fprintf(&y, "bootstrap:\n  api_key: %q\n  components:\n    - {appid: %q, secret: %q, token: %q, encoding_aes_key: %q}\n",
		c.Bootstrap.APIKey.Reveal(), b.AppID, b.Secret.Reveal(), b.Token.Reveal(), b.EncodingAESKey.Reveal())
	return os.WriteFile(file, []byte(y.String()), 0o600)
}

// findSecrets looks for every secret that the simulator knows in the server's log,
// metrics and pages.
func (s *stage) findSecrets(ctx context.Context) (int, error) {
	log, err := os.ReadFile(s.logFile.Name())
	if err != nil {
		return 0, err
	}
	places := map[string][]byte{"the log": log}
	j := s.journey()
	for _, path := range []string{"/metrics", "/", "/readyz", "/healthz"} {
		_, body, err := j.admin.page(ctx, j.admin.base+path, "")
		if err != nil {
			return 0, err
		}
		places[path] = []byte(body)
	}
	var authorizers string
	if err := j.rest.call(ctx, http.MethodGet, "/v1/authorizers", nil, &authorizers); err != nil {
		return 0, err
	}
	places["/v1/authorizers"] = []byte(authorizers)
	secrets := append(s.sim.Secrets(), s.config.Bootstrap.APIKey.Reveal(), s.service.secret())
	for name, text := range places {
		for _, secret := range secrets {
			if len(secret) >= 8 && bytes.Contains(text, []byte(secret)) {
				return 0, fmt.Errorf("a secret was found in %s: %.6s…", name, secret)
			}
		}
	}
	if !bytes.Contains(log, []byte(s.component.AppID)) {
		return 0, errors.New("the log says nothing of the component, so nothing was searched")
	}
	return len(secrets), nil
}
