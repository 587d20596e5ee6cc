package alicloud

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"strconv"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// TestWhatTheLocalCloudRefusesIsKnown reads every refusal of a launch out of
// the local cloud's source: each has a row of the catalogue, by code and text.
func TestWhatTheLocalCloudRefusesIsKnown(t *testing.T) {
	seen := 0
	for _, file := range []string{"refusal.go", "capacity.go", "admit.go"} {
		f, err := parser.ParseFile(gotoken.NewFileSet(), "../../local/ecs/region/"+file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 3 {
				return true
			}
			if name, ok := call.Fun.(*ast.Ident); !ok || name.Name != "refuse" {
				return true
			}
			code, text := literal(call.Args[1]), literal(call.Args[2])
			if code == "" {
				return true
			}
			seen++
			if e := fault.Lookup(codeOf(code, text)); !e.Known && code != "InvalidChargeType.ValueNotSupported" && code != "InvalidSpotStrategy" {
				t.Errorf("%s: %s (%s) is in no row of the catalogue", file, code, text)
			}
			return true
		})
	}
	if seen < 25 {
		t.Errorf("only %d refusals were found", seen)
	}
}

func literal(e ast.Expr) string {
	l, ok := e.(*ast.BasicLit)
	if !ok {
		return ""
	}
	s, _ := strconv.Unquote(l.Value)
	return s
}
