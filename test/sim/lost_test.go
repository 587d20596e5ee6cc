package sim

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// losses are histories in which the whole store is lost. Machines run on, and
// nobody may take them for missing, nor for too many, before a person has said
// whose they are (rule 18); what was decided before the loss is not decided
// again (I1, I2), and in the end the pool has what was asked for, without a
// machine more on the way (I8).
var losses = map[string]func(*world) *stage{
	"nothing is left":            nothingLeft,
	"from an older moment":       olderMoment,
	"from amid a scaling-out":    amidScalingOut,
	"from amid a scaling-in":     amidScalingIn,
	"a few machines are unknown": fewUnknown,
}

// Whatever is left of the store, the pool comes to what was asked for.
func TestTheStoreIsLost(t *testing.T) {
	for name, script := range losses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(schedules) {
				if r := Run(seed, Options{script: script}); len(r.Violations) > 0 {
					t.Fatalf("schedule %d: %s\n%s", seed, r.Violations[0], r.Story())
				}
			}
		})
	}
}

func (w *world) between(from, to time.Duration) func() bool {
	return func() bool { return w.now.Sub(w.began) >= from && w.now.Sub(w.began) < to }
}

// Nothing is left but the machines; people ask for the same pool again.
func nothingLeft(w *world) *stage {
	return &stage{
		length: 30 * time.Minute, decides: true, still: w.between(10*time.Minute, 30*time.Minute),
		begin: func() {
			w.people.create(newPool(6))
			w.after(10*time.Minute, func() { w.loseStore(apiserver.Backup{}) })
			w.after(12*time.Minute, func() { w.people.create(newPool(6)) })
		},
	}
}

// What is left is of before the number was raised: most machines are unknown.
func olderMoment(w *world) *stage {
	var old apiserver.Backup
	return &stage{
		length: 30 * time.Minute, decides: true, still: w.between(10*time.Minute, 30*time.Minute),
		begin: func() {
			w.people.create(newPool(2))
			w.after(4*time.Minute, func() { old = w.api.Backup(); w.people.setNumber(6) })
			w.after(10*time.Minute, func() { w.loseStore(old) })
			w.after(12*time.Minute, func() { w.people.setNumber(6) })
		},
	}
}

// What is left is of the moment at which an activity was about to write its
// first piece down: it asks for the same once more, under the same token.
func amidScalingOut(w *world) *stage {
	var old *apiserver.Backup
	return &stage{
		length: 30 * time.Minute, decides: true,
		begin: func() {
			w.people.create(newPool(1))
			w.after(5*time.Minute, func() { w.people.setNumber(4) })
			w.after(10*time.Minute, func() { w.loseStore(*old) })
		},
		api: func(_ *process, c apiserver.Call) {
			if first := c.Kind == apiserver.ScalingActivity && c.Part == "status" && w.now.Sub(w.began) >= 5*time.Minute && old == nil; first {
				b := w.api.Backup()
				old = &b
			}
		},
	}
}

// What is left is of before instances were released: their records are there, and
// they are not.
func amidScalingIn(w *world) *stage {
	var old apiserver.Backup
	return &stage{
		length: 30 * time.Minute, decides: true,
		begin: func() {
			w.people.create(newPool(4))
			w.after(5*time.Minute, func() { old = w.api.Backup(); w.people.setNumber(2) })
			w.after(15*time.Minute, func() { w.loseStore(old) })
			w.after(17*time.Minute, func() { w.people.setNumber(2) })
		},
	}
}

// What is left is of before two more were created: they are known as nobody's,
// are not counted, and stay until a person has spoken.
func fewUnknown(w *world) *stage {
	var old apiserver.Backup
	return &stage{
		length: 30 * time.Minute, decides: true,
		begin: func() {
			w.people.create(newPool(1))
			w.after(5*time.Minute, func() { old = w.api.Backup(); w.people.setNumber(3) })
			w.after(12*time.Minute, func() { w.loseStore(old) })
			w.after(25*time.Minute, func() { w.people.decide(poolName) })
		},
	}
}
