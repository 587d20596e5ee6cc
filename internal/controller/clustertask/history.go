package clustertask

import (
	"context"
	"fmt"
	"sort"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/change"
)

// How many ended tasks of a pool are kept: the newest historyLeast however old
// they are, and never more than historyMost.
const (
	historyLeast = 200
	historyMost  = 2000
)

// afterwards looks after a task that has ended: it lets go of what it held,
// tells a success that came later, and ends the task's place in the history.
func (w *work) afterwards(ctx context.Context) (ctrl.Result, error) {
	late, err := w.heldLate(ctx)
	if err != nil {
		return w.conflict(err)
	}
	finalizer := controllerutil.ContainsFinalizer(w.t, api.Finalizer)
	if finalizer || late {
		if err := w.unhold(ctx); err != nil {
			return w.conflict(err)
		}
	}
	if finalizer {
		before := w.t.DeepCopy()
		controllerutil.RemoveFinalizer(w.t, api.Finalizer)
		if err := w.Client.Patch(ctx, w.t, change.Since(before)); err != nil {
			return w.conflict(err)
		}
	}
	maybe, err := w.later(ctx)
	if err != nil {
		return w.conflict(err)
	}
	if maybe {
		w.memory.open(w.t.Spec.Pool, w.t.Name)
	} else {
		w.memory.close(w.t.Name)
	}
	age := w.now.Sub(endOf(w.t))
	if err := w.prune(ctx, age >= w.Waits.History); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: max(w.Waits.History-age, w.Waits.SecretGrace)}, nil
}

func endOf(t *api.ClusterTask) time.Time {
	if t.Status.EndTime == nil {
		return time.Time{}
	}
	return t.Status.EndTime.Time
}

// prune deletes this task once it is old and many newer ones ended, or the
// oldest where there are too many.
func (w *work) prune(ctx context.Context, old bool) error {
	list, err := w.tasks(ctx, w.Client)
	if err != nil {
		return err
	}
	var done []*api.ClusterTask
	for _, t := range list {
		if ended(t) {
			done = append(done, t)
		}
	}
	if !old && len(done) <= historyMost {
		return nil
	}
	sort.Slice(done, func(a, b int) bool {
		if x, y := endOf(done[a]), endOf(done[b]); !x.Equal(y) {
			return x.After(y)
		}
		return done[a].Name < done[b].Name
	})
	for n, t := range done {
		if n >= historyMost || (old && n >= historyLeast && t.Name == w.t.Name) {
			if err := client.IgnoreNotFound(w.Client.Delete(ctx, t.DeepCopy())); err != nil {
				return fmt.Errorf("delete task %s: %w", t.Name, err)
			}
		}
	}
	return nil
}
