package clustertask

import (
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Trouble is one time in which the API server did not serve us as it should.
type Trouble struct {
	Code fault.Code
	// From when to when; To is zero while it lasts.
	From, To time.Time
	Message  string
}

// Poke has the open tasks tell of the API server's troubles. It returns at
// once.
func (r *Reconciler) Poke() {
	for _, name := range r.memory.all() {
		select {
		case r.pokes <- event.TypedGenericEvent[string]{Object: name}:
		default: // it is looked at anyway
		}
	}
}

// pokesHeld is how many pokes may wait.
const pokesHeld = 1024

// troubled tells of the API server's troubles since the task began: with code,
// from when to when, and what waited. One that lasts is told once, and again
// when it is over.
func (w *work) troubled() {
	if w.Troubles == nil || w.t.Status.StartTime == nil {
		return
	}
	for _, t := range w.Troubles() {
		if !t.To.IsZero() && t.To.Before(w.t.Status.StartTime.Time) {
			continue
		}
		w.trouble(t)
	}
}

func (w *work) trouble(t Trouble) {
	since := "since " + t.From.UTC().Format(timeForm)
	span := "from " + t.From.UTC().Format(timeForm) + " to "
	cause := fault.Lookup(t.Code).Cause
	text := fmt.Sprintf("%s, %s; waiting: %s", cause, since, w.waiting())
	if !t.To.IsZero() {
		text = fmt.Sprintf("%s, %s%s; what waited: %s", cause, span, t.To.UTC().Format(timeForm), w.waiting())
	}
	st := &w.t.Status
	for i := range st.Events {
		e := &st.Events[i]
		switch {
		case e.Code != string(t.Code):
		case strings.Contains(e.Message, span):
			return
		case strings.Contains(e.Message, since):
			if !t.To.IsZero() {
				e.Message = cut(text, 1024)
			}
			return
		}
	}
	w.addCause(string(t.Code), t.Message, "")
	w.event(string(t.Code), text)
}

// waiting is what a task had still to do.
func (w *work) waiting() string {
	st, c := &w.t.Status, &w.t.Status.Counts
	var left []string
	if n := int(c.Wanted - c.Created); w.t.Spec.To > w.t.Spec.From && n > 0 {
		left = append(left, some(n, "instance")+" to create")
	}
	if n := int(c.Created - c.Joined); w.t.Spec.To > w.t.Spec.From && n > 0 {
		left = append(left, some(n, "instance")+" to join")
	}
	if n := int(c.Wanted - c.Released); w.t.Spec.To < w.t.Spec.From && n > 0 {
		left = append(left, some(n, "instance")+" to release")
	}
	switch {
	case len(left) > 0:
		return strings.Join(left, ", ")
	case st.Progress != "":
		return st.Progress
	}
	return "the whole task"
}
