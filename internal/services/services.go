// Package services runs the databases and brokers that tests and the proof need: real servers
// from installed packages, each on a port of the loopback interface and in a temporary
// directory of its own. They are as durable as they come; what makes them small is
// said here, and nothing that makes them fast by forgetting.
//
// A server does not outlive the process that started it, however that ends: a keeper
// beside it waits for the end of a pipe, kills the server and removes its directory.
package services

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// ErrMissing is matched by the error for a program that is not installed. The
// error names the Debian package that has it.
var ErrMissing = errors.New("services: a program is missing")

const (
	// startTries is how many ports are tried, for somebody else may take one first.
	startTries = 5
	// readyWithin is how long a server may take to recover and answer.
	readyWithin = 60 * time.Second
	// stopWithin is how long an orderly end may take before it is a kill.
	stopWithin = 20 * time.Second
	pollEvery  = 5 * time.Millisecond
)

// Options says how a server is run.
type Options struct {
	// Dir is where the server's directory is made. Servers refuse to run as root and
	// then run as nobody, who must be able to come here. Defaults to os.TempDir(), or /tmp if others may not come there.
	Dir string
	// Log gets what the server says. Defaults to a file in the server's directory.
	Log *os.File
	// Flags are added to the server's command line, after those that it has anyway.
	Flags []string
}

// Service is a server with its data. It is for one caller at a time.
type Service struct {
	engine engine
	dir    string
	log    *os.File
	flags  []string
	port   int
	server *process // nil while it does not run
	keeper *exec.Cmd
	pipe   io.Closer // the keeper waits for its end
}

// engine is what tells one kind of server from another.
type engine struct {
	name       string
	initialize func(ctx context.Context, s *Service) error // nil where nothing is to be done
	command    func(s *Service) (program string, args []string)
	env        func(s *Service) []string // besides what every command gets; nil: nothing
	quit       os.Signal                 // asks for an orderly end that does not wait for clients
	ready      func(ctx context.Context, s *Service) error
	client     func(s *Service, database, statement string) (program string, args []string) // nil of a broker
	url        func(s *Service, database string) string
}

// sharedTempDir is a directory for temporary files that every user can come to.
func sharedTempDir() string {
	dir := os.TempDir()
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return "/tmp"
		}
		if at == filepath.Dir(at) {
			return dir
		}
	}
}

// start makes a server and waits until it answers.
func start(ctx context.Context, e engine, o Options) (*Service, error) {
	if o.Dir == "" {
		o.Dir = sharedTempDir()
	}
	dir, err := os.MkdirTemp(o.Dir, "tuoguan-"+e.name+"-")
	if err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	s := &Service{engine: e, dir: dir, log: o.Log, flags: o.Flags}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("services: start %s: %w", e.name, err), s.Stop())
	}
	for range startTries {
		if s.port, err = freePort(); err != nil {
			break
		}
		if err = s.run(ctx); err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(fmt.Errorf("services: start %s: %w%s", e.name, err, s.tail()), s.Stop())
}

// prepare makes everything that is there before the server runs.
func (s *Service) prepare(ctx context.Context) error {
	if s.log == nil {
		log, err := os.Create(s.path("log"))
		if err != nil {
			return err
		}
		s.log = log
	}
	if err := s.startKeeper(); err != nil {
		return err
	}
	if err := own(s.dir); err != nil {
		return err
	}
	if s.engine.initialize == nil {
		return nil
	}
	return s.engine.initialize(ctx, s)
}

// keeperScript ends the server and removes its directory once nothing can be read
// any more: the pipe was closed, or the process that had it is gone. Removing is
// tried again, because what the server has left behind may still be writing.
const keeperScript = `read -r _
if [ -s "$1/pid" ]; then kill -s KILL -- "-$(cat "$1/pid")"; fi
for wait in 0 0.1 0.5 2; do sleep $wait; rm -rf -- "$1" && break; done`

func (s *Service) startKeeper() error {
	s.keeper = exec.CommandContext(context.Background(), "/bin/sh", "-c", keeperScript, "sh", s.dir)
	isolate(s.keeper) // an interrupt from the terminal is not for it
	pipe, err := s.keeper.StdinPipe()
	if err != nil {
		return err
	}
	s.pipe = pipe
	return s.keeper.Start()
}

func (s *Service) path(name string) string { return filepath.Join(s.dir, name) }

// freePort finds a port of the loopback interface that is free at the moment.
func freePort() (int, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// Addr is where the server listens.
func (s *Service) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL names one of the server's databases.
func (s *Service) URL(database string) string { return s.engine.url(s, database) }

// Exec runs a statement by the server's own client program and returns what that
// prints: rows in lines, columns separated by tabs. A broker executes nothing.
func (s *Service) Exec(ctx context.Context, database, statement string) (string, error) {
	if s.engine.client == nil {
		return "", fmt.Errorf("services: %s has no statements: %w", s.engine.name, errors.ErrUnsupported)
	}
	program, args := s.engine.client(s, database, statement)
	cmd := exec.CommandContext(ctx, program, args...)
	var out, mistakes bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &mistakes
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("services: %s: %w: %s", s.engine.name, err, bytes.TrimSpace(mistakes.Bytes()))
	}
	return out.String(), nil
}

// CreateDatabase makes an empty database. The name is used as it is.
func (s *Service) CreateDatabase(ctx context.Context, name string) error {
	_, err := s.Exec(ctx, "", "CREATE DATABASE "+name)
	return err
}

// run starts the server on its port and waits until it answers.
func (s *Service) run(ctx context.Context) error {
	program, args := s.engine.command(s)
	cmd := s.cmd(context.WithoutCancel(ctx), program, append(args, s.flags...)...)
	if s.engine.env != nil {
		cmd.Env = append(cmd.Env, s.engine.env(s)...)
	}
	server, err := startProcess(cmd)
	if err != nil {
		return err
	}
	s.server = server
	if err := os.WriteFile(s.path("pid"), []byte(strconv.Itoa(server.pid)), 0o600); err != nil {
		return errors.Join(err, s.Kill())
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		err := s.engine.ready(ctx, s)
		if err == nil {
			return nil
		}
		if server.exited() {
			s.server = nil
			return errors.Join(errors.New("it has ended by itself"), os.Remove(s.path("pid")))
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err, s.Kill())
		case <-time.After(pollEvery):
		}
	}
}

// cmd is a command in the server's directory, under the server's user.
func (s *Service) cmd(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, s.log, s.log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + s.dir, "LC_ALL=C"}
	isolate(cmd)
	demote(cmd)
	return cmd
}

// Kill ends the server without a warning, as a crash of the process would.
func (s *Service) Kill() error {
	if s.server == nil {
		return nil
	}
	err := s.server.kill()
	s.server = nil
	return errors.Join(err, os.Remove(s.path("pid")))
}

// Restart ends the server, in an orderly way if it still runs, and starts it anew
// with the same data on the same port. It waits until the server answers.
func (s *Service) Restart(ctx context.Context) error {
	if err := s.end(); err != nil {
		return err
	}
	for range startTries {
		// What a killed server leaves behind may still hold its memory or its port.
		err := s.run(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("services: restart %s: %w", s.engine.name, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
	return fmt.Errorf("services: %s does not start again%s", s.engine.name, s.tail())
}

// end asks the server to end, and makes it end if it does not.
func (s *Service) end() error {
	if s.server == nil {
		return nil
	}
	if err := s.server.signal(s.engine.quit); err != nil {
		return errors.Join(err, s.Kill())
	}
	for begun := time.Now(); !s.server.exited(); time.Sleep(pollEvery) {
		if time.Since(begun) > stopWithin {
			return s.Kill()
		}
	}
	s.server = nil
	return os.Remove(s.path("pid"))
}

// Pause stops the server where it is, without closing a connection.
func (s *Service) Pause() error {
	if s.server == nil {
		return fmt.Errorf("services: %s does not run", s.engine.name)
	}
	return s.server.pause()
}

// Continue ends a pause.
func (s *Service) Continue() error {
	if s.server == nil {
		return fmt.Errorf("services: %s does not run", s.engine.name)
	}
	return s.server.resume()
}

// Stop ends the server for good and removes its data.
func (s *Service) Stop() error {
	err := s.end()
	if s.keeper == nil || s.keeper.Process == nil {
		return errors.Join(err, os.RemoveAll(s.dir))
	}
	return errors.Join(err, s.pipe.Close(), s.keeper.Wait())
}

// tail is the end of what the server said, to be shown when it did not start.
func (s *Service) tail() string {
	said, err := os.ReadFile(s.log.Name())
	if err != nil || len(said) == 0 {
		return ""
	}
	return ":\n" + string(said[max(0, len(said)-2000):])
}

// find looks for a program where it may be installed.
func find(program, debian string, patterns ...string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	return findIn(program, debian, patterns...)
}

// findIn looks for a program where it may be installed, and nowhere else.
func findIn(program, debian string, patterns ...string) (string, error) {
	newest := ""
	for _, pattern := range patterns {
		matches, _ := filepath.Glob(filepath.Join(pattern, program))
		for _, path := range matches {
			if len(path) > len(newest) || len(path) == len(newest) && path > newest {
				newest = path // 15 after 9.6, as the number of a version is written
			}
		}
	}
	if newest == "" {
		return "", fmt.Errorf("%w: %s (Debian: apt-get install %s)", ErrMissing, program, debian)
	}
	return newest, nil
}

// findAll looks for several programs of a package.
func findAll(debian string, patterns []string, programs ...string) (map[string]string, error) {
	found := make(map[string]string)
	var errs []error
	for _, program := range programs {
		path, err := find(program, debian, patterns...)
		found[program] = path
		errs = append(errs, err)
	}
	return found, errors.Join(errs...)
}

// setup runs a program that prepares the data.
func (s *Service) setup(ctx context.Context, program string, args ...string) error {
	if err := s.cmd(ctx, program, args...).Run(); err != nil {
		return fmt.Errorf("%s: %w%s", filepath.Base(program), err, s.tail())
	}
	return nil
}
