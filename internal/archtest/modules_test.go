package archtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// usual are the modules that need no reason: Kubernetes, controller-runtime,
// Prometheus, cobra, gRPC, the vendor's SDK core, and the three of tests.
var usual = []string{
	"k8s.io/", "sigs.k8s.io/controller-runtime", "sigs.k8s.io/yaml", "sigs.k8s.io/json",
	"github.com/prometheus/client_golang", "github.com/spf13/cobra", "github.com/spf13/pflag", "google.golang.org/grpc",
	"github.com/alibabacloud-go/", "github.com/aliyun/credentials-go",
	"github.com/google/go-cmp", "github.com/cockroachdb/datadriven", "pgregory.net/rapid",
}

// refusedModules are assertion and helper libraries.
var refusedModules = []string{"github.com/stretchr/testify", "github.com/onsi/", "github.com/samber/lo", "github.com/pkg/errors"}

// modules that a go.mod requires.
func modules(t *testing.T, dir string) []string {
	t.Helper()
	return slices.Collect(maps.Keys(versions(t, dir)))
}

// versions are those of the modules that a go.mod requires, after what it
// replaces.
func versions(t *testing.T, dir string) map[string]string {
	t.Helper()
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = dir
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("read go.mod of %s: %v", dir, err)
	}
	var mod struct {
		Require []struct{ Path, Version string }
		Replace []struct {
			Old struct{ Path string }
			New struct{ Version string }
		}
	}
	if err := json.Unmarshal(b, &mod); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, r := range mod.Require {
		out[r.Path] = r.Version
	}
	for _, r := range mod.Replace {
		if _, required := out[r.Old.Path]; required {
			out[r.Old.Path] = r.New.Version
		}
	}
	return out
}

// What both modules require has one version, so that it is compiled once.
func TestBothModulesHaveTheSameVersions(t *testing.T) {
	plane := versions(t, filepath.Join(root, "plane"))
	for path, ours := range versions(t, root) {
		if theirs := plane[path]; theirs != "" && theirs != ours {
			t.Errorf("%s has version %s, and %s in plane: go get %s@NEWER in one of them", path, ours, theirs, path)
		}
	}
}

// Each module that our code imports and that is not among the usual ones has a
// line in a decision note.
func TestEachDependencyHasAReason(t *testing.T) {
	notes, err := filepath.Glob(filepath.Join(root, "docs/decisions/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var decided strings.Builder
	for _, n := range notes {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		decided.Write(b)
	}
	required := map[string][]string{"": modules(t, root), "plane/": modules(t, filepath.Join(root, "plane"))}
	seen := map[string]bool{}
	for _, s := range allSources(t) {
		own := ""
		if strings.HasPrefix(s.path, "plane/") {
			own = "plane/"
		}
		for _, i := range s.file.Imports {
			p, _ := strconv.Unquote(i.Path.Value)
			if m := moduleOf(p, required[own]); m != "" && !seen[m] {
				seen[m] = true
				report(t, reasonless(m, s.path, decided.String()))
			}
		}
	}
}

// moduleOf finds the module that holds a package: the longest path that fits.
func moduleOf(pkg string, all []string) string {
	best := ""
	for _, m := range all {
		if (pkg == m || strings.HasPrefix(pkg, m+"/")) && len(m) > len(best) {
			best = m
		}
	}
	return best
}

func reasonless(m, where, decided string) []string {
	for _, r := range refusedModules {
		if strings.HasPrefix(m, r) {
			return []string{fmt.Sprintf("%s imports %s: no assertion or helper libraries", where, m)}
		}
	}
	for _, u := range usual {
		if strings.HasPrefix(m, u) {
			return nil
		}
	}
	if !strings.Contains(decided, "`"+m+"`") {
		return []string{fmt.Sprintf("%s imports %s, which has no line in docs/decisions", where, m)}
	}
	return nil
}
