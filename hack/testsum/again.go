package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// mostAgain is how many tests are run a second time. More is no accident.
const mostAgain = 4

// again runs failed tests a second time, each alone in a process of its own, and
// returns how many failures that explains: all of them, or 0 where any test may not
// be run again or failed once more. It is for whole-system tests, which depend on
// how a busy machine happens to share its time. What failed first stays in the
// output, and is counted.
func again(failures map[string]string, allowed *regexp.Regexp, never string) int {
	tests := leaves(failures)
	if len(tests) > mostAgain {
		return 0
	}
	for _, name := range tests {
		if !allowed.MatchString(name) || never != "" && strings.Contains(failures[name], never) || failures[name] == "never ended" {
			return 0
		}
	}
	for _, name := range tests {
		pkg, test, _ := strings.Cut(name, " ")
		fmt.Printf("AGAIN %s\n", name)
		pattern := "^" + strings.Join(strings.Split(regexp.QuoteMeta(test), "/"), "$/^") + "$"
		run := exec.Command("go", "test", "-count=1", "-timeout=10m", "-run", pattern, pkg)
		run.Dir, run.Stdout, run.Stderr = "..", os.Stdout, os.Stderr
		if run.Run() != nil {
			return 0
		}
		fmt.Printf("FLAKY %s: failed first, passed at the second try\n", name)
	}
	return len(tests)
}

// leaves are the failures that no other failure explains: a test fails with its
// subtest, and a package with its test.
func leaves(failures map[string]string) []string {
	all := slices.Sorted(maps.Keys(failures))
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool {
		under := name + "/"
		if strings.HasSuffix(name, " ") {
			under = name
		}
		return slices.ContainsFunc(all, func(other string) bool { return other != name && strings.HasPrefix(other, under) })
	})
}
