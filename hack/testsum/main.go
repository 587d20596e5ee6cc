// Command testsum reads the output of go test -json on stdin and prints one line
// per package, the whole output of what failed, and how many tests ran. It ends
// with 1 where a test failed, was skipped, or where nothing ran at all.
//
//	-log SUFFIX     print what the tests log that passed in packages that end so, without their subtests
//	-again PATTERN  run what failed a second time, alone, where all of it is named so; see [again]
//	-never TEXT     except where the output of one says this
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// event is one line of go test -json.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

// badly is the action of a line that the Makefile adds where go test itself ended
// with an error, which a second try of its tests may mend.
const badly = "ended-badly"

// summary is what is known of a run.
type summary struct {
	log      string                      // suffix of the packages whose passed tests are printed
	outputs  map[string]*strings.Builder // of what has not ended, by package and test
	failures map[string]string           // output of what failed, by package and test
	told     int                         // failures when a run last ended badly
	passed   int
	skipped  []string
}

func main() {
	log := flag.String("log", "", "print what passed tests of packages with this `suffix` log")
	second := flag.String("again", "", "run failed tests once more where all of \"package test\" match this `pattern`")
	never := flag.String("never", "", "but none whose output has this `text`")
	flag.Parse()
	s := summary{log: *log, outputs: map[string]*strings.Builder{}, failures: map[string]string{}}
	err := s.read(os.Stdin)
	for _, name := range s.skipped {
		fmt.Printf("SKIP  %s\n", name)
	}
	failed, flaky := len(s.failures), 0
	if failed > 0 && *second != "" {
		if flaky = again(s.failures, regexp.MustCompile(*second), *never); flaky > 0 {
			failed = 0
		}
	}
	fmt.Printf("%d tests passed, %d failed, %d skipped", s.passed+flaky, failed, len(s.skipped))
	if flaky > 0 {
		fmt.Printf("; %d of those passed at the second try only", flaky)
	}
	fmt.Println()
	if failed > 0 || len(s.skipped) > 0 || s.passed == 0 || err != nil {
		os.Exit(1)
	}
}

// read takes in a run and prints what is known of it as it comes.
func (s *summary) read(run io.Reader) error {
	lines := bufio.NewScanner(run)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Println(lines.Text())
			continue
		}
		s.take(e)
	}
	return lines.Err()
}

func (s *summary) take(e event) {
	if e.Action == badly {
		if len(s.failures) == s.told {
			s.failures["go test ended badly, and no test says why "] = ""
			fmt.Println("FAIL  go test ended badly, and no test says why")
		}
		s.told = len(s.failures)
		return
	}
	key := e.Package + e.ImportPath + " " + e.Test
	if s.outputs[key] == nil {
		s.outputs[key] = &strings.Builder{}
	}
	switch e.Action {
	case "output", "build-output":
		s.outputs[key].WriteString(e.Output)
		return
	case "fail", "build-fail":
		s.failures[key] = s.outputs[key].String()
		fmt.Printf("FAIL  %s\n%s", key, s.failures[key])
		if e.Test == "" {
			s.unended(e.Package)
		}
	case "pass":
		if e.Test == "" {
			fmt.Printf("ok    %-70s %6.1f s\n", e.Package, e.Elapsed)
			break
		}
		s.passed++
		if s.log != "" && strings.HasSuffix(e.Package, s.log) && !strings.Contains(e.Test, "/") {
			fmt.Printf("pass  %s\n%s", key, logged(s.outputs[key].String()))
		}
	case "skip":
		if e.Test != "" {
			s.skipped = append(s.skipped, key)
		}
	default:
		return
	}
	delete(s.outputs, key)
}

// logged is an output without the lines that the test runner writes itself.
func logged(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// unended prints what the tests of a package wrote that had not ended when its
// process did, and counts them as failed.
func (s *summary) unended(pkg string) {
	for _, key := range slices.Sorted(maps.Keys(s.outputs)) {
		if test, ours := strings.CutPrefix(key, pkg+" "); ours && test != "" {
			fmt.Printf("never ended: %s\n%s", key, s.outputs[key])
			s.failures[key] = "never ended"
			delete(s.outputs, key)
		}
	}
}
