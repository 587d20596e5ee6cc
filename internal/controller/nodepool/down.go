package nodepool

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// passed is one look at a pool and its group, and what was concluded.
type passed struct {
	pool    *api.NodePool
	group   *api.ScalingGroup // nil: none yet
	mode    mode
	verdict verdict
	drain   drainVerdict
	task    string // the scale task that was made, empty for none
	change  string // of the number, as it is told the group; empty for none
	waits   wait.Settings
}

// passDown brings the group's spec to what the pool wishes, in one update. It
// decides on the cache and confirms on the API server, and reads the group
// first and the pool after it, so that an older pool never overwrites a newer.
// Nil without an error: the pool is gone.
func (r *Reconciler) passDown(ctx context.Context, name string) (*passed, error) {
	for n, from := range []client.Reader{r.Client, r.Live} {
		p, want, err := r.look(ctx, from, name)
		if err != nil || p == nil {
			return nil, err
		}
		if want == nil || (p.group != nil && same(p.group, want)) {
			return p, nil
		}
		if n == 0 {
			continue
		}
		if err := r.write(ctx, p, want); err != nil {
			return nil, err
		}
		return p, nil
	}
	return nil, nil
}

// look reads group and pool and says what the group's spec should be. Nil:
// nothing may be passed down now.
func (r *Reconciler) look(ctx context.Context, from client.Reader, name string) (*passed, *api.ScalingGroupSpec, error) {
	p := &passed{group: &api.ScalingGroup{}, pool: &api.NodePool{}}
	key := types.NamespacedName{Name: name}
	if err := from.Get(ctx, key, p.group); apierrors.IsNotFound(err) {
		p.group = nil
	} else if err != nil {
		return nil, nil, fmt.Errorf("read scaling group %s: %w", name, err)
	}
	if err := from.Get(ctx, key, p.pool); err != nil {
		return nil, nil, client.IgnoreNotFound(err)
	}
	var err error
	if p.mode, err = r.modeOf(ctx, p); err != nil {
		return nil, nil, err
	}
	if stale(p) {
		return p, nil, nil
	}
	p.verdict, p.drain = r.judge(ctx, p), r.drains(ctx, p)
	if p.group == nil && (p.verdict.state != metav1.ConditionTrue || !p.pool.DeletionTimestamp.IsZero() || p.mode.frozen != "") {
		return p, nil, nil // a group is made only of settings that are known to work
	}
	return p, wanted(p), nil
}

// stale is true where the group was made of a newer pool than the one read.
func stale(p *passed) bool {
	return p.group != nil && p.group.Spec.PoolUID == string(p.pool.UID) && p.group.Spec.PoolGeneration > p.pool.Generation
}

// wanted is the spec that the group should have.
func wanted(p *passed) *api.ScalingGroupSpec {
	s := &api.ScalingGroupSpec{}
	if p.group != nil {
		s = p.group.Spec.DeepCopy()
	}
	w := p.pool.DeepCopy().Spec
	s.Pool, s.PoolUID, s.PoolGeneration = p.pool.Name, string(p.pool.UID), p.pool.Generation
	s.DesiredCapacity, s.MinSize, s.MaxSize = w.ExpectedNodes, w.MinNodes, w.MaxNodes
	s.MaxCreationsPerHour, s.MaxSpendPerHour = w.MaxCreationsPerHour, w.MaxSpendPerHour
	s.Transfers = w.Transfers
	s.ScalingPolicy, s.Drain = w.ScalingPolicy, w.Drain
	s.Undrained = p.drain.undrained(s.Undrained)
	s.JoinDeadlineSeconds, s.ManageAttached = w.JoinDeadlineSeconds, w.ManageAttached
	s.KeepFailed = keepFailed(w.KeepFailed)
	s.Frozen, s.Emptying = p.mode.frozen, p.mode.emptying
	if p.mode.emptying {
		s.DesiredCapacity, s.MinSize, s.Transfers = 0, 0, nil
	}
	if p.group == nil || w.HealthCheck != p.pool.Status.HealthCheckPassed {
		s.HealthCheck = w.HealthCheck
	}
	if p.group != nil && !equality.Semantic.DeepEqual(s.LifecycleHooks, w.LifecycleHooks) {
		s.SettingsGeneration = p.pool.Generation // what hooks gave up is tried again
	}
	s.LifecycleHooks = w.LifecycleHooks
	if p.verdict.state == metav1.ConditionTrue && !equality.Semantic.DeepEqual(s.LaunchSettings, w.LaunchSettings) {
		s.LaunchSettings, s.SettingsGeneration = w.LaunchSettings, p.pool.Generation
	}
	if n, candidate := api.Asked(p.pool.Annotations[api.AnnotationResumeCount]); n > s.ResumeCount {
		s.ResumeCount, s.ResumeCandidate = n, candidate
	}
	s.RebalanceCount = max(s.RebalanceCount, asked(p.pool, api.AnnotationRebalanceCount))
	s.ThawCount = max(s.ThawCount, asked(p.pool, api.AnnotationThawCount))
	return s
}

// keepFailed is the pool's number, 1 where it says nothing.
func keepFailed(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

// same is true where the group is as it should be.
func same(g *api.ScalingGroup, want *api.ScalingGroupSpec) bool {
	return equality.Semantic.DeepEqual(&g.Spec, want) && g.Annotations[api.AnnotationPassedDown] == want.Fingerprint()
}

// write makes the group, or updates it under its resource version. The task
// that follows a changed number is made before, so that no change is without.
func (r *Reconciler) write(ctx context.Context, p *passed, want *api.ScalingGroupSpec) error {
	if p.mode.emptying {
		if err := r.makeDeleteTask(ctx, p.pool); err != nil {
			return err
		}
	} else if err := r.makeScaleTask(ctx, p, want); err != nil {
		return err
	}
	if p.group == nil {
		return r.create(ctx, p, want)
	}
	edits := editedBy(p.group, want)
	g := p.group.DeepCopy()
	g.Spec = *want
	mark(g)
	p.told(g)
	if err := r.Client.Update(ctx, g); err != nil {
		return fmt.Errorf("update scaling group %s: %w", g.Name, err)
	}
	logf.FromContext(ctx).Info("passed the pool down", "pool", p.pool.Name, "group", g.Name,
		"generation", p.pool.Generation, "desiredCapacity", want.DesiredCapacity)
	r.putBack(p, edits)
	p.group = g
	return nil
}

// told writes on a group who changed the number, for the cause of its next
// activity.
func (p *passed) told(g *api.ScalingGroup) {
	if p.change != "" {
		g.Annotations[api.AnnotationNumberChange] = p.change
	}
}

// create makes the pool's group. Its owner reference tells people whose it is;
// its finalizer keeps the garbage collector from taking it before its turn.
func (r *Reconciler) create(ctx context.Context, p *passed, want *api.ScalingGroupSpec) error {
	owns := true
	g := &api.ScalingGroup{ObjectMeta: metav1.ObjectMeta{
		Name: p.pool.Name, Finalizers: []string{api.Finalizer},
		Labels: map[string]string{api.LabelPool: p.pool.Name},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: api.GroupVersion.String(), Kind: "NodePool",
			Name: p.pool.Name, UID: p.pool.UID, Controller: &owns,
		}},
	}, Spec: *want}
	mark(g)
	p.told(g)
	if err := r.Client.Create(ctx, g); err != nil {
		return fmt.Errorf("create scaling group %s: %w", g.Name, err)
	}
	logf.FromContext(ctx).Info("created the scaling group", "pool", p.pool.Name, "group", g.Name, "desiredCapacity", want.DesiredCapacity)
	p.group = g
	return nil
}
