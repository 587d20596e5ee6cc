package sweep

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// region is what the next list shows.
type region struct {
	list []cloud.Instance
	err  error
}

func (r *region) List(context.Context) ([]cloud.Instance, error) { return r.list, r.err }

func ours(id string) cloud.Instance {
	return cloud.Instance{ID: id, Tags: map[string]string{cloud.TagCluster: "c1"}}
}

func sweeper(r *region) (*Sweeper, *time.Time) {
	now := time.Unix(1_800_000_000, 0)
	s := New(Options{Cloud: r, ClusterID: "c1", Waits: wait.Defaults(), Now: func() time.Time { return now }})
	return s, &now
}

func sweepAfter(t *testing.T, s *Sweeper, now *time.Time, d time.Duration, wantErr bool) {
	t.Helper()
	*now = now.Add(d)
	if err := s.Sweep(context.Background()); (err != nil) != wantErr {
		t.Fatalf("sweep: %v, want an error: %v", err, wantErr)
	}
}

func TestMissesCountOnlyCompleteSweepsThatBeganApart(t *testing.T) {
	r := &region{list: []cloud.Instance{ours("i-1"), ours("i-2")}}
	s, now := sweeper(r)
	made := *now
	sweepAfter(t, s, now, 10*time.Second, false)
	r.list = []cloud.Instance{ours("i-2")}
	steps := []struct {
		what     string
		after    time.Duration
		err      error
		want     int
		pictures int64
	}{
		{"the first sweep without it", 10 * time.Second, nil, 1, 2},
		{"one that began too soon after", time.Second, nil, 1, 3},
		{"a list that failed", 10 * time.Second, errors.New("incomplete"), 1, 3},
		{"the second that counts", 10 * time.Second, nil, 2, 4},
	}
	for _, step := range steps {
		r.err = step.err
		sweepAfter(t, s, now, step.after, step.err != nil)
		if got := s.Misses("i-1", made); got != step.want {
			t.Errorf("%s: %d misses, want %d", step.what, got, step.want)
		}
		if got := s.Latest().Number; got != step.pictures {
			t.Errorf("%s: picture %d, want %d", step.what, got, step.pictures)
		}
	}
	r.err, r.list = nil, []cloud.Instance{ours("i-1"), ours("i-2")}
	sweepAfter(t, s, now, 10*time.Second, false)
	if got := s.Misses("i-1", made); got != 0 {
		t.Errorf("shown again: %d misses, want 0", got)
	}
}

func TestASweepBeforeTheRecordIsNoMiss(t *testing.T) {
	s, now := sweeper(&region{})
	sweepAfter(t, s, now, 10*time.Second, false)
	sweepAfter(t, s, now, 10*time.Second, false)
	if got := s.Misses("i-9", *now); got != 0 {
		t.Errorf("recorded after both sweeps: %d misses, want 0", got)
	}
}

func TestEmptyListsAreCountedInARow(t *testing.T) {
	r := &region{list: []cloud.Instance{{ID: "i-other"}}}
	s, now := sweeper(r)
	for want := 1; want <= 3; want++ {
		sweepAfter(t, s, now, 10*time.Second, false)
		if got := s.EmptyInARow(); got != want {
			t.Errorf("after %d lists without ours: %d", want, got)
		}
	}
	r.list = append(r.list, ours("i-1"))
	sweepAfter(t, s, now, 10*time.Second, false)
	if got := s.EmptyInARow(); got != 0 {
		t.Errorf("after one of ours: %d, want 0", got)
	}
}

func TestWhatIsUntaggedOrIdleIsCountedInARow(t *testing.T) {
	stopped := func(i cloud.Instance) cloud.Instance { i.Status = cloud.Stopped; return i }
	running := func(i cloud.Instance) cloud.Instance { i.Status = cloud.Running; return i }
	inArrears := running(ours("i-4"))
	inArrears.OperationLocks = []string{"financial"}
	r := &region{list: []cloud.Instance{stopped(ours("i-1")), running(ours("i-2")), {ID: "i-3", Status: cloud.Running}, inArrears}}
	s, now := sweeper(r)
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{10 * time.Second, 1}, {time.Second, 1}, {10 * time.Second, 2}} {
		sweepAfter(t, s, now, step.after, false)
		p := s.Latest()
		if p.Idle["i-1"] != step.want || p.Idle["i-2"] != 0 || p.Idle["i-4"] != step.want || p.Untagged["i-3"] != step.want || p.Untagged["i-1"] != 0 {
			t.Errorf("idle %v, untagged %v, want %d", p.Idle, p.Untagged, step.want)
		}
	}
	r.list = []cloud.Instance{running(ours("i-1"))}
	sweepAfter(t, s, now, time.Second, false)
	if p := s.Latest(); p.Idle["i-1"] != 0 {
		t.Errorf("it runs again, and is idle in %d", p.Idle["i-1"])
	}
}

// What a sweep costs grows with the cloud, and so does how long somebody waits for
// the next one, up to the interval at rest and beyond it no faster than the sweep.
func TestSweepsOfALargeCloudAreFurtherApartWithinBounds(t *testing.T) {
	w := wait.Defaults()
	tests := map[string]struct {
		instances            int
		took                 time.Duration
		wantBusy, wantSooner time.Duration
	}{
		"a small cloud":              {90, 10 * time.Millisecond, w.SweepBusy, w.SweepSoon},
		"a small one that is slow":   {90, 700 * time.Millisecond, w.SweepBusy, 1400 * time.Millisecond},
		"one of two pages":           {150, 10 * time.Millisecond, w.SweepBusy, w.SweepPage},
		"one whose sweep is felt":    {550, 100 * time.Millisecond, 5 * w.SweepPage, 5 * w.SweepPage},
		"a large one":                {2000, 300 * time.Millisecond, 20 * w.SweepPage, 20 * w.SweepPage},
		"one at the bound":           {10_000, 4 * time.Second, w.Sweep, w.Sweep},
		"one slower than its bounds": {10_000, 40 * time.Second, 40 * time.Second, 80 * time.Second},
	}
	for what, c := range tests {
		t.Run(what, func(t *testing.T) {
			r := &region{}
			for n := range c.instances {
				r.list = append(r.list, ours(fmt.Sprintf("i-%d", n)))
			}
			s, now := sweeper(r)
			sweepAfter(t, s, now, 0, false)
			if got := s.Apart(c.took); got != w.Sweep {
				t.Errorf("at rest: %s, want %s", got, w.Sweep)
			}
			s.Busy(now.Add(w.BusyAfter))
			if got := s.Apart(c.took); got != c.wantBusy {
				t.Errorf("busy: %s, want %s", got, c.wantBusy)
			}
			s.Soon()
			if got := s.Apart(c.took); got != c.wantSooner {
				t.Errorf("somebody waits: %s, want %s", got, c.wantSooner)
			}
			*now = now.Add(w.BusyAfter)
			sweepAfter(t, s, now, 0, false)
			if got := s.Apart(c.took); got != w.Sweep {
				t.Errorf("at rest again: %s, want %s", got, w.Sweep)
			}
		})
	}
}
