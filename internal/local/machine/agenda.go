package machine

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// agenda calls what is due, from one goroutine and one timer for all machines.
// At most so many calls run at the same moment.
type agenda struct {
	ctx   context.Context
	slots chan struct{}
	wake  chan struct{}

	mu  sync.Mutex
	due entries
}

// entry is one call that is due. It says when it wants to be called next; zero
// means never.
type entry struct {
	at time.Time
	do func() time.Time
}

func newAgenda(ctx context.Context, most int) *agenda {
	a := &agenda{ctx: ctx, slots: make(chan struct{}, most), wake: make(chan struct{}, 1)}
	go a.run()
	return a
}

// add puts a call on the agenda.
func (a *agenda) add(at time.Time, do func() time.Time) {
	a.mu.Lock()
	heap.Push(&a.due, entry{at, do})
	first := a.due[0].at.Equal(at)
	a.mu.Unlock()
	if first {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

func (a *agenda) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		e, wait := a.next(time.Now())
		if wait == 0 {
			select {
			case a.slots <- struct{}{}:
				go a.call(e)
			case <-a.ctx.Done():
				return
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-a.wake:
		case <-a.ctx.Done():
			return
		}
	}
}

func (a *agenda) call(e entry) {
	defer func() { <-a.slots }()
	if next := e.do(); !next.IsZero() {
		a.add(next, e.do)
	}
}

// next takes the first call that is due, or says how long to wait for it.
func (a *agenda) next(now time.Time) (entry, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.due) == 0 {
		return entry{}, time.Hour
	}
	if wait := a.due[0].at.Sub(now); wait > 0 {
		return entry{}, wait
	}
	return heap.Pop(&a.due).(entry), 0
}

type entries []entry

func (e entries) Len() int           { return len(e) }
func (e entries) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e entries) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *entries) Push(x any)        { *e = append(*e, x.(entry)) }

func (e *entries) Pop() any {
	old := *e
	last := old[len(old)-1]
	old[len(old)-1] = entry{}
	*e = old[:len(old)-1]
	return last
}
