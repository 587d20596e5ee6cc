// Package nodetest holds the one fake of node.Nodes: a cluster of Nodes in
// memory with pods that go when they are evicted, unless something blocks
// them. In come Nodes and pods that a test puts there, out goes what the
// interface answers. It never plays back prepared answers.
package nodetest

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/node"
)

// Fake is a cluster of Nodes in memory. The zero value is empty and ready.
type Fake struct {
	mu     sync.Mutex
	nodes  map[string]node.Node
	pods   map[string][]string
	blocks map[string]string
	serial int
}

var _ node.Nodes = (*Fake)(nil)

// Add puts a Node there, or replaces it, with pods that it runs.
func (f *Fake) Add(n node.Node, pods ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.nodes == nil {
		f.nodes, f.pods, f.blocks = map[string]node.Node{}, map[string][]string{}, map[string]string{}
	}
	if n.UID == "" {
		f.serial++
		n.UID = fmt.Sprintf("node-%d", f.serial)
	}
	f.nodes[n.Name] = n
	f.pods[n.Name] = append([]string(nil), pods...)
}

// Block keeps one pod where it is, for a reason; an empty reason lets it go.
func (f *Fake) Block(pod, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.blocks == nil {
		f.blocks = map[string]string{}
	}
	f.blocks[pod] = reason
}

// Names returns the names of the Nodes that are there, in order.
func (f *Fake) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for name := range f.nodes {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}

// Find returns a Node by its name; a wrong provider ID is an error.
func (f *Fake) Find(_ context.Context, name, providerID string) (node.Node, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, ok := f.nodes[name]
	if ok && providerID != "" && n.ProviderID != providerID {
		return node.Node{}, false, fmt.Errorf("find node %s: its provider ID is %q, not %q: %w", name, n.ProviderID, providerID, node.ErrForeign)
	}
	return n, ok, nil
}

// Look is Find.
func (f *Fake) Look(ctx context.Context, name, providerID string) (node.Node, bool, error) {
	return f.Find(ctx, name, providerID)
}

// Cordon cordons a Node that is not cordoned.
func (f *Fake) Cordon(_ context.Context, name string) error {
	return f.change(name, func(n *node.Node) {
		if !n.Unschedulable {
			n.Unschedulable, n.Cordoned = true, true
		}
	})
}

// Uncordon takes a cordon of Cordon back.
func (f *Fake) Uncordon(_ context.Context, name string) error {
	return f.change(name, func(n *node.Node) {
		if n.Cordoned {
			n.Unschedulable, n.Cordoned = false, false
		}
	})
}

func (f *Fake) change(name string, to func(*node.Node)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n, ok := f.nodes[name]; ok {
		to(&n)
		f.nodes[name] = n
	}
	return nil
}

// Drain lets every pod go that nothing blocks. What was granted is gone at
// the next pass, as with a pod that ends at once.
func (f *Fake) Drain(_ context.Context, name string, left, _ time.Duration) (node.Pass, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var p node.Pass
	var stay []string
	for _, pod := range f.pods[name] {
		p.Left++
		why := f.blocks[pod]
		if left <= 0 {
			stay = append(stay, pod)
			continue
		}
		if why == "" {
			p.Evicted++
			continue
		}
		stay = append(stay, pod)
		if p.Blocked == "" {
			p.Blocked = fmt.Sprintf("pod %s: %s", pod, why)
		}
	}
	f.pods[name] = stay
	return p, nil
}

// Delete deletes the Node that was found.
func (f *Fake) Delete(_ context.Context, n node.Node) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if have, ok := f.nodes[n.Name]; ok && (n.UID == "" || have.UID == n.UID) {
		delete(f.nodes, n.Name)
		delete(f.pods, n.Name)
	}
	return nil
}
