package scalinggroup

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

// report writes what the group has and why it is as it is, and says when to
// look again.
func (r *Reconciler) report(ctx context.Context, g *group, d scaling.Decision) (ctrl.Result, error) {
	before := g.g.DeepCopy()
	s := &g.g.Status
	s.ObservedGeneration = g.g.Generation
	s.Counted, s.Stable, s.Coming = int32(d.Counted), 0, 0
	for i := range g.instances {
		switch g.instances[i].Status.LifecycleState {
		case api.InstanceInService, api.InstanceProtected, api.InstanceStandby:
			s.Stable++
		case api.InstancePending, api.InstancePendingWait, "":
			s.Coming++
		}
	}
	s.Uncertain = int32(g.uncertain())
	s.OpenActivity = ""
	if a := g.open(); a != nil {
		s.OpenActivity = a.Name
	}
	for i := range g.activities {
		s.LastActivity = max(s.LastActivity, g.activities[i].Spec.Number)
	}
	g.explain(d, r.Now())
	if err := r.writeStatus(ctx, before, g.g); err != nil {
		return ctrl.Result{}, err
	}
	if d.Wake.IsZero() {
		return ctrl.Result{RequeueAfter: r.Waits.Stock}, nil
	}
	return ctrl.Result{RequeueAfter: max(d.Wake.Sub(r.Now()), r.Waits.Conflict)}, nil
}

// explain says why the group is not at its desired capacity, and in which
// conditions it is.
func (g *group) explain(d scaling.Decision, now time.Time) {
	s := &g.g.Status
	desired, counted := int(g.g.Spec.DesiredCapacity), int(s.Counted)
	reason, status := api.ReasonAsExpected, metav1.ConditionTrue
	s.Summary = fmt.Sprintf("%d of %d instances", counted, desired)
	why := &api.Why{Short: int32(desired - counted)}
	switch {
	case s.OpenActivity != "" || !d.Empty():
		reason, why.Sentence = api.ReasonScalingOut, "activity "+s.OpenActivity+" is under way"
		if counted > desired {
			reason = api.ReasonScalingIn
		}
	case len(d.Blocked) > 0:
		reason = api.ReasonWaiting
		var texts []string
		for _, b := range d.Blocked {
			if why.Code == "" {
				why.Code = string(b.Code)
			}
			texts = append(texts, b.Text)
		}
		why.Sentence = clip(strings.Join(texts, "; "), 1000)
		if why.Code != "" {
			why.Solution = clip(fault.Lookup(fault.Code(why.Code)).Solution, 1000)
		}
		if why.Code == string(fault.OnlyKeptInstances) {
			reason = api.ReasonOnlyKept
		}
	case d.Missing < 0 || counted != desired:
		why.Sentence = fmt.Sprintf("%d counted, %d uncertain: waiting for what is under way", counted, s.Uncertain)
	}
	if !d.Wake.IsZero() {
		why.NextTime, why.Next = nowTime(d.Wake), "the resource pools are asked again"
	}
	if counted != desired || len(d.Blocked) > 0 {
		status = metav1.ConditionFalse
	}
	if why.Sentence == "" || (counted == desired && len(d.Blocked) == 0) {
		why = nil
	} else if s.Why != nil && s.Why.Code == why.Code {
		why.SinceTime, why.Count = s.Why.SinceTime, s.Why.Count
	} else {
		why.SinceTime = nowTime(now)
	}
	s.Why = why
	if why != nil {
		s.Summary += ": " + why.Sentence
	}
	s.Summary = clip(s.Summary, 1000)
	set := func(kind string, st metav1.ConditionStatus, reason, text string) {
		meta.SetStatusCondition(&s.Conditions, metav1.Condition{Type: kind, Status: st, Reason: reason, Message: text, ObservedGeneration: g.g.Generation, LastTransitionTime: metav1.NewTime(now)})
	}
	if reason == api.ReasonAsExpected && status == metav1.ConditionFalse {
		reason = api.ReasonWaiting
	}
	set("AtDesiredCapacity", status, reason, s.Summary)
	held := g.held(now)
	set(api.ConditionHeld, truth(held != ""), ifElse(held != "", api.ReasonHeld, api.ReasonAsExpected), held)
}

// held says what is only tried now and then, empty for nothing.
func (g *group) held(now time.Time) string {
	for _, r := range g.refusals(now) {
		if r.Count >= holdAfter {
			return clip(fmt.Sprintf("same cause %d times: %s (%s); tried again %s, or by poolkeeper pool resume %s",
				r.Count, fault.Lookup(r.Code).Cause, r.Code, r.Until.UTC().Format(time.RFC3339), g.g.Spec.Pool), 1000)
		}
	}
	return ""
}

// writeStatus writes a status that changed, and only then.
func (r *Reconciler) writeStatus(ctx context.Context, before, g *api.ScalingGroup) error {
	if reflect.DeepEqual(before.Status, g.Status) {
		return nil
	}
	err := r.Cache.Status().Update(ctx, g)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // the newer object wakes us
	}
	if err != nil {
		return fmt.Errorf("write status of group %s: %w", g.Name, err)
	}
	return nil
}

func truth(b bool) metav1.ConditionStatus {
	if b {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}

func ifElse(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-3], "") + "..."
}
