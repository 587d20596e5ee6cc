package scalinggroup

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

// forgettable is what may be forgotten at a restart: it saves calls and writes.
// What decisions rest on stands in the group's status.
type forgettable struct {
	mu     sync.Mutex
	groups map[string]*kept
	// sizes are how many instances the last look at a group found.
	sizes map[string]int
}

// kept is what is kept of one group. Only the one pass over that group that may
// run at a time uses it.
type kept struct {
	uid types.UID
	// outlook as it was last read, when, and for which settings.
	outlook    Outlook
	read       time.Time
	generation int64
	// resume and rebalance are the wishes that they were last asked for, and
	// desired is the number of the last look.
	resume, rebalance int64
	desired           int32
	// refused is when something was last taken in that the cloud refused.
	refused time.Time
	// failed is when they could not be read, and why.
	failed    time.Time
	failedFor error
	// stuck is what could not be written down; nil for nothing.
	stuck *stuck
	// vanished are the instances that vanished before they ran since the last
	// activity was opened; the next one tells it.
	vanished map[string]bool
	// written is when the status was last written.
	written time.Time
	// replaced is when an activity was last opened that creates: what was lost
	// before is its cause, or an earlier one's.
	replaced time.Time
	// unread is since when one waits for the first picture of the cloud.
	unread time.Time
}

func (k *kept) vanish(name string) {
	if k.vanished == nil {
		k.vanished = map[string]bool{}
	}
	k.vanished[name] = true
}

// stuck is something that is not tried again for a while.
type stuck struct {
	reason scaling.Reason
	until  time.Time
	// all stops releasing too.
	all bool
	// of which settings and wish to resume it was tried: others end it.
	generation, resume int64
}

// of is what is kept of a group that has so many instances; that of an earlier
// one of its name is dropped.
func (f *forgettable) of(g *api.ScalingGroup, instances int) *kept {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.groups == nil {
		f.groups, f.sizes = map[string]*kept{}, map[string]int{}
	}
	f.sizes[g.Name] = instances
	if k := f.groups[g.Name]; k == nil || k.uid != g.UID {
		f.groups[g.Name] = &kept{uid: g.UID}
	}
	return f.groups[g.Name]
}

func (f *forgettable) forget(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.groups, name)
	delete(f.sizes, name)
}

// size is how many instances the last look at a group found.
func (f *forgettable) size(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sizes[name]
}

// stuckNow is what is not tried yet; nil for nothing.
func (k *kept) stuckNow(g *group) *stuck {
	s := k.stuck
	if s == nil || !s.until.After(g.now) || s.generation != g.g.Spec.SettingsGeneration || s.resume != g.g.Spec.ResumeCount {
		return nil
	}
	return s
}
