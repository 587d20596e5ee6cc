package sim

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// A machine is released behind the pool's back and replaced; then one that was
// slow to write its record down does so.
func comesBackLate(w *world) *stage {
	var keep, late string
	asked := false
	return &stage{
		length: 40 * time.Minute,
		begin: func() {
			w.people.create(newPool(1))
			w.after(5*time.Minute, func() {
				keep = w.ourNames()[0]
				i := &api.Instance{}
				if w.admin.Get(background, types.NamespacedName{Name: keep}, i) == nil {
					i.Spec.ReleaseFirst = true
					_ = w.admin.Update(background, i)
				}
				w.startProcess("b", 0)
				asked = true
				w.people.setNumber(2)
			})
			w.after(15*time.Minute, func() {
				w.people.told(w.region.Control(late, "release"))
				w.releasing[late] = true
				w.effects()
			})
		},
		api: func(_ *process, c apiserver.Call) {
			if first := asked && late == "" && c.Kind == apiserver.Instance && c.Verb == "create"; first {
				late = c.Name
				for w.now.Sub(w.began) < 30*time.Minute {
					w.current.sleep(10 * time.Second)
				}
			}
		},
		cloud: func(_ *process, c region.Call) cloudFault {
			if c.Action == "DeleteInstances" && keep != "" && slices.Contains(numbered(c.Params, "InstanceId"), keep) {
				w.violate("I8", "%s is released, and no more than two are there", keep)
			}
			return cloudFault{}
		},
	}
}

// An instance is taken out by name, and every call that takes our tags off is
// lost for a while.
func untaggedNever(w *world) *stage {
	return &stage{
		length: 30 * time.Minute,
		begin: func() {
			w.people.create(newPool(2))
			w.after(5*time.Minute, func() {
				w.people.ask(poolName, api.ClusterTaskSpec{Type: api.TaskRemove, Instances: w.ourNames()[:1], Concurrency: 1})
			})
		},
		cloud: func(_ *process, c region.Call) cloudFault {
			if c.Action == "UntagResources" && w.now.Sub(w.began) < 25*time.Minute {
				return cloudFault{kind: lostBefore}
			}
			return cloudFault{}
		},
	}
}

// The cloud shows a new machine as late as it may, and the controller's clock jumps
// ahead meanwhile.
func clockJumps(w *world) *stage {
	return &stage{
		length: 15 * time.Minute, visible: 2 * time.Minute,
		begin: func() {
			w.people.create(newPool(1))
			w.after(20*time.Second, func() { w.processes[0].skew = 55 * time.Second })
		},
	}
}

// One list misses an instance, and so does each look by id until the next list.
func blinks(w *world) *stage {
	missed, over := false, false
	none := cloudFault{kind: badList, spoil: func(good []byte) []byte { return pick(good, func(int) int { return 0 }) }}
	return &stage{
		length: 20 * time.Minute,
		begin:  func() { w.people.create(newPool(2)) },
		cloud: func(_ *process, c region.Call) cloudFault {
			switch {
			case c.Action != "DescribeInstances" || over || w.now.Sub(w.began) < 6*time.Minute:
				return cloudFault{}
			case !lists(c) && missed:
				return none
			case !lists(c):
				return cloudFault{}
			case missed:
				over = true
				return cloudFault{}
			}
			missed = true
			return cloudFault{kind: badList, spoil: func(good []byte) []byte { return pick(good, func(n int) int { return n - 1 }) }}
		},
	}
}

// Lists miss an instance for minutes; looks by id show it.
func hidden(w *world) *stage {
	return &stage{
		length: 20 * time.Minute,
		begin:  func() { w.people.create(newPool(2)) },
		cloud: func(_ *process, c region.Call) cloudFault {
			if t := w.now.Sub(w.began); !lists(c) || t < 6*time.Minute || t > 10*time.Minute {
				return cloudFault{}
			}
			return cloudFault{kind: badList, spoil: func(good []byte) []byte { return pick(good, func(n int) int { return n - 1 }) }}
		},
	}
}

// Every few seconds the controller has other credentials, of another account or
// its own, while the number changes.
func otherAccount(w *world) *stage {
	from, to := 5*time.Minute, 15*time.Minute
	raised := false
	var turn func(other bool)
	turn = func(other bool) {
		if len(w.processes) > 0 {
			w.processes[0].useKey(other)
		}
		if first := other && !raised && w.now.Sub(w.began) > from+time.Minute; first {
			raised = true
			w.people.setNumber(3)
		}
		if w.now.Sub(w.began) < to || other {
			w.at(w.now.Add(3*time.Second+w.trouble.upTo(20*time.Second)), "", func() { turn(!other) })
		}
	}
	return &stage{
		length: 20 * time.Minute,
		begin: func() {
			w.people.create(newPool(2))
			w.after(from, func() { turn(true) })
			w.after(from+4*time.Minute, func() { w.people.setNumber(1) })
			w.after(from+6*time.Minute, func() { w.people.setNumber(2) })
		},
	}
}
