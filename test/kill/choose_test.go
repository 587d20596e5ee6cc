//go:build kill || soak || upgrade

package kill

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// chooseSeed takes the seed that is asked for, else a new one.
func chooseSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("SEED")
	if text == "" {
		return uint64(time.Now().UnixNano())
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("read SEED: %v", err)
	}
	return seed
}
