package controller

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/controller/scalinggroup"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/sweep"
)

// tags is what the tags in the newest picture say of pools. Others names, by
// pool, the instances that carry another cluster ID of ours and the name of that
// pool: machines of a second installation.
type tags struct {
	mu     sync.Mutex
	of     *sweep.Picture
	ours   map[string][]scalinggroup.Tagged
	others map[string]string
	// told is what others was when the groups were woken for it.
	told map[string]string
}

// ofPool returns what is said of one pool; each picture is looked through once.
func (t *tags) ofPool(p *sweep.Picture, cluster, pool string) (ours []scalinggroup.Tagged, others string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of != p {
		t.read(p, cluster)
	}
	return t.ours[pool], t.others[pool]
}

func (t *tags) read(p *sweep.Picture, cluster string) {
	t.of, t.ours, t.others = p, map[string][]scalinggroup.Tagged{}, map[string]string{}
	ids := map[[2]string][]string{}
	for id, i := range p.Instances {
		at, ok := cloud.OriginOf(i.Tags)
		switch {
		case !ok:
		case at.ClusterID == cluster:
			t.ours[at.Pool] = append(t.ours[at.Pool], scalinggroup.Tagged{Name: id, ActivityUID: at.ActivityUID})
		default:
			key := [2]string{at.Pool, at.ClusterID}
			ids[key] = append(ids[key], id)
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(ids), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		slices.Sort(ids[key])
		text := fmt.Sprintf("%s: of another installation, with the cluster ID %s; not counted, never released, and left to that", fault.List(ids[key]), key[1])
		t.others[key[0]] = strings.TrimPrefix(t.others[key[0]]+"; "+text, "; ")
	}
}

// OthersChanged are the groups of whose pools a second installation's machines
// are others than when this was asked last. A complete sweep asks: nothing else
// of ours changes with them, and a group at rest would never tell.
func (w *Assembly) OthersChanged() []string {
	t := &w.tags
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := w.Sweeper.Latest(); t.of != p {
		t.read(p, w.ClusterID)
	}
	var pools []string
	for pool, text := range t.others {
		if t.told[pool] != text {
			pools = append(pools, pool)
		}
	}
	for pool := range t.told {
		if t.others[pool] == "" {
			pools = append(pools, pool)
		}
	}
	t.told = t.others
	slices.Sort(pools)
	return pools // a group has its pool's name
}
