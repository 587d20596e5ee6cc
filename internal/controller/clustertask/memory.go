package clustertask

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// memory may be forgotten at a restart: which tasks are open in which pool, so
// that an event wakes only those, and when each was last written.
type memory struct {
	mu      sync.Mutex
	pools   map[string]map[string]bool // task names by pool
	pool    map[string]string          // pool by task name
	written map[string]time.Time
}

func (m *memory) open(pool, task string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pools == nil {
		m.pools, m.pool = map[string]map[string]bool{}, map[string]string{}
	}
	if m.pools[pool] == nil {
		m.pools[pool] = map[string]bool{}
	}
	m.pools[pool][task] = true
	m.pool[task] = pool
}

func (m *memory) close(task string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pools[m.pool[task]], task)
	delete(m.pool, task)
	delete(m.written, task)
}

// of are the open tasks of a pool, by name.
func (m *memory) of(pool string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.pools[pool]))
}

// all are the open tasks, by name.
func (m *memory) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.pool))
}

func (m *memory) wrote(task string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.written == nil {
		m.written = map[string]time.Time{}
	}
	m.written[task] = now
}

// untilWrite is how long a status has still to wait for its next write.
func (m *memory) untilWrite(task string, now time.Time, interval time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if since := now.Sub(m.written[task]); since >= 0 && since < interval {
		return interval - since
	}
	return 0
}
