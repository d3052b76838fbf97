package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/tuoguan/tuoguan/simulator"
)

const (
	long = `wxsim is WeChat's side of the third-party platform (第三方平台) on your own machine:
the API, the authorization pages, the encrypted pushes, and the automatic test
before publication. Everything it knows is in memory and gone when it stops.
Never give it the credentials of a real component.

It listens twice. The platform listener has the paths of api.weixin.qq.com,
mp.weixin.qq.com and open.weixin.qq.com. The control listener makes merchants
and users act, moves the clock, and switches faults.

By default it misbehaves as often as a bad week of the real platform (--faults
default). Use --faults off while you write the first line of your client, and
--faults hostile before you trust the last.`

	examples = `  # 1. Start, on a good day
  wxsim --faults off

  # 2. Register a component whose server listens on port 8080
  curl -X POST localhost:8091/components -d '{
    "appid": "wx0123456789abcdef", "secret": "0123456789abcdef0123456789abcdef",
    "token": "sometoken", "encoding_aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
    "event_url": "http://127.0.0.1:8080/wx/wx0123456789abcdef/event",
    "message_url": "http://127.0.0.1:8080/wx/wx0123456789abcdef/message/$APPID$",
    "entry_domain": "127.0.0.1:8080"}'

  # 3. Push a verify ticket to it
  curl -X POST localhost:8091/components/wx0123456789abcdef/ticket

  # 4. Make a merchant's account, and let its administrator confirm
  curl -X POST localhost:8091/accounts -d '{"appid": "wxaaaaaaaaaaaaaaaa", "kind": "official_account"}'
  curl -X POST localhost:8091/accounts/wxaaaaaaaaaaaaaaaa/authorize -d '{"component_appid": "wx0123456789abcdef"}'

  # 5. A user writes; the answer is decrypted for you
  curl -X POST localhost:8091/accounts/wxaaaaaaaaaaaaaaaa/messages -d '{"from": "oUser1", "type": "text", "content": "hello"}'

  # 6. Two hours pass
  curl -X POST localhost:8091/clock -d '{"advance": "2h"}'

  # 7. Make it hostile, then see what happened
  curl -X PUT localhost:8091/faults -d '{"preset": "hostile"}'
  curl 'localhost:8091/journal?after=0&limit=100'

  # 8. The automatic test before publication
  curl -X POST localhost:8091/components/wx0123456789abcdef/release-check

  # For clients whose host is fixed: HTTPS with a local CA, and api.weixin.qq.com
  # pointing to 127.0.0.1 in /etc/hosts
  wxsim --tls --listen 127.0.0.1:443`
)

// options are the flags.
type options struct {
	listen, control, config, faults, tlsDir string
	seed                                    uint64
	tls, json, allowRemoteControl, verbose  bool
}

func newCommand(stdout, stderr io.Writer) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:           "wxsim",
		Short:         "WeChat's side of the third-party platform, on your own machine",
		Long:          long,
		Example:       examples,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			return run(c.Context(), o, c.Flags().Changed("faults"), c.Flags().Changed("seed"), stdout, stderr)
		},
	}
	c.SetOut(stdout)
	c.SetErr(stderr)
	f := c.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:8090", "address of the platform; port 0 chooses a free one")
	f.StringVar(&o.control, "control", "127.0.0.1:8091", "address of the control API; port 0 chooses a free one")
	f.StringVar(&o.config, "config", "", "YAML or JSON file with seed, faults, quotas, components and accounts")
	f.Uint64Var(&o.seed, "seed", 0, "decides every secret and every fault (default: random, and printed)")
	f.StringVar(&o.faults, "faults", simulator.PresetDefault, "preset of faults: off, default or hostile")
	f.BoolVar(&o.tls, "tls", false, "serve the platform over HTTPS, with a certificate for WeChat's hosts from a local CA")
	f.StringVar(&o.tlsDir, "tls-dir", "", "where the local CA is kept (default: wxsim in the user's configuration directory)")
	f.BoolVar(&o.json, "json", false, "print the addresses as one line of JSON")
	f.BoolVar(&o.allowRemoteControl, "allow-remote-control", false, "let the control API, which has no authentication, listen beyond loopback")
	f.BoolVar(&o.verbose, "verbose", false, "log at debug level")
	return c
}

// file is the configuration file. Names are those of the control API.
type file struct {
	Seed       *uint64               `json:"seed"`
	Faults     json.RawMessage       `json:"faults"`
	Quotas     map[string]int        `json:"quotas"`
	Components []simulator.Component `json:"components"`
	Accounts   []simulator.Account   `json:"accounts"`
}

// readFile reads the configuration file strictly: unknown keys are errors.
func readFile(path string) (file, error) {
	var f file
	if path == "" {
		return f, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return f, err
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	object, err := json.Marshal(tree)
	if err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	d := json.NewDecoder(bytes.NewReader(object))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// faults settles what the file and the flag say: the flag's preset wins, and the
// file's single knobs are kept where the flag was not given.
func (f file) faults(preset string, flagGiven bool) (simulator.Faults, error) {
	faults, err := simulator.Preset(preset)
	if err != nil || flagGiven || f.Faults == nil {
		return faults, err
	}
	return faults.Merge(f.Faults)
}

// fill registers what the file describes, and returns every mistake.
func (f file) fill(s *simulator.Simulator) error {
	var errs []error
	for _, a := range f.Accounts {
		_, err := s.AddAccount(a)
		errs = append(errs, err)
	}
	for _, c := range f.Components {
		_, err := s.AddComponent(c)
		errs = append(errs, err)
	}
	for path, calls := range f.Quotas {
		errs = append(errs, s.SetDailyLimit(path, calls))
	}
	return errors.Join(errs...)
}

// addresses is what --json prints.
type addresses struct {
	Platform string `json:"platform"`
	Control  string `json:"control"`
	Seed     uint64 `json:"seed"`
	CA       string `json:"ca,omitempty"` // file of the local CA's certificate
}

// run serves until ctx ends.
func run(ctx context.Context, o options, faultsGiven, seedGiven bool, stdout, stderr io.Writer) error {
	f, err := readFile(o.config)
	if err != nil {
		return err
	}
	switch {
	case seedGiven:
	case f.Seed != nil:
		o.seed = *f.Seed
	default:
		var random [8]byte
		_, _ = rand.Read(random[:]) // never fails
		o.seed = binary.BigEndian.Uint64(random[:]) >> 12
	}
	faults, err := f.faults(o.faults, faultsGiven)
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	sim, err := simulator.New(simulator.Config{Seed: o.seed, Faults: &faults, Logger: log})
	if err != nil {
		return err
	}
	defer sim.Close()
	if err := f.fill(sim); err != nil {
		return err
	}

	var listen net.ListenConfig
	control, err := listen.Listen(ctx, "tcp", o.control)
	if err != nil {
		return fmt.Errorf("control listener: %w", err)
	}
	defer control.Close()
	if !isLoopback(control.Addr()) && !o.allowRemoteControl {
		return fmt.Errorf("the control API has no authentication and would listen on %s; use a loopback address or --allow-remote-control", control.Addr())
	}
	platform, err := listen.Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("platform listener: %w", err)
	}
	defer platform.Close()
	at := addresses{Platform: "http://" + platform.Addr().String(), Control: "http://" + control.Addr().String(), Seed: o.seed}
	if o.tls {
		if o.tlsDir == "" {
			dir, err := os.UserConfigDir()
			if err != nil {
				return fmt.Errorf("no directory for the local CA; name one with --tls-dir: %w", err)
			}
			o.tlsDir = filepath.Join(dir, "wxsim")
		}
		config, caFile, err := serverTLS(o.tlsDir)
		if err != nil {
			return fmt.Errorf("local CA: %w", err)
		}
		platform = tls.NewListener(platform, config)
		at.Platform, at.CA = "https://"+platform.Addr().String(), caFile
	}
	if err := at.print(stdout, o.json); err != nil {
		return err
	}
	return serve(ctx, sim, platform, control, log)
}

func (a addresses) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(a)
	}
	text := fmt.Sprintf("platform  %s   (api, mp and open.weixin.qq.com)\ncontrol   %s   (GET / lists every call)\nseed      %d\n", a.Platform, a.Control, a.Seed)
	if a.CA != "" {
		text += "local CA  " + a.CA + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

func isLoopback(addr net.Addr) bool {
	ap, err := netip.ParseAddrPort(addr.String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// serve runs both listeners and the periodic tickets until ctx ends or one of them fails.
func serve(ctx context.Context, sim *simulator.Simulator, platform, control net.Listener, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := func(h http.Handler) *http.Server {
		return &http.Server{
			Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		}
	}
	servers := []struct {
		*http.Server
		at net.Listener
	}{{server(sim.Handler()), platform}, {server(sim.ControlHandler()), control}}

	var group sync.WaitGroup
	failures := make(chan error, len(servers)+1)
	group.Go(func() { failures <- sim.Run(ctx) })
	for _, s := range servers {
		group.Go(func() {
			if err := s.Serve(s.at); !errors.Is(err, http.ErrServerClosed) {
				failures <- err
			}
			cancel()
		})
	}
	<-ctx.Done()
	log.Debug("stopping")
	sim.Close() // ends pushes, so that control calls that wait for them can return
	grace, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer done()
	for _, s := range servers {
		if err := s.Shutdown(grace); err != nil {
			_ = s.Server.Close() // what has not finished by now is cut off
		}
	}
	group.Wait()
	close(failures)
	var errs []error
	for err := range failures {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
