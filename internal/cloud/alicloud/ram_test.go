package alicloud

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// free are the actions that everybody may call.
var free = map[string]bool{"sts:GetCallerIdentity": true}

// sent are the actions that this package sends, read from its source: each call
// of read and mutate names its product and action in plain text.
func sent(t *testing.T) (reads, mutations map[string]bool) {
	t.Helper()
	reads, mutations = map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			c, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch of, _ := c.Fun.(*ast.SelectorExpr); {
			case of == nil:
			case of.Sel.Name == "read":
				reads[text(t, c.Args[2])+":"+text(t, c.Args[3])] = true
			case of.Sel.Name == "mutate":
				mutations["ecs:"+text(t, c.Args[2])] = true
			}
			return true
		})
	}
	return reads, mutations
}

// text is a literal in the source.
func text(t *testing.T, e ast.Expr) string {
	t.Helper()
	l, ok := e.(*ast.BasicLit)
	if !ok {
		t.Fatalf("an action is not a literal: %v", e)
	}
	s, err := strconv.Unquote(l.Value)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The policy that is shipped allows what is sent and nothing else; what changes
// something stands apart from what reads.
func TestThePolicyAllowsWhatIsSentAndNothingElse(t *testing.T) {
	b, err := os.ReadFile("../../../config/ram/policy.json")
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Version   string
		Statement []struct {
			Effect   string
			Action   []string
			Resource string
		}
	}
	if err := json.Unmarshal(b, &policy); err != nil || policy.Version != "1" || len(policy.Statement) != 2 {
		t.Fatalf("%+v, %v", policy, err)
	}
	reads, mutations := sent(t)
	// What is only tried, as a dry run, needs the right to do it.
	maps.DeleteFunc(reads, func(a string, _ bool) bool { return free[a] || mutations[a] })
	for n, want := range []map[string]bool{reads, mutations} {
		s := policy.Statement[n]
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), s.Action); diff != "" || s.Effect != "Allow" || len(want) == 0 {
			t.Errorf("statement %d (-sent +allowed):\n%s", n, diff)
		}
	}
}
