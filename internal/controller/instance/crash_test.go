package instance_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/cloudtest"
)

// errCrash is what a call answers at which the process dies.
var errCrash = errors.New("killed")

// story is something that is to come to an end, however often the controller
// dies on the way.
type story struct {
	begin func(b *bench)
	end   func(b *bench) error
}

var stories = map[string]story{
	"two come up": {
		begin: func(b *bench) {
			for _, id := range []string{"i-1", "i-2"} {
				b.ok(b.kube.Create(b.Context(), recorded(id)))
				b.cloud.Add(tagged(id, cloud.Running))
				b.ready(id)
			}
		},
		end: func(b *bench) error {
			for _, id := range []string{"i-1", "i-2"} {
				if i := b.instance(id); i == nil || i.Status.LifecycleState != api.InstanceInService || i.Status.SeenTime == nil {
					return fmt.Errorf("%s: %+v", id, i)
				}
			}
			return b.leaves("i-1 i-2", "i-1 i-2")
		},
	},
	"one of two is drained and released": {
		begin: func(b *bench) {
			b.has(nil, "i-1", "i-2")
			b.ready("i-2", "default/web-0")
			b.change("i-2", marked(api.ReleaseMark{Drain: api.DrainRequired}))
		},
		end: func(b *bench) error {
			if b.instance("i-2") != nil {
				return errors.New("its record is left")
			}
			return b.leaves("i-1", "i-1")
		},
	},
	"a subscription keeps": {
		begin: func(b *bench) {
			b.has(nil, "i-1", "i-2")
			b.cloud.Change("i-2", func(i *cloud.Instance) { i.ChargeType, i.ExpiredTime = cloud.Subscription, b.now.Add(time.Hour) })
			b.change("i-2", marked(api.ReleaseMark{Drain: api.DrainBestEffort}))
		},
		end: func(b *bench) error {
			i := b.instance("i-2")
			if i == nil || i.Spec.Release != nil || i.Status.ReleaseSentTime != nil || i.Status.DrainStartTime != nil {
				return fmt.Errorf("i-2: %+v", i)
			}
			if n, _, _ := b.nodes.Find(b.Context(), "i-2", ""); n.Unschedulable {
				return errors.New("its node is cordoned yet")
			}
			return b.leaves("i-1 i-2", "i-1 i-2")
		},
	},
	"one is taken out": {
		begin: func(b *bench) {
			b.has(nil, "i-1", "i-2")
			b.change("i-2", marked(api.ReleaseMark{TakeOut: true, Task: "t1", Drain: api.DrainBestEffort}))
		},
		end: func(b *bench) error {
			i := b.instance("i-2")
			if i == nil || i.Status.LifecycleState != api.InstanceRemoved {
				return fmt.Errorf("i-2: %+v", i)
			}
			for _, c := range b.cloud.All() {
				if c.ID == "i-2" && c.Tags[cloud.TagCluster] != "" {
					return errors.New("it has our tags yet")
				}
			}
			return b.leaves("i-1 i-2", "i-1")
		},
	},
	"one is held on its way in and completed": {
		begin: func(b *bench) {
			b.hook("warm", api.WayIn, 600, api.HookAbandon)
			b.ok(b.kube.Create(b.Context(), recorded("i-1")))
			b.cloud.Add(tagged("i-1", cloud.Running))
			b.ready("i-1")
			b.change("i-1", func(i *api.Instance) {
				i.Spec.HookAnswers = []api.HookAnswer{{Hook: "warm", Wait: "created", Result: api.HookContinue}}
			})
		},
		end: func(b *bench) error {
			i := b.instance("i-1")
			if i == nil || i.Status.LifecycleState != api.InstanceInService || len(i.Status.Hooks) != 1 || i.Status.Hooks[0].EndedBy != api.HookCompleted {
				return fmt.Errorf("i-1: %+v", i)
			}
			return b.leaves("i-1", "i-1")
		},
	},
	"one is held on its way out until the time is over": {
		begin: func(b *bench) {
			b.hook("tidy", api.WayOut, 30, api.HookContinue)
			b.has(nil, "i-1", "i-2")
			b.change("i-2", marked(api.ReleaseMark{Drain: api.DrainRequired}))
		},
		end: func(b *bench) error {
			if b.instance("i-2") != nil {
				return errors.New("its record is left")
			}
			return b.leaves("i-1", "i-1")
		},
	},
	"one is rolled back": {
		begin: func(b *bench) {
			b.hook("tidy", api.WayOut, 600, api.HookContinue)
			b.has(nil, "i-1", "i-2")
			b.change("i-2", marked(api.ReleaseMark{Drain: api.DrainRequired}))
			b.change("i-2", func(i *api.Instance) {
				i.Spec.HookAnswers = []api.HookAnswer{{Hook: "tidy", Wait: i.Spec.Release.Activity, Result: api.HookRollback}}
			})
		},
		end: func(b *bench) error {
			i := b.instance("i-2")
			if i == nil || i.Spec.Release != nil || !i.Spec.Protected || i.Status.ReleaseSentTime != nil || len(i.Status.Hooks) > 0 || b.node("i-2").Unschedulable {
				return fmt.Errorf("i-2: %+v", i)
			}
			return b.leaves("i-1 i-2", "i-1 i-2")
		},
	},
	"one vanished": {
		begin: func(b *bench) {
			b.has(nil, "i-1", "i-2")
			b.cloud.Vanish("i-2")
		},
		end: func(b *bench) error {
			if b.instance("i-2") != nil {
				return errors.New("its record is left")
			}
			return b.leaves("i-1", "i-1")
		},
	},
	"one is renewed": {
		begin: func(b *bench) {
			b.has(nil, "i-1")
			b.cloud.Change("i-1", func(i *cloud.Instance) {
				i.ChargeType, i.ExpiredTime = cloud.Subscription, time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
			})
			b.change("i-1", func(i *api.Instance) { i.Spec.Renew = &api.RenewWish{ID: "t1", PeriodMonths: 1} })
		},
		end: func(b *bench) error {
			i := b.instance("i-1")
			if len(i.Status.Wishes) != 1 || !i.Status.Wishes[0].Done || i.Status.Wishes[0].Code != "" {
				return fmt.Errorf("wishes: %+v", i.Status.Wishes)
			}
			if want := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC); !b.cloud.All()[0].ExpiredTime.Equal(want) || i.Status.ExpiryTime.Unix() != want.Unix() {
				return fmt.Errorf("expires %v, by the record %v, want %v", b.cloud.All()[0].ExpiredTime, i.Status.ExpiryTime, want)
			}
			return b.leaves("i-1", "i-1")
		},
	},
}

// leaves compares machines and Nodes.
func (b *bench) leaves(machines, nodes string) error {
	if got := fmt.Sprint(b.machines()); got != "["+machines+"]" {
		return fmt.Errorf("machines %s, want %s", got, machines)
	}
	if got := fmt.Sprint(b.nodes.Names()); got != "["+nodes+"]" {
		return fmt.Errorf("nodes %s, want %s", got, nodes)
	}
	return nil
}

// play runs a story in which the process dies at the n-th call, before or after
// it took effect; it says whether there was such a call.
func play(t *testing.T, s story, at int, m cloudtest.Moment) bool {
	b := newBench(t)
	s.begin(b)
	n, name := 0, ""
	b.broken = func(call string, moment cloudtest.Moment) error {
		if name != "" {
			return errCrash // a dead process does nothing more
		}
		if moment == cloudtest.Before {
			n++
		}
		if n == at && moment == m {
			name = call
			return errCrash
		}
		return nil
	}
	died := false
	for range 16 {
		_ = b.sweep(6 * time.Second)
		if name != "" && !died {
			died = true
			b.broken = nil
			b.restart()
		}
	}
	if died {
		b.settle(8)
	}
	if err := s.end(b); err != nil {
		t.Errorf("killed %s call %d, %s: %v", m, at, name, err)
	}
	return died
}

func TestACrashAtAnyCallEndsTheSame(t *testing.T) {
	for name, s := range stories {
		t.Run(name, func(t *testing.T) {
			for _, m := range []cloudtest.Moment{cloudtest.Before, cloudtest.After} {
				at := 1
				for play(t, s, at, m) {
					at++
				}
				if at < 3 {
					t.Errorf("only %d calls were made", at-1)
				}
			}
		})
	}
}

// A call that fails and a process that lives on: the same.
func TestAnErrorAtAnyCallEndsTheSame(t *testing.T) {
	for name, s := range stories {
		t.Run(name, func(t *testing.T) {
			for at := 1; ; at++ {
				b := newBench(t)
				s.begin(b)
				n, hit := 0, ""
				b.broken = func(call string, m cloudtest.Moment) error {
					if m == cloudtest.Before {
						if n++; n == at {
							hit = call
							return errors.New("connection refused")
						}
					}
					return nil
				}
				for range 20 {
					_ = b.sweep(6 * time.Second)
				}
				if hit == "" {
					break
				}
				if err := s.end(b); err != nil {
					t.Errorf("failed call %d, %s: %v", at, hit, err)
				}
			}
		})
	}
}
