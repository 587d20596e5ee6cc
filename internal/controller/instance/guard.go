package instance

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
)

// guard keeps what the guard against mass disappearance (I6) knows between
// passes. It is renewed with each sweep, over all instances of the region; after
// a restart it takes a freeze that a group's condition tells for lasting. The
// zero value is ready.
type guard struct {
	mu       sync.Mutex
	number   int64 // the picture that it was renewed with
	was      map[string]lifecycle.Freeze
	told     map[string]lifecycle.Freeze // what OnFreeze was called for last
	thaws    map[string]int64            // the last thawCount of each group that was honoured
	looks    map[string]*byID
	looked   map[string]time.Time // the last look by id at a whole group
	members  []lifecycle.Member
	recorded int
}

// byID is what looks by id said of one instance while its group was frozen.
type byID struct {
	gone int // in how many sweeps in a row nothing of ours was found
	sure bool
}

// Frozen returns what the guard against mass disappearance stops for a group.
func (r *Reconciler) Frozen(group string) lifecycle.Freeze {
	r.guard.mu.Lock()
	defer r.guard.mu.Unlock()
	return r.guard.was[group]
}

// NoRelease says why nothing of a group is released, empty where nothing stops
// it.
func (r *Reconciler) NoRelease(group string) string {
	f := r.Frozen(group)
	if !f.Releases {
		return ""
	}
	who := ""
	if names := r.Missing(group); len(names) > 0 {
		who = " (" + fault.List(names) + ")"
		if len(names) > fault.ListMost {
			who = " (" + fault.List(names) + "; all of them: poolkeeper pool get " + group + ")"
		}
	}
	return fmt.Sprintf("%d of %d instances are missing%s and %d nodes are not ready, all at once: nothing is released until each was looked at, or until a person says so: poolkeeper pool thaw %s --reason TEXT",
		f.Missing, f.Of, who, f.NotReady, group)
}

// Missing names the instances of a group whose absence froze it, in order; none
// where it is not frozen.
func (r *Reconciler) Missing(group string) []string {
	g := &r.guard
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.was[group].Frozen() {
		return nil
	}
	var names []string
	for _, m := range g.members {
		if m.Pool == group && m.Missing() {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	return names
}

// watch renews the guard where a new sweep or a change of the group asks for
// it, and looks at each instance of a frozen group by its id.
func (p *pass) watch(ctx context.Context) error {
	g := &p.guard
	g.mu.Lock()
	if err := p.renew(ctx); err != nil {
		g.mu.Unlock()
		return err
	}
	p.freeze, p.recorded = g.was[p.group.Name], g.recorded
	look := p.full && p.freeze.Frozen() && p.hold == "" && p.now.Sub(g.looked[p.group.Name]) >= p.Waits.SweepSpacing
	g.mu.Unlock()
	p.empty = p.Sweeper.Empty(p.picture)
	if look {
		if err := p.lookAtAll(ctx); err != nil {
			return err
		}
	}
	p.tell()
	return nil
}

// tell says that the freeze of the group is another than was told last; the pass
// of another group may have renewed it.
func (p *pass) tell() {
	g := &p.guard
	g.mu.Lock()
	changed := p.freeze != g.told[p.group.Name]
	g.told[p.group.Name] = p.freeze
	if !p.freeze.Frozen() && !p.freeze.Ended && !p.freeze.Alarm {
		delete(g.told, p.group.Name)
	}
	g.mu.Unlock()
	if changed && p.OnFreeze != nil {
		p.OnFreeze(p.group.Name)
	}
}

// renew asks the guard again. The caller holds its lock.
func (p *pass) renew(ctx context.Context) error {
	g := &p.guard
	if g.number == p.picture.Number && !p.full {
		return nil
	}
	if g.number != p.picture.Number {
		if err := p.count(ctx); err != nil {
			return err
		}
		g.number = p.picture.Number
	}
	p.remember()
	p.ask()
	return nil
}

// count lists the instances of the region as the guard sees them.
func (p *pass) count(ctx context.Context) error {
	var list api.InstanceList
	if err := p.Cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list instances: %w", err)
	}
	g := &p.guard
	g.members, g.recorded = g.members[:0], len(list.Items)
	for n := range list.Items {
		i := &list.Items[n]
		if i.Spec.CreationType == api.CreatedUnknown || i.Status.LifecycleState == api.InstanceRemoved {
			continue
		}
		m := lifecycle.Member{Name: i.Name, Pool: i.Spec.Group, Ran: i.Status.RunningTime != nil, Decided: i.Spec.Release != nil,
			NotReady: i.Status.JoinedTime != nil && i.Status.NodeState == api.NodeNotReady}
		if m.Ran && !m.Decided {
			m.Missed = p.missed(i)
		}
		g.members = append(g.members, m)
	}
	return nil
}

// missed is in how many sweeps in a row an instance was not shown with our
// tags.
func (p *pass) missed(i *api.Instance) int {
	shown, ok := p.picture.Instances[i.Name]
	switch {
	case !ok:
		return p.Sweeper.Misses(i.Name, i.Status.RunningTime.Time)
	case shown.Tags[cloud.TagCluster] == p.ClusterID || (i.Spec.CreationType == api.CreatedAttached && !i.Status.TagsSure):
		return 0
	}
	return max(p.picture.Untagged[i.Name], 1)
}

// remember takes over, for a group that this process has not seen, the freeze
// that its condition tells, and honours a person's word to end one.
func (p *pass) remember() {
	g, s := &p.guard, &p.group.Status
	if g.was == nil {
		g.was, g.told = map[string]lifecycle.Freeze{}, map[string]lifecycle.Freeze{}
		g.thaws, g.looks, g.looked = map[string]int64{}, map[string]*byID{}, map[string]time.Time{}
	}
	name := p.group.Name
	if _, known := g.thaws[name]; !known && !p.orphan {
		g.thaws[name] = s.ThawedCount
		c := meta.FindStatusCondition(s.Conditions, api.ConditionFrozen)
		if c != nil && c.Status == "True" && c.Reason == api.ReasonMassDisappearance {
			g.was[name] = lifecycle.Freeze{Releases: true, Replacements: true}
		}
	}
	if p.group.Spec.ThawCount > g.thaws[name] {
		g.thaws[name] = p.group.Spec.ThawCount
		if f := g.was[name]; f.Releases {
			f.Ended = true
			g.was[name] = f
		}
	}
}

// ask decides anew, and forgets the looks of groups that are well.
func (p *pass) ask() {
	g := &p.guard
	for n := range g.members {
		m := &g.members[n]
		m.Confirmed, m.GoneByID = false, 0
		if l := g.looks[m.Name]; l != nil {
			m.GoneByID, m.Confirmed = l.gone, l.sure && m.Missed == 0
		}
	}
	g.was = lifecycle.Guard(g.members, g.was)
	if len(g.looks) == 0 {
		return
	}
	keep := map[string]*byID{}
	for n := range g.members {
		m := &g.members[n]
		if _, alarmed := g.was[m.Pool]; alarmed && g.looks[m.Name] != nil {
			keep[m.Name] = g.looks[m.Name]
		}
	}
	g.looks = keep
}

// lookAtAll looks by id at every instance of a frozen group that ran and is to
// stay: what was there is confirmed, what was not is counted, once in a sweep.
func (p *pass) lookAtAll(ctx context.Context) error {
	g := &p.guard
	g.mu.Lock()
	var ids []string
	for _, m := range g.members {
		if m.Pool == p.group.Name && m.Ran && !m.Decided {
			ids = append(ids, m.Name)
		}
	}
	g.mu.Unlock()
	found, err := p.find(ctx, ids)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range ids {
		l := g.looks[id]
		if l == nil {
			l = &byID{}
			g.looks[id] = l
		}
		c, ok := found[id]
		if l.sure = ok && c.Tags[cloud.TagCluster] == p.ClusterID; l.sure {
			l.gone = 0
		} else {
			l.gone++
		}
	}
	g.looked[p.group.Name] = p.now
	p.ask()
	p.freeze = g.was[p.group.Name]
	return nil
}
