// Package server puts everything together: storage, keeper, intake of pushes,
// authorization pages, REST API, release check. It is the one place that does.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/failpoint"
	"github.com/tuoguan/tuoguan/internal/gateway"
	"github.com/tuoguan/tuoguan/internal/insight"
	"github.com/tuoguan/tuoguan/internal/jobs"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/internal/releasecheck"
	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/internal/spill"
	"github.com/tuoguan/tuoguan/internal/storage"
	"github.com/tuoguan/tuoguan/internal/timeline"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/sqlite"
	"github.com/tuoguan/tuoguan/wxapi"
)

// drainTime is how long requests and refreshes under way get to finish when the
// server stops.
const drainTime = 10 * time.Second

// Options says what a Server is made from.
type Options struct {
	// Config is checked by New. Required.
	Config config.Config
	// Clock is the system's if nil.
	Clock *tuoguan.Clock
	// Logger defaults to one that discards.
	Logger *slog.Logger
	// Responder answers users' messages, after the release check has had a look.
	// Nil answers none.
	Responder push.Responder
	// Simulator is the control API of a simulated WeChat, which the console then has a page
	// for. Nil everywhere but in the demo.
	Simulator http.Handler
	// HTTPClient calls WeChat. Defaults to one made for it.
	HTTPClient *http.Client

	// PublicListener, AdminListener and GatewayListener are served in place of the
	// addresses in Config, if they are given. The server closes them.
	PublicListener, AdminListener, GatewayListener net.Listener
}

// Server holds its storage and its listeners from [New] on, until [Server.Run]
// returns or [Server.Close] is called.
type Server struct {
	log    *slog.Logger
	clock  *tuoguan.Clock
	config config.Config

	storage *storage.Opened
	store   store.Store // of storage
	spill   *spill.File
	jobs    *jobs.Runner
	keeper  *keeper.Keeper
	pushes  *push.Handler
	release *releasecheck.Responder
	callers callers
	told    subscribers
	holder  string // names this process in leases
	metrics *obs.Metrics

	shortages chan gateway.Shortage // to be announced

	insight  *insight.Recorder
	timeline *timeline.Log

	public, admin, gateway listener
}

// listener is a socket with what is served on it.
type listener struct {
	socket net.Listener
	server *http.Server
}

// New opens the storage, applies the bootstrap configuration and listens; requests
// wait until Run serves them. The error is [config.Mistakes] if the configuration
// is at fault.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = new(tuoguan.Clock)
		o.Clock.SetOffset(failpoint.ClockOffset())
	}
	s := &Server{
		log: o.Logger, clock: o.Clock, config: o.Config, metrics: obs.NewMetrics(), holder: rand.Text(), shortages: make(chan gateway.Shortage, 64),
		public: listener{socket: o.PublicListener}, admin: listener{socket: o.AdminListener}, gateway: listener{socket: o.GatewayListener},
	}
	if err := s.build(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) build(ctx context.Context, o Options) error {
	if err := o.Config.Check(); err != nil {
		return err
	}
	if err := s.openStorage(ctx); err != nil {
		return err
	}
	directory, err := access.NewDirectory(access.DirectoryConfig{Store: s.store, Logger: s.log})
	if err != nil {
		return err
	}
	if s.told, err = s.newSubscribers(ctx, directory); err != nil {
		return err
	}
	s.insight = insight.New(insight.Config{Backlogs: s.backlogs, Logger: s.log})
	if s.timeline, err = timeline.New(timeline.Config{Store: s.store, Replica: s.holder, Clock: s.clock, Logger: s.log}); err != nil {
		return err
	}
	s.keeper, err = keeper.New(keeper.Config{
		Store:  s.store,
		Holder: s.holder,
		Shared: s.storage.Shared,
		Spill:  s.spill,
		API: wxapi.Config{
			BaseURLs:    o.Config.WeChat.APIBaseURLs,
			MPBaseURL:   o.Config.WeChat.MPBaseURL,
			OpenBaseURL: o.Config.WeChat.OpenBaseURL,
			HTTPClient:  o.HTTPClient,
			Clock:       s.clock,
			Logger:      o.Logger,
			Observe:     s.observeCall,
		},
		Clock:       s.clock,
		Logger:      o.Logger,
		Observe:     s.observeOperation,
		Workers:     o.Config.Refresh.Workers,
		RefreshRate: o.Config.Refresh.Rate,
		Router:      s.told,
		KeepPushes:  time.Duration(o.Config.Delivery.RetentionDays) * 24 * time.Hour,
		MaxPushes:   int64(o.Config.Delivery.MaxEvents),
	})
	if err != nil {
		return err
	}
	for _, component := range o.Config.Bootstrap.Components {
		if err := s.bootstrap(ctx, component); err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
	}
	var transport http.RoundTripper
	if o.HTTPClient != nil {
		transport = o.HTTPClient.Transport
	}
	if s.callers, err = s.newCallers(ctx, directory, transport); err != nil {
		return err
	}
	publicHandler, adminHandler, err := s.handlers(o)
	if err != nil {
		return err
	}
	s.public.server, s.admin.server = s.publicServer(publicHandler), s.adminServer(adminHandler)
	s.gateway.server = s.gatewayServer(s.guard("gateway", s.callers.gateway))
	return errors.Join(s.public.listen(ctx, o.Config.Public.Listen), s.admin.listen(ctx, o.Config.Admin.Listen), s.listenGateway(ctx))
}

// openStorage opens the database and the spill file beside it.
func (s *Server) openStorage(ctx context.Context) error {
	o := storage.Options{Clock: s.clock, Logger: s.log}
	if s.config.Engine() != config.SQLite {
		o.Clock = nil // the database's own, to which the keeper sets ours
	}
	var err error
	if s.storage, err = storage.Open(ctx, s.config, o); err != nil {
		return err
	}
	s.store = s.storage.Store
	s.spill, err = s.openSpill()
	return err
}

// spillFiles is how many processes on one machine may have a spill file.
const spillFiles = 64

// spillPath returns the name of the n-th spill file, from 1: the one configured, and
// those with a number after it.
func (s *Server) spillPath(n int) string {
	path := s.config.SpillPath()
	if n == 1 {
		return path
	}
	extension := filepath.Ext(path)
	return strings.TrimSuffix(path, extension) + "-" + strconv.Itoa(n) + extension
}

// openSpill takes the first spill file that no other process on this machine has.
func (s *Server) openSpill() (f *spill.File, err error) {
	for n := 1; n <= spillFiles; n++ {
		f, err = spill.Open(spill.Config{Path: s.spillPath(n), Cipher: s.storage.Ring, Logger: s.log})
		if !errors.Is(err, spill.ErrInUse) {
			return f, err
		}
	}
	return nil, err
}

// drainSpills brings into the database what processes that are gone have left in
// their spill files.
func (s *Server) drainSpills(ctx context.Context) {
	for n := 1; n <= spillFiles; n++ {
		path := s.spillPath(n)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		f, err := spill.Open(spill.Config{Path: path, Cipher: s.storage.Ring, Logger: s.log})
		if errors.Is(err, spill.ErrInUse) {
			continue
		}
		if err == nil {
			err = errors.Join(s.keeper.Drain(ctx, f), f.Close())
		}
		if err != nil && ctx.Err() == nil {
			s.log.Error("what a process has left in its spill file is not in the database yet; the next start tries again", "file", path, "error", err)
		}
	}
}

func (l *listener) listen(ctx context.Context, address string) error {
	if l.socket != nil {
		return nil
	}
	socket, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	l.socket = socket
	return err
}

// listenGateway opens the gateway's listener. Custody does not depend on it, and before
// there was a gateway nobody had to choose a port for it: where the default one is
// taken, by another server on this machine, this one does without.
func (s *Server) listenGateway(ctx context.Context) error {
	address := s.config.Gateway.Listen
	err := s.gateway.listen(ctx, address)
	if err != nil && errors.Is(err, syscall.EADDRINUSE) && address == config.Default().Gateway.Listen {
		s.log.Error("the gateway is not served by this process: its default address is taken; set gateway.listen", "address", address)
		s.gateway = listener{}
		return nil
	}
	return err
}

// PublicAddr returns where the public listener is.
func (s *Server) PublicAddr() net.Addr { return s.public.socket.Addr() }

// AdminAddr returns where the admin listener is.
func (s *Server) AdminAddr() net.Addr { return s.admin.socket.Addr() }

// GatewayAddr returns where the gateway's listener is, or nil if there is none.
func (s *Server) GatewayAddr() net.Addr {
	if s.gateway.socket == nil {
		return nil
	}
	return s.gateway.socket.Addr()
}

// Keeper returns the keeper, which lives as long as the server.
func (s *Server) Keeper() *keeper.Keeper { return s.keeper }

// Run serves until ctx ends or something fails that the server cannot do without.
// Then it stops accepting, lets what is under way finish for up to ten seconds, and
// releases everything. It returns nil if all of that went well.
func (s *Server) Run(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	for _, l := range []listener{s.public, s.admin, s.gateway} {
		if l.socket == nil {
			continue
		}
		work.Go(func() error {
			if err := l.server.Serve(l.socket); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	work.Go(func() error { return s.keeper.Run(ctx) })
	work.Go(func() error { return s.callers.keys.Run(ctx) })
	work.Go(func() error { return s.told.set.Run(ctx) })
	work.Go(func() error { return s.told.dispatcher.Run(ctx) })
	work.Go(func() error {
		select {
		case <-s.storage.Lost:
			return sqlite.ErrSyncFailed // only a new process can tell what is on the disk
		case <-ctx.Done():
			return nil
		}
	})
	work.Go(func() error { return s.insight.Run(ctx) })
	work.Go(func() error { s.announceShortages(ctx); return nil })
	work.Go(func() error { s.followKeys(ctx); return nil })
	work.Go(func() error { s.drainSpills(ctx); return nil })
	if s.config.Bootstrap.APIKey.IsZero() {
		s.log.Warn("the configuration has no API key, so only keys that were made before are taken; set bootstrap.api_key_file")
	}
	gateway := ""
	if s.gateway.socket != nil {
		gateway = s.GatewayAddr().String()
	}
	s.log.Info("ready", "public_addr", s.PublicAddr().String(), "admin_addr", s.AdminAddr().String(), "gateway_addr", gateway, "base_url", s.config.Public.BaseURL, "version", obs.Version())

	<-ctx.Done()
	s.log.Info("stopping")
	err := s.stop(work.Wait)
	s.log.Info("stopped")
	return err
}

// Close releases a server that was not Run. Run does the same by itself.
func (s *Server) Close() error { return s.stop(func() error { return nil }) }

// stop ends everything, each before what it needs. Running returns once the work
// begun by Run has ended.
func (s *Server) stop(running func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	var drain errgroup.Group
	for _, l := range []listener{s.public, s.admin, s.gateway} {
		drain.Go(func() error { return l.close(ctx) })
	}
	errs := []error{drain.Wait(), s.callers.close(ctx)}
	if s.pushes != nil {
		s.waitForPushes(ctx)
	}
	if s.release != nil {
		s.release.Close(ctx)
	}
	if s.jobs != nil {
		s.jobs.Close()
	}
	if s.keeper != nil {
		errs = append(errs, s.keeper.Close(ctx))
	}
	errs = append(errs, running())
	if s.timeline != nil {
		errs = append(errs, s.timeline.Close(ctx))
	}
	if s.spill != nil {
		errs = append(errs, s.spill.Close())
	}
	if s.storage != nil {
		errs = append(errs, s.storage.Close())
	}
	return errors.Join(errs...)
}

// followKeys takes over the root keys that other processes make.
func (s *Server) followKeys(ctx context.Context) {
	tick := time.NewTicker(seal.RefreshInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.storage.Ring.Refresh(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("the key ring cannot be read anew", "error", err)
			}
		}
	}
}

// rekey seals everything under a new root key.
func (s *Server) rekey(ctx context.Context, progress func(done, total int64)) error {
	cfg := seal.RekeyConfig{Progress: func(r seal.Report) { progress(int64(r.Looked), 0) }}
	if !s.storage.Shared {
		cfg.Grace = -1 // there is nobody to wait for
	}
	report, err := s.storage.Ring.Rekey(ctx, s.storage.Archive, cfg)
	if errors.Is(err, seal.ErrIncomplete) {
		s.log.Error("records that do not open keep the old keys in use", "records", report.Failed)
	}
	return err
}

// waitForPushes waits until no push is worked on, but not for a responder that does
// not stop when it should.
func (s *Server) waitForPushes(ctx context.Context) {
	done := make(chan struct{})
	go func() { s.pushes.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		s.log.Error("a responder does not stop; leaving it behind")
	}
}

// close stops accepting and waits for requests under way until ctx ends.
func (l listener) close(ctx context.Context) error {
	if l.server != nil {
		if err := l.server.Shutdown(ctx); err != nil {
			return errors.Join(err, l.server.Close())
		}
	}
	if l.socket != nil {
		if err := l.socket.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}
