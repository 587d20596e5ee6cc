package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// KeepGarbage collects garbage seldom, as histories are short and their worlds
// small; what it returns undoes that.
func KeepGarbage() (undo func()) {
	percent := debug.SetGCPercent(1600)
	return func() { debug.SetGCPercent(percent) }
}

// Options of a history.
type Options struct {
	// Calm histories have no trouble but changed minds.
	Calm bool
	// Breaks leave rules out; nil: none.
	Breaks *Breaks
	// script directs the history; nil: the seed does.
	script func(*world) *stage
}

// leastEvents is how many things happen in every history at least.
const leastEvents = 50

// Result is what came of a seed.
type Result struct {
	Seed uint64
	// Violations are the promises that were broken, in words.
	Violations []string
	// Events is how many things happened.
	Events  int
	history []line
}

// Run plays the history of one seed.
func Run(seed uint64, o Options) Result {
	w := newWorld(seed, o)
	trouble := w.begin()
	w.startProcess("a", w.people.skew())
	w.run(w.began.Add(trouble), func() bool { return false })
	if len(w.violations) == 0 {
		w.people.settle()
		w.clear()
		w.converge()
	}
	w.end()
	return Result{Seed: seed, Violations: w.violations, Events: len(w.history), history: w.history}
}

// begin lets people begin, and returns how long the trouble lasts.
func (w *world) begin() time.Duration {
	if w.stage != nil {
		w.stage.begin()
		return w.stage.length
	}
	trouble := 10*time.Minute + time.Duration(w.random.Int64N(int64(30*time.Minute)))
	w.people.begin(trouble)
	return trouble
}

// How long a history may take to come to what was asked for, and how long it
// must then stay there.
const (
	patience = 8 * time.Hour
	quiet    = 3 * time.Minute
)

// converge waits until everything is as it was asked for, and stays so (I8).
func (w *world) converge() {
	var since time.Time
	end := w.now.Add(patience)
	thaw := w.now.Add(30 * time.Minute)
	w.run(end, func() bool {
		if w.now.After(thaw) {
			thaw = w.now.Add(time.Hour)
			w.thaw()
		}
		if why := w.check.notYet(); why != "" {
			since = time.Time{}
			return false
		}
		if since.IsZero() {
			since = w.now
		}
		return w.now.Sub(since) > quiet
	})
	if len(w.violations) > 0 {
		return
	}
	if why := w.check.notYet(); why != "" {
		w.violate("I8", "%s after the trouble had stopped: %s", patience, why)
		return
	}
	w.note(true, "everything is as it was asked for")
	w.rest()
}

// thaw is a person's word where a group waits for one: where its guard against
// mass disappearance does, and where nobody knows whose a machine is.
func (w *world) thaw() {
	for _, o := range w.api.Objects(apiserver.ScalingGroup) {
		g, _ := o.(*api.ScalingGroup)
		for _, c := range g.Status.Conditions {
			switch {
			case c.Type != api.ConditionFrozen || c.Status != metav1.ConditionTrue:
			case c.Reason == api.ReasonUnknownInstances:
				if w.stage == nil || w.stage.decides {
					w.people.decide(g.Spec.Pool)
				}
			default:
				w.people.say(g.Spec.Pool, api.AnnotationThawCount)
			}
		}
	}
}

// rest looks that nothing is changed any more, neither in the cloud (I8) nor in
// the API server (I14).
func (w *world) rest() {
	before, writes, news := w.lastMutation, w.writes, w.news
	w.run(w.now.Add(5*time.Minute), func() bool { return false })
	if w.lastMutation != before {
		w.violate("I8", "the cloud is changed although everything is as it was asked for")
	}
	if n := w.writes - writes; n > 2+w.news-news { // a machine may join as late as this
		w.violate("I14", "%d writes in five minutes although everything is as it was asked for", n)
	}
}

// Story is what a person needs to see of a history.
func (r Result) Story() string { return r.text(true) }

// History is all of it.
func (r Result) History() string { return r.text(false) }

func (r Result) text(story bool) string {
	var b strings.Builder
	for _, l := range r.history {
		if l.story || !story {
			fmt.Fprintf(&b, "%10.3fs  %s\n", l.at.Seconds(), l.text)
		}
	}
	return b.String()
}

// Hash tells one history from another.
func (r Result) Hash() string {
	sum := sha256.Sum256([]byte(r.History()))
	return hex.EncodeToString(sum[:8])
}
