// Package demo runs the simulator and the server together: for a visitor, who
// opens the printed links, or unattended, as a proof of the whole path.
package demo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/internal/server"
	"github.com/tuoguan/tuoguan/simulator"
)

// Options says how the demo is run.
type Options struct {
	// Auto walks the journey unattended and returns.
	Auto bool
	// FirstRun leaves the server as a new installation finds it: no user, no component.
	FirstRun bool
	// Dir keeps the database, the keys and the log. Defaults to a new directory,
	// which is removed at the end.
	Dir string
	// Seed decides what the simulator does. Defaults to 1.
	Seed uint64
	// Faults is the preset of the simulator: off, default or hostile. Defaults to
	// default.
	Faults string
	// Out is where the demo talks to its visitor.
	Out io.Writer
	// Executable is the program that contains the server, for the step in which it
	// is killed. Defaults to the running one.
	Executable string
}

// Run runs the demo until ctx ends or, with Auto, until the journey is over.
func Run(ctx context.Context, o Options) (err error) {
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Faults == "" {
		o.Faults = simulator.PresetDefault
	}
	if o.Executable == "" {
		if o.Executable, err = os.Executable(); err != nil {
			return err
		}
	}
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "tuoguan-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	} else if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return err
	}
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	switch {
	case o.Auto:
		return s.auto(ctx)
	case o.FirstRun:
		return s.firstRun(ctx)
	}
	return s.visit(ctx)
}

// stage is the simulator, and the server that it pushes to.
type stage struct {
	options Options
	clock   *tuoguan.Clock
	sim     *simulator.Simulator
	work    sync.WaitGroup
	stop    []func() error

	platform, control net.Listener
	config            config.Config
	component         simulator.Component
	service           *service
	inventory         *service // is away at times
	logFile           *os.File
	server            *running
	child             *child
}

// running is a server in this process.
type running struct {
	cancel context.CancelFunc
	done   chan error
}

const (
	merchant = "wx00000000000000a1" // the account that authorizes in the journey
	miniApp  = "wx00000000000000b2"
)

// newStage starts both sides and registers a component with them.
func newStage(ctx context.Context, o Options) (*stage, error) {
	s := &stage{options: o, clock: new(tuoguan.Clock)}
	faults, err := simulator.Preset(o.Faults)
	if err != nil {
		return nil, err
	}
	if s.sim, err = simulator.New(simulator.Config{Clock: s.clock, Seed: o.Seed, Faults: &faults}); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stage) start(ctx context.Context) (err error) {
	if s.logFile, err = os.OpenFile(filepath.Join(s.options.Dir, "tuoguan.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600); err != nil {
		return err
	}

	// A visitor gets the well-known ports where they are free; a proof never clashes.
	ports := [5]string{"8090", "8091", "8080", "8081", "8082"}
	if s.options.Auto {
		ports = [5]string{"0", "0", "0", "0", "0"}
	}
	var sockets [5]net.Listener
	for i, port := range ports {
		if sockets[i], err = listen(ctx, port); err != nil {
			return err
		}
	}
	s.platform, s.control = sockets[0], sockets[1]
	s.serve(s.platform, s.sim.Handler())
	s.serve(s.control, s.sim.ControlHandler())
	for _, each := range []**service{&s.service, &s.inventory} {
		company, err := listen(ctx, "0")
		if err != nil {
			return err
		}
		*each = &service{url: "http://" + company.Addr().String() + "/wechat"}
		s.serve(company, *each)
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.work.Go(func() { _ = s.sim.Run(runCtx) })
	s.stop = append(s.stop, func() error { cancel(); return nil })

	if err := s.configure(sockets[2].Addr().String(), sockets[3].Addr().String(), sockets[4].Addr().String()); err != nil {
		return err
	}
	return s.startServer(ctx, sockets[2], sockets[3], sockets[4])
}

// listen takes a port on loopback, another one if it is not free.
func listen(ctx context.Context, port string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:"+port)
	if err != nil && port != "0" {
		return lc.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	return l, err
}

func (s *stage) serve(l net.Listener, h http.Handler) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	s.work.Go(func() { _ = server.Serve(l) })
	s.stop = append(s.stop, server.Close)
}

// configure writes the server's configuration, and registers the component with
// the simulator, as one would in WeChat's console.
func (s *stage) configure(public, admin, gateway string) error {
	random := func(n int) string {
		b := make([]byte, (n+1)/2)
		_, _ = rand.Read(b)
		return hex.EncodeToString(b)[:n]
	}
	base := "http://" + public
	s.component = simulator.Component{
		AppID:          "wx" + random(16),
		Secret:         random(32),
		Token:          random(24),
		EncodingAESKey: random(43),
		Name:           "Tuoguan demo",
		EntryDomain:    public,
	}
	s.component.EventURL = base + "/wx/" + s.component.AppID + "/event"
	s.component.MessageURL = base + "/wx/" + s.component.AppID + "/message/$APPID$"
	if _, err := s.sim.AddComponent(s.component); err != nil {
		return err
	}
	for _, a := range []simulator.Account{
		{AppID: merchant, Kind: simulator.OfficialAccount, NickName: "示例咖啡 Sample Coffee"},
		{AppID: miniApp, Kind: simulator.MiniProgram, NickName: "示例商城 Sample Mall"},
	} {
		if _, err := s.sim.AddAccount(a); err != nil {
			return err
		}
	}

	wechat := "http://" + s.platform.Addr().String()
	s.config = config.Default()
	s.config.Public = config.Public{Listen: public, BaseURL: base}
	s.config.Admin.Listen = admin
	s.config.Gateway.Listen = gateway
	s.config.Storage = "sqlite://" + filepath.Join(s.options.Dir, "tuoguan.db")
	s.config.MasterKeyFile = filepath.Join(s.options.Dir, "master.key")
	s.config.WeChat = config.WeChat{APIBaseURLs: []string{wechat}, MPBaseURL: wechat, OpenBaseURL: wechat}
	s.config.Delivery.AllowNetworks = []string{"127.0.0.0/8"}
	s.config.Log = config.Log{Level: "debug", Format: "json"}
	s.config.Console.TOTP = "off" // nobody fetches a phone for a demo
	s.config.Bootstrap.APIKey = tuoguan.NewSecret(random(48))
	if !s.options.FirstRun {
		s.config.Bootstrap.Components = []config.Component{{
			AppID:          tuoguan.ComponentAppID(s.component.AppID),
			Secret:         tuoguan.NewSecret(s.component.Secret),
			Token:          tuoguan.NewSecret(s.component.Token),
			EncodingAESKey: tuoguan.NewSecret(s.component.EncodingAESKey),
		}}
	}
	return nil
}

// startServer starts the server in this process.
func (s *stage) startServer(ctx context.Context, public, admin, gateway net.Listener) error {
	srv, err := server.New(ctx, server.Options{
		Config:          s.config,
		Clock:           s.clock,
		Logger:          obs.NewLogger(s.logFile, s.config.Log.Level, s.config.Log.Format),
		PublicListener:  public,
		AdminListener:   admin,
		GatewayListener: gateway,
		Simulator:       s.sim.ControlHandler(),
	})
	if err != nil {
		return err
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- srv.Run(runCtx) }()
	s.server = r
	return nil
}

// stopServer stops the server in this process.
func (s *stage) stopServer() error {
	if s.server == nil {
		return nil
	}
	r := s.server
	s.server = nil
	r.cancel()
	return <-r.done
}

func (s *stage) close() error {
	errs := []error{s.stopServer()}
	if s.child != nil {
		errs = append(errs, s.kill())
	}
	for _, stop := range s.stop {
		errs = append(errs, stop())
	}
	s.work.Wait()
	s.sim.Close()
	if s.logFile != nil {
		errs = append(errs, s.logFile.Close())
	}
	return errors.Join(errs...)
}

func (s *stage) journey() *journey {
	client := &http.Client{Timeout: 30 * time.Second}
	admin := "http://" + s.config.Admin.Listen
	return &journey{
		control:   caller{base: "http://" + s.control.Addr().String(), client: client},
		platform:  caller{base: "http://" + s.platform.Addr().String(), client: client},
		rest:      caller{base: admin, key: s.config.Bootstrap.APIKey.Reveal(), client: client},
		admin:     caller{base: admin, client: client},
		gateway:   caller{base: "http://" + s.config.Gateway.Listen, client: client},
		component: s.component.AppID,
		account:   merchant,
		service:   s.service,
		server:    s,
		secret:    s.findSecrets,
	}
}

// auto walks the journey and prints what was checked at each step.
func (s *stage) auto(ctx context.Context) error {
	out := s.options.Out
	fmt.Fprintf(out, "tuoguan demo --auto   seed %d, faults %s\n", s.options.Seed, s.options.Faults)
	began := time.Now()
	steps := s.journey().steps()
	for i, step := range steps {
		at := time.Now()
		checked, err := step.run(ctx)
		took := time.Since(at).Round(time.Millisecond)
		if err != nil {
			fmt.Fprintf(out, "%2d/%d  ✗ %s (%s)  %v\n", i+1, len(steps), step.name, step.nameZh, took)
			s.keepEvidence()
			return fmt.Errorf("step %d, %s: %w", i+1, step.name, err)
		}
		fmt.Fprintf(out, "%2d/%d  ✓ %s (%s): %s  %v\n", i+1, len(steps), step.name, step.nameZh, checked, took)
	}
	fmt.Fprintf(out, "all %d steps held in %v\n", len(steps), time.Since(began).Round(100*time.Millisecond))
	return nil
}

// keepEvidence saves the log where it is not removed with the directory.
func (s *stage) keepEvidence() {
	b, err := os.ReadFile(s.logFile.Name())
	if err != nil {
		return
	}
	name := filepath.Join(os.TempDir(), "tuoguan-demo-failed-"+strconv.FormatUint(s.options.Seed, 10)+".log")
	if os.WriteFile(name, b, 0o600) == nil {
		fmt.Fprintf(s.options.Out, "the server's log is in %s\n", name)
	}
}
