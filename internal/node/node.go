// Package node is all that poolkeeper asks of Nodes: find one by its
// instance, cordon it and take the cordon back, make one pass of a drain, and
// delete it. In come names and provider IDs of instances, out go plain values
// about the Node and what still runs on it. It never waits, never decides
// when a drain is over, and knows no object of poolkeeper.
package node

import (
	"context"
	"errors"
	"time"
)

// ErrForeign is the error of Find where a Node of that name has none or another
// provider ID: it is not the instance's, and nothing is done to it.
var ErrForeign = errors.New("it is another machine's node")

// Nodes is what is asked of the Nodes of a cluster. Every call may be made
// again with the same arguments and then has no further effect.
type Nodes interface {
	// Find returns the Node of an instance, by its name and provider ID. False
	// where there is none; ErrForeign where it is another machine's.
	Find(ctx context.Context, name, providerID string) (Node, bool, error)
	// Look is Find on the API server itself, for one that Find does not show:
	// what finds Nodes may be behind.
	Look(ctx context.Context, name, providerID string) (Node, bool, error)
	// Cordon keeps new pods away from a Node and remembers that it was us.
	Cordon(ctx context.Context, name string) error
	// Uncordon takes a cordon of ours back; one that a person set stays.
	Uncordon(ctx context.Context, name string) error
	// Drain makes one pass: it asks once for the eviction of each pod that has
	// to go, and says what is left. It does not wait. left is how long the drain
	// may take yet, next how soon its next pass comes: no pod gets a longer grace
	// than that leaves it, and with nothing left none is asked for.
	Drain(ctx context.Context, name string, left, next time.Duration) (Pass, error)
	// Delete deletes a Node, and only the very one that was found.
	Delete(ctx context.Context, n Node) error
}

// Node is what poolkeeper knows of a Node.
type Node struct {
	// Name is the name of the Node, which is the ID of its instance.
	Name string
	// UID tells this Node from a later one of the same name.
	UID string
	// ProviderID is what the Node says where it runs.
	ProviderID string
	// Ready is true while the kubelet reports that it is.
	Ready bool
	// Reason and Message say why it is not Ready. Both come from the machine
	// or the cluster and are at most 256 bytes long each.
	Reason, Message string
	// Since is when Ready last changed. Zero where that is not known.
	Since time.Time
	// Unschedulable is true where it is cordoned, by anyone.
	Unschedulable bool
	// Cordoned is true where it is cordoned by poolkeeper.
	Cordoned bool
}

// Pass is what one pass of a drain found.
type Pass struct {
	// Left is how many pods have still to go. Unit: pods. 0: drained.
	Left int
	// Evicted is how many evictions this pass was granted. Unit: pods.
	Evicted int
	// Blocked names the pods, by namespace and name, that may not go now, with
	// the disruption budget that keeps them; where there are none, those that were
	// told to end and have not. Empty where nothing blocks. At most 512 bytes.
	Blocked string
}

// Drained reports whether nothing is left to evict.
func (p Pass) Drained() bool { return p.Left == 0 }

// annotationCordoned marks a Node that poolkeeper cordoned, so that a cordon
// that a person set is never taken back.
const annotationCordoned = "poolkeeper.io/cordoned"

// bounded cuts a text that came from elsewhere to n bytes.
func bounded(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
