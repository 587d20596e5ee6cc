package activity_test

import (
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// A group that is gone ends its activity.
func TestGroupThatIsGone(t *testing.T) {
	b := creates(t, 5)
	b.ok(b.api.Delete(b.Context(), b.groupOf(0)))
	if a := b.run(); b.count("cloud Create") != 0 || a.Status.State != api.ActivityFailed || a.Status.Message != "its scaling group is gone" {
		t.Fatalf("%+v", a.Status)
	}
}

// Two leaders at once: while the first waits for its answer the second sends
// the same bytes with the same token, and ends the activity.
func TestTwoLeadersCreateOnce(t *testing.T) {
	b := creates(t, 150)
	first := b.r
	b.restart()
	other, second := b.r, false
	b.r = first
	b.on = func(call string, _ client.Object) error {
		if call != "cloud Create" || second {
			return nil
		}
		second = true
		b.clock.Pass(time.Minute)
		if _, err := other.Reconcile(b.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: named}}); err != nil {
			t.Error(err)
		}
		return nil
	}
	b.step()
	a := b.run()
	if len(b.fake.All()) != 150 || a.Status.Created != 150 || !second {
		t.Fatalf("%d there; %s", len(b.fake.All()), pieces(a))
	}
	b.matches()
}

// An open activity that somebody deletes is held: it works as before, and goes
// when it is over.
func TestDeletedWhileOpenItWorksToItsEnd(t *testing.T) {
	b := creates(t, 5)
	b.ok(b.api.Delete(b.Context(), b.activity()))
	for range 5 {
		b.step()
		b.clock.Pass(time.Second)
	}
	err := b.api.Get(b.Context(), types.NamespacedName{Name: named}, &api.ScalingActivity{})
	if len(b.records()) != 5 || len(b.fake.All()) != 5 || !apierrors.IsNotFound(err) || b.hasSecret("requests") {
		t.Fatalf("%d records, %d there, the activity: %v", len(b.records()), len(b.fake.All()), err)
	}
}

// What held an activity is no longer told once it goes on.
func TestThawedActivityGoesOn(t *testing.T) {
	b := creates(t, 5)
	b.desire(5, func(s *api.ScalingGroupSpec) { s.Frozen = "a definition is going" })
	b.step()
	if m := b.activity().Status.Message; !strings.Contains(m, "a definition is going") || b.count("cloud Create") != 0 {
		t.Fatal(m)
	}
	b.desire(5, func(s *api.ScalingGroupSpec) { s.Frozen = "" })
	told := ""
	b.on = func(call string, _ client.Object) error {
		if call == "cloud Create" {
			told = b.activity().Status.Message
		}
		return nil
	}
	if a := b.run(); a.Status.State != api.ActivitySuccessful || told != "" || a.Status.Message != "" {
		t.Fatalf("%q %+v", told, a.Status)
	}
}
