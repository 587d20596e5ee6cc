package instance_test

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/watch"
	"github.com/poolkeeper/poolkeeper/internal/node"
)

// In the place of a Node that somebody deleted stands one of another machine: it
// is shown and not touched, and what is said of it ends with it.
func TestANodeOfAnotherMachineIsShownAndNotTouched(t *testing.T) {
	b := newBench(t)
	b.has(nil, "i-1")
	b.ready("i-1")
	b.settle(3)
	b.nodes.Add(node.Node{Name: "i-1", ProviderID: "cn-local.i-2", Ready: true})
	b.calls = nil
	b.settle(3)
	i := b.instance("i-1")
	if i.Status.NodeState != api.NodeUnknown || !strings.Contains(i.Status.Message, "another provider ID") || i.Status.Summary != i.Status.Message {
		t.Fatalf("shown: %s, %q, %q", i.Status.NodeState, i.Status.Message, i.Status.Summary)
	}
	if n := b.count("node "); n != 0 {
		t.Fatalf("it was touched: %q", b.calls)
	}
	b.ready("i-1")
	b.settle(3)
	if i := b.instance("i-1"); i.Status.NodeState != api.NodeReady || i.Status.Message != "" {
		t.Fatalf("its own Node is back: %s, %q", i.Status.NodeState, i.Status.Message)
	}
}

// tell has the watch of Nodes hear of one change.
func (b *bench) tell(c watch.Change) {
	q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer q.ShutDown()
	for _, w := range b.r.Watches() {
		if _, ok := w.Object.(*corev1.Node); ok {
			w.Tell(context.Background(), c, q)
		}
	}
}

// A Node of another name that carries the provider ID of an instance is said of
// the instance as soon as it comes, and until it goes; nothing is done to it.
func TestANodeOfAnotherNameIsShownAndNotTouched(t *testing.T) {
	b := newBench(t)
	b.has(nil, "i-1", "i-2")
	b.settle(3)
	named := func(name, id string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{ProviderID: id}}
	}
	shown := func() string {
		b.Helper()
		if _, err := b.pass(); err != nil {
			b.Fatal(err)
		}
		if i := b.instance("i-2"); len(i.Status.Conditions) > 0 {
			b.Fatalf("said of another: %+v", i.Status.Conditions)
		}
		i := b.instance("i-1")
		if c := meta.FindStatusCondition(i.Status.Conditions, api.ConditionOtherNode); c != nil && c.Message != i.Status.Summary {
			b.Fatalf("condition %q, summary %q", c.Message, i.Status.Summary)
		}
		return i.Status.Summary
	}
	b.calls = nil
	b.tell(watch.Change{New: named("i-1", region+".i-1")})
	b.tell(watch.Change{New: named("far", "aws:///x/i-1")})
	b.tell(watch.Change{New: named("early", "")})
	if got := shown(); got != "" {
		t.Fatalf("said of Nodes that are as they should be: %q", got)
	}
	b.tell(watch.Change{New: named("stranger", region+".i-1")})
	b.tell(watch.Change{Old: named("early", ""), New: named("early", region+".i-1")})
	if got := shown(); !strings.Contains(got, "Node stranger carries its provider ID") {
		t.Fatalf("said: %q", got)
	}
	b.tell(watch.Change{New: named("stranger", region+".i-1"), Deleted: true})
	if got := shown(); !strings.Contains(got, "Node early carries its provider ID") {
		t.Fatalf("said of the next: %q", got)
	}
	b.tell(watch.Change{New: named("early", region+".i-1"), Deleted: true})
	if got := shown(); got != "" {
		t.Fatalf("said when all are gone: %q", got)
	}
	if n := b.count("node ") + b.count("cloud "); n != 0 {
		t.Fatalf("it was touched: %q", b.calls)
	}
}

// A cordon of a person is said, one of ours is not.
func TestACordonOfAPersonIsShown(t *testing.T) {
	b := newBench(t)
	b.has(nil, "i-1")
	b.settle(3)
	n := node.Node{Name: "i-1", ProviderID: region + ".i-1", Ready: true, Unschedulable: true}
	for name, c := range map[string]struct {
		ours bool
		want string
	}{"a person's": {false, "its Node is cordoned and takes no new pods (kubectl uncordon i-1 ends that)"}, "ours": {true, ""}} {
		n.Cordoned = c.ours
		b.nodes.Add(n)
		b.settle(2)
		i := b.instance("i-1")
		if i.Status.Summary != c.want || meta.IsStatusConditionTrue(i.Status.Conditions, api.ConditionSchedulingDisabled) != (c.want != "") {
			t.Errorf("%s: %q, %+v", name, i.Status.Summary, i.Status.Conditions)
		}
		b.ready("i-1")
		b.settle(2)
		if i := b.instance("i-1"); i.Status.Summary != "" || len(i.Status.Conditions) > 0 {
			t.Errorf("%s, taken back: %q, %+v", name, i.Status.Summary, i.Status.Conditions)
		}
	}
}
