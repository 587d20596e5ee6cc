package view

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// maxSentence is the most that a summary field of our objects holds. Unit: bytes.
const maxSentence = 1024

// PoolSentence says in one sentence whether a pool is as wished, and if not,
// why and what comes next. Counts, state, why and conditions of the status must
// be of the same look. Times in it are UTC, so that the same facts always give
// the same sentence; now only tells whether the next try is still to come.
func PoolSentence(p *v1alpha1.NodePool, now time.Time) string {
	clock := Clock{Now: now, Zone: time.UTC}
	parts := append([]string{poolHead(p)}, poolReasons(p, clock)...)
	return clip(strings.Join(parts, "; ")+".", maxSentence)
}

// poolHead is what is so: the first half of a pool's sentence.
func poolHead(p *v1alpha1.NodePool) string {
	c, name := p.Status.Counts, p.Name
	switch {
	case !p.DeletionTimestamp.IsZero():
		if m, ok := conditionText(p.Status.Conditions, v1alpha1.ConditionDeletionBlocked, metav1.ConditionTrue); ok {
			return name + " is not deleted: " + m
		}
		return fmt.Sprintf("%s is being deleted: %s left", name, count(c.Instances+c.Removing, "instance"))
	case p.Status.ObservedGeneration < p.Generation || p.Status.State == "":
		return fmt.Sprintf("%s is to have %s: accepted, work not yet begun", name, count(p.Spec.ExpectedNodes, "node"))
	case Complete(p) && p.Spec.ExpectedNodes == 0:
		return name + " expects 0 nodes and has none"
	case Complete(p):
		return fmt.Sprintf("%s has %d of %d nodes, all joined", name, c.InService, p.Spec.ExpectedNodes) + keptToLookAt(p)
	}
	head := fmt.Sprintf("%s has %d of %d nodes", name, c.InService, p.Spec.ExpectedNodes)
	if gap := PoolGap(p); gap != "" {
		return head + ": " + gap
	}
	return head
}

// KeptToLookAt stands before the names of machines that failed to join and were
// replaced, in the message of condition NodesJoined.
const KeptToLookAt = "kept to look at, as they did not join: "

// keptToLookAt names those machines of a pool that is as wished.
func keptToLookAt(p *v1alpha1.NodePool) string {
	joined, _ := conditionText(p.Status.Conditions, v1alpha1.ConditionNodesJoined, metav1.ConditionTrue)
	if _, names, ok := strings.Cut(joined, KeptToLookAt); ok {
		return "; " + KeptToLookAt + names
	}
	return ""
}

// PoolGap names what stands between a pool and its wish, in numbers: "1
// joining, 4 not created". Empty when nothing does.
func PoolGap(p *v1alpha1.NodePool) string {
	c := p.Status.Counts
	missing := p.Spec.ExpectedNodes - c.Instances - c.Uncertain
	var parts []string
	add := func(n int32, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(c.Joining-c.PendingWait, "joining")
	add(c.PendingWait, "in pending wait")
	add(c.Failed, "failed to join")
	add(c.Offline, "offline")
	add(c.Standby, "standby")
	add(c.Uncertain, "unsure")
	add(missing, "not created")
	add(-missing, "too many")
	add(c.Removing, "removing")
	return strings.Join(parts, ", ")
}

// poolReasons are why it is so and what comes next.
func poolReasons(p *v1alpha1.NodePool, clock Clock) []string {
	var parts []string
	if w := p.Status.Why; w != nil {
		parts = append(parts, WhyCause(w))
		if n := WhyNext(w, clock); n != "" {
			parts = append(parts, "next: "+n)
		}
	}
	said := strings.Join(parts, "; ")
	for _, m := range troubles(p) {
		told := m.Name == "Held" && strings.Contains(said, "; held: ") // with count and money, in the why
		if !told && !strings.Contains(said, m.Text) {
			parts = append(parts, strings.ToLower(m.Name)+": "+m.Text)
		}
	}
	return parts
}

// troubles are the conditions of a pool that a person should know of.
func troubles(p *v1alpha1.NodePool) []Said {
	var list []Said
	for _, t := range []struct {
		name, condition string
		when            metav1.ConditionStatus
	}{
		{"Frozen", v1alpha1.ConditionFrozen, metav1.ConditionTrue},
		{"Held", v1alpha1.ConditionHeld, metav1.ConditionTrue},
		{"Not valid", v1alpha1.ConditionValid, metav1.ConditionFalse},
		{"Drain", v1alpha1.ConditionDrainReady, metav1.ConditionFalse},
		{"Unknown instances", v1alpha1.ConditionUnknownInstances, metav1.ConditionTrue},
		{"Subscriptions", v1alpha1.ConditionSubscriptionsEnding, metav1.ConditionTrue},
		{"Other account", v1alpha1.ConditionAccountMatches, metav1.ConditionFalse},
		{"Unbalanced", v1alpha1.ConditionBalanced, metav1.ConditionFalse},
	} {
		if text, ok := conditionText(p.Status.Conditions, t.condition, t.when); ok {
			list = append(list, Said{Name: t.name, Text: text})
		}
	}
	return list
}

// WhyCause is the cause of a why with its code.
func WhyCause(w *v1alpha1.Why) string {
	s := trimPoint(w.Sentence)
	if w.Code == "" || strings.Contains(s, w.Code) {
		return s
	}
	if s == "" {
		return w.Code
	}
	return fmt.Sprintf("%s (%s)", s, w.Code)
}

// WhyNext is what is tried next, and when. Empty where nothing is.
func WhyNext(w *v1alpha1.Why, clock Clock) string {
	next := trimPoint(w.Next)
	if w.NextTime == nil {
		return next
	}
	at := "now"
	if w.NextTime.Time.After(clock.Now) {
		at = "at " + clock.At(w.NextTime.Time)
	}
	if next == "" {
		next = "try"
	}
	return next + " " + at
}

// InstanceSentence says in one sentence what an instance is doing and what
// stands in its way.
func InstanceSentence(i *v1alpha1.Instance, now time.Time) string {
	parts := []string{fmt.Sprintf("%s of %s is %s", i.Name, i.Spec.Pool, instancePhrase(i))}
	if note := InstanceNote(i, Clock{Now: now, Zone: time.UTC}); note != "" && !ofUnknownOrigin(i) {
		parts = append(parts, note)
	}
	return clip(strings.Join(parts, "; ")+".", 512)
}

// instancePhrase is the state of an instance within a sentence.
func instancePhrase(i *v1alpha1.Instance) string {
	state, node := strings.ToLower(InstanceWord(i)), NodeWord(i)
	if strings.HasSuffix(state, " wait") {
		state = "in " + state
	}
	switch {
	case ofUnknownOrigin(i):
		return fmt.Sprintf("of unknown origin: not counted and never released until a person says poolkeeper instance adopt %s, or poolkeeper instance disown %s", i.Name, i.Name)
	case node == "-":
		return state
	default:
		return fmt.Sprintf("%s, its node %s", state, strings.ToLower(node[:1])+node[1:])
	}
}

// TaskSentence says in one sentence what a task does or how it ended.
func TaskSentence(t *v1alpha1.ClusterTask, now time.Time) string {
	st := &t.Status
	head := fmt.Sprintf("%s: %s", t.Spec.Title, strings.ToLower(TaskWord(st.State)))
	if took := taskTook(t, now); took != "" {
		if TaskEnded(st.State) {
			head += " after " + took
		} else {
			head += " for " + took
		}
	}
	parts := []string{head}
	if p := trimPoint(st.Progress); p != "" {
		parts = append(parts, p)
	}
	if e := st.Error; e != nil {
		parts = append(parts, trimPoint(joinNonEmpty(" ", e.Code, e.Message)))
	}
	return clip(strings.Join(parts, "; ")+".", maxSentence)
}

// taskTook is how long a task has run, or ran.
func taskTook(t *v1alpha1.ClusterTask, now time.Time) string {
	if t.Status.StartTime == nil {
		return ""
	}
	end := now
	if t.Status.EndTime != nil {
		end = t.Status.EndTime.Time
	}
	return Took(end.Sub(t.Status.StartTime.Time))
}

// activityPhrases are the states of an activity within a sentence.
var activityPhrases = map[v1alpha1.ActivityState]string{
	v1alpha1.ActivitySuccessful: "was successful",
	v1alpha1.ActivityWarning:    "was successful in part",
	v1alpha1.ActivityFailed:     "failed",
	v1alpha1.ActivityRejected:   "was rejected",
}

// ActivitySentence says in one sentence why a scaling activity was begun and
// what came of it.
func ActivitySentence(a *v1alpha1.ScalingActivity) string {
	parts := []string{a.Name + " " + orDefault(activityPhrases[a.Status.State], "is in progress"), trimPoint(a.Spec.Cause)}
	if s := trimPoint(a.Status.Summary); s != "" {
		parts = append(parts, s)
	}
	return clip(strings.Join(parts, "; ")+".", maxSentence)
}

// conditionText is the message of a condition that has the status looked for.
func conditionText(list []metav1.Condition, typ string, want metav1.ConditionStatus) (string, bool) {
	c := meta.FindStatusCondition(list, typ)
	if c == nil || c.Status != want {
		return "", false
	}
	if m := trimPoint(c.Message); m != "" {
		return m, true
	}
	return c.Reason, true
}

func trimPoint(s string) string { return strings.TrimRight(strings.TrimSpace(s), ".") }

func joinNonEmpty(sep string, parts ...string) string {
	var some []string
	for _, p := range parts {
		if p != "" {
			some = append(some, p)
		}
	}
	return strings.Join(some, sep)
}

func orDefault(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// clip shortens a text to at most n bytes, at a rune's border, and shows that
// it did.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	cut := n - len("...")
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut] + "..."
}
