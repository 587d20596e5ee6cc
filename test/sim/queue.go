package sim

import (
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// queue is a work queue in virtual time. It implements
// workqueue.TypedRateLimitingInterface.
type queue struct {
	world       *world
	first, most time.Duration
	due         map[reconcile.Request]time.Time
	fails       map[reconcile.Request]int
}

func newQueue(w *world, first, most time.Duration) *queue {
	return &queue{world: w, first: first, most: most, due: map[reconcile.Request]time.Time{}, fails: map[reconcile.Request]int{}}
}

// Add makes a key due now.
func (q *queue) Add(r reconcile.Request) { q.AddAfter(r, 0) }

// AddAfter makes a key due in a while, unless it is due before.
func (q *queue) AddAfter(r reconcile.Request, d time.Duration) {
	at := q.world.now.Add(max(d, 0))
	if was, there := q.due[r]; !there || at.Before(was) {
		q.due[r] = at
	}
}

// AddRateLimited makes a key due that failed, later each time.
func (q *queue) AddRateLimited(r reconcile.Request) {
	d := q.first << min(q.fails[r], 20)
	q.fails[r]++
	q.AddAfter(r, min(d, q.most))
}

// Forget ends the pauses of a key.
func (q *queue) Forget(r reconcile.Request) { delete(q.fails, r) }

// NumRequeues is how often a key failed in a row.
func (q *queue) NumRequeues(r reconcile.Request) int { return q.fails[r] }

// take takes the key that is due for longest.
func (q *queue) take() (reconcile.Request, bool) {
	best, when, found := reconcile.Request{}, time.Time{}, false
	for r, at := range q.due {
		if at.After(q.world.now) {
			continue
		}
		if !found || at.Before(when) || (at.Equal(when) && strings.Compare(r.String(), best.String()) < 0) {
			best, when, found = r, at, true
		}
	}
	if found {
		delete(q.due, best)
	}
	return best, found
}

// ready says whether a key is due, next when the first will be.
func (q *queue) ready() bool {
	at := q.next()
	return !at.IsZero() && !at.After(q.world.now)
}

func (q *queue) next() time.Time {
	var first time.Time
	for _, at := range q.due {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// Len is how many keys wait. The rest of the interface belongs to workers,
// which are not used.
func (q *queue) Len() int                       { return len(q.due) }
func (q *queue) Get() (reconcile.Request, bool) { return reconcile.Request{}, true }
func (q *queue) Done(reconcile.Request)         {}
func (q *queue) ShutDown()                      {}
func (q *queue) ShutDownWithDrain()             {}
func (q *queue) ShuttingDown() bool             { return false }
