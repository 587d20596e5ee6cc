package instance

import (
	"maps"
	"slices"
	"sort"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
)

// memory is what this process remembers of one instance between passes. To lose
// it costs calls and time, and breaks nothing.
type memory struct {
	uid   types.UID
	first time.Time // this process first saw the record
	// provider is the provider ID of its Node.
	provider string
	// version of the record as we last wrote it: until the cache has it, the
	// cache is not believed.
	version string
	ended   bool      // its record was deleted by us
	due     time.Time // look again then; zero: an event tells
	pass    int64     // the last full pass that saw it
	// released is the last release call, retry when a refused one may be made
	// again, untagged the last time that our tags were taken off.
	released, retry, untagged time.Time
	// gone and cordoned are UIDs of Nodes that we deleted and cordoned, which
	// the cache may still show otherwise.
	gone, cordoned string
	drain          lifecycle.Drain
	log            lifecycle.Log
	resetting      bool // the console says that MIG partitions are being reset
	// asked is when a wish was last sent.
	asked time.Time
	// priceDue is when the cloud is asked again what it costs since it was
	// converted, where that is not known.
	priceDue time.Time
}

// behind says whether the cache has not yet what we wrote.
func (m *memory) behind(i *api.Instance) bool {
	if m.version == "" {
		return false
	}
	if order, err := resourceversion.CompareResourceVersion(i.ResourceVersion, m.version); err == nil && order < 0 {
		return true
	}
	m.version = ""
	return false
}

// groupMemory is what is remembered of one group. What changed is told from
// several goroutines; the rest belongs to the one pass of the group.
type groupMemory struct {
	mu    sync.Mutex
	dirty map[string]struct{}
	all   bool

	number    int64 // the picture of the last full pass
	passes    int64 // full passes
	instances map[string]*memory
	// gathered are instances that wait for others to leave with, since waiting;
	// grown is when there last were more.
	gathered       map[string]struct{}
	waiting, grown time.Time
}

// touch remembers that an instance changed.
func (g *groupMemory) touch(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dirty == nil {
		g.dirty = map[string]struct{}{}
	}
	g.dirty[name] = struct{}{}
}

// touchAll makes the next pass a full one.
func (g *groupMemory) touchAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = true
}

// take says what the pass looks at: everything, or the instances that changed,
// are due or wait for others.
func (g *groupMemory) take(picture int64, now time.Time) (full bool, names []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	dirty := g.dirty
	full, g.all, g.dirty = g.all || g.number != picture, false, nil
	if full {
		g.number = picture
		g.passes++
		return true, nil
	}
	for name := range dirty {
		names = append(names, name)
	}
	for name, m := range g.instances {
		_, there := dirty[name]
		_, waits := g.gathered[name]
		if !there && (waits || (!m.due.IsZero() && !m.due.After(now))) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return false, names
}

// of is what is remembered of a record; another record of the same name starts
// anew.
func (g *groupMemory) of(i *api.Instance, now func() time.Time) *memory {
	m := g.instances[i.Name]
	if m == nil || m.uid != i.UID {
		m = &memory{uid: i.UID, first: now()}
		if g.instances == nil {
			g.instances = map[string]*memory{}
		}
		g.instances[i.Name] = m
	}
	m.pass = g.passes
	return m
}

// forget drops what the full pass did not see.
func (g *groupMemory) forget() {
	for name, m := range g.instances {
		if m.pass != g.passes {
			delete(g.instances, name)
		}
	}
}

// next is when the first instance is due; zero where none is.
func (g *groupMemory) next() time.Time {
	var at time.Time
	for _, m := range g.instances {
		if !m.due.IsZero() && (at.IsZero() || m.due.Before(at)) {
			at = m.due
		}
	}
	return at
}

// groups are the memories of all groups. The zero value is empty and ready.
type groups struct {
	mu sync.Mutex
	by map[string]*groupMemory
}

func (g *groups) of(name string) *groupMemory {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.by[name]
	if m == nil {
		m = &groupMemory{}
		if g.by == nil {
			g.by = map[string]*groupMemory{}
		}
		g.by[name] = m
	}
	return m
}

// drop forgets a group that is gone.
func (g *groups) drop(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.by, name)
}

// names are the groups that are remembered, in order.
func (g *groups) names() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(maps.Keys(g.by))
}

// budget bounds how often something is done in each window of time.
type budget struct {
	mu    sync.Mutex
	began time.Time
	spent int
}

// take takes one of most in a window; where none is left it says when the next
// window begins.
func (b *budget) take(now time.Time, most int, window time.Duration) (next time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !now.Before(b.began.Add(window)) {
		b.began, b.spent = now, 0
	}
	if b.spent >= most {
		return b.began.Add(window), false
	}
	b.spent++
	return time.Time{}, true
}
