//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// check is what runs for a bug and, once, without it: either tests, or a round of the
// proof with real processes.
type check struct {
	pkg string // "./store/sqlite"
	run string // as for go test -run
	env string // settings for the test, NAME=value, with spaces between
	// alone: the test starts no processes, so it can be ended as soon as it has said
	// what was waited for.
	alone bool
	// reads: the test reads the source, which no overlay changes for it. It is run where
	// there is a copy with the bug.
	reads bool

	round string // the name of one of the rounds
}

func (c check) String() string {
	if c.round != "" {
		return "the round " + c.round + " of real processes"
	}
	text := strings.TrimPrefix(c.pkg, "./") + " " + strings.NewReplacer("^", "", "$", "").Replace(c.run)
	if c.env != "" {
		text += " " + c.env
	}
	return text
}

// program is the name under which a program without a bug is kept, to be built once
// for all checks that need it.
func (c check) program() string {
	if c.round != "" {
		return "tuoguan"
	}
	return strings.NewReplacer("./", "", "/", "_", ".", "root").Replace(c.pkg) + ".test"
}

// patience is how long one run of a check may take.
const patience = 3 * time.Minute

// build compiles what a check runs, with an overlay if one is named: a test program,
// or the server.
func (g *garden) build(ctx context.Context, c check, to, overlay string) error {
	args := []string{"test", "-c"}
	of := c.pkg
	if c.round != "" {
		args, of = []string{"build", "-tags", "failpoint"}, "./cmd/tuoguan"
	}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	return g.compile(ctx, append(args, "-o", to, of)...)
}

func (g *garden) compile(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = g.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, tail(out))
	}
	return nil
}

// program is one without a bug.
type program struct {
	once sync.Once
	path string
	err  error
}

// without returns a program without a bug, built by the function if it is not there.
func (g *garden) without(name string, build func(path string) error) (path string, err error) {
	g.mu.Lock()
	p := g.programs[name]
	if p == nil {
		p = &program{path: filepath.Join(g.dir, name)}
		g.programs[name] = p
	}
	g.mu.Unlock()
	p.once.Do(func() { p.err = build(p.path) })
	return p.path, p.err
}

// perform runs a check with its program, in the module at root, and returns what that
// prints, and whether the check has failed.
func (g *garden) perform(ctx context.Context, c check, root, program, awaited string) (out []byte, failed bool) {
	ctx, cancel := context.WithTimeout(ctx, patience+10*time.Second)
	defer cancel()
	if c.round != "" {
		out, err := g.goThrough(ctx, c.round, program)
		return out, err != nil
	}
	cmd := exec.CommandContext(ctx, program, "-test.run", c.run, "-test.v", "-test.timeout", patience.String())
	cmd.Dir = filepath.Join(root, filepath.FromSlash(c.pkg))
	cmd.Env = append(os.Environ(), strings.Fields(c.env)...)
	cmd.WaitDelay = time.Second // a child that outlives it must not be waited for
	w := &watcher{awaited: []byte(awaited), found: func() {}}
	if c.alone && awaited != "" {
		w.found = cancel
	}
	cmd.Stdout, cmd.Stderr = w, w
	err := cmd.Run()
	if g.verbose {
		g.tell(w.out.String())
	}
	return w.out.Bytes(), err != nil
}

// watcher keeps what is written and tells when it has what is awaited.
type watcher struct {
	out     bytes.Buffer
	awaited []byte
	found   func()
}

func (w *watcher) Write(p []byte) (int, error) {
	from := max(w.out.Len()-len(w.awaited), 0)
	w.out.Write(p)
	if bytes.Contains(w.out.Bytes()[from:], w.awaited) {
		w.found()
	}
	return len(p), nil
}

// soundness is how a check does on the code as it is.
type soundness struct {
	once    sync.Once
	verdict verdict // "" if it passes
	problem string
	out     []byte
}

// soundnessOf runs a check without a bug, once.
func (g *garden) soundnessOf(ctx context.Context, c check) *soundness {
	g.mu.Lock()
	s := g.sound[c]
	if s == nil {
		s = new(soundness)
		g.sound[c] = s
	}
	g.mu.Unlock()
	s.once.Do(func() {
		path, err := g.without(c.program(), func(path string) error { return g.build(ctx, c, path, "") })
		if err != nil {
			s.verdict, s.problem = broken, err.Error()
			return
		}
		var failed bool
		s.out, failed = g.perform(ctx, c, g.root, path, "")
		switch has := func(text string) bool { return bytes.Contains(s.out, []byte(text)) }; {
		case failed:
			s.verdict, s.problem = broken, fmt.Sprintf("%s fails without any bug:\n%s", c, tail(s.out))
		case has("--- SKIP"):
			s.verdict, s.problem = untried, fmt.Sprintf("%s is skipped:\n%s", c, tail(s.out))
		case !has("--- PASS"):
			s.verdict, s.problem = broken, fmt.Sprintf("%s does not run anything", c)
		}
	})
	return s
}

// seedIn returns the first seed that was printed.
func seedIn(out []byte) string {
	m := regexp.MustCompile(`\bseeds?[ =]+(\d+)`).FindSubmatch(out)
	if m == nil {
		return ""
	}
	return string(m[1])
}

// tail returns what a reader needs of an output: what failed, as far as it fits.
func tail(out []byte) string {
	const most = 20
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) > most {
		telling := regexp.MustCompile(`_test\.go:\d+:|INV-|--- FAIL|--- SKIP|^panic|^\S+\.go:\d+`)
		lines = slices.DeleteFunc(lines, func(l string) bool { return !telling.MatchString(l) })
	}
	if len(lines) > most {
		lines = append(lines[:most:most], "…")
	}
	return strings.Join(lines, "\n")
}
