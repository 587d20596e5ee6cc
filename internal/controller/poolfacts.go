package controller

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// factsTime is how long a reading of metrics waits for the cache.
const factsTime = time.Second

// poolFacts are the pools as metrics tell them, of the cache. Before that is
// filled there are none.
func poolFacts(cache client.Reader) []metrics.Pool {
	ctx, cancel := context.WithTimeout(context.Background(), factsTime)
	defer cancel()
	var list api.NodePoolList
	if err := cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	out := make([]metrics.Pool, 0, len(list.Items))
	for i := range list.Items {
		p := &list.Items[i]
		c := p.Status.Counts
		f := metrics.Pool{Name: p.Name, Expected: p.Spec.ExpectedNodes, Held: view.IsHeld(p), Frozen: view.IsFrozen(p), Complete: view.Complete(p),
			Nodes: map[string]int32{"inService": c.InService, "joining": c.Joining, "failed": c.Failed, "offline": c.Offline, "removing": c.Removing}}
		if p.Status.Why != nil {
			f.Code = p.Status.Why.Code
		}
		out = append(out, f)
	}
	return out
}
