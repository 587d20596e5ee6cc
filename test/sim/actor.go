package sim

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
)

// actor is one piece of work that hands control back wherever it reaches out.
type actor struct {
	world *world
	proc  *process
	name  string
	// resume lets it go on; false ends it where it stands.
	resume chan bool
	// wake is when it goes on at the earliest.
	wake time.Time
	// deadline is when the call that it makes now is to be over.
	deadline           time.Time
	done, killed, told bool
	panicked           string
	finished           func()
}

// spawn adds an actor that has not begun.
func (w *world) spawn(p *process, name string, body func(), finished func()) *actor {
	a := &actor{world: w, proc: p, name: name, resume: make(chan bool), finished: finished}
	w.actors = append(w.actors, a)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				a.panicked = fmt.Sprintf("%v\n%s", r, debug.Stack())
			}
			a.done = true
			w.turn <- struct{}{}
		}()
		if <-a.resume {
			body()
		}
	}()
	return a
}

// step lets an actor run until it hands control back or ends.
func (w *world) step(a *actor, goOn bool) {
	w.current = a
	a.killed = !goOn
	a.resume <- goOn
	<-w.turn
	w.current = nil
	if a.panicked != "" && !a.told {
		a.told = true
		w.violate("panic", "%s: %s", a.name, a.panicked)
	}
}

// yield hands control back, and returns when the scheduler chose this actor
// again.
func (a *actor) yield() {
	if a.killed {
		runtime.Goexit()
	}
	a.world.turn <- struct{}{}
	if !<-a.resume {
		runtime.Goexit()
	}
}

// sleep hands control back for a while at least.
func (a *actor) sleep(d time.Duration) {
	a.wake = a.world.now.Add(d)
	a.yield()
	a.wake = time.Time{}
}

// die ends an actor where it stands.
func (a *actor) die() {
	a.killed = true
	runtime.Goexit()
}
