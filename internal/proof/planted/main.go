//go:build unix

// Command planted proves that the proof can fail. It puts one known bug at a time
// into the code, as a compiler overlay, so that no file changes, and demands that a
// check finds it: the check must pass on the code as it is, and fail on the code with
// the bug, for the reason meant. A check that a bug survives proves nothing about
// that bug's invariant.
//
// It is run with make planted, from anywhere in the module. Its exit status is 0 if
// every bug was caught.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("planted", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("run", "", "plant only the bugs whose names match this `expression`")
	parallel := flags.Int("parallel", 2, "how many `bugs` are tried at once")
	list := flags.Bool("list", false, "list the bugs and end")
	verbose := flags.Bool("v", false, "show what the checks print")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	chosen, err := choose(bugs(), *only)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return 2
	}
	if *list {
		for _, b := range chosen {
			_, _ = fmt.Fprintf(stdout, "%-7s %s\n", b.breaks, b.name)
		}
		return 0
	}
	began := time.Now()
	root, err := moduleRoot(ctx)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return 2
	}
	g, err := newGarden(root, *parallel, func(line string) { _, _ = fmt.Fprintln(stderr, line) })
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return 2
	}
	g.verbose = *verbose
	results := g.plant(ctx, chosen)
	if err := g.close(); err != nil {
		_, _ = fmt.Fprintln(stderr, err)
	}
	return report(stdout, results, time.Since(began), os.Getenv("REQUIRE_TOOLS") == "1")
}

// moduleRoot returns the directory of the module at hand.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if filepath.Base(file) != "go.mod" {
		return "", errors.New("this is not within the module")
	}
	return filepath.Dir(file), nil
}

// choose returns the bugs whose names match an expression.
func choose(all []bug, expression string) (chosen []bug, err error) {
	e, err := regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		if e.MatchString(b.name) {
			chosen = append(chosen, b)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no bug is called like %q", expression)
	}
	return chosen, nil
}

// report prints the table and returns the exit status. Bugs that could not be tried
// for want of a tool count as failures where tools are demanded.
func report(w io.Writer, results []result, took time.Duration, demanding bool) int {
	count := make(map[verdict]int)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "BUG\tBREAKS\tVERDICT\tBY\tSECONDS\tSEED")
	for _, r := range results {
		count[r.verdict]++
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%.1f\t%s\n", r.bug.name, r.bug.breaks, r.verdict, r.bug.check, r.took.Seconds(), r.seed)
	}
	_ = table.Flush()
	for _, r := range results {
		if r.problem != "" {
			_, _ = fmt.Fprintf(w, "\n%s: %s: %s\n", r.verdict, r.bug.name, r.problem)
		}
	}
	_, _ = fmt.Fprintf(w, "\n%d planted bugs, %d caught", len(results), count[caught])
	for _, v := range []verdict{survived, untried, broken} {
		if count[v] > 0 {
			_, _ = fmt.Fprintf(w, ", %d %s", count[v], v)
		}
	}
	_, _ = fmt.Fprintf(w, ", in %v\n", took.Round(time.Second))
	if count[survived]+count[broken] > 0 || demanding && count[untried] > 0 {
		return 1
	}
	return 0
}
