// Command faultdoc prints the failure catalogue as docs/faults.md holds it.
// The catalogue comes in through package fault, the page goes out to the
// standard output; it decides nothing, reads no file and writes none.
package main

import (
	"fmt"
	"os"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

func main() {
	if _, err := os.Stdout.WriteString(fault.Page()); err != nil {
		fmt.Fprintln(os.Stderr, "write the catalogue:", err)
		os.Exit(1)
	}
}
