package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// patience bounds the wait for a number of nodes.
const patience = 15 * time.Minute

// nodeCount follows the nodes of one pool over a single watch.
type nodeCount struct {
	mu      sync.Mutex
	ready   map[string]bool
	last    time.Time // of the last change of a count
	changed chan struct{}
	err     error
}

// followNodes counts until the context ends.
func followNodes(ctx context.Context, c *rest.Config, pool string) (*nodeCount, error) {
	config := rest.CopyConfig(c)
	config.ContentType = asProtobuf
	k, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	n := &nodeCount{ready: map[string]bool{}, changed: make(chan struct{}, 1)}
	long := int64((2 * time.Hour).Seconds())
	w, err := k.CoreV1().Nodes().Watch(ctx, meta.ListOptions{LabelSelector: v1alpha1.LabelPool + "=" + pool, TimeoutSeconds: &long})
	if err != nil {
		return nil, fmt.Errorf("watch nodes: %w", err)
	}
	go func() {
		for e := range w.ResultChan() {
			n.take(e)
		}
		n.mu.Lock()
		n.err = fmt.Errorf("the watch of nodes ended")
		n.mu.Unlock()
		n.tell()
	}()
	return n, nil
}

func (n *nodeCount) take(e watch.Event) {
	node, ok := e.Object.(*core.Node)
	if !ok {
		return
	}
	n.mu.Lock()
	before, was := n.ready[node.Name]
	now := isReady(node)
	if e.Type == watch.Deleted {
		delete(n.ready, node.Name)
	} else {
		n.ready[node.Name] = now
	}
	change := e.Type == watch.Deleted || !was || before != now
	if change {
		n.last = time.Now()
	}
	n.mu.Unlock()
	if change {
		n.tell()
	}
}

func isReady(n *core.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == core.NodeReady {
			return c.Status == core.ConditionTrue
		}
	}
	return false
}

func (n *nodeCount) tell() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// counts are how many nodes are there, how many of them Ready, and when that
// changed last.
func (n *nodeCount) counts() (there, ready int, last time.Time, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.ready {
		if r {
			ready++
		}
	}
	return len(n.ready), ready, n.last, n.err
}

// await waits until exactly so many nodes are there and Ready, and returns
// when that was. It says how far it is every few seconds.
func (n *nodeCount) await(ctx context.Context, want int, say func(there, ready int)) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	progress := time.NewTicker(5 * time.Second)
	defer progress.Stop()
	for {
		there, ready, last, err := n.counts()
		if err != nil || (there == want && ready == want) {
			return last, err
		}
		select {
		case <-n.changed:
		case <-progress.C:
			say(there, ready)
		case <-ctx.Done():
			return last, fmt.Errorf("wait for %d Ready nodes, there are %d, %d of them Ready: %w", want, there, ready, ctx.Err())
		}
	}
}
