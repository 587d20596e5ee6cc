package scalinggroup

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

// act calls marked instances back, or opens the activity that was decided.
func (r *Reconciler) act(ctx context.Context, g *group, d scaling.Decision) (ctrl.Result, error) {
	if len(d.CallBack) > 0 {
		return ctrl.Result{RequeueAfter: r.Waits.Gather}, r.callBack(ctx, d.CallBack)
	}
	a, err := r.decided(ctx, g, d)
	if err != nil {
		return ctrl.Result{}, err
	}
	err = r.Cache.Create(ctx, a)
	if apierrors.IsAlreadyExists(err) { // somebody decided first: start over
		return ctrl.Result{RequeueAfter: r.Waits.Conflict}, r.sameGroup(ctx, a)
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("open activity %s: %w", a.Name, err)
	}
	logf.FromContext(ctx).Info("opened activity", "group", g.g.Name, "activity", a.Name, "cause", d.Cause,
		"create", d.Create, "release", len(d.Release), "takeOut", len(d.TakeOut), "bringIn", len(d.BringIn))
	g.activities = append(g.activities, *a)
	return r.report(ctx, g, d)
}

// callBack takes the marks off instances that stay after all, each under its
// live resource version and only where no release call was about to be made
// (rule 10).
func (r *Reconciler) callBack(ctx context.Context, names []string) error {
	for _, name := range names {
		i := &api.Instance{}
		err := r.Live.Get(ctx, types.NamespacedName{Name: name}, i)
		if apierrors.IsNotFound(err) || (err == nil && (i.Spec.Release == nil || i.Status.ReleaseSentTime != nil)) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read instance %s: %w", name, err)
		}
		i.Spec.Release = nil
		if err := r.Cache.Update(ctx, i); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return fmt.Errorf("call instance %s back: %w", name, err)
		}
	}
	return nil
}

// decided is the activity of a decision, with its requests written before it.
func (r *Reconciler) decided(ctx context.Context, g *group, d scaling.Decision) (*api.ScalingActivity, error) {
	number := g.g.Status.LastActivity
	for i := range g.activities {
		number = max(number, g.activities[i].Spec.Number)
	}
	number++
	spec := &g.g.Spec
	a := &api.ScalingActivity{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("%s-a%d", g.g.Name, number), Finalizers: []string{api.Finalizer},
			Labels: map[string]string{api.LabelPool: spec.Pool, api.LabelGroup: g.g.Name},
		},
		Spec: api.ScalingActivitySpec{
			Group: g.g.Name, GroupUID: string(g.g.UID), Pool: spec.Pool, Number: number, Cause: d.Cause,
			Before: int32(d.Counted) + int32(g.uncertain()), Wanted: spec.DesiredCapacity, Create: int32(d.Create),
			Policy: spec.ScalingPolicy.Type, StrictBalance: spec.ScalingPolicy.StrictBalance,
			SettingsGeneration: spec.SettingsGeneration, BringIn: d.BringIn, JoinDeadlineSeconds: r.joinDeadline(spec),
		},
	}
	a.Spec.Release = r.leaving(g, d.Release)
	a.Spec.TakeOut = r.leaving(g, d.TakeOut)
	if d.Create == 0 {
		return a, nil
	}
	return a, r.requests(ctx, g, a, d.Candidates)
}

// joinDeadline of new instances. Unit: seconds, at least 1.
func (r *Reconciler) joinDeadline(s *api.ScalingGroupSpec) int32 {
	if s.JoinDeadlineSeconds != nil {
		return *s.JoinDeadlineSeconds
	}
	d := r.Waits.JoinDeadline
	for _, t := range s.InstanceTypes {
		if strings.Contains(t, ".ebmgn") {
			d = r.Waits.JoinDeadlineGPU
		}
	}
	return max(int32(d/time.Second), 1)
}

// leaving are chosen instances with the drain that was decided for each.
func (r *Reconciler) leaving(g *group, chosen []scaling.Chosen) []api.Leaving {
	out := make([]api.Leaving, 0, len(chosen))
	byName := map[string]api.Transfer{}
	for _, t := range g.g.Spec.Transfers {
		byName[t.Instance] = t
	}
	for _, c := range chosen {
		l := api.Leaving{Instance: c.Name, Reason: c.Why, Task: c.Task, Drain: g.g.Spec.Drain.Mode}
		if g.g.Spec.Drain.LimitSeconds != nil {
			l.DrainLimitSeconds = *g.g.Spec.Drain.LimitSeconds
		}
		if t, ok := byName[c.Name]; ok && c.Task != "" {
			l.Drain, l.DrainLimitSeconds = t.Drain, t.DrainLimitSeconds
		}
		if !c.NotBefore.IsZero() {
			l.NotBeforeTime = nowTime(c.NotBefore)
		}
		out = append(out, l)
	}
	return out
}

// requests writes the exact requests into an immutable Secret of a generated
// name, before the activity that names it.
func (r *Reconciler) requests(ctx context.Context, g *group, a *api.ScalingActivity, candidates []scaling.Candidate) error {
	data, keys, expiry, err := r.Encoder.Encode(ctx, g.g, candidates)
	if err != nil {
		return fmt.Errorf("encode requests of %s: %w", g.g.Name, err)
	}
	yes := true
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: api.SystemNamespace, GenerateName: a.Name + "-",
			Labels: map[string]string{api.LabelGroup: g.g.Name, api.LabelActivity: a.Name}},
		Immutable: &yes, Data: data,
	}
	if err := r.Cache.Create(ctx, s); err != nil {
		return fmt.Errorf("write requests of %s: %w", a.Name, err)
	}
	a.Spec.Requests = &api.RequestsRef{Secret: s.Name, Hash: scaling.RequestsHash(data)}
	a.Spec.CredentialExpiryTime = nowTime(expiry)
	disk := diskNames(&g.g.Spec)
	for n, c := range candidates {
		a.Spec.Candidates = append(a.Spec.Candidates, api.Candidate{
			VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType, ChargeType: api.ChargeType(c.ChargeType),
			PricePerHour: scaling.Decimal(c.Price), Currency: currency(g.g), Share: int32(c.Share), ShareWith: c.ShareWith,
			Disk: disk, Request: keys[n],
		})
	}
	return nil
}

func currency(g *api.ScalingGroup) string {
	for _, p := range g.Status.ResourcePools {
		if p.Currency != "" {
			return p.Currency
		}
	}
	return ""
}

// sameGroup tells people when an activity of this name belongs to another
// group: then nobody can decide until it is gone.
func (r *Reconciler) sameGroup(ctx context.Context, a *api.ScalingActivity) error {
	there := &api.ScalingActivity{}
	if err := r.Live.Get(ctx, types.NamespacedName{Name: a.Name}, there); err != nil {
		return nil
	}
	if there.Spec.GroupUID == a.Spec.GroupUID {
		return nil
	}
	return fmt.Errorf("activity %s belongs to another group of this name (UID %s): delete it", a.Name, there.Spec.GroupUID)
}
