// Command testsum reads the output of go test -json on stdin and prints one line
// per package, the whole output of what failed, and how many tests ran. It ends
// with 1 where a test failed, was skipped, or where nothing ran at all.
//
//	-log SUFFIX   print what the tests log that passed in packages that end so, without their subtests
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// event is one line of go test -json.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

func main() {
	log := flag.String("log", "", "print what passed tests of packages with this `suffix` log")
	flag.Parse()
	outputs := map[string]*strings.Builder{}
	passed, failed, skipped := 0, 0, []string{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Println(lines.Text())
			continue
		}
		key := e.Package + e.ImportPath + " " + e.Test
		if outputs[key] == nil {
			outputs[key] = &strings.Builder{}
		}
		switch e.Action {
		case "output", "build-output":
			outputs[key].WriteString(e.Output)
		case "fail", "build-fail":
			failed++
			fmt.Printf("FAIL  %s\n%s", key, outputs[key])
			delete(outputs, key)
			if e.Test == "" {
				unended(outputs, e.Package)
			}
		case "pass":
			if e.Test == "" {
				fmt.Printf("ok    %-70s %6.1f s\n", e.Package, e.Elapsed)
			} else {
				passed++
				if *log != "" && strings.HasSuffix(e.Package, *log) && !strings.Contains(e.Test, "/") {
					fmt.Printf("pass  %s\n%s", key, logged(outputs[key].String()))
				}
			}
			delete(outputs, key)
		case "skip":
			if e.Test != "" {
				skipped = append(skipped, key)
			}
			delete(outputs, key)
		}
	}
	for _, s := range skipped {
		fmt.Printf("SKIP  %s\n", s)
	}
	fmt.Printf("%d tests passed, %d failed, %d skipped\n", passed, failed, len(skipped))
	if failed > 0 || len(skipped) > 0 || passed == 0 || lines.Err() != nil {
		os.Exit(1)
	}
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
// process did.
func unended(outputs map[string]*strings.Builder, pkg string) {
	for _, key := range slices.Sorted(maps.Keys(outputs)) {
		if strings.HasPrefix(key, pkg+" ") {
			fmt.Printf("never ended: %s\n%s", key, outputs[key])
			delete(outputs, key)
		}
	}
}
