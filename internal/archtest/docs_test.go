package archtest

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestDocumented demands that what users meet by name stands in the documents.
func TestDocumented(t *testing.T) {
	t.Parallel()
	for _, promise := range []struct {
		name    string
		in      string                // the package
		what    *regexp.Regexp        // string literals of the package that are such names
		where   func([]ast.Node) bool // by the nodes around the literal, innermost last
		as      string                // how it stands in the document
		inFiles []string
	}{
		{"routes", "internal/admin", regexp.MustCompile(`^/v1/\S+$`), anywhere, "%s`", []string{"docs/api.md"}},
		{"problem types", "internal/problem", regexp.MustCompile(`^[a-z-]+$`), firstArgumentOf("problem"), "## %s\n", []string{"docs/problems.md"}},
		{"configuration keys", "internal/config", regexp.MustCompile(`^[a-z_.]+$`), elementOf("settable"), "`%s`", []string{"docs/config.md"}},
		{"health problems", "keeper", regexp.MustCompile(`^[a-z_]+$`), valueOf("Code"), "`%s`", []string{"docs/guide/operate.md", "docs/guide/operate.zh-CN.md"}},
		{"counters", "internal/obs", regexp.MustCompile(`^[a-z_]+$`), firstArgumentOf("counter"), "`tuoguan_%s`", []string{"docs/metrics.md"}},
		{"histograms", "internal/obs", regexp.MustCompile(`^[a-z_]+$`), firstArgumentOf("seconds"), "`tuoguan_%s`", []string{"docs/metrics.md"}},
		{"gauges", "internal/obs", regexp.MustCompile(`^tuoguan_[a-z]+[a-z_]*[a-z]$`), anywhere, "`%s`", []string{"docs/metrics.md"}},
	} {
		t.Run(promise.name, func(t *testing.T) {
			t.Parallel()
			names := literals(t, promise.in, promise.what, promise.where)
			if len(names) == 0 {
				t.Fatalf("no %s found in %q; they have moved, and this test has to follow", promise.name, promise.in)
			}
			for _, file := range promise.inFiles {
				text, err := os.ReadFile(filepath.Join(top, file))
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range names {
					if !strings.Contains(string(text), strings.Replace(promise.as, "%s", name, 1)) {
						t.Errorf("%s does not mention %q", file, name)
					}
				}
			}
		})
	}
}

// literals returns the string literals of a package that match, where they stand
// in the right place.
func literals(t *testing.T, path string, what *regexp.Regexp, where func([]ast.Node) bool) []string {
	var names []string
	for _, p := range tree(t) {
		if p.path != path {
			continue
		}
		for _, file := range p.files {
			var around []ast.Node
			ast.Inspect(file, func(n ast.Node) bool {
				if n == nil {
					around = around[:len(around)-1]
					return true
				}
				around = append(around, n)
				if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING && where(around) {
					if text, err := strconv.Unquote(literal.Value); err == nil && what.MatchString(text) {
						names = append(names, text)
					}
				}
				return true
			})
		}
	}
	return names
}

func anywhere([]ast.Node) bool { return true }

func firstArgumentOf(function string) func([]ast.Node) bool {
	return func(around []ast.Node) bool {
		call, ok := around[len(around)-2].(*ast.CallExpr)
		if !ok || len(call.Args) == 0 || call.Args[0] != around[len(around)-1] {
			return false
		}
		name, ok := call.Fun.(*ast.Ident)
		return ok && name.Name == function
	}
}

func elementOf(variable string) func([]ast.Node) bool {
	return func(around []ast.Node) bool {
		if len(around) < 3 {
			return false
		}
		spec, ok := around[len(around)-3].(*ast.ValueSpec)
		return ok && spec.Names[0].Name == variable
	}
}

func valueOf(field string) func([]ast.Node) bool {
	return func(around []ast.Node) bool {
		pair, ok := around[len(around)-2].(*ast.KeyValueExpr)
		if !ok || pair.Value != around[len(around)-1] {
			return false
		}
		key, ok := pair.Key.(*ast.Ident)
		return ok && key.Name == field
	}
}
