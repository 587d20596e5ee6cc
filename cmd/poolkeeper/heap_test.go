package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestASmallHeapGrowsToItsSizeAndALargeOneTwofold(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		live, roots uint64
		want        int
	}{
		"nothing yet":    {0, 0, 10_000},
		"small":          {12 * mib, 0, 300},
		"roots count":    {12 * mib, 6 * mib, 200},
		"half of it":     {24 * mib, 0, 100},
		"half and roots": {24 * mib, 8 * mib, 100},
		"beyond":         {200 * mib, 0, 100},
		"next to empty":  {1, 0, 10_000},
	} {
		t.Run(name, func(t *testing.T) {
			if got := growth(c.live, c.roots, 48*mib); got != c.want {
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
