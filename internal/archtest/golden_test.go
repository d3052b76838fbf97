package archtest

import (
	"bytes"
	"errors"
	"flag"
	"go/ast"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestAPI compares what every public package exports with testdata/api, so that
// a review sees each change of a promise to those who import us.
func TestAPI(t *testing.T) {
	t.Parallel()
	var want []string
	for _, p := range tree(t) {
		if len(p.files) == 0 || strings.HasPrefix(p.path, "internal/") || p.files[0].Name.Name == "main" {
			continue
		}
		name := "tuoguan.txt"
		if p.path != root {
			name = strings.ReplaceAll(p.path, "/", "_") + ".txt"
		}
		want = append(want, name)
		golden(t, filepath.Join("testdata", "api", name), exported(t, p))
	}
	only(t, filepath.Join("testdata", "api"), want)
}

// exported prints the exported declarations of a package, sorted, without
// bodies and comments.
func exported(t *testing.T, p *pkg) string {
	var lines []string
	add := func(n any) {
		var b bytes.Buffer
		if err := printer.Fprint(&b, token.NewFileSet(), n); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, b.String())
	}
	for _, file := range p.files {
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && (d.Recv == nil || exportedReceiver(d.Recv)) {
					add(&ast.FuncDecl{Recv: d.Recv, Name: d.Name, Type: d.Type})
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if n := exportedSpec(d.Tok, s); n != nil {
						add(&ast.GenDecl{Tok: d.Tok, Specs: []ast.Spec{n}})
					}
				}
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

func exportedReceiver(r *ast.FieldList) bool {
	name := base(r.List[0].Type)
	return name != nil && name.IsExported()
}

// exportedSpec returns a copy of a declaration with only what is exported, or
// nil. Constants keep their values, which are promises; variables do not.
func exportedSpec(tok token.Token, s ast.Spec) ast.Spec {
	switch s := s.(type) {
	case *ast.ValueSpec:
		out := &ast.ValueSpec{Type: s.Type}
		for i, name := range s.Names {
			if !name.IsExported() {
				continue
			}
			out.Names = append(out.Names, name)
			if tok == token.CONST && i < len(s.Values) {
				out.Values = append(out.Values, s.Values[i])
			}
		}
		if len(out.Names) > 0 {
			return out
		}
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			return &ast.TypeSpec{Name: s.Name, TypeParams: s.TypeParams, Assign: s.Assign, Type: exportedType(s.Type)}
		}
	}
	return nil
}

func exportedType(e ast.Expr) ast.Expr {
	var fields *ast.FieldList
	switch x := e.(type) {
	case *ast.StructType:
		fields = x.Fields
	case *ast.InterfaceType:
		fields = x.Methods
	default:
		return e
	}
	kept := &ast.FieldList{}
	for _, f := range fields.List {
		var names []*ast.Ident
		for _, name := range f.Names {
			if name.IsExported() {
				names = append(names, name)
			}
		}
		if len(names) > 0 || len(f.Names) == 0 {
			kept.List = append(kept.List, &ast.Field{Names: names, Type: f.Type, Tag: f.Tag})
		}
	}
	if _, ok := e.(*ast.StructType); ok {
		return &ast.StructType{Fields: kept}
	}
	return &ast.InterfaceType{Methods: kept}
}

// TestCommandDependencies compares the modules linked into each command with
// testdata/deps: nobody's supply chain grows without a line in a review.
func TestCommandDependencies(t *testing.T) {
	t.Parallel()
	var want []string
	for _, p := range tree(t) {
		if !strings.HasPrefix(p.path, "cmd/") {
			continue
		}
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./"+p.path)
		list.Dir = top
		list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
		output, err := list.Output()
		if err != nil {
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				t.Fatalf("%v: %v\n%s", list, err, exit.Stderr)
			}
			t.Fatalf("%v: %v", list, err)
		}
		modules := strings.Fields(string(output))
		slices.Sort(modules)
		name := filepath.Base(p.path) + ".txt"
		want = append(want, name)
		golden(t, filepath.Join("testdata", "deps", name), strings.Join(slices.Compact(modules), "\n")+"\n")
	}
	only(t, filepath.Join("testdata", "deps"), want)
}

// golden compares got with a file, or rewrites the file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is out of date; if the change is meant, run: make generate\n%s", path, difference(string(want), got))
	}
}

// difference lists the lines that only one of two texts has. The golden files are
// sorted, so that their order says nothing.
func difference(want, got string) string {
	var lines []string
	only := func(mark, some, others string) {
		have := strings.Split(others, "\n")
		for line := range strings.SplitSeq(some, "\n") {
			if !slices.Contains(have, line) {
				lines = append(lines, mark+line)
			}
		}
	}
	only("-", want, got)
	only("+", got, want)
	return strings.Join(lines, "\n")
}

// only demands that a directory holds the named files and no others.
func only(t *testing.T, dir string, want []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if slices.Contains(want, e.Name()) {
			continue
		}
		stale := filepath.Join(dir, e.Name())
		if !*update {
			t.Errorf("%s belongs to nothing any more; run: make generate", stale)
		} else if err := os.Remove(stale); err != nil {
			t.Fatal(err)
		}
	}
}
