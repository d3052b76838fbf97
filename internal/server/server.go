// Package server puts everything together: storage, keeper, intake of pushes,
// authorization pages, REST API, release check. It is the one place that does.
package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/admin"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/internal/releasecheck"
	"github.com/tuoguan/tuoguan/internal/seal"
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
	// HTTPClient calls WeChat. Defaults to one made for it.
	HTTPClient *http.Client

	// PublicListener and AdminListener are served in place of the addresses in
	// Config, if they are given. The server closes them.
	PublicListener, AdminListener net.Listener
}

// Server holds its storage and its listeners from [New] on, until [Server.Run]
// returns or [Server.Close] is called.
type Server struct {
	log    *slog.Logger
	clock  *tuoguan.Clock
	config config.Config

	store   store.Store
	lost    <-chan struct{} // closed when the disk no longer keeps what it is given
	keeper  *keeper.Keeper
	pushes  *push.Handler
	release *releasecheck.Responder
	metrics *obs.Metrics

	public, admin listener
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
	s := &Server{
		log: o.Logger, clock: o.Clock, config: o.Config, metrics: obs.NewMetrics(),
		public: listener{socket: o.PublicListener}, admin: listener{socket: o.AdminListener},
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
	if err := s.openStore(ctx); err != nil {
		return err
	}
	var err error
	s.keeper, err = keeper.New(keeper.Config{
		Store: s.store,
		API: wxapi.Config{
			BaseURLs:    o.Config.WeChat.APIBaseURLs,
			MPBaseURL:   o.Config.WeChat.MPBaseURL,
			OpenBaseURL: o.Config.WeChat.OpenBaseURL,
			HTTPClient:  o.HTTPClient,
			Clock:       o.Clock,
			Logger:      o.Logger,
			Observe:     s.observeCall,
		},
		Clock:   o.Clock,
		Logger:  o.Logger,
		Observe: s.observeOperation,
	})
	if err != nil {
		return err
	}
	for _, component := range o.Config.Bootstrap.Components {
		if _, err := admin.PutComponent(ctx, s.keeper, component); err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
	}
	publicHandler, adminHandler, err := s.handlers(o.Responder)
	if err != nil {
		return err
	}
	s.public.server, s.admin.server = s.publicServer(publicHandler), s.adminServer(adminHandler)
	return errors.Join(s.public.listen(ctx, o.Config.Public.Listen), s.admin.listen(ctx, o.Config.Admin.Listen))
}

func (s *Server) openStore(ctx context.Context) error {
	// A new key would open nothing of an old database, and look as if it were the one.
	if _, err := os.Stat(s.config.MasterKeyFile); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(s.config.SQLitePath()); err == nil {
			return fmt.Errorf("the database %s exists, but its master key %s does not: put the key back from where you keep its copy; without it the database cannot be opened",
				s.config.SQLitePath(), s.config.MasterKeyFile)
		}
	}
	key, err := seal.LoadOrCreate(s.config.MasterKeyFile)
	if err != nil {
		return err
	}
	cipher, err := seal.New(key)
	if err != nil {
		return err
	}
	opened, err := sqlite.Open(ctx, sqlite.Config{Path: s.config.SQLitePath(), Cipher: cipher, Clock: s.clock, Logger: s.log})
	if err != nil {
		return err
	}
	s.store, s.lost = opened, opened.Lost()
	return nil
}

func (l *listener) listen(ctx context.Context, address string) error {
	if l.socket != nil {
		return nil
	}
	socket, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	l.socket = socket
	return err
}

// PublicAddr returns where the public listener is.
func (s *Server) PublicAddr() net.Addr { return s.public.socket.Addr() }

// AdminAddr returns where the admin listener is.
func (s *Server) AdminAddr() net.Addr { return s.admin.socket.Addr() }

// Keeper returns the keeper, which lives as long as the server.
func (s *Server) Keeper() *keeper.Keeper { return s.keeper }

// Run serves until ctx ends or something fails that the server cannot do without.
// Then it stops accepting, lets what is under way finish for up to ten seconds, and
// releases everything. It returns nil if all of that went well.
func (s *Server) Run(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	for _, l := range []listener{s.public, s.admin} {
		work.Go(func() error {
			if err := l.server.Serve(l.socket); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	work.Go(func() error { return s.keeper.Run(ctx) })
	work.Go(func() error {
		select {
		case <-s.lost:
			return sqlite.ErrSyncFailed // only a new process can tell what is on the disk
		case <-ctx.Done():
			return nil
		}
	})
	if s.config.Bootstrap.APIKey.IsZero() {
		s.log.Warn("there is no API key, so the REST API refuses everybody; set bootstrap.api_key_file")
	}
	s.log.Info("ready", "public_addr", s.PublicAddr().String(), "admin_addr", s.AdminAddr().String(), "base_url", s.config.Public.BaseURL, "version", obs.Version())

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
	for _, l := range []listener{s.public, s.admin} {
		drain.Go(func() error { return l.close(ctx) })
	}
	errs := []error{drain.Wait()}
	if s.pushes != nil {
		s.waitForPushes(ctx)
	}
	if s.release != nil {
		s.release.Close(ctx)
	}
	if s.keeper != nil {
		errs = append(errs, s.keeper.Close(ctx))
	}
	errs = append(errs, running())
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	return errors.Join(errs...)
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
