//go:build pending

package scenario

import "testing"

// TestPending plays the transcripts that the system does not meet yet:
// go test -tags=pending -run TestPending ./test/scenario
func TestPending(t *testing.T) { play(t, "testdata/pending/*.txt") }
