//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// verdict is what became of a bug.
type verdict string

const (
	caught   verdict = "caught"
	survived verdict = "SURVIVED" // the check does not notice it
	untried  verdict = "untried"  // a tool is missing that the check needs
	broken   verdict = "BROKEN"   // the bug or the check is no good
)

type result struct {
	bug     bug
	verdict verdict
	problem string // "" if it was caught
	seed    string // that the check printed
	took    time.Duration
}

// garden is where bugs are planted: a directory for overlays and test programs.
type garden struct {
	root     string // of the module
	dir      string
	parallel int
	verbose  bool
	tell     func(line string)

	mu       sync.Mutex
	programs map[string]*program  // without a bug, by what was built
	sound    map[check]*soundness // how checks do on the code as it is
}

func newGarden(root string, parallel int, tell func(string)) (*garden, error) {
	dir, err := os.MkdirTemp("", "planted")
	if err != nil {
		return nil, err
	}
	// What runs as another user must be able to come here.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	return &garden{
		root: root, dir: dir, parallel: max(parallel, 1), tell: tell,
		programs: make(map[string]*program), sound: make(map[check]*soundness),
	}, nil
}

func (g *garden) close() error { return os.RemoveAll(g.dir) }

// plant tries bugs, some at a time, and returns the results in their order.
func (g *garden) plant(ctx context.Context, bugs []bug) []result {
	results := make([]result, len(bugs))
	next := make(chan int)
	var work sync.WaitGroup
	for range g.parallel {
		work.Go(func() {
			for i := range next {
				began := time.Now()
				r := g.try(ctx, bugs[i], filepath.Join(g.dir, fmt.Sprintf("bug%d", i)))
				r.bug, r.took = bugs[i], time.Since(began)
				g.tell(fmt.Sprintf("%s  %s (%.1f s)", r.verdict, r.bug.name, r.took.Seconds()))
				results[i] = r
			}
		})
	}
	for i := range bugs {
		next <- i
	}
	close(next)
	work.Wait()
	return results
}

// try plants one bug.
func (g *garden) try(ctx context.Context, b bug, dir string) result {
	sound := g.soundnessOf(ctx, b.check)
	switch {
	case sound.verdict != "":
		return result{verdict: sound.verdict, problem: sound.problem}
	case bytes.Contains(sound.out, []byte(b.says)):
		return result{verdict: broken, problem: fmt.Sprintf("%s says %q without any bug", b.check, b.says)}
	}
	defer os.RemoveAll(dir)
	overlay, err := g.overlay(b, dir)
	root := g.root
	if err == nil && b.check.reads {
		root, err = g.copied(overlay, filepath.Join(dir, "module"))
	}
	if err != nil {
		return result{verdict: broken, problem: err.Error()}
	}
	program := filepath.Join(dir, "program")
	if err := g.build(ctx, b.check, program, overlay); err != nil {
		return result{verdict: broken, problem: "the code with the bug does not compile: " + err.Error()}
	}
	out, failed := g.perform(ctx, b.check, root, program, b.says)
	r := result{seed: seedIn(out)}
	switch {
	case ctx.Err() != nil:
		r.verdict, r.problem = broken, ctx.Err().Error()
	case !failed:
		r.verdict, r.problem = survived, fmt.Sprintf("%s passes, though %s does not hold any more", b.check, b.breaks)
	case !bytes.Contains(out, []byte(b.says)):
		r.verdict, r.problem = survived, fmt.Sprintf("%s fails, but does not say %q:\n%s", b.check, b.says, tail(out))
	default:
		r.verdict = caught
	}
	return r
}

// overlay writes the files of a bug, and the list by which the compiler finds them.
func (g *garden) overlay(b bug, dir string) (path string, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	changed := make(map[string]string) // by file
	for _, e := range b.edits {
		text, ok := changed[e.file]
		if !ok {
			content, err := os.ReadFile(filepath.Join(g.root, filepath.FromSlash(e.file)))
			if err != nil {
				return "", err
			}
			text = string(content)
		}
		if changed[e.file], err = e.apply(text); err != nil {
			return "", err
		}
	}
	list := replacements{Replace: make(map[string]string)}
	for file, text := range changed {
		copied := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			return "", err
		}
		list.Replace[filepath.Join(g.root, filepath.FromSlash(file))] = copied
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}

// replacements is what the compiler calls an overlay.
type replacements struct{ Replace map[string]string }

// copied copies the source of the module, as an overlay has it, and returns its root.
func (g *garden) copied(overlay, to string) (root string, err error) {
	text, err := os.ReadFile(overlay)
	if err != nil {
		return "", err
	}
	var list replacements
	if err := json.Unmarshal(text, &list); err != nil {
		return "", err
	}
	return to, filepath.WalkDir(g.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" && d.Name() != "go.mod" {
			return nil
		}
		relative, err := filepath.Rel(g.root, path)
		if err != nil {
			return err
		}
		if replaced, ok := list.Replace[path]; ok {
			path = replaced
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, relative)), 0o700); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, relative), content, 0o600)
	})
}

func (e edit) apply(text string) (string, error) {
	switch n := strings.Count(text, e.old); {
	case n != 1:
		return "", fmt.Errorf("%s has %d times, instead of once, the text %q", e.file, n, e.old)
	case e.old == e.new:
		return "", fmt.Errorf("%s: nothing changes in %q", e.file, e.old)
	}
	return strings.Replace(text, e.old, e.new, 1), nil
}
