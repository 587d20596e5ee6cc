package instance_test

import (
	"testing"
	"time"
)

// BenchmarkAPassAtRest is a full pass over 2,000 instances of which none
// changed, after a sweep. The client is one in memory that copies, so that what
// the controller itself takes is below it.
func BenchmarkAPassAtRest(b *testing.B) {
	w := newBench(b)
	w.has(nil, ids(2000)...)
	w.r.Cache = shared(w)
	if err := w.sweep(time.Minute); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		w.now = w.now.Add(30 * time.Second)
		w.ok(w.sweeper.Sweep(b.Context()))
		b.StartTimer()
		if _, err := w.pass(); err != nil {
			b.Fatal(err)
		}
	}
	if len(w.calls) > 0 {
		b.Fatalf("at rest: %v", w.calls)
	}
}
