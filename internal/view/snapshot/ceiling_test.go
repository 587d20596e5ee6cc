package snapshot

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

func piece(minutesAgo int, state v1alpha1.PieceState, amount int32, ids ...string) v1alpha1.Piece {
	at := metav1.NewMicroTime(now.Add(-time.Duration(minutesAgo) * time.Minute))
	return v1alpha1.Piece{Amount: amount, State: state, FirstSendTime: &at, Instances: ids}
}

func activity(group, uid string, create int32, done bool, pieces ...v1alpha1.Piece) v1alpha1.ScalingActivity {
	a := v1alpha1.ScalingActivity{ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid)}}
	a.Spec = v1alpha1.ScalingActivitySpec{Group: group, GroupUID: "group", Create: create, Candidates: []v1alpha1.Candidate{{PricePerHour: "2"}}}
	a.Status.Pieces, a.Status.Done = pieces, done
	return a
}

func record(group, activity, price string) v1alpha1.Instance {
	i := v1alpha1.Instance{ObjectMeta: metav1.ObjectMeta{Name: "i", CreationTimestamp: metav1.NewTime(now.Add(-5 * time.Minute))}}
	i.Spec = v1alpha1.InstanceSpec{Group: group, GroupUID: "group", ActivityUID: activity, CreationType: v1alpha1.CreatedByUs,
		Placement: v1alpha1.Placement{InstanceType: "g7", ChargeType: v1alpha1.ChargePayAsYouGo, PricePerHour: price}}
	return i
}

// What a group uses of its own ceilings comes from objects alone: pieces of the
// last hour, instances whose activity is gone, what a lost answer may have made.
// What it releases costs until it is gone, and no longer counts; what it took
// out does neither.
func TestUsedOfThePool(t *testing.T) {
	g := aGroup()
	g.Spec.MaxCreationsPerHour, g.Spec.MaxSpendPerHour = 10, "60"
	acts := []v1alpha1.ScalingActivity{
		activity("web", "old", 5, true, piece(70, v1alpha1.PieceResolved, 5, "a", "b", "c", "d", "e")),
		activity("web", "new", 9, true, piece(30, v1alpha1.PieceResolved, 4, "f", "g"), piece(20, v1alpha1.PieceUncertain, 3)),
	}
	going, gone, of := record("web", "new", "1.25"), record("web", "new", "1.25"), record("web", "pruned", "")
	going.Spec.Release = &v1alpha1.ReleaseMark{Time: metav1.NewMicroTime(now)}
	gone.Status.LifecycleState = v1alpha1.InstanceRemoved
	found := record("web", "new", "1.25")
	found.Spec.Piece = 1 // of the uncertain ones
	s := Of(g, acts, []v1alpha1.Instance{record("web", "new", "1.25"), going, gone, of, found}, now, wait.Defaults())
	if len(s.Ceilings) != 1 {
		t.Fatalf("ceilings %+v", s.Ceilings)
	}
	c := s.Ceilings[0]
	slices.SortFunc(c.Used.Created, func(a, b scaling.Creation) int { return a.At.Compare(b.At) })
	want := scaling.Ceiling{Creations: 10, Spend: 60_000_000, Used: scaling.Used{
		Nodes: 5, PerHour: 3*1_250_000 + 2*2_000_000, Unpriced: 1, Dearest: 2_000_000,
		Created: []scaling.Creation{{At: now.Add(-30 * time.Minute), N: 2}, {At: now.Add(-20 * time.Minute), N: 3}, {At: now.Add(-5 * time.Minute), N: 1}},
	}}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
}

// Of the whole installation, what an open activity may still create is in use:
// announced or not, at its dearest price. That of the group which decides is
// left out.
func TestUsedOfTheInstallation(t *testing.T) {
	web, batch := *aGroup(), *aGroup()
	batch.Name = "batch"
	acts := []v1alpha1.ScalingActivity{
		activity("batch", "open", 9, false, piece(1, v1alpha1.PieceResolved, 4, "f", "g"), piece(0, v1alpha1.PieceAnnounced, 3)),
		activity("web", "mine", 100, false),
		activity("gone", "earlier", 2, true, piece(10, v1alpha1.PieceResolved, 2, "x", "y")), // its group was deleted
	}
	list := []v1alpha1.Instance{record("batch", "open", "2"), record("batch", "open", "2"), record("web", "w", "1")}
	limits := &v1alpha1.Ceilings{Nodes: 20, CreationsPerHour: 30, SpendPerHour: "60.5"}
	c := Installation(limits, []v1alpha1.ScalingGroup{web, batch}, acts, list, "web", now)
	total := 0
	for _, x := range c.Used.Created {
		total += x.N
	}
	c.Used.Created = nil
	want := scaling.Ceiling{Whole: true, Nodes: 20, Creations: 30, Spend: 60_500_000, Used: scaling.Used{
		Nodes: 3 + 3 + 4, PerHour: 5_000_000 + 7*2_000_000, Dearest: 2_000_000}}
	if diff := cmp.Diff(want, c); diff != "" || total != 2+3+4+1+2 {
		t.Errorf("%d creations\n%s", total, diff)
	}
}
