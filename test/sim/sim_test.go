package sim

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Every seed of the bounded set keeps every promise, whatever happens.
func TestSeedsKeepEveryPromise(t *testing.T) {
	play(t, Options{}, seeds)
}

// Without trouble a pool follows changed minds.
func TestWithoutTroubleThePoolFollows(t *testing.T) {
	play(t, Options{Calm: true}, seeds/50)
}

// play plays the first seeds, two at a time; each is on its own.
func play(t *testing.T, o Options, count int64) {
	t.Helper()
	defer KeepGarbage()()
	began := time.Now()
	var next, events atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for n := next.Add(1); n <= count && !t.Failed(); n = next.Add(1) {
				r := Run(uint64(n), o)
				events.Add(int64(r.Events))
				if len(r.Violations) > 0 {
					t.Errorf("seed %d, play it again: make sim SEED=%d\n%s", n, n, r.Story())
				}
				if r.Events < leastEvents {
					t.Errorf("seed %d: only %d events", n, r.Events)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d seeds, %d events, in %s", count, events.Load(), time.Since(began).Round(time.Second))
}

// The same seed gives the same history, to the byte.
func TestTheSameSeedGivesTheSameHistory(t *testing.T) {
	defer KeepGarbage()()
	last := ""
	for seed := uint64(1); seed <= 12; seed++ {
		first, second := Run(seed, Options{}).History(), Run(seed, Options{}).History()
		if first != second {
			t.Errorf("seed %d gives two histories:\n%s", seed, firstDifference(first, second))
		}
		if first == last {
			t.Errorf("seeds %d and %d give the same history", seed-1, seed)
		}
		last = first
	}
}

// firstDifference shows where two histories part.
func firstDifference(a, b string) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	cut := func(s string) string { return s[max(0, n-300):min(len(s), n+300)] }
	return cut(a) + "\n---- or ----\n" + cut(b)
}
