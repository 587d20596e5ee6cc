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
	body  func()
	begun bool
	// resume lets it go on; false ends it where it stands.
	resume chan bool
	// wake is when it goes on at the earliest.
	wake time.Time
	// deadline is when the call that it makes now is to be over.
	deadline time.Time
	// since is when it began, and picture when the newest complete list of the
	// cloud began that it knew then.
	since, picture     time.Time
	done, killed, told bool
	panicked           string
	finished           func()
}

// spawn adds an actor that has not begun.
func (w *world) spawn(p *process, name string, body func(), finished func()) *actor {
	a := &actor{world: w, proc: p, name: name, body: body, resume: make(chan bool), finished: finished}
	w.actors = append(w.actors, a)
	return a
}

// goroutine does the work of one actor after another: a stack that has grown
// once need not grow again.
func (w *world) goroutine() chan *actor {
	if n := len(w.idle); n > 0 {
		g := w.idle[n-1]
		w.idle = w.idle[:n-1]
		return g
	}
	g := make(chan *actor)
	go func() {
		for a := range g {
			a.play(g)
		}
	}()
	return g
}

// play does all that an actor does.
func (a *actor) play(g chan *actor) {
	whole := false // false where it was ended where it stood, and the goroutine with it
	defer func() {
		if r := recover(); r != nil {
			a.panicked, whole = fmt.Sprintf("%v\n%s", r, debug.Stack()), true
		}
		if whole {
			a.world.idle = append(a.world.idle, g)
		}
		a.done = true
		a.world.turn <- struct{}{}
	}()
	a.body()
	whole = true
}

// step lets an actor run until it hands control back or ends.
func (w *world) step(a *actor, goOn bool) {
	w.current = a
	a.killed = !goOn
	if a.begun {
		a.resume <- goOn
	} else {
		a.begun, a.since = true, w.now
		w.goroutine() <- a
	}
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
