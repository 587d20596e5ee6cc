//go:build kill

package kill

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// killsEach is how often each of the three processes is killed at least.
const killsEach = 50

// Kills by seed: each round scales the pool to a number of the seed, changes
// its mind at times, and kills processes of the seed's choice at the n-th call
// or after a time of the seed's choice. SEED=… plays one again.
func TestBySeed(t *testing.T) {
	seed := chooseSeed(t)
	t.Logf("play it again: SEED=%d make kill", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	r := startRegion(t)
	r.createPool(t)
	r.scaleAndSettle(t, low)
	r.protectOne(t)
	size := low
	for round := 1; r.fewestKills() < killsEach; round++ {
		plan := newRound(random, size)
		if !t.Run(fmt.Sprintf("%d: %s", round, plan), func(t *testing.T) { r.play(t, plan, size) }) {
			t.Fatalf("stopped at the first round that failed; play it again: SEED=%d make kill", seed)
		}
		size = plan.to
	}
	t.Logf("kills: controller %d, local cloud %d, control plane %d", r.controller.kills, r.cloud.kills, r.plane.kills)
	r.checkOrphans(t)
	r.checkProcesses(t)
}

// fewestKills is how often the process that was killed least was killed.
func (r *region) fewestKills() int {
	n := killsEach
	for _, p := range []*program{r.controller, r.cloud, r.plane} {
		p.mu.Lock()
		n = min(n, p.kills)
		p.mu.Unlock()
	}
	return n
}

// round is one scaling with its kills.
type round struct {
	to    int
	via   int // another number, asked for first; 0: none
	shots []blind
}

// blind is one kill at a place that nobody has looked at.
type blind struct {
	victim victim
	nth    int // call after the one of the kill before; 0: by time
	after  bool
	wait   time.Duration
}

func (p round) String() string {
	s := fmt.Sprintf("to %d", p.to)
	if p.via > 0 {
		s = fmt.Sprintf("to %d, then %d", p.via, p.to)
	}
	for _, k := range p.shots {
		switch {
		case k.nth == 0:
			s += fmt.Sprintf(", %s after %s", k.victim, k.wait)
		case k.after:
			s += fmt.Sprintf(", %s after call %d", k.victim, k.nth)
		default:
			s += fmt.Sprintf(", %s before call %d", k.victim, k.nth)
		}
	}
	return s
}

// newRound draws a round: another size, sometimes by way of a third, and one
// to three kills.
func newRound(random *rand.Rand, size int) round {
	p := round{to: low + random.IntN(2*high)}
	if p.to == size {
		p.to++
	}
	if random.IntN(4) == 0 {
		p.via = low + random.IntN(2*high)
	}
	for range 1 + random.IntN(3) {
		k := blind{victim: victim(random.IntN(3)), after: random.IntN(2) == 0}
		if random.IntN(3) == 0 {
			k.wait = time.Duration(random.IntN(1500)) * time.Millisecond
		} else {
			k.nth = 1 + random.IntN(60)
		}
		p.shots = append(p.shots, k)
	}
	return p
}

// play scales, kills and checks.
func (r *region) play(t *testing.T, p round, size int) {
	created, released := r.books.count()
	if p.via > 0 {
		if err := r.scale(t.Context(), int32(p.via)); err != nil {
			t.Fatal(err)
		}
	}
	for n, k := range p.shots {
		if n == len(p.shots)-1 {
			if err := r.scale(t.Context(), int32(p.to)); err != nil {
				t.Fatal(err)
			}
		}
		r.killBlind(k)
	}
	w, missing := r.rest(t.Context(), p.to, func() bool { return true })
	if missing != "" {
		t.Fatalf("the pool did not come to rest within %s: %s\n%s", patience, missing, r.story(w))
	}
	for _, wrong := range r.wrong(w) {
		t.Error(wrong)
	}
	nowCreated, nowReleased := r.books.count()
	made, gone := nowCreated-created, nowReleased-released
	if made-gone != p.to-size {
		t.Errorf("from %d to %d with %d created and %d released", size, p.to, made, gone)
	}
	if most := max(0, p.to-size); p.via == 0 && len(p.shots) == 1 && made != most {
		t.Errorf("%d instances were created, want %d", made, most)
	}
}

// killBlind kills a process at its place: the n-th call that changes something
// or reads the cloud, or a time. Where so many calls do not come, the time that
// a scaling takes ends the wait.
func (r *region) killBlind(k blind) {
	process := r.victim(k.victim)
	if k.nth == 0 {
		<-time.After(k.wait)
		process.kill()
		return
	}
	trap := &trap{match: func(c *call) bool { return c.verb != "GET" }, nth: k.nth, after: k.after, process: process, sprung: make(chan struct{})}
	r.gate.set(trap)
	defer r.gate.set(nil)
	select {
	case <-trap.sprung:
	case <-time.After(5 * time.Second):
	}
}
