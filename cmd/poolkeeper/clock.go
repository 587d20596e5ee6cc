package main

import (
	"os"
	"strings"
	"sync"
	"time"
)

// offsetEvery is how often the file of an offset clock is read at most.
const offsetEvery = 50 * time.Millisecond

// offsetClock is a clock that is off by what a file says, and jumps when the
// file changes; where the file cannot be read it stays as it was.
func offsetClock(file string) func() time.Time {
	var mu sync.Mutex
	var read time.Time
	var off time.Duration
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if now.Sub(read) >= offsetEvery {
			read = now
			if text, err := os.ReadFile(file); err == nil {
				if d, err := time.ParseDuration(strings.TrimSpace(string(text))); err == nil {
					off = d
				}
			}
		}
		return now.Add(off)
	}
}
