package archtest

import (
	"strings"
	"testing"
)

// Each check finds what was planted for it, so that none passes by looking at
// nothing.
func TestEachCheckFindsItsPlant(t *testing.T) {
	file := func(path, text string) *source {
		t.Helper()
		s, err := parse(path, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	long := "package a\nfunc f() {\n" + strings.Repeat("\tprintln()\n", maxFunction) + "}\n"
	for what, tc := range map[string]struct {
		got  []string
		want string
	}{
		"a long function":           {longFunctions(file("a.go", long)), "function f has 62 lines"},
		"a wide interface":          {wideInterfaces(file("a.go", "package a\ntype I interface{ A(); B(); C(); D(); E(); F(); G() }")), "7 methods"},
		"an undocumented function":  {undocumented(file("a.go", "package a\nfunc F() {}")), "F has no sentence"},
		"a doc of another name":     {undocumented(file("a.go", "package a\n// It is.\ntype T int")), "T has no sentence"},
		"an undocumented value":     {undocumented(file("a.go", "package a\nconst C = 1")), "C has no doc comment"},
		"a sleep":                   {skipsOrSleeps(file("a_test.go", "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }")), "time.Sleep"},
		"a sleep in a counted loop": {skipsOrSleeps(file("a_test.go", "package a\nfunc f() { for i := 0; i < 3; i++ { time.Sleep(1) } }")), "time.Sleep"},
		"a skip":                    {skipsOrSleeps(file("a_test.go", "package a\nfunc f(t T) { t.Skip() }")), "skips itself"},
		"a clock":                   {uses(file("a.go", "package a\nimport \"time\"\nvar x = time.Now()"), "time", clocks), "time.Now"},
		"an error":                  {badWords(file("a.go", "package a\nvar x = fmt.Errorf(\"failed to x\")")), "failed to"},
		"a comment for later":       {badWords(file("a.go", "package a\n// TODO: x\n")), "names no issue"},
		"a package doc":             {badPackageDoc(file("a.go", "// Something else.\npackage a")), "starts with"},
		"a short package doc":       {badPackageDoc(file("a.go", "// Package a is a.\npackage a")), "too short"},
		"a name":                    {badName("internal/util"), "what it knows"},
		"a path":                    {pathsOf("a.md", []byte("cd /wor"+"k/main")), "a.md:1"},
		"a home":                    {pathsOf("a.md", []byte("x: /ho"+"me/me/x")), "a.md:1"},
		"a module":                  {reasonless("example.com/x", "a.go", "`example.com/y`"), "has no line"},
		"an assertion library":      {reasonless("github.com/stretchr/testify", "a.go", ""), "no assertion"},
		"a forbidden import": {rule{of: "internal/cli", never: []string{"internal/controller"}}.problems(
			goPackage{ImportPath: module + "internal/cli", Deps: []string{module + "internal/controller/join"}}), "(indirectly)"},
		"an unnamed import": {rule{of: "internal/cli", may: []string{"api"}}.problems(
			goPackage{ImportPath: module + "internal/cli", Imports: []string{module + "internal/node"}}), "does not name"},
		"an impure import": {impure(goPackage{ImportPath: module + "internal/scaling", Imports: []string{"net/http"}}, nil), "imports net/http"},
		"the vendor's SDK": {onlyOf(goPackage{ImportPath: module + "internal/cli", Imports: []string{"github.com/alibabacloud-go/tea/dara"}}), "which only"},
	} {
		if len(tc.got) != 1 || !strings.Contains(tc.got[0], tc.want) {
			t.Errorf("%s: found %q, want one problem that says %q", what, tc.got, tc.want)
		}
	}
	fine := file("a.go", "// Package a says so. It never does more.\npackage a\n\n// F is documented. See issue 3 for a TODO.\nfunc F() {}\n\n// A T is too.\ntype T interface{ M() }\n")
	for what, got := range map[string][]string{
		"a wait":     skipsOrSleeps(file("a_test.go", "package a\nfunc f() { for !is() { time.Sleep(1) } }")),
		"a retry":    skipsOrSleeps(file("a_test.go", "package a\nfunc f() { for err := do(); err != nil; err = do() { time.Sleep(1) } }")),
		"documented": undocumented(fine), "words": badWords(fine), "package doc": badPackageDoc(fine), "interfaces": wideInterfaces(fine),
		"paths": pathsOf("a.md", []byte("net/work/x, ~/work/x, a.work/root.go, homework")), "reason": reasonless("example.com/x", "a.go", "`example.com/x`"),
		"the provider": onlyOf(goPackage{ImportPath: module + "internal/cloud/alicloud", Imports: []string{"github.com/alibabacloud-go/tea/dara"}}),
	} {
		if len(got) != 0 {
			t.Errorf("%s: found %q in what is fine", what, got)
		}
	}
}
