package instance

import (
	"context"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
)

// Adopter records instances that carry our cluster ID and that no record knows
// (rule 18). Its queue has one key: the region.
type Adopter struct {
	*Reconciler
	firstSeen map[string]time.Time
}

// Reconcile compares the newest sweep with the records. The records are read
// after the list, and live before anything is written.
func (a *Adopter) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	picture := a.Sweeper.Latest()
	if picture == nil {
		return ctrl.Result{}, nil
	}
	var list api.InstanceList
	if err := a.Cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return ctrl.Result{}, fmt.Errorf("list instances: %w", err)
	}
	known := make(map[string]bool, len(list.Items))
	for i := range list.Items {
		known[list.Items[i].Name] = true
	}
	now, again := a.Now(), time.Duration(0)
	seen := map[string]time.Time{}
	for id, c := range picture.Instances {
		if known[id] || c.Tags[cloud.TagCluster] != a.ClusterID {
			continue
		}
		first, ok := a.firstSeen[id]
		if !ok {
			first = now
		}
		seen[id] = first
		if left := a.Waits.UnknownGrace - now.Sub(first); left > 0 {
			again = left
			continue
		}
		if err := a.adopt(ctx, c); err != nil {
			return ctrl.Result{}, err
		}
	}
	a.firstSeen = seen
	return ctrl.Result{RequeueAfter: again}, nil
}

// adopt records one instance after a look by id. It is ours to release only if
// its activity asked for it.
func (a *Adopter) adopt(ctx context.Context, c cloud.Instance) error {
	found, err := a.Cloud.Find(ctx, c.ID)
	if err != nil || len(found) == 0 || found[0].Tags[cloud.TagCluster] != a.ClusterID {
		return err
	}
	pool := c.Tags[cloud.TagPool]
	i := &api.Instance{
		ObjectMeta: metav1.ObjectMeta{Name: c.ID, Finalizers: []string{api.Finalizer},
			Labels: map[string]string{api.LabelPool: pool, api.LabelGroup: pool}},
		Spec: api.InstanceSpec{Pool: pool, Group: pool, GroupUID: c.Tags[cloud.TagGroup], ActivityUID: c.Tags[cloud.TagActivity],
			CreationType: api.CreatedUnknown,
			Placement:    api.Placement{VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType, ChargeType: api.ChargeType(c.ChargeType)}},
	}
	if name, ok, err := a.asked(ctx, c); err != nil {
		return err
	} else if ok {
		i.Spec.CreationType, i.Spec.Activity = api.CreatedByUs, name
		i.Labels[api.LabelActivity] = name
		if n, err := strconv.Atoi(c.Tags[cloud.TagPiece]); err == nil {
			i.Spec.Piece = int32(n)
		}
	}
	if err := a.Cache.Create(ctx, i); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("record instance %s: %w", c.ID, err)
	}
	return nil
}

// asked finds the activity that an instance names, and says whether the piece
// it names asked for more than it has, in the living group.
func (a *Adopter) asked(ctx context.Context, c cloud.Instance) (string, bool, error) {
	g := &api.ScalingGroup{}
	err := a.Live.Get(ctx, types.NamespacedName{Name: c.Tags[cloud.TagPool]}, g)
	if apierrors.IsNotFound(err) {
		return "", false, nil
	}
	if err != nil || string(g.UID) != c.Tags[cloud.TagGroup] {
		return "", false, err
	}
	var list api.ScalingActivityList
	if err := a.Live.List(ctx, &list, client.MatchingLabels{api.LabelGroup: g.Name}); err != nil {
		return "", false, fmt.Errorf("list activities of %s: %w", g.Name, err)
	}
	piece, err := strconv.Atoi(c.Tags[cloud.TagPiece])
	if err != nil {
		return "", false, nil
	}
	for n := range list.Items {
		act := &list.Items[n]
		if string(act.UID) == c.Tags[cloud.TagActivity] && piece >= 0 && piece < len(act.Status.Pieces) {
			p := act.Status.Pieces[piece]
			return act.Name, len(p.Instances) < int(p.Amount), nil
		}
	}
	return "", false, nil
}
