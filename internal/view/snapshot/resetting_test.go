package snapshot_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/view/snapshot"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// A machine whose MIG reset did not end in time stays until a person resumes the
// pool or edits what machines are made of; one that a person let join again has
// not failed.
func TestWhatEndsTheHoldOfAReset(t *testing.T) {
	failed := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: failed.Add(d)} }
	for name, c := range map[string]struct {
		change                func(*v1alpha1.ScalingGroup, *v1alpha1.Instance)
		wantFailed, wantStays bool
	}{
		"nothing since":           {func(*v1alpha1.ScalingGroup, *v1alpha1.Instance) {}, true, true},
		"resumed before":          {func(g *v1alpha1.ScalingGroup, _ *v1alpha1.Instance) { g.Status.ResumedTime = at(-time.Minute) }, true, true},
		"resumed since":           {func(g *v1alpha1.ScalingGroup, _ *v1alpha1.Instance) { g.Status.ResumedTime = at(time.Minute) }, true, false},
		"edited since":            {func(g *v1alpha1.ScalingGroup, _ *v1alpha1.Instance) { g.Spec.SettingsGeneration = 2 }, true, false},
		"failed at another step":  {func(_ *v1alpha1.ScalingGroup, i *v1alpha1.Instance) { i.Status.Resetting = false }, true, false},
		"let join again":          {func(_ *v1alpha1.ScalingGroup, i *v1alpha1.Instance) { i.Spec.RejoinTime = at(time.Minute) }, false, false},
		"let join, and it failed": {func(_ *v1alpha1.ScalingGroup, i *v1alpha1.Instance) { i.Spec.RejoinTime = at(-time.Minute) }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			g, a, i := &v1alpha1.ScalingGroup{}, v1alpha1.ScalingActivity{}, v1alpha1.Instance{}
			g.Spec.SettingsGeneration, a.UID, a.Spec.SettingsGeneration = 1, "a-uid", 1
			i.Spec.ActivityUID, i.Spec.CreationType = "a-uid", v1alpha1.CreatedByUs
			i.Status.FailedTime, i.Status.Code, i.Status.Resetting = at(0), "NodepoolScaleFailed.FailedJoinCluster", true
			c.change(g, &i)
			s := snapshot.Of(g, []v1alpha1.ScalingActivity{a}, []v1alpha1.Instance{i}, failed.Add(time.Hour), wait.Defaults())
			if got := s.Instances[0]; got.FailedToJoin != c.wantFailed || got.Resetting != c.wantStays {
				t.Errorf("failed %v, stays %v", got.FailedToJoin, got.Resetting)
			}
		})
	}
}
