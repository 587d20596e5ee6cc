package past_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/past"
)

func activity(name string, age time.Duration, spec v1alpha1.ScalingActivitySpec) v1alpha1.ScalingActivity {
	return v1alpha1.ScalingActivity{Spec: spec, ObjectMeta: metav1.ObjectMeta{Name: name,
		CreationTimestamp: metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(-age))}}
}

// The newest activity that names an instance tells how it left.
func TestOf(t *testing.T) {
	all := []v1alpha1.ScalingActivity{
		activity("web-a1", 4*time.Hour, v1alpha1.ScalingActivitySpec{Cause: "expected number 0 -> 3", Create: 3}),
		activity("web-a2", 3*time.Hour, v1alpha1.ScalingActivitySpec{Cause: "expected number 3 -> 2", Release: []v1alpha1.Leaving{{Instance: "i-1"}}}),
		activity("web-a4", time.Hour, v1alpha1.ScalingActivitySpec{Cause: "i-1 was released outside poolkeeper"}),
		activity("web-a3", 2*time.Hour, v1alpha1.ScalingActivitySpec{Cause: "removal", TakeOut: []v1alpha1.Leaving{{Instance: "i-2"}}}),
	}
	for name, want := range map[string][2]string{
		"i-1": {"web-a4", "i-1 was released outside poolkeeper"},
		"i-2": {"web-a3", "it was taken out, not released: removal"},
	} {
		if a, how := past.Of(name, all); a == nil || a.Name != want[0] || how != want[1] {
			t.Errorf("%s: %v, %q, want %q", name, a, how, want)
		}
	}
	if a, how := past.Of("i-3", all); a != nil {
		t.Errorf("nobody names i-3, and it is said: %s: %s", a.Name, how)
	}
	if a, how := past.Of("i-1", all[1:2]); a == nil || how != "it was released: expected number 3 -> 2" {
		t.Errorf("%v: %s", a, how)
	}
}
