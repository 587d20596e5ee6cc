package archtest

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The hard bounds. Near the soft ones (40 lines, 400 lines) is where code
// should stay.
const (
	maxFunction = 60
	maxFile     = 500
	maxPackage  = 6000
	maxMethods  = 6
)

// Every package says once what it does: what comes in, what goes out, what it
// never does.
func TestEveryPackageHasOneDocComment(t *testing.T) {
	docs, name := map[string][]string{}, map[string]string{}
	for _, s := range allSources(t) {
		if s.tests {
			continue
		}
		name[s.dir()] = s.file.Name.Name
		if s.file.Doc != nil {
			docs[s.dir()] = append(docs[s.dir()], s.path)
			report(t, badPackageDoc(s))
		}
	}
	for dir := range name {
		if n := len(docs[dir]); n != 1 {
			t.Errorf("package %s has %d doc comments, want one: %v", dir, n, docs[dir])
		}
	}
}

func badPackageDoc(s *source) []string {
	text := s.file.Doc.Text()
	if want := "Package " + s.file.Name.Name + " "; s.file.Name.Name != "main" && !strings.HasPrefix(text, want) {
		return []string{fmt.Sprintf("%s: the doc comment of the package starts with %q, want %q", s.path, firstWords(text), want)}
	}
	if strings.Count(text, ".") < 2 {
		return []string{fmt.Sprintf("%s: the doc comment of the package is too short to say what comes in, what goes out and what it never does", s.path)}
	}
	return nil
}

func firstWords(s string) string {
	f := strings.Fields(s)
	return strings.Join(f[:min(3, len(f))], " ")
}

// A package is named by what it knows.
func TestPackageNames(t *testing.T) {
	for _, s := range allSources(t) {
		report(t, badName(s.dir()))
	}
}

func badName(dir string) []string {
	if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "types", "manager", "misc", "lib", "shared"}, path.Base(dir)) {
		return []string{dir + ": a package is named by what it knows"}
	}
	return nil
}

func TestLengths(t *testing.T) {
	lines := map[string]int{}
	for _, s := range allSources(t) {
		if s.made {
			continue
		}
		if n := bytes.Count(s.text, []byte("\n")); n > maxFile {
			t.Errorf("%s has %d lines, at most %d: split it", s.path, n, maxFile)
		}
		if !s.tests {
			lines[s.dir()] += bytes.Count(s.text, []byte("\n"))
			report(t, longFunctions(s))
			report(t, wideInterfaces(s))
		}
		if lengthSilenced.Match(s.text) {
			t.Errorf("%s silences a linter of lengths: split instead", s.path)
		}
	}
	for dir, n := range lines {
		if n > maxPackage {
			t.Errorf("package %s has %d lines, at most %d: split it", dir, n, maxPackage)
		}
	}
}

// lengthSilenced is a directive against a linter of lengths, or of everything.
var lengthSilenced = regexp.MustCompile(`(?m)//` + `nolint($|\s|:\S*(funlen|lll|gocyclo|gocognit|cyclop|maintidx|nestif))`)

func longFunctions(s *source) []string {
	var out []string
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		if n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1; n > maxFunction {
			out = append(out, fmt.Sprintf("%s: function %s has %d lines, at most %d", s.line(f.Pos()), f.Name.Name, n, maxFunction))
		}
	}
	return out
}

func wideInterfaces(s *source) []string {
	var out []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		if i, ok := n.(*ast.InterfaceType); ok && i.Methods.NumFields() > maxMethods {
			out = append(out, fmt.Sprintf("%s: an interface has %d methods, at most %d", s.line(i.Pos()), i.Methods.NumFields(), maxMethods))
		}
		return true
	})
	return out
}

// Exported names say what they are, in a sentence that starts with the name.
func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range allSources(t) {
		if !s.tests && !s.made {
			report(t, undocumented(s))
		}
	}
}

func undocumented(s *source) []string {
	var out []string
	check := func(n ast.Node, name string, doc *ast.CommentGroup) {
		if !ast.IsExported(name) || s.file.Name.Name == "main" {
			return
		}
		words := strings.Fields(doc.Text())
		if len(words) > 1 && slices.Contains([]string{"A", "An", "The"}, words[0]) {
			words = words[1:]
		}
		if len(words) == 0 || strings.Trim(words[0], ".,:") != name {
			out = append(out, fmt.Sprintf("%s: %s has no sentence that starts with its name", s.line(n.Pos()), name))
		}
	}
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if exportedReceiver(d) && !wellKnown[d.Name.Name] {
				check(d, d.Name.Name, d.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if ts, ok := spec.(*ast.TypeSpec); ok {
					doc := ts.Doc
					if doc == nil {
						doc = d.Doc
					}
					check(ts, ts.Name.Name, doc)
				}
				if vs, ok := spec.(*ast.ValueSpec); ok && d.Doc == nil && vs.Doc == nil && ast.IsExported(vs.Names[0].Name) {
					out = append(out, fmt.Sprintf("%s: %s has no doc comment, nor has its group", s.line(vs.Pos()), vs.Names[0].Name))
				}
			}
		}
	}
	return out
}

// wellKnown methods are those whose meaning their interface says.
var wellKnown = map[string]bool{"Error": true, "Unwrap": true, "String": true, "Is": true, "Len": true, "Less": true, "Swap": true, "ServeHTTP": true, "Read": true, "Write": true, "Close": true, "MarshalJSON": true, "UnmarshalJSON": true}

func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if ix, ok := t.(*ast.IndexExpr); ok {
		t = ix.X
	}
	id, ok := t.(*ast.Ident)
	return ok && ast.IsExported(id.Name)
}

// A test that skips itself or sleeps proves nothing. Sleeping in a loop that
// runs until its condition holds is waiting for a condition.
func TestTestsNeitherSkipNorSleep(t *testing.T) {
	for _, s := range allSources(t) {
		if s.tests || strings.HasPrefix(s.path, "test/") {
			report(t, skipsOrSleeps(s))
		}
	}
}

func skipsOrSleeps(s *source) []string {
	var out []string
	var waits []*ast.ForStmt // loops that run until a condition holds
	ast.Inspect(s.file, func(n ast.Node) bool {
		if loop, ok := n.(*ast.ForStmt); ok && loop.Cond != nil {
			if _, counts := loop.Post.(*ast.IncDecStmt); !counts {
				waits = append(waits, loop)
			}
		}
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		id, ok := sel.X.(*ast.Ident)
		waiting := slices.ContainsFunc(waits, func(l *ast.ForStmt) bool { return l.Pos() < sel.Pos() && sel.Pos() < l.End() })
		if ok && id.Name == "time" && sel.Sel.Name == "Sleep" && !waiting {
			out = append(out, fmt.Sprintf("%s: the test sleeps (time.Sleep)", s.line(sel.Pos())))
		}
		if ok && len(id.Name) <= 2 && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
			out = append(out, fmt.Sprintf("%s: the test skips itself", s.line(sel.Pos())))
		}
		return true
	})
	return out
}

// Errors say verb, object and cause; nothing waits for "later" without a name.
func TestWordsOfErrorsAndComments(t *testing.T) {
	for _, s := range allSources(t) {
		if !strings.HasPrefix(s.path, "internal/archtest/") {
			report(t, badWords(s))
		}
	}
}

func badWords(s *source) []string {
	var out []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 || s.tests {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		lit, isLit := call.Args[0].(*ast.BasicLit)
		if ok && isLit && (sel.Sel.Name == "Errorf" || sel.Sel.Name == "New") && strings.Contains(lit.Value, "failed to") {
			out = append(out, fmt.Sprintf("%s: an error says \"failed to\"; say verb and object", s.line(call.Pos())))
		}
		return true
	})
	later := regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)
	for _, g := range s.file.Comments {
		if later.MatchString(g.Text()) && !regexp.MustCompile(`issue \d+`).MatchString(g.Text()) {
			out = append(out, fmt.Sprintf("%s: a comment puts something off and names no issue", s.line(g.Pos())))
		}
	}
	return out
}

// machinePath is a path of one machine, or of one person's home.
var machinePath = regexp.MustCompile(`(^|[^\w.~/-])/(` + `work/|root/go|home/[a-z]` + `)`)

func TestNoPathsOfOneMachine(t *testing.T) {
	all, err := files()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p == ".git" || strings.HasPrefix(p, "internal/archtest/") || strings.HasSuffix(p, "go.sum") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(root, p))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a file of a moment
		} else if err != nil {
			t.Fatal(err)
		}
		report(t, pathsOf(p, b))
	}
}

func pathsOf(name string, b []byte) []string {
	var out []string
	if bytes.IndexByte(b, 0) >= 0 {
		return nil
	}
	for i, line := range strings.Split(string(b), "\n") {
		if m := machinePath.FindString(line); m != "" {
			out = append(out, fmt.Sprintf("%s:%d: a path of one machine: %s", name, i+1, strings.TrimSpace(line)))
		}
	}
	return out
}
