// Package archtest holds only tests. They read the source of the whole module
// and fail where it leaves the shape agreed on: which package may import which,
// who may see a secret in the clear, what the public API is, what the commands
// depend on. Each failure says why the rule exists.
package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/tuoguan/tuoguan"

// pkg is one directory of Go files: production sources and tests apart.
type pkg struct {
	path    string // below the module; "" is the root
	files   []*ast.File
	tests   []*ast.File
	imports []string // of files, sorted, each once
	fset    *token.FileSet
}

// tree returns every package of the module, parsed once for all tests.
func tree(t *testing.T) []*pkg {
	t.Helper()
	packages, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

var parse = sync.OnceValues(func() ([]*pkg, error) {
	fset := token.NewFileSet()
	found := make(map[string]*pkg)
	err := walk(func(path string) error {
		if filepath.Ext(path) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(fset, filepath.Join(top, path), nil, parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		if dir == "." {
			dir = root
		}
		p := found[dir]
		if p == nil {
			p = &pkg{path: dir, fset: fset}
			found[dir] = p
		}
		if strings.HasSuffix(path, "_test.go") {
			p.tests = append(p.tests, file)
			return nil
		}
		p.files = append(p.files, file)
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			p.imports = append(p.imports, imported)
		}
		return nil
	})
	packages := make([]*pkg, 0, len(found))
	for _, path := range slices.Sorted(maps.Keys(found)) {
		p := found[path]
		slices.Sort(p.imports)
		p.imports = slices.Compact(p.imports)
		packages = append(packages, p)
	}
	return packages, err
})

// top is the root of the repository, seen from here.
const top = "../.."

// walk calls f for every file of this module that people write, with its path
// below the root. Other modules, test data and what is built are left out.
func walk(f func(path string) error) error {
	return filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		if !d.IsDir() {
			if !d.Type().IsRegular() {
				return nil
			}
			return f(relative)
		}
		switch d.Name() {
		case ".git", "bin", "var", "node_modules", "testdata":
			return fs.SkipDir
		}
		if relative != "." {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return fs.SkipDir
			}
		}
		return nil
	})
}

// local returns the path below the module of an import of ours.
func local(imported string) (string, bool) {
	if imported == module {
		return root, true
	}
	return strings.CutPrefix(imported, module+"/")
}

// standard reports whether an import belongs to the standard library, whose
// first path element has no dot.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}
