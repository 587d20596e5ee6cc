package nodepool

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/view"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

var whyNow = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func oneIn(t *rapid.T, n int, what string) bool { return rapid.IntRange(1, n).Draw(t, what) == n }

// drawPassed is a pool with its group and what was concluded of both, in any
// state that one look can find them in.
func drawPassed(t *rapid.T) *passed {
	pool := &api.NodePool{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "p", Generation: 2}}
	pool.Spec.ExpectedNodes = rapid.Int32Range(0, 4).Draw(t, "expected")
	pool.Spec.HealthCheck = rapid.SampledFrom([]api.HealthCheck{api.HealthCheckNone, api.HealthCheckECS}).Draw(t, "health check")
	p := &passed{pool: pool, waits: wait.Defaults()}
	if !oneIn(t, 5, "no group") {
		p.group = drawGroup(t)
	}
	switch rapid.IntRange(0, 5).Draw(t, "mode") {
	case 0:
		p.mode = mode{frozen: "the definition instances.poolkeeper.io is being deleted"}
	case 1:
		p.mode = mode{emptying: true}
		gone := metav1.NewTime(whyNow)
		pool.DeletionTimestamp = &gone
	}
	switch rapid.IntRange(0, 3).Draw(t, "verdict") {
	case 0:
		p.verdict = verdict{state: metav1.ConditionFalse, reason: ReasonWrongSettings, message: `spec.imageID: "img-9"`, code: "InvalidImageId.NotFound",
			solution: mend(Wrong{Code: "InvalidImageId.NotFound", Field: "imageID", Value: "img-9"}, pool), again: whyNow.Add(time.Minute)}
	case 1:
		p.verdict = verdict{state: metav1.ConditionUnknown, reason: reasonUnreachable, message: "the cloud could not be asked", again: whyNow.Add(time.Minute)}
	case 2:
		p.verdict = verdict{state: metav1.ConditionTrue}
	}
	return p
}

func drawGroup(t *rapid.T) *api.ScalingGroup {
	g := &api.ScalingGroup{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "g", Generation: 2}}
	g.Spec.HealthCheck = rapid.SampledFrom([]api.HealthCheck{api.HealthCheckNone, api.HealthCheckECS}).Draw(t, "group's health check")
	g.Status.ObservedGeneration = rapid.Int64Range(1, 2).Draw(t, "observed")
	if oneIn(t, 4, "unsure") {
		g.Status.Uncertain = rapid.Int32Range(1, 2).Draw(t, "uncertain")
	}
	next := metav1.NewTime(whyNow.Add(time.Minute))
	switch rapid.IntRange(0, 3).Draw(t, "group's why") {
	case 0:
		g.Status.Why = &api.Why{Sentence: "activity web-a1 is under way", Next: "what is missing when it ends is decided then"}
	case 1:
		g.Status.Why = &api.Why{Code: string(fault.NoStock), Sentence: "no stock in zone a", Solution: "add a vSwitch", Next: "the resource pools are asked again", NextTime: &next}
	case 2:
		g.Status.Why = &api.Why{Code: string(fault.OnlyKeptInstances), Sentence: "only kept ones are left", Solution: "i-1: poolkeeper instance unprotect i-1", Next: "they are released when they are no longer kept"}
	}
	return g
}

func drawRecords(t *rapid.T) []*api.Instance {
	var list []*api.Instance
	began, later := metav1.NewTime(whyNow.Add(-time.Minute)), metav1.NewTime(whyNow.Add(time.Hour))
	for n := range rapid.IntRange(0, 6).Draw(t, "instances") {
		i := &api.Instance{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("i-%d", n)}}
		i.Spec.Pool, i.Spec.GroupUID = "web", rapid.SampledFrom([]string{"g", "g", "g", "another"}).Draw(t, "of group")
		i.Spec.CreationType = rapid.SampledFrom([]api.CreationType{api.CreatedByUs, api.CreatedByUs, api.CreatedAttached, api.CreatedUnknown}).Draw(t, "came")
		i.Spec.Standby, i.Spec.Protected = oneIn(t, 8, "standby"), oneIn(t, 8, "protected")
		i.Status.LifecycleState = rapid.SampledFrom([]api.LifecycleState{api.InstancePending, api.InstanceInService, api.InstanceInService, api.InstanceStopped, api.InstanceRemoved}).Draw(t, "state")
		i.Status.NodeState = rapid.SampledFrom([]api.NodeState{"", api.NodeJoining, api.NodeReady, api.NodeReady, api.NodeNotReady, api.NodeUnknown, api.NodeFailed}).Draw(t, "node")
		if oneIn(t, 2, "joined") {
			i.Status.JoinedTime = &began
		}
		if oneIn(t, 3, "marked") {
			i.Spec.Release = &api.ReleaseMark{Activity: "web-a2", Drain: rapid.SampledFrom([]api.DrainMode{api.DrainOff, api.DrainBestEffort, api.DrainRequired}).Draw(t, "drain")}
			if oneIn(t, 3, "kept to look at") {
				i.Spec.Release.NotBeforeTime = &later
			}
			if oneIn(t, 2, "drains") {
				i.Status.DrainStartTime, i.Status.DrainBlocked = &began, "default/db-0"
			}
			if oneIn(t, 3, "stopped") {
				meta.SetStatusCondition(&i.Status.Conditions, metav1.Condition{Type: api.ConditionDrainStopped, Status: metav1.ConditionTrue, Reason: api.ReasonDrainLimit, Message: "the limit passed", LastTransitionTime: began})
			}
		}
		list = append(list, i)
	}
	return list
}

// TestNeverSilent: whatever one look finds, a pool that is not at its number says
// why in one sentence, what is tried next or what would help, and says the same
// in its why, its summary and its condition.
func TestNeverSilent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, list := drawPassed(t), drawRecords(t)
		pool := p.pool.DeepCopy()
		fill(pool, p, list, whyNow, 0)
		st := &pool.Status
		at := meta.FindStatusCondition(st.Conditions, api.ConditionAtExpectedNumber)
		if st.Summary == "" || st.Word == "" || at == nil || at.Message == "" {
			t.Fatalf("says nothing: %+v", st)
		}
		if w := st.Why; w != nil {
			wholeWhy(t, w)
			cause := view.WhyCause(w)
			if !strings.Contains(st.Summary, cause) {
				t.Fatalf("the summary %q does not say %q", st.Summary, cause)
			}
			if at.Status != metav1.ConditionTrue && !strings.Contains(at.Message, cause) {
				t.Fatalf("the condition %q does not say %q", at.Message, cause)
			}
		}
		off := st.Counts.Instances != pool.Spec.ExpectedNodes || p.group == nil && pool.Spec.ExpectedNodes > 0
		if off && st.Why == nil && !p.mode.emptying {
			t.Fatalf("%d of %d instances, and no reason: %q", st.Counts.Instances, pool.Spec.ExpectedNodes, st.Summary)
		}
		if off && !p.mode.emptying && st.Why.Next == "" {
			t.Fatalf("%d of %d instances, and nothing comes next: %+v", st.Counts.Instances, pool.Spec.ExpectedNodes, st.Why)
		}
		if p.mode.emptying && !strings.Contains(st.Summary, "is being deleted") {
			t.Fatalf("goes, and does not say so: %q", st.Summary)
		}
	})
}

// wholeWhy checks one reason: a sentence, something that comes next or helps,
// and what helps wherever a code of the catalogue has a person in it.
func wholeWhy(t *rapid.T, w *api.Why) {
	switch {
	case w.Sentence == "" || strings.HasSuffix(w.Sentence, "."):
		t.Fatalf("no sentence, or one with its full stop: %+v", w)
	case w.Next == "" && w.Solution == "":
		t.Fatalf("nothing is tried, and nothing would help: %+v", w)
	case w.NextTime != nil && w.Next == "":
		t.Fatalf("something is tried at %v, and not said what: %+v", w.NextTime, w)
	case w.Code != "" && w.Solution == "":
		t.Fatalf("a code without what helps: %+v", w)
	}
}
