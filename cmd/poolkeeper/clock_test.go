package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTheClockJumpsWithItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "offset")
	off := func() time.Duration { return time.Until(offsetClock(file)()).Round(time.Second) }
	for text, want := range map[string]time.Duration{"": 0, "-90s\n": -90 * time.Second, "1h": time.Hour, "soon": 0} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := off(); got != want {
			t.Errorf("%q: off by %s", text, got)
		}
	}
}
