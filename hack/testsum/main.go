// Command testsum reads the output of go test -json on stdin and prints one line
// per package, the whole output of what failed, and how many tests ran. It ends
// with 1 where a test failed, was skipped, or where nothing ran at all.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// event is one line of go test -json.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

func main() {
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
		case "pass":
			if e.Test == "" {
				fmt.Printf("ok    %-70s %6.1f s\n", e.Package, e.Elapsed)
			} else {
				passed++
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
