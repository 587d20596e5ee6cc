package view

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
)

// Tone says how a word is meant, for colours; no word depends on it alone.
type Tone int

// The tones.
const (
	ToneNone Tone = iota
	ToneOK
	ToneBusy
	ToneWarn
	ToneBad
	ToneHold
	ToneOff
)

// poolWords are the states of a pool as people read them.
var poolWords = map[v1alpha1.PoolState]string{
	v1alpha1.PoolActive:   "Activated",
	v1alpha1.PoolScaling:  "Expanding",
	v1alpha1.PoolRemoving: "Removing",
	v1alpha1.PoolDeleting: "Deleting",
	v1alpha1.PoolUpdating: "Updating",
}

// PoolStateWord is a state of a pool as people read it. A pool whose state
// nobody has written yet is Updating: accepted, and not begun.
func PoolStateWord(s v1alpha1.PoolState) string {
	if s == "" {
		s = v1alpha1.PoolUpdating
	}
	if w, ok := poolWords[s]; ok {
		return w
	}
	return string(s)
}

// PoolWord is the state of a pool as people read it, with the nodes in service
// of those expected wherever the two differ: "Activated", "Expanding 15 of 20",
// "Deleting, 3 left".
func PoolWord(spec *v1alpha1.NodePoolSpec, st *v1alpha1.NodePoolStatus) string {
	word := PoolStateWord(st.State)
	switch st.State {
	case v1alpha1.PoolActive, v1alpha1.PoolScaling, v1alpha1.PoolRemoving:
		if st.Counts.InService != spec.ExpectedNodes {
			return fmt.Sprintf("%s %d of %d", word, st.Counts.InService, spec.ExpectedNodes)
		}
	case v1alpha1.PoolDeleting:
		if left := st.Counts.Instances + st.Counts.Removing; left > 0 {
			return fmt.Sprintf("%s, %d left", word, left)
		}
	}
	return word
}

// wordOf is the word of a pool that was read: a change that nobody has looked at
// yet is Updating, whatever the status of the older spec says.
func wordOf(p *v1alpha1.NodePool) string {
	if begun(p) {
		return PoolWord(&p.Spec, &p.Status)
	}
	return PoolStateWord(v1alpha1.PoolUpdating)
}

// begun is true once the controller has looked at the newest spec of a pool.
func begun(p *v1alpha1.NodePool) bool {
	return p.Status.State == v1alpha1.PoolDeleting || (p.Status.State != "" && p.Status.ObservedGeneration >= p.Generation)
}

// Complete is true when a pool is wholly as wished: what it expects are its
// instances, and each has a Ready node. Nothing less is green.
func Complete(p *v1alpha1.NodePool) bool {
	c := p.Status.Counts
	return p.DeletionTimestamp.IsZero() &&
		p.Status.State == v1alpha1.PoolActive &&
		p.Status.ObservedGeneration >= p.Generation &&
		c.InService == p.Spec.ExpectedNodes && c.Instances == p.Spec.ExpectedNodes &&
		c.Removing == 0 && c.Uncertain == 0
}

// PoolTone is the tone of a pool's word.
func PoolTone(p *v1alpha1.NodePool) Tone {
	switch {
	case holds(p, v1alpha1.ConditionFrozen):
		return ToneBad
	case holds(p, v1alpha1.ConditionHeld):
		return ToneHold
	case Complete(p):
		return ToneOK
	case p.Status.State == v1alpha1.PoolActive && begun(p):
		return ToneWarn
	default:
		return ToneBusy
	}
}

// holds is true when a condition of the pool is true.
func holds(p *v1alpha1.NodePool, condition string) bool {
	return meta.IsStatusConditionTrue(p.Status.Conditions, condition)
}

// IsHeld is true while the same cause of a pool is only tried now and then.
func IsHeld(p *v1alpha1.NodePool) bool { return holds(p, v1alpha1.ConditionHeld) }

// IsFrozen is true while nothing of a pool is released or replaced.
func IsFrozen(p *v1alpha1.NodePool) bool { return holds(p, v1alpha1.ConditionFrozen) }

// instanceWords are the lifecycle states as people read them.
var instanceWords = map[v1alpha1.LifecycleState]string{
	v1alpha1.InstancePendingWait:   "Pending wait",
	v1alpha1.InstanceInService:     "In service",
	v1alpha1.InstanceRemovingWait:  "Removing wait",
	v1alpha1.InstanceUnknownOrigin: "Unknown origin",
}

// InstanceWord is the lifecycle state of an instance as people read it.
func InstanceWord(i *v1alpha1.Instance) string {
	s := i.Status.LifecycleState
	if w, ok := instanceWords[s]; ok {
		return w
	}
	if s == "" {
		return "Pending"
	}
	return string(s)
}

// DrainStopped is true of a node whose required drain came to its limit: it
// stays, cordoned.
func DrainStopped(i *v1alpha1.Instance) bool {
	return meta.IsStatusConditionTrue(i.Status.Conditions, v1alpha1.ConditionDrainStopped)
}

// cordoned is true of an instance whose Node takes no new pods: somebody
// cordoned it, or its drain stopped.
func cordoned(i *v1alpha1.Instance) bool {
	return DrainStopped(i) || meta.IsStatusConditionTrue(i.Status.Conditions, v1alpha1.ConditionSchedulingDisabled)
}

// NodeWord is the state of an instance's Node as people read it. A drain under
// way, or what it left, is said before anything else.
func NodeWord(i *v1alpha1.Instance) string {
	st := &i.Status
	if DrainStopped(i) && i.Spec.Release != nil {
		return fmt.Sprintf("Drain stopped, %s left", count(st.PodsLeft, "pod"))
	}
	if st.DrainStartTime != nil && st.DrainEndTime == nil && st.ReleaseSentTime == nil {
		return fmt.Sprintf("Draining, %s left", count(st.PodsLeft, "pod"))
	}
	switch st.NodeState {
	case v1alpha1.NodeReady:
		if cordoned(i) {
			return "Scheduling disabled"
		}
	case v1alpha1.NodeNotReady:
		if cordoned(i) {
			return "Not ready, scheduling disabled"
		}
		return "Not ready"
	case v1alpha1.NodeFailed:
		return "Failed to join"
	case "":
		if st.LifecycleState == v1alpha1.InstanceRemoved || ofUnknownOrigin(i) {
			return "-"
		}
		return joiningWord(i)
	case v1alpha1.NodeJoining:
		return joiningWord(i)
	}
	return string(st.NodeState)
}

func joiningWord(i *v1alpha1.Instance) string {
	if step := JoinStep(i); step != "" {
		return "Joining (" + step + ")"
	}
	return "Joining"
}

// JoinStep is the step that a machine is at which joins late, with the limit of
// its join: "MIG reset, up to 40 min". Empty where none is known.
func JoinStep(i *v1alpha1.Instance) string {
	st := &i.Status
	if st.Step == "" || st.NodeState != "" && st.NodeState != v1alpha1.NodeJoining {
		return ""
	}
	step := bootstrap.Step(st.Step).Words()
	if limit := time.Duration(i.Spec.JoinDeadlineSeconds) * time.Second; limit > 0 {
		step += ", up to " + strings.TrimSuffix(Took(limit), " 0 s")
	}
	return step
}

// instanceTone is the tone of an instance's words.
func instanceTone(i *v1alpha1.Instance) Tone {
	switch {
	case i.Status.LifecycleState == v1alpha1.InstanceRemoved:
		return ToneHold
	case ofUnknownOrigin(i):
		return ToneHold
	case i.Status.NodeState == v1alpha1.NodeFailed, i.Status.NodeState == v1alpha1.NodeUnknown, abandoned(i):
		return ToneBad
	case i.Spec.Release != nil:
		return ToneHold
	case i.Status.NodeState == v1alpha1.NodeNotReady, i.Status.LifecycleState == v1alpha1.InstanceStopped, cordoned(i):
		return ToneWarn
	case i.Status.NodeState == v1alpha1.NodeReady && i.Status.LifecycleState != v1alpha1.InstancePendingWait:
		return ToneOK
	default:
		return ToneBusy
	}
}

// TaskWord is the state of a task as people read it. A task that nobody has
// looked at yet is Running.
func TaskWord(s v1alpha1.TaskState) string {
	switch s {
	case v1alpha1.TaskSuccess:
		return "Success"
	case v1alpha1.TaskFailed:
		return "Failed"
	case v1alpha1.TaskCanceled:
		return "Canceled"
	case v1alpha1.TaskRunning, "":
		return "Running"
	}
	return string(s)
}

// TaskEnded is true when a task does nothing more.
func TaskEnded(s v1alpha1.TaskState) bool {
	return s == v1alpha1.TaskSuccess || s == v1alpha1.TaskFailed || s == v1alpha1.TaskCanceled
}

func taskTone(s v1alpha1.TaskState) Tone {
	switch s {
	case v1alpha1.TaskSuccess:
		return ToneOK
	case v1alpha1.TaskFailed:
		return ToneBad
	case v1alpha1.TaskCanceled:
		return ToneOff
	}
	return ToneBusy
}

// ActivityWord is the state of a scaling activity as people read it.
func ActivityWord(s v1alpha1.ActivityState) string {
	switch s {
	case v1alpha1.ActivityInProgress, "":
		return "In progress"
	case v1alpha1.ActivityWarning:
		return "Warning (part)"
	}
	return string(s)
}

func activityTone(s v1alpha1.ActivityState) Tone {
	switch s {
	case v1alpha1.ActivitySuccessful:
		return ToneOK
	case v1alpha1.ActivityWarning:
		return ToneWarn
	case v1alpha1.ActivityFailed, v1alpha1.ActivityRejected:
		return ToneBad
	}
	return ToneBusy
}

// PieceWord is the state of one piece as people read it.
func PieceWord(p v1alpha1.Piece) string {
	switch {
	case p.Unsure():
		return "Unsure"
	case p.State == v1alpha1.PieceResolved && len(p.Instances) == 0:
		return "Refused"
	case p.State == v1alpha1.PieceResolved:
		return "Created"
	}
	return "Sending"
}

// BillingWord is a charge type as people read it.
func BillingWord(c v1alpha1.ChargeType) string {
	if c == v1alpha1.ChargePayAsYouGo || c == "" {
		return "Pay-as-you-go"
	}
	return string(c)
}

// StockWord is a stock grade of a resource pool as people read it.
func StockWord(grade string) string {
	switch grade {
	case "WithStock":
		return "In stock"
	case "ClosedWithStock":
		return "Low stock, not refilled"
	case "WithoutStock":
		return "No stock, refills"
	case "ClosedWithoutStock":
		return "Sold out for good"
	case "NotOffered":
		return "Not offered here"
	}
	return "Not known yet"
}

// count is a number with its noun, in the plural where it is one.
func count(n int32, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
