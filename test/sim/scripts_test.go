package sim

import (
	"net/http"
	"slices"
	"strings"
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// after puts something on the agenda so long after the beginning.
func (w *world) after(d time.Duration, do func()) { w.at(w.began.Add(d), "", do) }

// ourNames are the instances of ours in the cloud, in order.
func (w *world) ourNames() []string {
	var out []string
	for _, i := range w.region.List() {
		if w.check.ours(i) {
			out = append(out, i.ID)
		}
	}
	slices.Sort(out)
	return out
}

// protectAllBut keeps all of ours from being chosen but one, and returns it.
func (w *world) protectAllBut(n int) string {
	names := w.ourNames()
	for k, name := range names {
		if k != n {
			w.people.setProtected(name, true)
		}
	}
	return names[n]
}

// lostThenRefused loses the answer to the n-th request to create, which is
// carried out, and refuses the next: nobody knows what the first of them made.
func lostThenRefused(n int, lost cloudFault) func(*process, region.Call) cloudFault {
	sent := 0
	return func(_ *process, c region.Call) cloudFault {
		if c.Action != "RunInstances" {
			return cloudFault{}
		}
		switch sent++; sent {
		case n:
			return lost
		case n + 1:
			return cloudFault{kind: refusedBefore, status: http.StatusForbidden, code: "OperationDenied.NoStock"}
		}
		return cloudFault{}
	}
}

// A piece is announced and sent while the cache sees no changes of activities;
// its answer is lost. What it made has no record, and whose it is stands only in
// what the cache does not show yet.
func unseenPiece(w *world) *stage {
	return &stage{
		length: 15 * time.Minute,
		begin:  func() { w.people.create(newPool(1)) },
		api: func(p *process, c apiserver.Call) {
			if first := c.Kind == apiserver.ScalingActivity && c.Part != "" && p.stuck[c.Kind].IsZero(); first {
				p.stuck[c.Kind] = w.now.Add(5 * time.Minute)
			}
		},
		cloud: lostThenRefused(1, cloudFault{kind: lostAfter}),
	}
}

// Lists fail from the first request to create until long after what it made must
// be visible, and nobody knows what it made.
func listsFail(w *world) *stage {
	meets := lostThenRefused(1, cloudFault{kind: lostAfter})
	var since time.Time
	return &stage{
		length: 90 * time.Minute,
		begin:  func() { w.people.create(newPool(1)) },
		cloud: func(p *process, c region.Call) cloudFault {
			if c.Action == "RunInstances" && since.IsZero() {
				since = w.now
			}
			if lists(c) && !since.IsZero() && w.now.Sub(since) < 80*time.Minute {
				return cloudFault{kind: refusedBefore, status: http.StatusServiceUnavailable, code: "ServiceUnavailable"}
			}
			return meets(p, c)
		},
	}
}

// Nobody knows what a request to create made, and no list shows it yet.
func unknownAnswer(w *world) *stage {
	return &stage{
		length: 10 * time.Minute, visible: 2 * time.Minute,
		begin: func() { w.people.create(newPool(1)) },
		cloud: lostThenRefused(1, cloudFault{kind: lostAfter}),
	}
}

// A request to create is given up for lost, and arrives ten minutes later. Lists
// show the other instance meanwhile, and all agree.
func arrivesLate(w *world) *stage {
	return &stage{
		length: 30 * time.Minute,
		begin: func() {
			w.people.create(newPool(1))
			w.after(5*time.Minute, func() { w.people.setNumber(2) })
		},
		cloud: lostThenRefused(2, cloudFault{kind: lateArrival, late: 10 * time.Minute}),
	}
}

// Every request to create is lost on its way, for longer than its token lives.
func neverArrives(w *world) *stage {
	return &stage{
		length: 50 * time.Minute,
		begin:  func() { w.people.create(newPool(1)) },
		cloud: func(_ *process, c region.Call) cloudFault {
			if c.Action == "RunInstances" && w.now.Sub(w.began) < 45*time.Minute {
				return cloudFault{kind: lostBefore}
			}
			return cloudFault{}
		},
	}
}

// A request to create waits for the wire until long after its token died.
func slowWire(w *world) *stage {
	sent := false
	return &stage{
		length: 50 * time.Minute,
		begin:  func() { w.people.create(newPool(1)) },
		cloud: func(_ *process, c region.Call) cloudFault {
			if c.Action != "RunInstances" || sent {
				return cloudFault{}
			}
			sent = true
			return cloudFault{wait: 40 * time.Minute}
		},
	}
}

// The number is raised again while a release call is on its way.
func mindChanges(w *world) *stage {
	raised := false
	return &stage{
		length: 20 * time.Minute,
		begin: func() {
			w.people.create(newPool(2))
			w.after(5*time.Minute, func() { w.people.setNumber(1) })
		},
		cloud: func(_ *process, c region.Call) cloudFault {
			if c.Action != "DeleteInstances" || raised {
				return cloudFault{}
			}
			raised = true
			w.at(w.now, "", func() { w.people.setNumber(2) })
			return cloudFault{wait: 2 * time.Minute}
		},
	}
}

// People take our tags off an instance that is drained before it is released,
// and its last pod goes long after.
func takenWhileDraining(w *world) *stage {
	return &stage{
		length: 45 * time.Minute,
		begin: func() {
			w.people.create(newPool(2))
			w.after(5*time.Minute, func() {
				goes := w.protectAllBut(0)
				w.budgets["app-"+goes] = w.began.Add(33 * time.Minute)
				w.people.setNumber(1)
				w.after(7*time.Minute, func() { w.people.untag(goes) })
			})
		},
	}
}

// A task names an instance while scaling in is about to choose the same one: the
// activity has read its record, and so has the task; both then write. The pool's
// controller stands still meanwhile, so that nothing else tells the task.
func chosenMeanwhile(w *world) *stage {
	var goes string
	asked, ready := false, false
	judged := func() bool {
		i := w.check.records()[goes]
		return i == nil || i.Spec.Release != nil || i.Spec.HeldBy != ""
	}
	until := func(is func() bool) {
		for !is() && !w.calm {
			w.current.sleep(100 * time.Millisecond)
		}
	}
	return &stage{
		length: 20 * time.Minute,
		begin: func() {
			w.people.create(newPool(3))
			w.after(5*time.Minute, func() { goes = w.protectAllBut(0); w.people.setNumber(2) })
			w.after(7*time.Minute, func() {
				asked = true
				w.people.ask(poolName, api.ClusterTaskSpec{Type: api.TaskRemove, Instances: []string{goes}, Release: true, Concurrency: 1})
			})
		},
		api: func(_ *process, c apiserver.Call) {
			who := w.current.name
			switch {
			case goes == "":
			case strings.Contains(who, "/activity ") && c.Verb == "patch" && c.Name == goes:
				until(func() bool { return ready })
			case strings.Contains(who, "/clustertask ") && c.Verb == "patch" && c.Kind == apiserver.NodePool && !ready:
				ready = true
				until(judged)
			case strings.Contains(who, "/nodepool ") && c.Writes() && asked:
				until(func() bool { return len(w.check.pool().Spec.Transfers) > 0 })
			}
		},
	}
}

// A chosen node does not drain in time: it stays, and the number with it.
func drainStops(w *world) *stage {
	return &stage{
		length: 60 * time.Minute,
		begin: func() {
			w.people.create(newPool(2))
			w.after(5*time.Minute, func() {
				goes := w.ourNames()[0]
				w.budgets["app-"+goes] = w.began.Add(55 * time.Minute)
				w.people.ask(poolName, api.ClusterTaskSpec{Type: api.TaskRemove, Instances: []string{goes}, Release: true, Concurrency: 1, Drain: api.DrainRequired})
			})
		},
	}
}

// An instance is taken out, and brought in again; the first call that took our
// tags off arrives after that.
func untaggedLate(w *world) *stage {
	var id string
	sent := false
	return &stage{
		length: 40 * time.Minute,
		begin: func() {
			w.people.create(newPool(2))
			w.after(5*time.Minute, func() {
				id = w.ourNames()[0]
				w.people.ask(poolName, api.ClusterTaskSpec{Type: api.TaskRemove, Instances: []string{id}, Concurrency: 1})
			})
			w.after(12*time.Minute, func() {
				w.check.ceiling[poolName]++
				w.people.ask(poolName, api.ClusterTaskSpec{Type: api.TaskAttach, Instances: []string{id}})
			})
		},
		cloud: func(_ *process, c region.Call) cloudFault {
			if c.Action != "UntagResources" || sent {
				return cloudFault{}
			}
			sent = true
			return cloudFault{kind: lateArrival, late: 14 * time.Minute}
		},
	}
}

// People copy our tags onto a machine of theirs, where everything else is kept.
func tagsCopied(w *world) *stage {
	return &stage{
		length: 20 * time.Minute,
		begin: func() {
			w.people.create(newPool(2))
			w.after(5*time.Minute, func() {
				for _, name := range w.ourNames() {
					w.people.setProtected(name, true)
				}
				w.people.copyTags()
			})
		},
	}
}
