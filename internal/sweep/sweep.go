// Package sweep keeps the one picture of the cloud that all controllers share.
//
// It reads the cloud in one complete list per interval, remembers when each
// instance was last shown, and counts sweeps that began far enough apart. What
// goes out are facts about the past; it never decides that an instance is gone
// and never changes anything in the cloud. An incomplete or failed list leaves
// the picture as it was (rules 15 and 16 of the activity protocol).
package sweep

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// kept is how many begin times of spaced sweeps are remembered; the longest
// rule asks for ten in a row.
const kept = 16

// page is how many instances the cloud lists in one answer: the MaxResults of
// DescribeInstances ends there.
const page = 100

// Lister reads the cloud once, completely.
type Lister interface {
	List(ctx context.Context) ([]cloud.Instance, error)
}

// Picture is what the newest complete sweep showed. It is shared and must not
// be changed.
type Picture struct {
	// Number counts complete sweeps from 1.
	Number int64
	// Began and Ended bracket the list on our own clock.
	Began, Ended time.Time
	// Instances by their IDs: everything in the VPC, whosever it is.
	Instances map[string]cloud.Instance
	// Ours is how many of them carry our cluster ID.
	Ours int
	// Untagged is how many spaced sweeps in a row showed an instance without
	// our cluster ID, and Idle in how many it did not run or was locked; those
	// with none of it are absent.
	Untagged, Idle map[string]int
}

// Empty is how many spaced sweeps in a row, up to a picture, showed nothing of
// ours.
func (s *Sweeper) Empty(p *Picture) int {
	if p.Ours > 0 {
		return 0
	}
	return max(s.EmptyInARow(), 1)
}

// Options of a Sweeper.
type Options struct {
	Cloud     Lister
	ClusterID string
	Waits     wait.Settings
	Now       func() time.Time
	// Allowed says whether the credentials are those of the account that our
	// groups belong to; a list of another account changes nothing.
	Allowed func(ctx context.Context) error
	// Report is told of each sweep: how long it took and its error.
	Report func(took time.Duration, err error)
}

// Sweeper reads the cloud at intervals. Its methods may be called from several
// goroutines.
type Sweeper struct {
	Options

	mu       sync.Mutex
	picture  *Picture
	lastSeen map[string]time.Time
	spaced   []spacedSweep
	busy     time.Time
	now      bool
	waiters  []func()
	wake     chan struct{}
	lastErr  error
}

type spacedSweep struct {
	began time.Time
	empty bool
}

// New returns a Sweeper that has seen nothing yet.
func New(o Options) *Sweeper {
	return &Sweeper{Options: o, lastSeen: map[string]time.Time{}, wake: make(chan struct{}, 1)}
}

// Latest returns the newest complete picture, nil before the first.
func (s *Sweeper) Latest() *Picture {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.picture
}

// Err returns why the newest list failed, nil where it did not.
func (s *Sweeper) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastErr
}

// Misses returns how many complete sweeps in a row, each a set time after the
// one before, have not shown an instance since it was last seen, counting only
// sweeps that began after since.
func (s *Sweeper) Misses(id string, since time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seen, ok := s.lastSeen[id]; ok && !seen.Before(since) {
		since = seen
	}
	return count(s.spaced, func(w spacedSweep) bool { return w.began.After(since) })
}

// EmptyInARow returns how many spaced sweeps in a row showed nothing of ours.
func (s *Sweeper) EmptyInARow() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for i := len(s.spaced) - 1; i >= 0 && s.spaced[i].empty; i-- {
		n++
	}
	return n
}

// Busy makes sweeps follow each other at the short interval until a time.
func (s *Sweeper) Busy(until time.Time) {
	s.mu.Lock()
	was := s.busy
	if until.After(s.busy) {
		s.busy = until
	}
	s.mu.Unlock()
	if s.Now().After(was) {
		s.poke()
	}
}

// Soon asks for a sweep as soon as the shortest spacing allows.
func (s *Sweeper) Soon() {
	s.mu.Lock()
	s.now = true
	s.mu.Unlock()
	s.poke()
}

// OnSweep registers a function that is called after each complete sweep. It
// must return at once.
func (s *Sweeper) OnSweep(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiters = append(s.waiters, f)
}

// Start sweeps until the context ends. It is a manager's Runnable.
func (s *Sweeper) Start(ctx context.Context) error {
	for {
		began := s.Now()
		_ = s.Sweep(ctx)
		if !s.pause(ctx, began) {
			return nil
		}
	}
}

// NeedLeaderElection lets every replica keep a picture.
func (s *Sweeper) NeedLeaderElection() bool { return false }

// Sweep reads the cloud once. An error leaves the picture as it was.
func (s *Sweeper) Sweep(ctx context.Context) error {
	s.mu.Lock()
	s.now = false
	s.mu.Unlock()
	began := s.Now()
	list, err := s.list(ctx)
	ended := s.Now()
	if s.Report != nil {
		s.Report(ended.Sub(began), err)
	}
	s.mu.Lock()
	s.lastErr = err
	if err == nil {
		s.record(began, ended, list)
	}
	waiters := s.waiters
	s.mu.Unlock()
	if err == nil {
		for _, f := range waiters {
			f()
		}
	}
	return err
}

func (s *Sweeper) list(ctx context.Context) ([]cloud.Instance, error) {
	if s.Allowed != nil {
		if err := s.Allowed(ctx); err != nil {
			return nil, err
		}
	}
	return s.Cloud.List(ctx)
}

// record stores a complete list. The caller holds the lock.
func (s *Sweeper) record(began, ended time.Time, list []cloud.Instance) {
	p := &Picture{Number: 1, Began: began, Ended: ended, Instances: make(map[string]cloud.Instance, len(list)),
		Untagged: map[string]int{}, Idle: map[string]int{}}
	was, apart := s.picture, 1
	if was == nil {
		was = &Picture{}
	}
	p.Number = was.Number + 1
	if n := len(s.spaced); n > 0 && began.Sub(s.spaced[n-1].began) < s.Waits.SweepSpacing {
		apart = 0
	}
	for _, i := range list {
		if i.Tags[cloud.TagCluster] != s.ClusterID {
			p.Untagged[i.ID] = was.Untagged[i.ID] + apart
		} else if i.Status != cloud.Running || locked(i) {
			p.Idle[i.ID] = was.Idle[i.ID] + apart
		}
		p.Instances[i.ID] = i
		s.lastSeen[i.ID] = began
		if i.Tags[cloud.TagCluster] == s.ClusterID {
			p.Ours++
		}
	}
	s.picture = p
	if apart > 0 {
		s.spaced = append(s.spaced, spacedSweep{began: began, empty: p.Ours == 0})
		if len(s.spaced) > kept {
			s.spaced = s.spaced[len(s.spaced)-kept:]
		}
	}
	s.forget()
}

// locked says whether the cloud keeps an instance from working: an unpaid bill
// or a breach of security. Recycling only announces its end.
func locked(i cloud.Instance) bool {
	return slices.Contains(i.OperationLocks, "financial") || slices.Contains(i.OperationLocks, "security")
}

// forget drops instances that no remembered sweep showed, so that the memory
// stays as large as the region.
func (s *Sweeper) forget() {
	if len(s.lastSeen) < 2*len(s.picture.Instances)+1000 {
		return
	}
	for id, seen := range s.lastSeen {
		if seen.Before(s.spaced[0].began) {
			delete(s.lastSeen, id)
		}
	}
}

// pause waits for the next sweep and reports whether there is one.
func (s *Sweeper) pause(ctx context.Context, began time.Time) bool {
	took := s.Now().Sub(began)
	for {
		due := began.Add(s.Apart(took))
		left := due.Sub(s.Now())
		if left <= 0 {
			return ctx.Err() == nil
		}
		t := time.NewTimer(left)
		select {
		case <-ctx.Done():
			t.Stop()
			return false
		case <-s.wake:
			t.Stop()
		case <-t.C:
		}
	}
}

// Apart is how long after the beginning of a sweep that took so long the next
// one begins. The larger the cloud, the further apart they are, up to their
// interval at rest: whoever waits, a page is asked for no more often than each
// SweepPage, and at most half of the time.
func (s *Sweeper) Apart(took time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var further time.Duration
	if s.picture != nil {
		further = min(time.Duration(len(s.picture.Instances)/page)*s.Waits.SweepPage, s.Waits.Sweep)
	}
	switch {
	case s.now:
		return max(s.Waits.SweepSoon, further, 2*took)
	case s.Now().Before(s.busy):
		return max(s.Waits.SweepBusy, further, took)
	}
	return s.Waits.Sweep
}

func (s *Sweeper) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func count[T any](list []T, is func(T) bool) int {
	n := 0
	for _, v := range list {
		if is(v) {
			n++
		}
	}
	return n
}
