//go:build unix

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const top = "../../.."

// TestBugsCanBePlanted fails when somebody changes a text that a bug replaces: the bug
// has to be planted anew.
func TestBugsCanBePlanted(t *testing.T) {
	t.Parallel()
	all, names := bugs(), make(map[string]bool)
	if len(all) < 30 {
		t.Errorf("there are %d bugs, 30 are demanded", len(all))
	}
	g := &garden{root: top}
	for i, b := range all {
		if names[b.name] {
			t.Errorf("two bugs are called %q", b.name)
		}
		names[b.name] = true
		if _, err := g.overlay(b, filepath.Join(t.TempDir(), "bug")); err != nil {
			t.Errorf("bug %d, %q: %v", i, b.name, err)
		}
		if b.says == "" || !regexp.MustCompile(`^INV-\d+b?$`).MatchString(b.breaks) || len(b.edits) == 0 {
			t.Errorf("bug %d, %q, lacks something", i, b.name)
		}
		if b.check.round != "" {
			if _, known := rounds()[b.check.round]; !known {
				t.Errorf("bug %d, %q: there is no round %q", i, b.name, b.check.round)
			}
			continue
		}
		tests, err := filepath.Glob(filepath.Join(top, b.check.pkg, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(strings.Trim(b.check.run, "^$"), "$")
		found := false
		for _, file := range tests {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(text), "\nfunc "+name+"(")
		}
		if !found {
			t.Errorf("bug %d, %q: there is no test %s in %s", i, b.name, name, b.check.pkg)
		}
	}
}

// TestVerdicts plants bugs in a module of its own: one that is caught, and others with
// which something is wrong.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	module := t.TempDir()
	for file, text := range map[string]string{
		"go.mod": "module example.test/sum\n\ngo 1.26\n",
		"sum.go": "// Package sum adds.\npackage sum\n\nfunc add(a, b int) int { return a + b }\n\nfunc double(a int) int { return a + a }\n",
		"sum_test.go": `package sum

import "testing"

func TestAdd(t *testing.T) {
	t.Log("seed 17")
	if add(1, 2) != 3 {
		t.Error("the sum is wrong")
	}
	if add(0, 0) != 0 {
		t.Error("zero is wrong")
	}
}

func TestAlwaysFails(t *testing.T) { t.Error("the sum is wrong") }

func TestSkipped(t *testing.T) { t.Skip("a tool is missing") }

func TestTalks(t *testing.T) { t.Log("the sum is wrong") }
`,
	} {
		if err := os.WriteFile(filepath.Join(module, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	plant := func(test, file, old, new string) bug {
		return bug{
			name: test + " " + new, breaks: "INV-0", edits: []edit{{file, old, new}},
			check: check{pkg: ".", run: "^" + test + "$"}, says: "the sum is wrong",
		}
	}
	const file = "sum.go"
	tests := []struct {
		bug     bug
		want    verdict
		problem string
	}{
		{plant("TestAdd", file, "a + b", "a - b"), caught, ""},
		{plant("TestAdd", file, "a + a", "a - a"), survived, "passes"},
		{plant("TestAdd", file, "a + b", "a + b + 1 - (a+b+2)/(a+b+2)*min(1, a+b)"), survived, "fails, but does not say"},
		{plant("TestAdd", file, "a + b", `"a"`), broken, "does not compile"},
		{plant("TestAdd", file, "a * b", "a - b"), broken, "0 times"},
		{plant("TestAdd", file, "return", "// return"), broken, "2 times"},
		{plant("TestAdd", file, "a + b", "a + b"), broken, "nothing changes"},
		{plant("TestAdd", "absent.go", "a + b", "a - b"), broken, "no such file"},
		{plant("TestAlwaysFails", file, "a + b", "a - b"), broken, "fails without any bug"},
		{plant("TestSkipped", file, "a + b", "a - b"), untried, "a tool is missing"},
		{plant("TestNothing", file, "a + b", "a - b"), broken, "does not run anything"},
		{plant("TestTalks", file, "a + b", "a - b"), broken, "without any bug"},
	}
	g, err := newGarden(module, 2, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	var planted []bug
	for _, tt := range tests {
		planted = append(planted, tt.bug)
	}
	results := g.plant(t.Context(), planted)
	if err := g.close(); err != nil {
		t.Error(err)
	}
	for i, tt := range tests {
		if r := results[i]; r.verdict != tt.want || !strings.Contains(r.problem, tt.problem) || r.bug.name != tt.bug.name {
			t.Errorf("%s: %s: %s, want %s: %s", tt.bug.name, r.verdict, r.problem, tt.want, tt.problem)
		}
	}
	if results[0].seed != "17" {
		t.Errorf("the seed is %q", results[0].seed)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		results   []result
		demanding bool
		code      int
	}{
		"all caught":         {results: []result{{verdict: caught}, {verdict: caught}}},
		"one survives":       {results: []result{{verdict: caught}, {verdict: survived, problem: "passes"}}, code: 1},
		"one is broken":      {results: []result{{verdict: broken, problem: "does not compile"}}, code: 1},
		"untried":            {results: []result{{verdict: untried, problem: "no root"}}},
		"untried, demanding": {results: []result{{verdict: untried, problem: "no root"}}, demanding: true, code: 1},
	} {
		var out strings.Builder
		if code := report(&out, tt.results, 0, tt.demanding); code != tt.code {
			t.Errorf("%s: exit code %d:\n%s", name, code, out.String())
		}
		for _, r := range tt.results {
			if !strings.Contains(out.String(), r.problem) || !strings.Contains(out.String(), string(r.verdict)) {
				t.Errorf("%s: %q is not told:\n%s", name, r.problem, out.String())
			}
		}
	}
}
