package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
)

// root of the repository, seen from this package.
const root = "../.."

// module of the product.
const module = "github.com/poolkeeper/poolkeeper/"

// source is one parsed Go file of ours.
type source struct {
	path  string // below the root, with slashes
	text  []byte
	file  *ast.File
	fset  *token.FileSet
	made  bool // generated
	tests bool // a _test.go file
}

func (s *source) line(p token.Pos) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(p).Line)
}

func (s *source) dir() string { return filepath.ToSlash(filepath.Dir(s.path)) }

// parse reads one file.
func parse(path string, text []byte) (*source, error) {
	s := &source{path: path, text: text, fset: token.NewFileSet(), tests: strings.HasSuffix(path, "_test.go")}
	f, err := parser.ParseFile(s.fset, path, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	s.file, s.made = f, ast.IsGenerated(f)
	return s, nil
}

// skipped folders hold nothing of ours.
var skipped = map[string]bool{".git": true, "bin": true, ".cache": true, "testdata": true, "node_modules": true}

// files of the repository, below the root, with slashes.
var files = sync.OnceValues(func() ([]string, error) {
	var out []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipped[d.Name()] {
				return filepath.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if d.Type().IsRegular() {
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	})
	return out, err
})

// sources are all Go files of ours, those of plane/ too.
var sources = sync.OnceValues(func() ([]*source, error) {
	all, err := files()
	if err != nil {
		return nil, err
	}
	var out []*source
	for _, p := range all {
		if !strings.HasSuffix(p, ".go") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(root, p))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a file of a moment
		} else if err != nil {
			return nil, err
		}
		s, err := parse(p, b)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
})

func allSources(t *testing.T) []*source {
	t.Helper()
	out, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("found %d Go files only: the test looks in the wrong place", len(out))
	}
	return out
}

// goPackage is what `go list` says of a package.
type goPackage struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
}

// packages of the module with everything that they link, by import path.
var packages = sync.OnceValues(func() (map[string]goPackage, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Imports,Deps", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.String())
	}
	out := map[string]goPackage{}
	for d := json.NewDecoder(bytes.NewReader(b)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		out[p.ImportPath] = p
	}
})

func allPackages(t *testing.T) map[string]goPackage {
	t.Helper()
	out, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// within says whether a package lies in one of the trees, which are given below
// the module ("internal/cloud") or, where they start with a host, in full.
func within(path string, trees []string) bool {
	for _, tree := range trees {
		if host, _, _ := strings.Cut(tree, "/"); !strings.Contains(host, ".") {
			tree = module + tree
		}
		if inTree(path, tree) {
			return true
		}
	}
	return false
}

func inTree(path, tree string) bool { return path == tree || strings.HasPrefix(path, tree+"/") }

// report fails the test with each problem on its line, sorted.
func report(t *testing.T, problems []string) {
	t.Helper()
	sort.Strings(problems)
	for _, p := range problems {
		t.Error(p)
	}
}
