package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// lazyCollector lets a small heap grow before garbage is collected: thousands
// of machines that join leave much behind, and little of it lives on. Near the
// limit it is collected as usual. GOGC and GOMEMLIMIT win.
func lazyCollector() {
	const percent, limit = 200, 2 << 30
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}

// roomyHeap lets a heap grow to that size, in bytes, before its garbage is
// collected, also where little of it lives: a controller of a small cluster would
// collect many times a second otherwise. One that lives on more than half of that is
// collected as usual. GOGC wins.
func roomyHeap(size uint64) {
	if os.Getenv("GOGC") != "" {
		return
	}
	known := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	var collected func(*[16]byte)
	collected = func(sentinel *[16]byte) {
		metrics.Read(known)
		debug.SetGCPercent(growth(known[0].Value.Uint64(), known[1].Value.Uint64()+known[2].Value.Uint64(), size))
		runtime.SetFinalizer(sentinel, collected) // runs again after the next collection
	}
	collected(new([16]byte))
}

// growth is GOGC where a heap of which so many bytes live may grow to size, and
// to what the usual 100 allows at least. It is in percent of what lives and of the
// roots, stacks and globals, that are looked through with it.
func growth(live, roots, size uint64) int {
	const usual, most = 100, 10_000
	if live+roots == 0 {
		return most
	}
	return int(min(max(usual, (max(size, live)-live)*100/(live+roots)), most))
}
