package instance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/sweep"
)

// Adopter records instances that carry our cluster ID and that no record knows
// (rule 18). Its queue has one key: the region.
type Adopter struct {
	*Reconciler
	firstSeen map[string]time.Time
}

// Reconcile compares the newest sweep with the records. The records are read
// after the list, and what nobody knows is looked at by id before anything is
// written.
func (a *Adopter) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	picture := a.Sweeper.Latest()
	if picture == nil {
		return ctrl.Result{}, nil
	}
	var list api.InstanceList
	if err := a.Cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return ctrl.Result{}, fmt.Errorf("list instances: %w", err)
	}
	due, again := a.due(picture, list.Items)
	if len(due) == 0 {
		return ctrl.Result{RequeueAfter: again}, nil
	}
	found, err := a.Cloud.Find(ctx, due...)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("look at instances that no record knows by id: %w", err)
	}
	sort.Slice(found, func(x, y int) bool { return found[x].ID < found[y].ID })
	pieces := &asked{Adopter: a, groups: map[string]*living{}, has: made(list.Items)}
	var errs []error
	for _, c := range found {
		if c.Tags[cloud.TagCluster] == a.ClusterID {
			errs = append(errs, a.adopt(ctx, c, pieces))
		}
	}
	return ctrl.Result{RequeueAfter: again}, errors.Join(errs...)
}

// due are the instances with our cluster ID that no record knows for long
// enough, and how long the next one has still to wait.
func (a *Adopter) due(picture *sweep.Picture, records []api.Instance) (ids []string, again time.Duration) {
	if picture.Ours == 0 {
		a.firstSeen = nil
		return nil, 0
	}
	known := make(map[string]bool, len(records))
	for i := range records {
		known[records[i].Name] = true
	}
	now, seen := a.Now(), map[string]time.Time{}
	for id, c := range picture.Instances {
		if known[id] || c.Tags[cloud.TagCluster] != a.ClusterID {
			continue
		}
		first, ok := a.firstSeen[id]
		if !ok {
			first = now
		}
		seen[id] = first
		if left := a.Waits.UnknownGrace - now.Sub(first); left <= 0 {
			ids = append(ids, id)
		} else if again == 0 || left < again {
			again = left
		}
	}
	a.firstSeen = seen
	sort.Strings(ids)
	return ids, again
}

// piece names a piece of an activity.
type piece struct {
	activity string
	index    int
}

// made is how many instances each piece has on record.
func made(records []api.Instance) map[piece]int {
	out := map[piece]int{}
	for i := range records {
		if s := &records[i].Spec; s.CreationType == api.CreatedByUs {
			out[piece{s.ActivityUID, int(s.Piece)}]++
		}
	}
	return out
}

// adopt records one instance that a look by id has shown. It is ours to release
// only where its activity asked for it; any other is kept and not counted until
// a person decides.
func (a *Adopter) adopt(ctx context.Context, c cloud.Instance, pieces *asked) error {
	pool := c.Tags[cloud.TagPool]
	i := &api.Instance{
		ObjectMeta: metav1.ObjectMeta{Name: c.ID, Finalizers: []string{api.Finalizer},
			Labels: map[string]string{api.LabelPool: pool, api.LabelGroup: pool}},
		Spec: api.InstanceSpec{Pool: pool, Group: pool, GroupUID: c.Tags[cloud.TagGroup], ActivityUID: c.Tags[cloud.TagActivity],
			CreationType: api.CreatedUnknown,
			Placement:    api.Placement{VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType, ChargeType: api.ChargeType(c.ChargeType)}},
	}
	act, index, err := pieces.of(ctx, c)
	if err != nil {
		return err
	}
	if act != nil {
		i.Spec.CreationType, i.Spec.Activity, i.Spec.Piece = api.CreatedByUs, act.Name, int32(index)
		i.Spec.JoinDeadlineSeconds = act.Spec.JoinDeadlineSeconds
		i.Labels[api.LabelActivity] = act.Name
	}
	if err := a.Cache.Create(ctx, i); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("record instance %s: %w", c.ID, err)
	}
	return nil
}

// asked finds the activities that instances name, each group read once.
type asked struct {
	*Adopter
	groups map[string]*living
	has    map[piece]int
}

// living is a group as it is now; no UID where there is none.
type living struct {
	uid        string
	activities []api.ScalingActivity
}

// of returns the activity that an instance names, where the piece that it names
// asked for more than it has and does not know others as its own, and its group
// is the living one. It counts as made by that piece from then on.
func (p *asked) of(ctx context.Context, c cloud.Instance) (*api.ScalingActivity, int, error) {
	o, ok := cloud.OriginOf(c.Tags)
	if !ok || o.Piece < 0 {
		return nil, 0, nil
	}
	g, err := p.group(ctx, o.Pool)
	if err != nil || g.uid != o.GroupUID {
		return nil, 0, err
	}
	for n := range g.activities {
		act := &g.activities[n]
		if string(act.UID) != o.ActivityUID || o.Piece >= len(act.Status.Pieces) {
			continue
		}
		asked, key := act.Status.Pieces[o.Piece], piece{o.ActivityUID, o.Piece}
		if answered := asked.State == api.PieceResolved && len(asked.Instances) > 0; answered && !slices.Contains(asked.Instances, c.ID) {
			return nil, 0, nil // the piece knows which are its own: these tags were copied
		}
		if max(p.has[key], len(asked.Instances)) >= int(asked.Amount) {
			return nil, 0, nil
		}
		p.has[key]++
		return act, o.Piece, nil
	}
	return nil, 0, nil
}

func (p *asked) group(ctx context.Context, name string) (*living, error) {
	if g := p.groups[name]; g != nil {
		return g, nil
	}
	out, g := &living{}, &api.ScalingGroup{}
	err := p.Live.Get(ctx, types.NamespacedName{Name: name}, g)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read group %s: %w", name, err)
	}
	if err == nil {
		var list api.ScalingActivityList
		if err := p.Live.List(ctx, &list, client.MatchingLabels{api.LabelGroup: name}); err != nil {
			return nil, fmt.Errorf("list activities of %s: %w", name, err)
		}
		out.uid, out.activities = string(g.UID), list.Items
	}
	p.groups[name] = out
	return out, nil
}
