// Command metricsdoc prints every metric as docs/metrics.md holds it. They come
// in through package metrics, the page goes out to the standard output; it
// decides nothing, reads no file and writes none.
package main

import (
	"fmt"
	"os"

	"github.com/poolkeeper/poolkeeper/internal/metrics"
)

func main() {
	if _, err := os.Stdout.WriteString(metrics.Page()); err != nil {
		fmt.Fprintln(os.Stderr, "write the metrics:", err)
		os.Exit(1)
	}
}
