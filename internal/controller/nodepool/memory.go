package nodepool

import (
	"sync"
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// memory is what may be forgotten at a restart: it saves calls and writes, and
// decides nothing.
type memory struct {
	mu    sync.Mutex
	pools map[string]*remembered
}

// remembered is what is kept of one pool.
type remembered struct {
	// checked is the newest verdict about settings.
	checked *verdict
	// drain is the newest verdict about the drain of its nodes.
	drain *drainVerdict
	// written is when the status was last written, and size is how many
	// instances it spoke of.
	written time.Time
	size    int
	// task is the newest scale task, until a status names it.
	task string
	// told is the healthCheck on the group that a warning was given about.
	told api.HealthCheck
	// behind is the generation of the group that its controller was first seen
	// not to have looked at, and since is when.
	behind int64
	since  time.Time
}

// of runs a function on what is kept of a pool.
func (m *memory) of(pool string, use func(*remembered)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pools == nil {
		m.pools = map[string]*remembered{}
	}
	if m.pools[pool] == nil {
		m.pools[pool] = &remembered{}
	}
	use(m.pools[pool])
}

// untilLooked is how long a group has still to look at its newest spec before
// the pool's status is written without it.
func (m *memory) untilLooked(pool string, generation int64, now time.Time, most time.Duration) time.Duration {
	var left time.Duration
	m.of(pool, func(k *remembered) {
		if k.behind != generation {
			k.behind, k.since = generation, now
		}
		left = min(most-now.Sub(k.since), most)
	})
	return left
}

func (m *memory) forget(pool string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pools, pool)
}

// untilWrite is how long the status of a pool has still to wait for its next
// write.
func (r *Reconciler) untilWrite(pool string, now time.Time) time.Duration {
	var left time.Duration
	r.memory.of(pool, func(k *remembered) {
		if since, interval := now.Sub(k.written), r.Waits.Summary(k.size); since >= 0 && since < interval {
			left = interval - since
		}
	})
	return left
}
