package archtest

import (
	"go/ast"
	"go/token"
	"testing"
)

// TestConstantTime refuses == and != where a secret or a signature is compared: how
// long they take tells how much of a guess is right. Secrets are compared by
// [tuoguan.Secret.Equal], signatures by package subtle.
func TestConstantTime(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, p := range tree(t) {
		if isTest(p.path) {
			continue
		}
		for _, file := range p.files {
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.BinaryExpr:
					if n.Op != token.EQL && n.Op != token.NEQ || isEmptyText(n.X) || isEmptyText(n.Y) {
						return true
					}
					if delicate(n.X) || delicate(n.Y) {
						t.Errorf("%s: a secret or a signature is compared by %s", p.fset.Position(n.Pos()), n.Op)
					}
				case *ast.SelectorExpr:
					if n.Sel.Name == "ConstantTimeCompare" {
						compared++
					}
				}
				return true
			})
		}
	}
	if compared == 0 {
		t.Error("nothing is compared in constant time: does this test still know how that is called?")
	}
}

// delicate reports whether an expression is a secret in the clear or a signature,
// converted perhaps.
func delicate(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return delicate(e.X)
	case *ast.SelectorExpr:
		return e.Sel.Name == "MsgSignature"
	case *ast.CallExpr:
		if s, ok := e.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Reveal" && len(e.Args) == 0 {
			return true
		}
		if name, ok := e.Fun.(*ast.Ident); ok && name.Name == "string" && len(e.Args) == 1 {
			return delicate(e.Args[0])
		}
	}
	return false
}

func isEmptyText(e ast.Expr) bool {
	l, ok := e.(*ast.BasicLit)
	return ok && l.Value == `""`
}
