package activity

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
)

// named deals with the instances that the activity names: those to release or
// to take out are marked, those to bring in are tagged and then recorded. What
// is dealt with stands in the status, so that it is done once.
func (w *run) named(ctx context.Context) error {
	todo := w.leaving()
	if len(todo) == 0 && len(w.bringing()) == 0 {
		return nil
	}
	if err := w.markAll(ctx, todo); err != nil {
		return err
	}
	if err := w.bringIn(ctx); err != nil {
		return err
	}
	if w.a.Status.State == "" {
		w.a.Status.State = api.ActivityInProgress
		w.a.Status.StartTime = &metav1.Time{Time: w.Now()}
	}
	return w.write(ctx)
}

// leaving are the named instances that are not dealt with yet.
func (w *run) leaving() []leaving {
	done := w.dealtWith()
	var todo []leaving
	for _, l := range w.a.Spec.Release {
		if !done[l.Instance] {
			todo = append(todo, leaving{Leaving: l})
		}
	}
	for _, l := range w.a.Spec.TakeOut {
		if !done[l.Instance] {
			todo = append(todo, leaving{Leaving: l, takeOut: true})
		}
	}
	return todo
}

type leaving struct {
	api.Leaving
	takeOut bool
}

func (w *run) bringing() []string {
	done := w.dealtWith()
	return slices.DeleteFunc(slices.Clone(w.a.Spec.BringIn), func(id string) bool { return done[id] })
}

func (w *run) dealtWith() map[string]bool {
	done := map[string]bool{}
	for _, id := range w.a.Status.Marked {
		done[id] = true
	}
	for _, l := range w.a.Status.LeftOut {
		done[l.Instance] = true
	}
	return done
}

// markAll marks instances after a live read of the whole group (rule 10).
func (w *run) markAll(ctx context.Context, todo []leaving) error {
	if len(todo) == 0 {
		return nil
	}
	var list api.InstanceList
	if err := w.Live.List(ctx, &list, client.MatchingLabels{api.LabelGroup: w.a.Spec.Group}); err != nil {
		return fmt.Errorf("list instances of %s: %w", w.a.Spec.Group, err)
	}
	records := make(map[string]*api.Instance, len(list.Items))
	for i := range list.Items {
		records[list.Items[i].Name] = &list.Items[i]
	}
	reasons := make([]string, len(todo))
	err := w.Each(len(todo), func(i int) error {
		var err error
		reasons[i], err = w.mark(ctx, records[todo[i].Instance], todo[i])
		return err
	})
	if err != nil {
		return err
	}
	for i, l := range todo {
		if reasons[i] != "" {
			w.a.Status.LeftOut = append(w.a.Status.LeftOut, api.LeftOut{Instance: l.Instance, Reason: reasons[i]})
			continue
		}
		w.a.Status.Marked = append(w.a.Status.Marked, l.Instance)
	}
	return nil
}

// mark writes the decision on one instance, or says why it was left out.
func (w *run) mark(ctx context.Context, i *api.Instance, l leaving) (leftOut string, err error) {
	switch {
	case i == nil:
		return "it is gone", nil
	case i.Spec.Release != nil && i.Spec.Release.Activity == w.a.Name:
		return "", nil
	case i.Spec.Release != nil:
		return "it was decided before, by " + i.Spec.Release.Activity, nil
	}
	if why := Kept(i, w.group.Spec.ManageAttached); why != "" && !l.takeOut && l.Task != i.Spec.HeldBy {
		return why, nil
	}
	i.Spec.Release = &api.ReleaseMark{
		Activity: w.a.Name, Time: metav1.NewMicroTime(w.Now()), Reason: l.Reason, TakeOut: l.takeOut,
		Task: l.Task, Drain: l.Drain, DrainLimitSeconds: l.DrainLimitSeconds, NotBeforeTime: l.NotBeforeTime,
	}
	err = w.Cache.Update(ctx, i)
	if apierrors.IsNotFound(err) {
		return "it is gone", nil
	}
	if err != nil {
		return "", fmt.Errorf("mark instance %s: %w", l.Instance, err)
	}
	return "", nil
}

// Kept says why an instance may not be released by scaling in, empty where it
// may.
func Kept(i *api.Instance, manageAttached bool) string {
	charge := i.Status.ChargeType
	if charge == "" {
		charge = i.Spec.Placement.ChargeType
	}
	switch {
	case charge == api.ChargeSubscription:
		return "subscription"
	case i.Spec.Protected:
		return "protected"
	case i.Spec.Standby:
		return "standby"
	case i.Spec.CreationType == api.CreatedUnknown:
		return "unknown origin"
	case i.Spec.CreationType == api.CreatedAttached && !manageAttached:
		return "attached"
	case i.Status.ReleaseProtected:
		return "release-protected"
	case i.Spec.HeldBy != "":
		return "held by another task"
	}
	return ""
}

// bringIn attaches instances by name: look by id, tag, then the record, never
// the record first (rule 13).
func (w *run) bringIn(ctx context.Context) error {
	ids := w.bringing()
	if len(ids) == 0 {
		return nil
	}
	found, err := w.Cloud.Find(ctx, ids...)
	if err != nil {
		return fmt.Errorf("find instances to bring in to %s: %w", w.a.Spec.Group, err)
	}
	there := map[string]cloud.Instance{}
	for _, f := range found {
		there[f.ID] = f
	}
	var present []string
	for _, id := range ids {
		if _, ok := there[id]; !ok {
			w.a.Status.LeftOut = append(w.a.Status.LeftOut, api.LeftOut{Instance: id, Reason: "it is gone"})
			continue
		}
		present = append(present, id)
	}
	if len(present) == 0 {
		return nil
	}
	tags := w.origin(-1).Tags()
	if err := w.Tags.Tag(ctx, tags, present...); err != nil {
		return fmt.Errorf("tag instances for %s: %w", w.a.Spec.Group, err)
	}
	errs := make([]error, 0, len(present))
	for _, id := range present {
		if err := w.attach(ctx, there[id]); err != nil {
			errs = append(errs, err)
			continue
		}
		w.a.Status.Marked = append(w.a.Status.Marked, id)
	}
	return errors.Join(errs...)
}

// attach records an instance that was brought in; a removed one comes back.
func (w *run) attach(ctx context.Context, c cloud.Instance) error {
	i := w.instanceOf(c, api.CreatedAttached)
	err := w.Cache.Create(ctx, i)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	old := &api.Instance{}
	if err := w.Live.Get(ctx, types.NamespacedName{Name: c.ID}, old); err != nil {
		return fmt.Errorf("read instance %s: %w", c.ID, err)
	}
	if Counted(old) && old.Spec.GroupUID == w.a.Spec.GroupUID {
		return nil
	}
	old.Spec.CreationType = api.CreatedAttached
	old.Spec.Pool, old.Spec.Group, old.Spec.GroupUID = w.a.Spec.Pool, w.a.Spec.Group, w.a.Spec.GroupUID
	old.Spec.Activity, old.Spec.ActivityUID = w.a.Name, string(w.a.UID)
	old.Spec.Release, old.Spec.HeldBy = nil, ""
	old.Labels = i.Labels
	return w.Cache.Update(ctx, old)
}

// instanceOf is the record of an instance that the cloud showed.
func (w *run) instanceOf(c cloud.Instance, how api.CreationType) *api.Instance {
	return &api.Instance{
		ObjectMeta: metav1.ObjectMeta{
			Name: c.ID, Finalizers: []string{api.Finalizer},
			Labels: map[string]string{api.LabelPool: w.a.Spec.Pool, api.LabelGroup: w.a.Spec.Group, api.LabelActivity: w.a.Name},
		},
		Spec: api.InstanceSpec{
			Pool: w.a.Spec.Pool, Group: w.a.Spec.Group, GroupUID: w.a.Spec.GroupUID,
			Activity: w.a.Name, ActivityUID: string(w.a.UID), Piece: -1, CreationType: how,
			Placement: api.Placement{VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType, ChargeType: api.ChargeType(c.ChargeType)},
		},
	}
}
