package archtest

import (
	"bytes"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// revealers are the packages that may take a Secret out of its wrapper.
var revealers = map[string]string{
	root:                        "defines it",
	"wxapi":                     "writes tokens and secrets into requests to WeChat",
	"client":                    "sends the API key, and tokens that were refused, to the server",
	"keeper":                    "seals secrets for the store and hashes codes into record keys",
	"store/storetest":           "compares what a store returns with what it was given",
	"internal/sqlstore":         "hands secrets to the cipher that seals them",
	"internal/sqlpool/pooltest": "compares what a store returns with what it was given",
	"internal/seal":             "decodes the master key that an operator gave",
	"internal/spill":            "hands secrets to the cipher that seals them",
	"store/postgres":            "takes the URL of the database apart, which holds its password",
	"store/mysql":               "takes the URL of the database apart, which holds its password",
	"internal/authorize":        "puts the pre-auth code into the link to WeChat's page",
	"internal/server":           "takes the fingerprint of what the configuration says of a component",
	"internal/oauth":            "derives the keys that seal the visits of browsers",
	"internal/releasecheck":     "echoes the authorization code that the check demands in its answer",
	"internal/access":           "hashes API keys",
	"internal/operator":         "checks passwords and codes, and talks to the identity provider",
	"internal/subscription":     "hands the secrets of receivers to the store, which seals them, and checks what was typed",
	"internal/gateway":          "writes tokens into requests to WeChat and hands tickets to callers",
	"internal/admin":            "hands tokens to callers with an API key",
	"internal/config":           "checks the length and the characters of what an operator typed",
	"internal/cli":              "sends the API key to the server",
	"internal/sink/webhook":     "signs and encrypts what receivers get, and sends their secret headers",
	"internal/sink/natssink":    "hands the broker's password to its driver",
	"internal/sink/kafkasink":   "hands the broker's password to its driver",
	"internal/sink/rabbitsink":  "hands the broker's password to its driver",
	"internal/sink/redissink":   "hands the broker's password to its driver",
	"internal/demo":             "plays the merchant and the operator, and searches its own output for secrets",
}

func TestReveal(t *testing.T) {
	t.Parallel()
	calls := make(map[string]bool)
	for _, p := range tree(t) {
		for _, file := range p.files {
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if s, ok := call.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Reveal" && len(call.Args) == 0 {
					calls[p.path] = true
					if revealers[p.path] == "" {
						t.Errorf("%s: %q reveals a secret; if it must, list it in revealers with the reason", p.fset.Position(call.Pos()), p.path)
					}
				}
				return true
			})
		}
	}
	for path, why := range revealers {
		if why != "" && path != root && !calls[path] {
			t.Errorf("%q is listed as one that reveals secrets, and does not: strike it from the list", path)
		}
	}
}

func TestPackageComments(t *testing.T) {
	t.Parallel()
	for _, p := range tree(t) {
		files := p.files
		if len(files) == 0 {
			files = p.tests
		}
		var comments []string
		for _, file := range files {
			if file.Doc != nil {
				comments = append(comments, file.Doc.Text())
			}
		}
		if len(comments) != 1 {
			t.Errorf("package %q has %d package comments; one place should say what it is for", p.path, len(comments))
			continue
		}
		want := "Package " + files[0].Name.Name + " "
		if files[0].Name.Name == "main" {
			want = "Command " + filepath.Base(p.path) + " "
		}
		if !strings.HasPrefix(comments[0], want) && !strings.HasPrefix(comments[0], strings.TrimPrefix(want, "Command ")) {
			t.Errorf("the comment of package %q should begin with %q", p.path, want)
		}
	}
}

// TestNoPackageState refuses what would let two users of a package in one
// process meet: init functions, and package variables that change.
func TestNoPackageState(t *testing.T) {
	t.Parallel()
	for _, p := range tree(t) {
		variables := packageVariables(t, p)
		for _, file := range p.files {
			for _, d := range file.Decls {
				f, ok := d.(*ast.FuncDecl)
				if !ok || f.Body == nil {
					continue
				}
				if f.Recv == nil && f.Name.Name == "init" {
					t.Errorf("%s: an init function acts on whoever merely imports the package", p.fset.Position(f.Pos()))
				}
				for _, changed := range assigned(f) {
					if variables[changed.Name] {
						t.Errorf("%s: package variable %s is changed here; state belongs to a value that somebody constructs", p.fset.Position(changed.Pos()), changed.Name)
					}
				}
			}
		}
	}
}

// packageVariables returns the names of a package's variables, and complains of
// those whose type can only mean state.
func packageVariables(t *testing.T, p *pkg) map[string]bool {
	names := make(map[string]bool)
	for _, file := range p.files {
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				spec := s.(*ast.ValueSpec)
				for _, name := range spec.Names {
					names[name.Name] = true
				}
				if selector, ok := spec.Type.(*ast.SelectorExpr); ok {
					if from, ok := selector.X.(*ast.Ident); ok && (from.Name == "sync" || from.Name == "atomic") {
						t.Errorf("%s: a package variable of type %s.%s is shared state", p.fset.Position(spec.Pos()), from.Name, selector.Sel.Name)
					}
				}
			}
		}
	}
	delete(names, "_")
	return names
}

// assigned returns the identifiers a function assigns to, through fields,
// indices and pointers too, leaving out those that are declared inside it.
func assigned(f *ast.FuncDecl) []*ast.Ident {
	var changed []*ast.Ident
	add := func(e ast.Expr) {
		if name := base(e); name != nil && !declaredInside(f, name) {
			changed = append(changed, name)
		}
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					add(e)
				}
			}
		case *ast.IncDecStmt:
			add(n.X)
		case *ast.CallExpr:
			if name, ok := n.Fun.(*ast.Ident); ok && (name.Name == "delete" || name.Name == "clear") && len(n.Args) > 0 {
				add(n.Args[0])
			}
		}
		return true
	})
	return changed
}

func base(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// declaredInside reports whether a function declares the name anywhere: its
// receiver, parameters, results, or in its body. Shadowing a package variable
// in one block while changing it in another would escape; nobody should.
func declaredInside(f *ast.FuncDecl, name *ast.Ident) bool {
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		var declared []*ast.Ident
		switch n := n.(type) {
		case *ast.Field:
			declared = n.Names
		case *ast.ValueSpec:
			declared = n.Names
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, e := range n.Lhs {
					if id, ok := e.(*ast.Ident); ok {
						declared = append(declared, id)
					}
				}
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				for _, e := range []ast.Expr{n.Key, n.Value} {
					if id, ok := e.(*ast.Ident); ok {
						declared = append(declared, id)
					}
				}
			}
		}
		if slices.ContainsFunc(declared, func(d *ast.Ident) bool { return d.Name == name.Name }) {
			found = true
		}
		return !found
	})
	return found
}

// TestNoMachinePaths keeps paths of the machine at hand out of the tree.
func TestNoMachinePaths(t *testing.T) {
	t.Parallel()
	machine := [][]byte{[]byte("/wo" + "rk/"), []byte("/home" + "/runner"), []byte("../sha" + "red/")}
	err := walk(func(path string) error {
		content, err := os.ReadFile(filepath.Join(top, path))
		if err != nil {
			return err
		}
		if bytes.IndexByte(content, 0) >= 0 {
			return nil
		}
		for _, m := range machine {
			if i := bytes.Index(content, m); i >= 0 {
				t.Errorf("%s:%d contains %q, a path that exists on one machine only", path, 1+bytes.Count(content[:i], []byte("\n")), m)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
