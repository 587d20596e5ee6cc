package sim

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// rates say how often each kind of trouble comes, of a thousand calls. A seed
// draws each of them anew, and leaves many out: what always comes together
// hides what only comes alone.
type rates struct {
	apiLost, apiLate, apiThrottled, apiOvertaken, apiSlow, crash     int
	cloudLost, cloudDone, cloudLate, cloudTwice, cloudBusy, cloudOff int
	cloudRefused, badList, cloudSlow, hidden                         int
}

// trouble is all that goes wrong by itself.
type trouble struct {
	*world
	random *rand.Rand
	rates  rates
	// outage is until when the API server does not answer.
	outage time.Time
	late   bool
	lists  [][]byte
}

func newTrouble(w *world) *trouble {
	t := &trouble{world: w, random: w.random}
	r := &t.rates
	for _, rate := range []*int{&r.apiLost, &r.apiLate, &r.apiThrottled, &r.apiOvertaken, &r.apiSlow, &r.cloudLost, &r.cloudDone, &r.cloudLate,
		&r.cloudTwice, &r.cloudBusy, &r.cloudOff, &r.cloudRefused, &r.badList, &r.cloudSlow, &r.hidden} {
		*rate = []int{0, 0, 0, 10, 50, 150}[t.random.IntN(6)]
	}
	r.hidden *= 4 // of a thousand new instances, which are far fewer than calls
	r.crash = []int{0, 0, 2, 10}[t.random.IntN(4)]
	t.late = t.random.IntN(3) == 0
	return t
}

// hits throws the dice.
func (t *trouble) hits(rate int) bool {
	return !t.calm && !t.options.Calm && t.stage == nil && rate > 0 && t.random.IntN(1000) < rate
}

func (t *trouble) upTo(d time.Duration) time.Duration {
	return time.Duration(t.random.Int64N(int64(d)))
}

// wire carries one call of a process to the API server, through all that may
// go wrong with it.
func (p *process) wire(c apiserver.Call, do func() error) error {
	w, a := p.world, p.world.current
	if a == nil {
		return do()
	}
	a.yield()
	w.apiMeets(p, c)
	t := w.trouble
	if t.hits(t.rates.apiSlow) {
		a.sleep(t.upTo(20 * time.Second))
	}
	if t.hits(t.rates.crash) {
		after := t.random.IntN(2) == 0
		if after {
			_ = do()
		}
		p.crash(c.String(), after)
		a.die()
	}
	resource := schema.GroupResource{Resource: c.Kind.Kind}
	switch {
	case w.now.Before(t.outage):
		return apierrors.NewServiceUnavailable("the API server is down")
	case t.hits(t.rates.apiThrottled):
		w.note(true, "%s: %s is throttled", a.name, c)
		return apierrors.NewTooManyRequests("slow down", 1)
	case t.hits(t.rates.apiLost):
		w.note(true, "%s: %s is lost before it arrives", a.name, c)
		return apierrors.NewServerTimeout(resource, c.Verb, 1)
	}
	if (c.Verb == "update" || c.Verb == "patch") && t.hits(t.rates.apiOvertaken) {
		w.people.touch(c)
	}
	err := do()
	if c.Writes() && t.hits(t.rates.apiLate) {
		w.note(true, "%s: the answer to %s is lost", a.name, c)
		return apierrors.NewTimeoutError("the answer was lost", 1)
	}
	return err
}

// crash ends a process at a call; it starts again a while later.
func (p *process) crash(at string, after bool) {
	w := p.world
	when := "before"
	if after {
		when = "after"
	}
	w.note(true, "%s crashes %s: %s", p.name, when, at)
	p.dead = true
	name := p.name
	w.at(w.now.Add(w.trouble.upTo(2*time.Minute)), "", func() {
		if !w.calm || len(w.processes) == 0 {
			w.startProcess(name, w.people.skew())
		}
	})
}

// The kinds of trouble with a call to the cloud.
type faultKind int

const (
	none faultKind = iota
	unreachable
	lostBefore
	lostAfter
	lateArrival
	twice
	refusedBefore
	refusedAfter
	badList
)

func (k faultKind) loses() bool { return k == lostBefore || k == lostAfter || k == lateArrival }

// cloudFault is what one call to the cloud meets.
type cloudFault struct {
	kind   faultKind
	wait   time.Duration
	late   time.Duration
	status int
	code   string
	spoil  func([]byte) []byte
}

// ofCloud says what a call to the cloud meets.
func (t *trouble) ofCloud(p *process, c region.Call) cloudFault {
	if t.stage != nil {
		return t.cloudMeets(p, c)
	}
	var f cloudFault
	if t.hits(t.rates.cloudSlow) {
		f.wait = t.upTo(20 * time.Second)
		if t.random.IntN(10) == 0 {
			f.wait = t.upTo(40 * time.Minute)
		}
	}
	if t.hits(t.rates.crash) {
		if t.random.IntN(2) == 0 {
			t.exchange(p, c, cloudFault{})
		}
		p.crash("a call "+describe(c), true)
		t.current.die()
	}
	switch r := t.rates; {
	case t.hits(r.cloudOff):
		f.kind = unreachable
	case t.hits(r.cloudLost):
		f.kind = lostBefore
	case t.hits(r.cloudDone):
		f.kind = lostAfter
	case mutates(c) && t.hits(r.cloudLate):
		f.kind, f.late = lateArrival, t.upTo(14*time.Minute)
	case mutates(c) && t.hits(r.cloudTwice):
		f.kind = twice
	case t.hits(r.cloudBusy):
		f.kind, f.status, f.code = refusedBefore, http.StatusServiceUnavailable, "ServiceUnavailable"
		if t.random.IntN(2) == 0 {
			f.status, f.code = http.StatusBadRequest, "Throttling.User"
		} else if t.random.IntN(2) == 0 {
			f.kind = refusedAfter
		}
	case c.Action == "RunInstances" && t.hits(r.cloudRefused):
		f.kind, f.status, f.code = refusedBefore, http.StatusForbidden, "OperationDenied.NoStock"
	case lists(c) && t.hits(r.badList):
		f.kind, f.spoil = badList, t.spoil
	}
	return f
}

// spoil makes a list wrong that is otherwise complete: it misses entries,
// repeats one, is empty, or is one from before.
func (t *trouble) spoil(answer []byte) []byte {
	t.lists = append(t.lists, answer)
	var page map[string]any
	if json.Unmarshal(answer, &page) != nil {
		return answer
	}
	holder, _ := page["Instances"].(map[string]any)
	list, _ := holder["Instance"].([]any)
	what := "is empty"
	switch n := t.random.IntN(4); {
	case n == 0 && len(list) > 0:
		what = "repeats an entry"
		list = append(slices.Clone(list), list[0])
	case n == 1 && len(list) > 0:
		what = "misses an entry"
		k := t.random.IntN(len(list))
		list = slices.Delete(slices.Clone(list), k, k+1)
	case n == 2 && len(t.lists) > 1:
		t.note(true, "cloud: a list comes from an older moment")
		return t.lists[max(0, len(t.lists)-2-t.random.IntN(3))]
	default:
		list = []any{}
	}
	t.note(true, "cloud: a list %s", what)
	holder["Instance"] = list
	out, err := json.Marshal(page)
	if err != nil {
		return answer
	}
	return out
}

// lateJoin is how much later than others a machine joins.
func (t *trouble) lateJoin() time.Duration {
	if !t.late || t.calm || t.options.Calm || t.stage != nil || t.random.IntN(3) > 0 {
		return 0
	}
	return t.upTo(25 * time.Minute)
}
