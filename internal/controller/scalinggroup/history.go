package scalinggroup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// What is kept of finished activities (rule 9): the newest historyKept, and
// those of the last wait.Settings.History, but never more than historyMost.
const (
	historyKept = 200
	historyMost = 2000
	// historyAtOnce bounds how many are deleted in one pass.
	historyAtOnce = 20
)

// over are the activities that history has no room for, oldest first: never the
// newest, one that is open or has an uncertain piece, or one whose results are
// not remembered yet. They come in order of their numbers.
func over(list []api.ScalingActivity, remembered int64, now time.Time, history time.Duration) []*api.ScalingActivity {
	var out []*api.ScalingActivity
	for n := range list {
		a, newer := &list[n], len(list)-1-n
		old := a.Status.EndTime != nil && now.Sub(a.Status.EndTime.Time) > history
		if newer < historyKept || (!old && newer < historyMost) {
			continue
		}
		uncertain := slices.ContainsFunc(a.Status.Pieces, func(p api.Piece) bool { return p.State != api.PieceResolved })
		if a.Status.Done && !uncertain && a.Spec.Number <= remembered && a.DeletionTimestamp == nil {
			out = append(out, a)
		}
	}
	return out
}

// prune deletes a few finished activities that history has no room for. True:
// there are more.
func (r *Reconciler) prune(ctx context.Context, g *group) (bool, error) {
	list := over(g.activities, g.before.RememberedActivity, g.now, r.Waits.History)
	var errs []error
	for _, a := range first(list, historyAtOnce) {
		err := r.Cache.Delete(ctx, a.DeepCopy(), client.Preconditions{UID: &a.UID})
		if client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("delete finished activity %s: %w", a.Name, err))
		}
	}
	return len(list) > historyAtOnce, errors.Join(errs...)
}
