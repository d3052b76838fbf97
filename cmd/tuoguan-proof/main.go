//go:build unix

// Command tuoguan-proof kills, freezes, cuts off and starves servers while merchants
// authorize, refresh and revoke at a simulated WeChat, and checks from the history of
// it all that no token was lost, and no push that was acknowledged.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan/internal/proof"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "tuoguan-proof:", err)
		stop()
		os.Exit(1)
	}
}

var errViolated = errors.New("the proof has failed")

// options are the flags.
type options struct {
	short, full, json, keep bool
	hours                   float64
	store, only, dir        string
	server, logLevel        string
	seed                    uint64
	workers                 int
}

func newCommand() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "tuoguan-proof",
		Short: "prove that no token and no push is lost, with real processes and real faults · 以真实进程与故障验证令牌与推送均不丢失",
		Long: `Run rounds of real servers on real databases against a simulated WeChat: kill -9 at
random moments and at named places of the code, power cuts, frozen processes, cut,
slow and half-open connections, full disks, wrong clocks, databases that are killed or
stand still, subscribers that are killed, hang, redirect and lie.
Everything goes into one history per round, which a checker judges.

The exit code is 0 only if nothing was violated. The history of a round with a
violation is kept, and its path printed.`,
		Example: `  tuoguan-proof --short
  tuoguan-proof --full --seed 7
  tuoguan-proof --hours 8 --store sqlite`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(c *cobra.Command, _ []string) error { return run(c.Context(), o) },
	}
	f := c.Flags()
	f.BoolVar(&o.short, "short", false, "minutes: what runs at every change (the default)")
	f.BoolVar(&o.full, "full", false, "hours: what is published")
	f.Float64Var(&o.hours, "hours", 0, "go on with ever other seeds for so long")
	f.StringVar(&o.store, "store", "all", "sqlite, postgres, mysql, several of them apart by commas, or all")
	f.StringVar(&o.only, "only", "", "only rounds whose name contains this")
	f.Uint64Var(&o.seed, "seed", 1, "decides what happens when; what the kernel does with it is its own affair")
	f.StringVar(&o.dir, "dir", "", "where the rounds are kept (default: a new directory)")
	f.StringVar(&o.server, "server", "", "the program tuoguan, built with -tags failpoint (default: it is built here)")
	f.StringVar(&o.logLevel, "log-level", "info", "of the servers")
	f.IntVar(&o.workers, "workers", 2, "rounds at a time")
	f.BoolVar(&o.keep, "keep", false, "keep all histories")
	f.BoolVar(&o.json, "json", false, "print the report as JSON")
	c.MarkFlagsMutuallyExclusive("short", "full", "hours")
	return c
}

func (o options) plan() proof.Plan {
	switch {
	case o.full:
		return proof.Full
	case o.hours > 0:
		return proof.Endless
	}
	return proof.Short
}

func run(ctx context.Context, o options) (err error) {
	began := time.Now()
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "tuoguan-proof-"); err != nil {
			return err
		}
		// A database runs as another user, who must be able to come here.
		if err := os.Chmod(o.dir, 0o755); err != nil {
			return err
		}
	} else if o.dir, err = filepath.Abs(o.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	if o.server == "" {
		if o.server, err = build(ctx, o.dir); err != nil {
			return err
		}
	} else if o.server, err = filepath.Abs(o.server); err != nil {
		return err
	}
	stores := []string{proof.SQLite, proof.Postgres, proof.MySQL}
	if o.store != "all" {
		stores = strings.Split(o.store, ",")
	}
	report := &proof.Report{Plan: o.plan(), Seed: o.seed, Commit: proof.Commit(ctx), Machine: proof.ThisMachine(), Began: began}
	p := &proving{options: o, report: report, available: make(map[string]error)}
	for cycle := 0; ; cycle++ {
		rounds := slices.DeleteFunc(o.plan().Rounds(stores, o.seed, cycle), func(r proof.Round) bool { return !strings.Contains(r.Name, o.only) })
		if len(rounds) == 0 {
			return fmt.Errorf("no round has %q in its name", o.only)
		}
		p.all(ctx, rounds, cycle)
		if o.plan() != proof.Endless || time.Since(began) > time.Duration(o.hours*float64(time.Hour)) || p.err != nil || ctx.Err() != nil {
			break
		}
	}
	report.Took = time.Since(began)
	return errors.Join(p.finish(), p.err, ctx.Err())
}

// build builds the server with its marks for faults.
func build(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "tuoguan")
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "failpoint", "-o", program, "github.com/tuoguan/tuoguan/cmd/tuoguan")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the server (run this in the module, or name one with --server): %w\n%s", err, out)
	}
	return program, nil
}

// proving is one run of this command.
type proving struct {
	options options
	report  *proof.Report

	mu        sync.Mutex
	available map[string]error // by what a round needs
	err       error
}

// all does the rounds, several at a time.
func (p *proving) all(ctx context.Context, rounds []proof.Round, cycle int) {
	todo := make(chan proof.Round)
	var workers sync.WaitGroup
	for range p.options.workers {
		workers.Go(func() {
			for r := range todo {
				p.one(ctx, r, cycle)
			}
		})
	}
	for _, r := range rounds {
		if ctx.Err() != nil {
			break
		}
		if err := p.missing(ctx, r); err != nil {
			p.skip(r, err)
			continue
		}
		todo <- r
	}
	close(todo)
	workers.Wait()
}

// missing returns why a round cannot be done here. It finds out once for each kind.
func (p *proving) missing(ctx context.Context, r proof.Round) error {
	need := r.Needs()
	if err, known := p.available[need]; known {
		return err
	}
	err := r.Available(ctx)
	p.available[need] = err
	return err
}

func (p *proving) skip(r proof.Round, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := r.Name + ": " + err.Error()
	p.report.Skipped = append(p.report.Skipped, line)
	fmt.Fprintln(os.Stderr, "skipped", line)
	if os.Getenv("REQUIRE_STORES") == "1" && r.Store != proof.SQLite || os.Getenv("REQUIRE_TOOLS") == "1" {
		p.err = errors.Join(p.err, fmt.Errorf("%s may not be skipped: %w", r.Name, err))
	}
}

func (p *proving) one(ctx context.Context, r proof.Round, cycle int) {
	if cycle > 0 {
		r.Name += fmt.Sprintf("-cycle%d", cycle)
	}
	outcome, err := proof.Run(ctx, proof.Config{
		ServerBinary: p.options.server, Dir: p.options.dir, LogLevel: p.options.logLevel,
		Progress: func(line string) { fmt.Fprintln(os.Stderr, time.Now().Format(time.TimeOnly), line) },
	}, r)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.err = errors.Join(p.err, err)
		fmt.Fprintln(os.Stderr, "not done:", err)
		return
	}
	p.report.Add(outcome)
	fmt.Fprintf(os.Stderr, "%s %s: done in %v: %s\n", time.Now().Format(time.TimeOnly), r.Name, outcome.Took.Round(time.Second), outcome.Report.Summary())
	if len(outcome.Report.Violations) == 0 && !p.options.keep {
		if err := os.RemoveAll(filepath.Dir(outcome.History)); err != nil {
			p.err = errors.Join(p.err, err)
		}
	}
}

// finish writes the reports and says whether the proof has held.
func (p *proving) finish() error {
	var errs []error
	for name, write := range map[string]func(*os.File) error{
		"report.md":   func(f *os.File) error { return p.report.Markdown(f) },
		"report.json": func(f *os.File) error { return p.report.JSON(f) },
	} {
		f, err := os.Create(filepath.Join(p.options.dir, name))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, write(f), f.Close())
	}
	if p.options.json {
		errs = append(errs, p.report.JSON(os.Stdout))
	} else {
		errs = append(errs, p.report.Markdown(os.Stdout))
	}
	fmt.Fprintln(os.Stderr, "the reports are in", p.options.dir)
	if n := len(p.report.Total.Violations); n > 0 {
		errs = append(errs, fmt.Errorf("%w: %d violations", errViolated, n))
	}
	return errors.Join(errs...)
}
