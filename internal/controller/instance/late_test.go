package instance_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/node"
)

// notJoined puts a machine there that did not join in time and is kept to look
// at for a while.
func (b *bench) notJoined(id string, keep time.Duration) {
	b.Helper()
	later, gave := metav1.NewTime(b.now.Add(keep)), metav1.NewTime(b.now)
	b.has(func(i *api.Instance) {
		marked(api.ReleaseMark{NotBeforeTime: &later})(i)
		i.Status.JoinedTime, i.Status.FailedTime, i.Status.NodeState = nil, &gave, api.NodeFailed
	}, id)
	b.nodes.Add(node.Node{Name: id, ProviderID: region + "." + id})
}

func TestOneThatJoinsWhileItIsKeptToLookAtStays(t *testing.T) {
	b := newBench(t)
	b.notJoined("i-1", time.Minute)
	b.settle(3)
	if i := b.instance("i-1"); i.Spec.Release == nil || i.Status.NodeState != api.NodeFailed {
		t.Fatalf("not kept as failed: %+v, %+v", i.Spec.Release, i.Status)
	}
	b.ready("i-1")
	b.settle(3)
	if i := b.instance("i-1"); i.Spec.Release != nil || i.Status.LifecycleState != api.InstanceInService || i.Status.FailedTime != nil {
		t.Fatalf("late, and not welcome: %+v, %+v", i.Spec.Release, i.Status)
	}
	b.settle(15)
	if len(b.machines()) != 1 {
		t.Fatal("released all the same")
	}
}
