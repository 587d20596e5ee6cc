package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestASmallHeapGrowsToItsSizeAndALargeOneTwofold(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		live uint64
		want int
	}{
		"nothing yet":   {0, 10_000},
		"small":         {12 * mib, 300},
		"half of it":    {24 * mib, 100},
		"beyond":        {200 * mib, 100},
		"next to empty": {1, 10_000},
	} {
		t.Run(name, func(t *testing.T) {
			if got := growth(c.live, 48*mib); got != c.want {
				t.Errorf("%d %%, want %d", got, c.want)
			}
		})
	}
}

func TestRoomyHeapFollowsEachCollection(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	roomyHeap(4 << 30)
	for range 3 {
		runtime.GC()
	}
	if got := debug.SetGCPercent(100); got <= 100 {
		t.Errorf("GOGC is %d after collections of a small heap", got)
	}
}
