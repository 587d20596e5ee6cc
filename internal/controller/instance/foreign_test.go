package instance_test

import (
	"strings"
	"testing"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
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
