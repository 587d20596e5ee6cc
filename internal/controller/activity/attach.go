package activity

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/controller/change"
)

// bringIn attaches instances by name: look by id, tag, then the record, never
// the record first (rule 13). Where the cloud does not answer it says when to
// try again; what the cloud refuses is left out.
func (w *run) bringIn(ctx context.Context, ids []string) (time.Duration, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	found, err := w.Cloud.Find(ctx, ids...)
	if err != nil {
		return w.later(ctx, err)
	}
	there := map[string]cloud.Instance{}
	for _, f := range found {
		there[f.ID] = f
	}
	records, err := w.recordsOf(ctx, ids)
	if err != nil {
		return 0, err
	}
	var fit []string
	for n, id := range ids {
		_, ok := there[id]
		switch why := w.unfit(records[n]); {
		case !ok:
			w.leaveOut(id, isGone)
		case why != "":
			w.leaveOut(id, why)
		default:
			fit = append(fit, id)
		}
	}
	tagged, again, err := w.tag(ctx, fit)
	if again > 0 || err != nil {
		return again, err
	}
	if err := w.Each(len(tagged), func(n int) error { return w.attach(ctx, there[tagged[n]]) }); err != nil {
		return 0, err
	}
	w.a.Status.Marked = append(w.a.Status.Marked, tagged...)
	return 0, nil
}

// later notes what the cloud answered and says when to try again.
func (w *run) later(ctx context.Context, err error) (time.Duration, error) {
	f := faultOf(err)
	s := &w.a.Status
	if s.Code != string(f.Code) {
		s.Code, s.Message = string(f.Code), clip(f.Message, maxText)
		return w.Pause(1), w.write(ctx)
	}
	return w.Pause(5), nil
}

// recordsOf reads the records of instances live, nil where there is none.
func (w *run) recordsOf(ctx context.Context, ids []string) ([]*api.Instance, error) {
	out := make([]*api.Instance, len(ids))
	err := w.Each(len(ids), func(n int) error {
		i := &api.Instance{}
		err := w.Live.Get(ctx, types.NamespacedName{Name: ids[n]}, i)
		if err == nil {
			out[n] = i
		}
		if apierrors.IsNotFound(err) {
			return nil
		}
		return wrap("read instance", ids[n], err)
	})
	return out, err
}

// unfit says why an instance with this record is not brought in: only one that
// was taken out or that is not counted is, or one that is ours already.
func (w *run) unfit(i *api.Instance) string {
	switch {
	case i == nil || i.Status.LifecycleState == api.InstanceRemoved:
		return ""
	case i.Spec.Release != nil:
		return "it is still on its way out"
	case Counted(i) && i.Spec.GroupUID != w.a.Spec.GroupUID:
		return "it belongs to node pool " + i.Spec.Pool
	}
	return ""
}

// tag puts our tags on. Where the cloud refuses several at once each is tried by
// itself, and those that it refuses are left out with the code.
func (w *run) tag(ctx context.Context, ids []string) (tagged []string, again time.Duration, err error) {
	if len(ids) == 0 {
		return nil, 0, nil
	}
	tags := w.origin(noPiece).Tags()
	err = w.Tags.Tag(ctx, tags, ids...)
	switch {
	case err == nil:
		return ids, 0, nil
	case cloud.Classify(err) != cloud.Refused:
		again, err = w.later(ctx, err)
		return nil, again, err
	case len(ids) == 1:
		f := faultOf(err)
		w.leaveOut(ids[0], fmt.Sprintf("its tags were refused: %s (%s)", f.Message, f.Code))
		return nil, 0, nil
	}
	for _, id := range ids {
		one, again, err := w.tag(ctx, []string{id})
		if again > 0 || err != nil {
			return nil, again, err
		}
		tagged = append(tagged, one...)
	}
	return tagged, 0, nil
}

// noPiece is the piece of an instance that none made.
const noPiece = -1

// attach records an instance that was brought in; a removed one comes back.
// That a person asked for it is their word for a new key, too.
func (w *run) attach(ctx context.Context, c cloud.Instance) error {
	err := w.Cache.Create(ctx, w.attached(c))
	if !apierrors.IsAlreadyExists(err) {
		return wrap("record instance", c.ID, err)
	}
	old := &api.Instance{}
	if err := w.Live.Get(ctx, types.NamespacedName{Name: c.ID}, old); err != nil {
		return wrap("read instance", c.ID, err)
	}
	if Counted(old) && old.Spec.GroupUID == w.a.Spec.GroupUID || old.Spec.ActivityUID == string(w.a.UID) {
		return nil
	}
	before := old.DeepCopy()
	s := &old.Spec
	s.CreationType = api.CreatedAttached
	s.Pool, s.Group, s.GroupUID = w.a.Spec.Pool, w.a.Spec.Group, w.a.Spec.GroupUID
	s.Activity, s.ActivityUID, s.Piece = w.a.Name, string(w.a.UID), noPiece
	s.Release, s.HeldBy, s.Disown = nil, "", false
	old.LetRejoin(w.Now(), nil)
	s.JoinDeadlineSeconds = w.a.Spec.JoinDeadlineSeconds
	old.Labels = w.labels(old.Labels)
	return wrap("attach instance", c.ID, w.Cache.Patch(ctx, old, change.Since(before)))
}

// attached is the record of an instance that is brought in.
func (w *run) attached(c cloud.Instance) *api.Instance {
	return &api.Instance{
		ObjectMeta: metav1.ObjectMeta{Name: c.ID, Finalizers: []string{api.Finalizer}, Labels: w.labels(nil)},
		Spec: api.InstanceSpec{
			Pool: w.a.Spec.Pool, Group: w.a.Spec.Group, GroupUID: w.a.Spec.GroupUID,
			Activity: w.a.Name, ActivityUID: string(w.a.UID), Piece: noPiece, CreationType: api.CreatedAttached,
			Placement:           api.Placement{VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType, ChargeType: api.ChargeType(c.ChargeType)},
			JoinDeadlineSeconds: w.a.Spec.JoinDeadlineSeconds,
		},
	}
}
