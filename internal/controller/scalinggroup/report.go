package scalinggroup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/view"
	"github.com/poolkeeper/poolkeeper/internal/view/snapshot"
)

// report writes what the group has and why it is as it is, where that changed,
// and says when to look again. What only counts is written at intervals.
func (r *Reconciler) report(ctx context.Context, g *group, d scaling.Decision) (ctrl.Result, error) {
	g.fill(d)
	again := ctrl.Result{RequeueAfter: g.again(d)}
	if equality.Semantic.DeepEqual(g.before, &g.g.Status) {
		return again, nil
	}
	since := g.now.Sub(g.kept.written)
	if left := r.Waits.Summary(len(g.instances)) - since; left > 0 && since >= 0 && !urgent(g.before, &g.g.Status) {
		again.RequeueAfter = min(again.RequeueAfter, left)
		return again, nil
	}
	g.stampPools()
	if err := r.write(ctx, g); err != nil {
		return r.overtaken(err)
	}
	return again, nil
}

// mostMissing is how many missing instances a status names. Unit: instances.
const mostMissing = 500

// fill writes the status from one look.
func (g *group) fill(d scaling.Decision) {
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
	s.Uncertain, s.Imbalance, s.OpenActivity = int32(g.s.Uncertain), int32(d.Imbalance), ""
	if a := g.open(); a != nil {
		s.OpenActivity = a.Name
	}
	s.LastActivity = max(s.LastActivity, g.newest())
	s.Missing = slices.Clone(g.guarded.Missing[:min(len(g.guarded.Missing), mostMissing)])
	s.Installation = g.Ceilings.DeepCopy()
	w, short := g.explain(d)
	s.Why = g.why(w, short)
	s.Summary = fmt.Sprintf("%d of %d instances", s.Counted, g.g.Spec.DesiredCapacity)
	if s.Why != nil {
		s.Summary = clip(s.Summary+": "+s.Why.Sentence, 1000)
	}
	if d.RebalanceEnd != "" {
		s.RebalancedCount = g.g.Spec.RebalanceCount
	}
	g.conditions(d, w)
}

// applyAgain is the way out of a definition that is being deleted.
const applyAgain = "a deletion cannot be called back: let what is left of the kind go and apply the manifests again, as docs/operations.md says under Objects; the machines run on meanwhile"

// explain is why the group is not at its number; false where it is.
func (g *group) explain(d scaling.Decision) (scaling.Why, bool) {
	w, ok := scaling.Explain(g.s, d)
	if !ok {
		return w, false
	}
	switch a := g.open(); {
	case a != nil && len(d.Blocked) == 0:
		w.Sentence, w.NextStep, w.Next = "activity "+a.Name+" is under way: "+a.Spec.Cause, "what is missing when it ends is decided then", time.Time{}
		if waits := view.ActivityWaits(a, g.now); waits != nil {
			waitsFor(&w, waits)
		}
	case g.freeze.Text != "":
		if w.Code = g.freeze.Code; g.freeze.Reason == api.ReasonDefinitionDeleted {
			w.Edit = applyAgain
		}
	case w.Code == fault.CloudNoAnswer:
		w.Next = g.settling()
	case w.Code == "" && len(g.s.Pools) == 0 && d.Missing > 0 && g.kept.failedFor != nil:
		if w.Code = fault.CodeOf(g.kept.failedFor); w.Code == "" {
			w.Code = fault.CloudUnreachable
		}
		w.Next, w.NextStep = g.nextLook(), "the resource pools are read again"
	}
	if known := g.solution(w.Code); known != "" {
		w.Edit = known
	} else if row := fault.Lookup(w.Code); w.Code != "" {
		if w.Edit == "" {
			w.Edit = row.Solution
		}
		w.Edit = row.AdviceFor(w.Edit, snapshot.Details(g.g, w.Place))
	}
	if w.Code == fault.InstanceTypeNoStock || w.Code == fault.NoStock {
		w.Edit += "; what is in stock and what would help: poolkeeper strength get " + g.g.Spec.Pool + " --refresh"
	}
	w.Sentence, w.Edit = fault.InPool(w.Sentence, g.g.Spec.Pool), fault.InPool(w.Edit, g.g.Spec.Pool)
	return w, true
}

// settling is when the first uncertain piece may be settled; zero where that is
// over already.
func (g *group) settling() (first time.Time) {
	for i := range g.activities {
		for _, p := range g.activities[i].Status.Pieces {
			if !p.Unsure() || p.FirstSendTime == nil {
				continue
			}
			if at := (scaling.Unsettled{FirstSend: p.FirstSendTime.Time}).Sure(g.Waits); at.After(g.now) && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
	}
	return first
}

// waitsFor takes over what keeps the open activity from going on.
func waitsFor(w *scaling.Why, a *api.Why) {
	w.Code, w.Sentence, w.NextStep = fault.Code(a.Code), a.Sentence, a.Next
	if a.NextTime != nil {
		w.Next = a.NextTime.Time
	}
	if a.SinceTime != nil {
		w.Since = a.SinceTime.Time
	}
}

// solution is what helps against a refusal of a code, where more is known of the
// case than the catalogue says.
func (g *group) solution(c fault.Code) string {
	for i := range g.g.Status.Refusals {
		if r := &g.g.Status.Refusals[i]; r.Code == string(c) && r.Solution != "" {
			return r.Solution
		}
	}
	return ""
}

// why is the reason as people read it. It keeps its beginning as long as its
// code is the same.
func (g *group) why(w scaling.Why, ok bool) *api.Why {
	if !ok {
		return nil
	}
	out := &api.Why{
		Short: int32(w.Short), Code: clip(string(w.Code), 128), Sentence: w.Sentence, Solution: clip(w.Edit, 1000),
		Count: int32(w.Count), Next: clip(w.NextStep, 500),
	}
	if w.Held {
		out.Sentence += "; held: " + g.heldWords(w)
	}
	out.Sentence = clip(out.Sentence, 1000)
	if !w.Next.IsZero() {
		out.NextTime = nowTime(w.Next.Truncate(time.Second))
	}
	old := g.before.Why
	switch {
	case !w.Since.IsZero():
		out.SinceTime = nowTime(w.Since.Truncate(time.Second))
	case old != nil && old.Code == out.Code && old.SinceTime != nil:
		out.SinceTime = old.SinceTime
	default:
		out.SinceTime = nowTime(g.now.Truncate(time.Second))
	}
	return out
}

// heldWords say how often a cause came, and what that cost.
func (g *group) heldWords(w scaling.Why) string {
	var parts []string
	if w.Count > 1 || w.Burnt == 0 && !w.OnWord {
		parts = append(parts, some(w.Count, "time")+" in a row")
	}
	if w.Burnt > 0 {
		parts = append(parts, strings.TrimSpace(currency(g.g)+" "+scaling.Decimal(w.Burnt))+" burnt")
	}
	if w.OnWord {
		parts = append(parts, "tried again by a person's word only")
	}
	return strings.Join(parts, ", ")
}

// span is a wait in words.
func span(d time.Duration) string {
	if d%time.Minute == 0 {
		return some(int(d/time.Minute), "minute")
	}
	return some(int(d.Round(time.Second)/time.Second), "second")
}

func some(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// urgent is true of changes that others wait for or that people must see at
// once; all others only count, and are written at intervals.
func urgent(a, b *api.ScalingGroupStatus) bool {
	if a.ObservedGeneration != b.ObservedGeneration || a.OpenActivity != b.OpenActivity || a.AccountID != b.AccountID ||
		a.RememberedActivity != b.RememberedActivity || a.ResumedCount != b.ResumedCount || a.RebalancedCount != b.RebalancedCount ||
		a.ThawedCount != b.ThawedCount || len(a.Refusals) != len(b.Refusals) || len(a.Conditions) != len(b.Conditions) ||
		(a.Why == nil) != (b.Why == nil) {
		return true
	}
	for i := range a.Conditions {
		if a.Conditions[i].Status != b.Conditions[i].Status || a.Conditions[i].Reason != b.Conditions[i].Reason {
			return true
		}
	}
	return a.Why != nil && a.Why.Code != b.Why.Code
}

// again is when the group is looked at though nothing changed.
func (g *group) again(d scaling.Decision) time.Duration {
	next := g.nextLook()
	if s := g.kept.stuckNow(g); s != nil && s.until.Before(next) {
		next = s.until
	}
	if !d.Wake.IsZero() && d.Wake.Before(next) {
		next = d.Wake
	}
	if g.freeze.Text != "" {
		next = g.now.Add(g.Waits.SettingsRetry)
	}
	return max(next.Sub(g.now), g.Waits.Conflict)
}

// errOvertaken says that somebody else wrote: the newer object wakes us.
var errOvertaken = errors.New("somebody else wrote meanwhile")

// write stores the status under the resource version that was read.
func (r *Reconciler) write(ctx context.Context, g *group) error {
	g.kept.written = g.now
	err := r.Cache.Status().Update(ctx, g.g)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return errOvertaken
	}
	if err != nil {
		return fmt.Errorf("write status of group %s: %w", g.g.Name, err)
	}
	g.before = g.g.Status.DeepCopy()
	return nil
}

// overtaken looks again soon where somebody else wrote.
func (r *Reconciler) overtaken(err error) (ctrl.Result, error) {
	if errors.Is(err, errOvertaken) {
		return ctrl.Result{RequeueAfter: r.Waits.Conflict}, nil
	}
	return ctrl.Result{}, err
}

func truth(b bool) metav1.ConditionStatus {
	if b {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-3], "") + "..."
}
