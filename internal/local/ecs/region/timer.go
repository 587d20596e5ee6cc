package region

import (
	"container/heap"
	"time"
)

// timer says when to look at an instance.
type timer struct {
	at time.Time
	id string
}

// timers is a heap of them. One that is out of date does no harm: the look
// finds nothing due.
type timers []timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }

// Push is for container/heap.
func (t *timers) Push(x any) { *t = append(*t, x.(timer)) }

// Pop is for container/heap.
func (t *timers) Pop() any {
	old := *t
	x := old[len(old)-1]
	*t = old[:len(old)-1]
	return x
}

func (t *timers) next() timer { return heap.Pop(t).(timer) }

// arm makes the region look at an instance when something is due for it.
func (r *Region) arm(i *Instance) {
	if r.instances[i.ID] != i {
		return
	}
	var at time.Time
	for _, t := range []time.Time{i.Due, i.takenBack(), i.Vanishes, r.expiry(i)} {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if !at.IsZero() {
		heap.Push(&r.timers, timer{at, i.ID})
	}
}

// takenBack is when a spot instance is released after its notice; zero where it
// has none, or is being released already.
func (i *Instance) takenBack() time.Time {
	if i.Releasing {
		return time.Time{}
	}
	return i.Terminates
}

// expiry is when the subscription of an instance next matters: its end, and
// later its release.
func (r *Region) expiry(i *Instance) time.Time {
	if i.Charge != prePaid || i.Expires.IsZero() || i.Releasing {
		return time.Time{}
	}
	if i.Status == statusStopped || i.Status == statusStopping {
		return i.Expires.Add(r.wait(r.world.Times.ExpiredRelease))
	}
	return i.Expires
}
