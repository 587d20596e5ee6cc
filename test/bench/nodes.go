package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// patience bounds the wait for a number of nodes: ten thousand take half of it.
const patience = 20 * time.Minute

// nodeCount follows the nodes of one pool.
type nodeCount struct {
	mu      sync.Mutex
	ready   map[string]bool
	last    time.Time   // of the last change of a count
	since   []time.Time // of each time that a node became Ready
	changed chan struct{}
}

// followNodes counts until the context ends.
func followNodes(ctx context.Context, c *rest.Config, pool string) (*nodeCount, error) {
	k, err := kubernetes.NewForConfig(protobufOf(c))
	if err != nil {
		return nil, err
	}
	n := &nodeCount{ready: map[string]bool{}, changed: make(chan struct{}, 1)}
	informer := informers.NewSharedInformerFactoryWithOptions(k, 0, informers.WithTweakListOptions(func(o *meta.ListOptions) {
		o.LabelSelector = v1alpha1.LabelPool + "=" + pool
	})).Core().V1().Nodes().Informer()
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { n.take(o, false) },
		UpdateFunc: func(_, o any) { n.take(o, false) },
		DeleteFunc: func(o any) { n.take(o, true) },
	})
	if err != nil {
		return nil, fmt.Errorf("watch nodes: %w", err)
	}
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, ctx.Err()
	}
	return n, nil
}

func (n *nodeCount) take(o any, gone bool) {
	if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = last.Obj
	}
	node, ok := o.(*core.Node)
	if !ok {
		return
	}
	n.mu.Lock()
	before, was := n.ready[node.Name]
	now := isReady(node)
	if gone {
		delete(n.ready, node.Name)
	} else {
		n.ready[node.Name] = now
	}
	if !gone && now && !before {
		n.since = append(n.since, time.Now())
	}
	change := gone || !was || before != now
	if change {
		n.last = time.Now()
	}
	n.mu.Unlock()
	if change {
		select {
		case n.changed <- struct{}{}:
		default:
		}
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

// counts are how many nodes are there, how many of them Ready, and when that
// changed last.
func (n *nodeCount) counts() (there, ready int, last time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.ready {
		if r {
			ready++
		}
	}
	return len(n.ready), ready, n.last
}

// readyTimes are when nodes became Ready after a moment. Unit: seconds from it.
func (n *nodeCount) readyTimes(began time.Time) []float64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []float64
	for _, t := range n.since {
		if t.After(began) {
			out = append(out, t.Sub(began).Seconds())
		}
	}
	return out
}

// await waits until exactly so many nodes are there and Ready, and returns
// when that was. It says how far it is every few seconds.
func (n *nodeCount) await(ctx context.Context, want int, say func(there, ready int)) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	progress := time.NewTicker(5 * time.Second)
	defer progress.Stop()
	for {
		there, ready, last := n.counts()
		if there == want && ready == want {
			return last, nil
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
