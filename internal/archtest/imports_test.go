package archtest

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// pure packages decide; they read no clock, start nothing and know no API.
var pure = []string{"internal/fault", "internal/scaling", "internal/lifecycle", "internal/bootstrap", "internal/wait"}

// notPure are packages of the standard library that reach out.
var notPure = []string{"context", "os", "net", "log", "sync", "math/rand", "crypto/rand"}

// rule says what a tree of packages may import of ours, and what it never
// links, direct or indirect.
type rule struct {
	of    string
	may   []string // of ours, direct; nil: anything not in never
	never []string // direct or indirect
}

// rules are the table of the house, line by line.
var rules = []rule{
	{of: "api", may: []string{}, never: []string{"internal", "cmd", "config", "sigs.k8s.io/controller-runtime", "k8s.io/client-go"}},
	{of: "internal/view", may: append([]string{"api", "internal/view", "internal/instancerecord"}, pure...),
		never: []string{"sigs.k8s.io/controller-runtime", "k8s.io/client-go"}},
	{of: "internal/instancerecord", may: append([]string{"api"}, pure...), never: []string{"internal/controller", "internal/view", "internal/scaling"}},
	{of: "internal/cloud", may: append([]string{"internal/cloud"}, pure...), never: []string{"api", "internal/controller"}},
	{of: "internal/node", may: append([]string{"internal/node"}, pure...), never: []string{"api", "internal/controller"}},
	{of: "internal/join", may: pure, never: []string{"api", "internal/controller"}},
	{of: "internal/sweep", may: append([]string{"internal/cloud"}, pure...), never: []string{"api", "internal/controller"}},
	{of: "internal/controller/nodepool", may: append([]string{"api", "internal/controller/change", "internal/controller/watch", "internal/view", "internal/metrics", "internal/controller/nodepool"}, pure...),
		never: []string{"internal/cloud"}},
	{of: "internal/controller/scalinggroup", may: append([]string{"api", "internal/instancerecord", "internal/controller/change", "internal/controller/watch", "internal/view", "internal/metrics"}, pure...),
		never: []string{"internal/cloud"}},
	{of: "internal/controller/clustertask", may: append([]string{"api", "internal/controller/change", "internal/controller/watch", "internal/view", "internal/metrics"}, pure...),
		never: []string{"internal/cloud"}},
	{of: "internal/controller/activity", may: append([]string{"api", "internal/controller/change", "internal/controller/watch", "internal/cloud", "internal/sweep", "internal/metrics"}, pure...),
		never: []string{"internal/node"}},
	{of: "internal/controller/instance", may: append([]string{"api", "internal/instancerecord", "internal/controller/change", "internal/controller/watch", "internal/cloud", "internal/sweep", "internal/node", "internal/metrics"}, pure...),
		never: []string{"internal/scaling"}},
	{of: "internal/controller/join", may: append([]string{"api", "internal/controller/watch", "internal/join", "internal/metrics"}, pure...),
		never: []string{"internal/cloud", "internal/scaling"}},
	{of: "internal/openapi", may: append([]string{"api", "internal/view", "internal/metrics"}, pure...), never: []string{"internal/controller", "internal/cloud"}},
	{of: "internal/autoscaler", may: append([]string{"api", "internal/view", "internal/metrics"}, pure...), never: []string{"internal/controller", "internal/cloud"}},
	{of: "internal/cli", may: append([]string{"api", "internal/view", "internal/cloud", "internal/cli", "internal/version"}, pure...),
		never: []string{"internal/controller", "internal/cloud/alicloud"}},
	{of: "internal/local/ecs", never: []string{"internal/cloud", "internal/scaling", "internal/controller"}},
	{of: "internal/local/machine", never: []string{"internal/cloud", "internal/scaling", "internal/controller"}},
	{of: "internal/metrics", may: []string{}, never: []string{"internal/controller"}},
	{of: "cmd/poolkeeper", never: []string{"k8s.io/kubernetes", "k8s.io/apiserver/pkg/server", "go.etcd.io/etcd"}},
}

// problems of one package under a rule.
func (r rule) problems(p goPackage) []string {
	var out []string
	if !within(p.ImportPath, []string{r.of}) {
		return nil
	}
	for _, d := range p.Deps {
		if within(d, r.never) {
			how := "indirectly"
			if slices.Contains(p.Imports, d) {
				how = "directly"
			}
			out = append(out, fmt.Sprintf("%s links %s (%s), which it must not", p.ImportPath, d, how))
		}
	}
	if r.may != nil {
		for _, i := range p.Imports {
			if strings.HasPrefix(i, module) && !within(i, r.may) && !within(i, []string{r.of}) && !within(i, r.never) {
				out = append(out, fmt.Sprintf("%s imports %s, which its line of the table does not name", p.ImportPath, i))
			}
		}
	}
	return out
}

func TestWhoImportsWhom(t *testing.T) {
	for path, p := range allPackages(t) {
		if !strings.HasPrefix(path, module) {
			continue
		}
		for _, r := range rules {
			report(t, r.problems(p))
		}
		report(t, onlyOf(p))
	}
}

// onlyOf checks what only one place may import.
func onlyOf(p goPackage) []string {
	var out []string
	for _, o := range []struct{ what, by []string }{
		{[]string{"github.com/alibabacloud-go", "github.com/aliyun/credentials-go"}, []string{"internal/cloud/alicloud"}},
		{[]string{"github.com/aliyun/alibaba-cloud-sdk-go"}, nil},                   // a judge in tests
		{[]string{"internal/local"}, []string{"internal/local", "cmd", "test/sim"}}, // the simulation runs the local cloud's logic itself
		{[]string{"internal/archtest", "internal/cloudtest", "config/configtest", "internal/node/nodetest"}, []string{"internal/cloudtest"}},
	} {
		for _, i := range p.Imports {
			if within(i, o.what) && !within(p.ImportPath, o.by) {
				out = append(out, fmt.Sprintf("%s imports %s, which only %v may", p.ImportPath, i, o.by))
			}
		}
	}
	return out
}

// A pure package imports the standard library without the parts that reach
// out, and other pure packages.
func TestPurePackages(t *testing.T) {
	seen := 0
	for path, p := range allPackages(t) {
		if within(path, pure) && strings.HasPrefix(path, module) {
			seen++
			report(t, impure(p, allPackages(t)))
		}
	}
	if seen < 3 {
		t.Errorf("found %d pure packages only", seen)
	}
}

func impure(p goPackage, all map[string]goPackage) []string {
	var out []string
	for _, i := range p.Imports {
		switch {
		case slices.ContainsFunc(notPure, func(tree string) bool { return inTree(i, tree) }):
			out = append(out, fmt.Sprintf("%s is pure and imports %s", p.ImportPath, i))
		case !all[i].Standard && !within(i, pure):
			out = append(out, fmt.Sprintf("%s is pure and imports %s, which is not", p.ImportPath, i))
		}
	}
	return out
}

// clocks are the functions of package time that read or wait for a clock.
var clocks = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"}

func TestPurePackagesReadNoClock(t *testing.T) {
	for _, s := range allSources(t) {
		if !s.tests && within(module+s.dir(), pure) {
			report(t, uses(s, "time", clocks))
		}
	}
}

// The scaling group counts instances and has never heard of Nodes.
func TestScalingGroupKnowsNoNodes(t *testing.T) {
	for _, s := range allSources(t) {
		if !s.tests && strings.HasPrefix(s.path, "internal/controller/scalinggroup/") {
			report(t, uses(s, "corev1", []string{"Node", "NodeList", "NodeSpec", "NodeStatus"}))
		}
	}
}

// uses finds selectors pkg.name in a file.
func uses(s *source, pkg string, names []string) []string {
	var out []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains(names, sel.Sel.Name) {
			if id, ok := sel.X.(*ast.Ident); ok && id.Name == pkg {
				out = append(out, fmt.Sprintf("%s: uses %s.%s", s.line(sel.Pos()), pkg, sel.Sel.Name))
			}
		}
		return true
	})
	return out
}
