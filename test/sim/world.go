package sim

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
	"github.com/poolkeeper/poolkeeper/internal/wait"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// clusterID is that of the simulated cluster.
const clusterID = "simulated"

// account is whose region it is.
const account = "1000000000000001"

// world is one history under way.
type world struct {
	options Options
	breaks  *Breaks
	// stage is nil but in a directed history.
	stage  *stage
	random *rand.Rand
	now    time.Time
	began  time.Time
	waits  wait.Settings

	api      *apiserver.Server
	admin    person
	region   *region.Region
	regionID string
	// foreign is what another account has there; nil: nobody asked yet.
	foreign   *region.Region
	processes []*process
	actors    []*actor
	current   *actor
	turn      chan struct{}
	idle      []chan *actor
	agenda    agenda
	trouble   *trouble
	people    *people
	check     *checker

	// power counts how often a machine was switched on or off.
	power map[string]int
	// kubelets are by instance, filings by the names of requests, and proved
	// says which instance may show a key.
	kubelets map[string]*kubelet
	filings  map[string]filing
	proved   map[string]string
	// releasing are instances whose release the cloud has begun.
	releasing map[string]bool
	// ready is what the kubelet of a machine says of itself, and cut until when
	// the cluster does not hear it.
	ready map[string]bool
	cut   map[string]time.Time
	// budgets keep a pod where it is until then.
	budgets map[string]time.Time
	// hidden are new instances that were shown and are to be hidden again, and when.
	hidden map[string]span
	// calm is true once the trouble has stopped.
	calm bool

	requests, steps, cloudCalls int
	// writes are those of the processes, news those of people and machines.
	writes, news int
	lastMutation time.Time
	history      []line
	violations   []string
}

// line is one line of the history; a story line is one that people need.
type line struct {
	at    time.Duration
	story bool
	text  string
}

func newWorld(seed uint64, o Options) *world {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w := &world{options: o, breaks: o.Breaks, random: rand.New(rand.NewPCG(seed, 0)), now: began, began: began, waits: waits(), turn: make(chan struct{}),
		kubelets: map[string]*kubelet{}, filings: map[string]filing{}, proved: map[string]string{},
		power: map[string]int{}, releasing: map[string]bool{}, ready: map[string]bool{}, cut: map[string]time.Time{}, budgets: map[string]time.Time{}, hidden: map[string]span{}}
	if w.breaks == nil {
		w.breaks = &Breaks{}
	}
	if o.script != nil {
		w.stage = o.script(w)
	}
	clock := func() time.Time { return w.now }
	w.check = newChecker(w)
	w.api = apiserver.New(apiserver.Options{Scheme: apiserver.Scheme(), Kinds: apiserver.Kinds(), Now: clock,
		Random: rand.New(rand.NewPCG(seed, 1)), OnChange: w.changed})
	w.admin = person{&apiserver.Client{Server: w.api, Wire: apiserver.Direct}}
	s := scenario.Default()
	w.regionID = s.Region
	var err error
	w.region, err = region.New(region.Options{Scenario: w.scenarioOf(s), Account: account, MaxNodes: 500, Now: clock, Random: rand.New(rand.NewPCG(seed, 2))}, nil)
	if err != nil {
		w.violate("start", "%v", err)
	}
	w.trouble, w.people = newTrouble(w), newPeople(w)
	return w
}

// waits are those of production, with sweeps a little further apart.
func waits() wait.Settings {
	s := wait.Defaults()
	s.SweepBusy, s.SweepSoon = 6*time.Second, 2*time.Second
	return s
}

// scenarioOf makes new instances visible late, as long as the seed or the script
// says.
func (w *world) scenarioOf(s scenario.Scenario) scenario.Scenario {
	s.Times.Visible = scenario.Duration([]time.Duration{0, 0, 5 * time.Second, 30 * time.Second, 2 * time.Minute}[w.random.IntN(5)])
	if w.stage != nil {
		s.Times.Visible = scenario.Duration(w.stage.visible)
	}
	return s
}

// note adds a line to the history.
func (w *world) note(story bool, format string, args ...any) {
	w.history = append(w.history, line{w.now.Sub(w.began), story, fmt.Sprintf(format, args...)})
}

// violate notes that a promise was broken.
func (w *world) violate(what, format string, args ...any) {
	text := what + ": " + fmt.Sprintf(format, args...)
	w.note(true, "VIOLATED %s", text)
	w.violations = append(w.violations, text)
}

// changed is told of each change in the API server.
func (w *world) changed(e apiserver.Event) {
	if w.current == nil {
		w.news++
	} else {
		w.writes++
	}
	text, story := inWords(e)
	w.note(story, "%s%s", w.who(), text)
	w.check.change(e)
}

func (w *world) who() string {
	if w.current == nil {
		return ""
	}
	return w.current.name + ": "
}

// item is one entry of the agenda.
type item struct {
	at   time.Time
	seq  int
	what string
	do   func()
}

// agenda is what is to happen later, in order.
type agenda []item

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	if !a[i].at.Equal(a[j].at) {
		return a[i].at.Before(a[j].at)
	}
	return a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push is for container/heap.
func (a *agenda) Push(x any) { *a = append(*a, x.(item)) }

// Pop is for container/heap.
func (a *agenda) Pop() any {
	old := *a
	x := old[len(old)-1]
	*a = old[:len(old)-1]
	return x
}

// at puts something on the agenda.
func (w *world) at(when time.Time, what string, do func()) {
	w.requests++
	heap.Push(&w.agenda, item{when, w.requests, what, do})
}

// choice is one thing that may happen next.
type choice func()

// choices are all that may happen now, in a fixed order.
func (w *world) choices() []choice {
	var out []choice
	for _, a := range w.actors {
		if !w.now.Before(a.wake) && !w.now.Before(a.proc.paused) {
			out = append(out, func() { w.step(a, true) })
		}
	}
	for _, p := range w.processes {
		if w.now.Before(p.paused) {
			continue
		}
		p.hurry()
		for _, r := range p.runs {
			if !r.busy && r.queue.ready() {
				out = append(out, func() { p.begin(r) })
			}
		}
		for _, gvk := range cached {
			if p.cache.Behind(gvk) > 0 && !w.now.Before(p.stuck[gvk]) {
				out = append(out, func() { p.deliver(gvk) })
			}
		}
	}
	return out
}

// run lets things happen until a moment, or until stop says so.
func (w *world) run(until time.Time, stop func() bool) {
	for w.now.Before(until) && len(w.violations) == 0 && w.steps < maxSteps {
		w.steps++
		all := w.choices()
		if len(all) == 0 {
			if stop() || !w.advance(until) {
				return
			}
			continue
		}
		all[w.random.IntN(len(all))]()
		w.clear()
	}
	if w.steps >= maxSteps {
		w.violate("hot loop", "more than %d steps", maxSteps)
	}
}

// maxSteps is more than any history takes that comes to rest.
const maxSteps = 400_000

// clear forgets actors that ended, and processes that died with theirs.
func (w *world) clear() {
	for _, p := range w.processes {
		if p.dead {
			for _, a := range w.actors {
				if a.proc == p && !a.done {
					w.step(a, false)
				}
			}
		}
	}
	live := w.actors[:0]
	for _, a := range w.actors {
		if !a.done {
			live = append(live, a)
		} else if a.finished != nil {
			a.finished()
		}
	}
	w.actors = live
	var on []*process
	for _, p := range w.processes {
		if !p.dead {
			on = append(on, p)
		}
	}
	w.processes = on
}

// advance moves the clock to the next moment at which something happens.
func (w *world) advance(until time.Time) bool {
	next := until
	sooner := func(t time.Time) {
		if !t.IsZero() && t.After(w.now) && t.Before(next) {
			next = t
		}
	}
	if len(w.agenda) > 0 {
		sooner(w.agenda[0].at)
	}
	sooner(w.region.Next())
	for _, a := range w.actors {
		sooner(a.wake)
		sooner(a.proc.paused)
	}
	for _, p := range w.processes {
		sooner(p.paused)
		for _, r := range p.runs {
			if !r.busy {
				sooner(r.queue.next())
			}
		}
		for _, gvk := range cached {
			sooner(p.stuck[gvk])
		}
	}
	w.now = next
	for len(w.agenda) > 0 && !w.agenda[0].at.After(w.now) {
		i, ok := heap.Pop(&w.agenda).(item)
		if !ok {
			break
		}
		if i.what != "" {
			w.note(true, "%s", i.what)
		}
		i.do()
		w.clear()
	}
	w.region.Tick()
	w.effects()
	w.check.everything()
	return w.now.Before(until)
}

// end stops every actor.
func (w *world) end() {
	for _, p := range w.processes {
		p.dead = true
	}
	w.clear()
	for _, g := range w.idle {
		close(g)
	}
}

var background = context.Background()
