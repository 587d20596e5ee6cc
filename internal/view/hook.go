package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// BuiltInHook is the hook that every pool has which drains: it is completed by
// the drain itself.
const BuiltInHook = "drain"

// Held are the hooks that hold an instance on the way that it is on now.
func Held(i *v1alpha1.Instance) []v1alpha1.HookStatus {
	if s := i.Status.LifecycleState; s != v1alpha1.InstancePendingWait && s != v1alpha1.InstanceRemovingWait {
		return nil
	}
	var list []v1alpha1.HookStatus
	for _, h := range i.Status.Hooks {
		if h.Result == "" && (h.Transition == v1alpha1.WayOut) == (i.Spec.Release != nil) {
			list = append(list, h)
		}
	}
	return list
}

// abandoned says whether a hook ended the way in of an instance.
func abandoned(i *v1alpha1.Instance) bool { return fault.OfHook(fault.Code(i.Status.Code)) }

// hookNote says what holds an instance and for how long.
func hookNote(i *v1alpha1.Instance, clock Clock) string {
	held := Held(i)
	var parts []string
	for _, h := range held {
		parts = append(parts, fmt.Sprintf("%s until %s, then %s", h.Name, clock.At(h.UntilTime.Time), h.DefaultResult))
	}
	switch len(held) {
	case 0:
		return ""
	case 1:
		return "held by lifecycle hook " + parts[0]
	}
	return "held by lifecycle hooks " + strings.Join(parts, "; ")
}

// Hook is one hook of one instance as people and scripts see it.
type Hook struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Instance   string `json:"instance"`
	Pool       string `json:"pool"`
	Name       string `json:"name"`
	// Transition is ScaleOut or ScaleIn.
	Transition string `json:"transition"`
	// State is Waiting, or how it ended: a result and by what.
	State string `json:"state"`
	// Wait names this wait; an answer repeats it. Empty for the built-in one.
	Wait          string `json:"wait,omitempty"`
	DefaultResult string `json:"defaultResult,omitempty"`
	Heartbeats    int32  `json:"heartbeats,omitempty"`
	Result        string `json:"result,omitempty"`
	// Answer is what was said to it and is not taken in yet.
	Answer    string     `json:"answer,omitempty"`
	EndedBy   string     `json:"endedBy,omitempty"`
	StartTime time.Time  `json:"startTime"`
	UntilTime *time.Time `json:"untilTime,omitempty"`
	EndTime   *time.Time `json:"endTime,omitempty"`
	Note      string     `json:"note,omitempty"`

	tone  Tone
	waits bool
}

// Waits is true while the hook holds its instance.
func (h Hook) Waits() bool { return h.waits }

// Answerable is true while somebody may complete it.
func (h Hook) Answerable() bool {
	return h.Waits() && h.Answer == "" && h.Wait != "" && h.tone == ToneBusy
}

// endedBy are the ends of hooks as people read them.
var endedBy = map[v1alpha1.HookEnd]string{
	v1alpha1.HookCompleted: "completed", v1alpha1.HookTimedOut: "timed out", v1alpha1.HookOther: "ended by another hook", v1alpha1.HookRemoved: "no longer of the pool",
}

// HooksOf are the hooks of an instance on its last way, the built-in drain
// among them.
func HooksOf(i *v1alpha1.Instance) []Hook {
	var list []Hook
	held := Held(i)
	for _, s := range i.Status.Hooks {
		until := s.UntilTime.UTC()
		h := newHook(i, s.Name, string(s.Transition))
		h.Wait, h.DefaultResult, h.Heartbeats = s.Wait, string(s.DefaultResult), s.Heartbeats
		h.Result, h.EndedBy, h.StartTime, h.UntilTime = string(s.Result), string(s.EndedBy), s.StartTime.UTC(), &until
		if s.EndTime != nil {
			end := s.EndTime.UTC()
			h.EndTime = &end
		}
		switch {
		case s.Result != "":
			h.end()
		case len(held) == 0:
			h.State, h.tone, h.waits = "Over", ToneOff, false
		default:
			h.answered(i)
		}
		list = append(list, h)
	}
	if d, ok := drainHook(i); ok {
		list = append(list, d)
	}
	return list
}

// end tells how it ended.
func (h *Hook) end() {
	h.State, h.tone, h.waits = h.Result+", "+endedBy[v1alpha1.HookEnd(h.EndedBy)], ToneOff, false
}

// answered takes in what was said to it and not taken in yet.
func (h *Hook) answered(i *v1alpha1.Instance) {
	for _, a := range i.Spec.HookAnswers {
		if a.Hook == h.Name && a.Wait == h.Wait && a.Result != "" {
			h.Answer, h.State = string(a.Result), fmt.Sprintf("Waiting, answered %s", a.Result)
		}
	}
}

func newHook(i *v1alpha1.Instance, name, transition string) Hook {
	return Hook{APIVersion: APIVersion, Kind: "Hook", Instance: i.Name, Pool: i.Spec.Pool, Name: name, Transition: transition, State: "Waiting", tone: ToneBusy, waits: true}
}

// drainHook is the drain of a leaving instance as a hook; ok is false where
// there is none. It is told from the drain's own times, which are all that is
// kept of it.
func drainHook(i *v1alpha1.Instance) (h Hook, ok bool) {
	st, m := &i.Status, i.Spec.Release
	if m == nil || st.DrainStartTime == nil || st.DrainFor != m.Activity {
		return h, false
	}
	h = newHook(i, BuiltInHook, string(v1alpha1.WayOut))
	h.StartTime = st.DrainStartTime.UTC()
	if m.DrainLimitSeconds > 0 {
		until := h.StartTime.Add(time.Duration(m.DrainLimitSeconds) * time.Second)
		h.UntilTime = &until
	}
	h.DefaultResult = string(v1alpha1.HookContinue)
	if m.Drain == v1alpha1.DrainRequired {
		h.DefaultResult = "" // at its limit it goes on holding
	}
	switch {
	case st.DrainEndTime != nil:
		end := st.DrainEndTime.UTC()
		h.EndTime, h.Result, h.EndedBy = &end, string(v1alpha1.HookContinue), string(v1alpha1.HookCompleted)
		if st.PodsLeft > 0 {
			h.EndedBy = string(v1alpha1.HookTimedOut)
		}
		h.end()
	case DrainStopped(i):
		h.Note, h.tone = "stopped at its limit: "+st.DrainBlocked, ToneWarn
	case st.DrainBlocked != "":
		h.Note = st.DrainBlocked
	}
	return h, true
}

// HookTable is a list of hooks as a table.
func HookTable(list []Hook, clock Clock) Table {
	t := Table{Columns: []Column{
		{Name: "INSTANCE"}, {Name: "POOL"}, {Name: "HOOK"}, {Name: "TRANSITION"}, {Name: "STATE"}, {Name: "UNTIL"}, {Name: "DEFAULT"},
		{Name: "HEARTBEATS", Wide: true}, {Name: "STARTED", Wide: true}, {Name: "NOTE"},
	}}
	for _, h := range list {
		until := ""
		if h.UntilTime != nil && h.Waits() {
			until = clock.At(*h.UntilTime)
		}
		t.Rows = append(t.Rows, []Cell{
			text(h.Instance), text(h.Pool), text(h.Name), text(h.Transition), {Text: h.State, Tone: h.tone}, text(until), text(h.DefaultResult),
			text(fmt.Sprint(h.Heartbeats)), text(clock.At(h.StartTime)), {Text: h.Note},
		})
	}
	return t
}

// HookAct is a command that completes a hook.
func HookAct(instance, hook, result string) string {
	return fmt.Sprintf("poolkeeper hook complete %s %s --result %s", instance, hook, result)
}
