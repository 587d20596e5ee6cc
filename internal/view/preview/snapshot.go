package preview

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/view/snapshot"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// planned is a group with its instances as the engine's planner sees them, for
// a preview of another desired number. Entries of tasks are taken as carried
// out, an open activity as if it had ended, and no rebalance goes on beside it.
func planned(g *v1alpha1.ScalingGroup, activities []v1alpha1.ScalingActivity, instances []v1alpha1.Instance, desired int32, now time.Time) scaling.Snapshot {
	mine := make([]v1alpha1.Instance, 0, len(instances))
	for i := range instances {
		if instances[i].Spec.Group == g.Name {
			mine = append(mine, instances[i])
		}
	}
	var own []v1alpha1.ScalingActivity
	for i := range activities {
		if activities[i].Spec.Group == g.Name {
			own = append(own, activities[i])
		}
	}
	s := snapshot.Of(g, own, mine, now, wait.Defaults())
	s.Desired, s.Busy, s.Rebalance = int(desired), false, false
	s.Uncertain = max(s.Uncertain, int(g.Status.Uncertain))
	if c := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionFrozen); s.Frozen == "" && c != nil && c.Status == metav1.ConditionTrue {
		s.NoRelease = orDefault(c.Message, "nothing is released while the pool is frozen")
	}
	out := map[string]bool{}
	for _, t := range s.Transfers {
		out[t.Instance] = !t.In
	}
	s.Transfers = nil
	for n := range s.Instances {
		i := &s.Instances[n]
		if !out[i.Name] {
			continue
		}
		if i.Task = ""; i.Marked.IsZero() {
			i.Marked, i.Named = now, true
		}
	}
	return s
}
