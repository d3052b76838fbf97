package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/admin"
	"github.com/tuoguan/tuoguan/internal/authorize"
	"github.com/tuoguan/tuoguan/internal/doctor"
	"github.com/tuoguan/tuoguan/internal/jobs"
	"github.com/tuoguan/tuoguan/internal/releasecheck"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/push"
)

// handlers makes what the public and the admin listener serve; what the gateway's does
// is there already.
func (s *Server) handlers(o Options) (public, private http.Handler, err error) {
	responder := o.Responder
	if responder == nil {
		responder = s.told.responder
	}
	s.release = releasecheck.New(releasecheck.Config{
		Keeper: s.keeper, WeChat: s.keeper.API(), Next: responder, Logger: s.log,
	})
	s.pushes, err = push.NewHandler(push.Config{
		Components: s.keeper, Sink: s.keeper, Accounts: accounts{s.keeper}, Responder: s.release,
		Clock: s.clock, Logger: s.log, Observe: s.observePush,
	})
	if err != nil {
		return nil, nil, err
	}
	links, err := authorize.New(authorize.Config{
		Store: s.store, Keeper: s.keeper, WeChat: s.keeper.API(),
		BaseURL: s.config.Public.BaseURL, Clock: s.clock, Logger: s.log,
	})
	if err != nil {
		return nil, nil, err
	}
	operators, err := s.newOperators(o.Simulator != nil)
	if err != nil {
		return nil, nil, err
	}
	pages, err := s.newConsole()
	if err != nil {
		return nil, nil, err
	}
	inside := doctor.Inside{Config: s.config, Store: s.store, Shared: s.storage.Shared, Problems: s.problems}
	s.jobs = jobs.New(map[string]jobs.Work{"rekey": s.rekey}, s.clock, s.log)
	api, err := admin.New(admin.Config{
		Keeper: s.keeper, Store: s.store, Links: links, Problems: s.problems, Jobs: s.jobs, Metrics: s.metrics.Handler(),
		Access: s.callers.keys, Directory: s.callers.directory, Audit: s.callers.audit, OAuth: s.callers.oauth, Gateway: s.callers.gateway, Values: s.store,
		Subscriptions: s.told.set, Delivery: s.told.dispatcher, Matching: s.told.matching, CheckURL: s.told.guard.CheckURL,
		Operators: operators, Console: pages, ConsoleTOTP: s.config.Console.TOTP, Simulator: o.Simulator, WeChat: s.keeper.API(), Doctor: inside.Examine, Replica: s.holder, Insight: s.insight,
		Clock: s.clock, Logger: s.log, PublicURL: s.config.Public.BaseURL,
	})
	if err != nil {
		return nil, nil, err
	}
	s.metrics.Watch(s.snapshot)

	mux := http.NewServeMux()
	mux.Handle("/wx/", s.pushes) // refuses what is not a push, all in the same way
	links.Register(mux)
	s.callers.oauth.Register(mux)
	return s.guard("public", s.metrics.Count("public", exactPaths(mux))), s.guard("admin", s.metrics.Count("admin", api.Handler())), nil
}

// exactPaths answers 404 where the mux would redirect to a tidier path: nothing of
// ours is reached through one, and WeChat follows no redirects.
func exactPaths(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tidy := path.Clean(r.URL.Path)
		if strings.HasSuffix(r.URL.Path, "/") && tidy != "/" {
			tidy += "/"
		}
		if tidy != r.URL.Path {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// guard outlives a panic in a request. What was thrown may quote a secret, so only its
// type is logged.
func (s *Server) guard(listener string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch thrown := recover(); thrown {
			case nil:
			case http.ErrAbortHandler:
				panic(thrown)
			default:
				s.log.ErrorContext(r.Context(), "panic", "listener", listener, "route", r.Pattern, "type", fmt.Sprintf("%T", thrown), "stack", string(debug.Stack()))
				http.Error(w, "internal error", http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// publicServer bounds every phase of a request from the internet. WeChat gives up
// after five seconds; a merchant who comes back waits a little longer.
func (s *Server) publicServer(handler http.Handler) *http.Server {
	server := s.newServer(handler)
	server.ReadHeaderTimeout = 2 * time.Second
	server.ReadTimeout = 4 * time.Second
	server.WriteTimeout = 20 * time.Second
	server.IdleTimeout = 75 * time.Second
	server.MaxHeaderBytes = 16 << 10
	return server
}

// adminServer leaves room for a caller who waits for a refresh: when the time to read is
// over, so is the request, even if there was nothing more to read.
func (s *Server) adminServer(handler http.Handler) *http.Server {
	server := s.newServer(handler)
	server.ReadHeaderTimeout = 5 * time.Second
	server.ReadTimeout = 40 * time.Second
	server.WriteTimeout = 45 * time.Second
	server.IdleTimeout = 120 * time.Second
	server.MaxHeaderBytes = 32 << 10
	return server
}

// gatewayServer lets bodies take their time, as long as they move: the gateway itself
// puts the deadlines off, and net/http renews them for the next request.
func (s *Server) gatewayServer(handler http.Handler) *http.Server {
	server := s.newServer(handler)
	server.ReadHeaderTimeout = 5 * time.Second
	server.WriteTimeout = 3 * time.Minute
	server.IdleTimeout = 120 * time.Second
	server.MaxHeaderBytes = 32 << 10
	return server
}

func (s *Server) newServer(handler http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:                      handler,
		Protocols:                    protocols,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// accounts knows WeChat's test accounts besides those that have authorized.
type accounts struct{ *keeper.Keeper }

// UserName returns the original id of an account.
func (a accounts) UserName(ctx context.Context, authorization tuoguan.Authorization) (string, bool) {
	if name, ok := releasecheck.UserName(authorization.Authorizer); ok {
		return name, true
	}
	return a.Keeper.UserName(ctx, authorization)
}
