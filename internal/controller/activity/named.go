package activity

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/change"
)

// chunk is how many instances are marked between two writes of the status.
const chunk = 500

// named deals with the instances that the activity names: those to release or
// to take out are marked, those to bring in are tagged and then recorded. What
// is dealt with stands in the status, which is written with the next
// announcement or the end; a crash before finds it in the records.
func (w *run) named(ctx context.Context) (time.Duration, error) {
	done := w.dealtWith()
	todo := w.leaving(done)
	in := slices.DeleteFunc(slices.Clone(w.a.Spec.BringIn), func(id string) bool { return done[id] })
	if len(todo) == 0 && len(in) == 0 {
		return 0, nil
	}
	w.begin()
	if err := w.markAll(ctx, todo); err != nil {
		return 0, err
	}
	return w.bringIn(ctx, in)
}

// leaving are the named instances that are not dealt with yet.
func (w *run) leaving(done map[string]bool) []leaving {
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

// markAll marks instances after one live read of the whole group (rule 10).
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
	for {
		some := todo[:min(chunk, len(todo))]
		if err := w.markSome(ctx, records, some); err != nil {
			return err
		}
		if todo = todo[len(some):]; len(todo) == 0 {
			return nil
		}
		if err := w.write(ctx); err != nil {
			return err
		}
	}
}

// markSome marks one chunk, several at a time. Where one fails the rest is
// marked all the same, and what was dealt with is noted.
func (w *run) markSome(ctx context.Context, records map[string]*api.Instance, todo []leaving) error {
	reasons, dealt := make([]string, len(todo)), make([]bool, len(todo))
	err := w.Each(len(todo), func(i int) error {
		var err error
		reasons[i], err = w.mark(ctx, records[todo[i].Instance], todo[i])
		dealt[i] = err == nil
		return err
	})
	for i, l := range todo {
		switch {
		case !dealt[i]:
		case reasons[i] != "":
			w.leaveOut(l.Instance, reasons[i])
		default:
			w.a.Status.Marked = append(w.a.Status.Marked, l.Instance)
		}
	}
	return err
}

func (w *run) leaveOut(id, why string) {
	w.a.Status.LeftOut = append(w.a.Status.LeftOut, api.LeftOut{Instance: id, Reason: clip(why, maxReason)})
}

// mark writes the decision on one instance, or says why it was left out. A
// record that somebody wrote meanwhile is read and judged anew.
func (w *run) mark(ctx context.Context, i *api.Instance, l leaving) (leftOut string, err error) {
	for range 5 {
		if why, marked := w.judge(i, l); why != "" || marked {
			return why, nil
		}
		before := i.DeepCopy()
		i.Spec.Release = &api.ReleaseMark{
			Activity: w.a.Name, Time: metav1.NewMicroTime(w.Now()), Reason: l.Reason, TakeOut: l.takeOut,
			Task: l.Task, Drain: l.Drain, DrainLimitSeconds: l.DrainLimitSeconds, NotBeforeTime: l.NotBeforeTime,
			Emptying: w.a.Spec.Emptying, ManageAttached: w.a.Spec.ManageAttached,
		}
		err = w.Cache.Patch(ctx, i, change.Since(before))
		switch {
		case apierrors.IsNotFound(err):
			return isGone, nil
		case !apierrors.IsConflict(err):
			return "", wrap("mark instance", l.Instance, err)
		}
		fresh := &api.Instance{}
		if e := w.Live.Get(ctx, types.NamespacedName{Name: l.Instance}, fresh); apierrors.IsNotFound(e) {
			return isGone, nil
		} else if e != nil {
			return "", wrap("read instance", l.Instance, e)
		}
		i = fresh
	}
	return "", wrap("mark instance", l.Instance, err)
}

const isGone = "it is gone"

// judge says whether one instance is marked by this activity already, or why
// it is left out.
func (w *run) judge(i *api.Instance, l leaving) (leftOut string, marked bool) {
	switch {
	case i == nil:
		return isGone, false
	case i.Spec.GroupUID != w.a.Spec.GroupUID && i.Spec.CreationType != api.CreatedUnknown:
		return "it belongs to another group", false
	case i.Status.LifecycleState == api.InstanceRemoved:
		return "it was taken out before", false
	case i.Spec.Release != nil && i.Spec.Release.Activity == w.a.Name:
		return "", true
	case i.Spec.Release != nil:
		return "it was decided before, by " + i.Spec.Release.Activity, false
	case l.takeOut:
		return "", false
	}
	return w.kept(i, l.Task), false
}

// kept says why an instance may not be released, empty where it may: what
// nobody may ever release first. Where the whole pool goes no wish of a person
// keeps one; a task that named one holds it itself.
func (w *run) kept(i *api.Instance, task string) string {
	charge := i.Status.ChargeType
	if charge == "" {
		charge = i.Spec.Placement.ChargeType
	}
	switch {
	case charge == api.ChargeSubscription:
		return "subscription"
	case i.Spec.CreationType == api.CreatedUnknown, !i.Spec.CreationType.Known():
		return "unknown origin"
	case i.Spec.CreationType == api.CreatedAttached && !w.a.Spec.ManageAttached:
		return "attached"
	case i.Status.ReleaseProtected:
		return "release-protected"
	case w.a.Spec.Emptying:
		return ""
	case i.Spec.Protected:
		return "protected"
	case i.Spec.Standby:
		return "standby"
	case i.Spec.HeldBy != "" && i.Spec.HeldBy != task:
		return "held by another task"
	}
	return ""
}

func wrap(what, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", what, name, err)
}

// Counted says whether an instance counts against the desired capacity: it is
// recorded, of known origin, not taken out, and nobody decided to release it
// (rule 3; the entries of transfers are the planner's).
func Counted(i *api.Instance) bool {
	return i.Spec.Release == nil && i.Spec.CreationType != api.CreatedUnknown && i.Status.LifecycleState != api.InstanceRemoved
}

// labels of a record that this activity makes or takes over.
func (w *run) labels(old map[string]string) map[string]string {
	l := maps.Clone(old)
	if l == nil {
		l = map[string]string{}
	}
	l[api.LabelPool], l[api.LabelGroup], l[api.LabelActivity] = w.a.Spec.Pool, w.a.Spec.Group, w.a.Name
	return l
}
