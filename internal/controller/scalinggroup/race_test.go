//go:build race

package scalinggroup_test

import (
	"flag"
	"fmt"
)

// The race detector finds nothing more in the hundredth history than in the
// tenth, and takes ten times as long for each.
func init() {
	if err := flag.Set("rapid.checks", "15"); err != nil {
		panic(fmt.Errorf("bound the histories: %w", err))
	}
}
