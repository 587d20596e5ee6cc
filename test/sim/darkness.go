package sim

import (
	"encoding/json"
	"slices"
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// darkness cuts all or most Nodes of the region or of a pool off for a while.
// Those whose machines run are Ready again after it.
func (p *people) darkness() {
	pool, most := "", p.random.IntN(2) == 0
	if p.random.IntN(2) == 0 {
		pool = p.anyPool()
	}
	d := p.trouble.upTo(20 * time.Minute)
	var ids []string
	for _, o := range p.api.Objects(apiserver.Node) {
		i := p.record(o.GetName())
		if i == nil || pool != "" && i.Spec.Pool != pool || most && p.random.IntN(5) == 0 {
			continue
		}
		ids = append(ids, o.GetName())
	}
	p.cutOff(ids, d)
}

// flap cuts one Node off again and again, each time for a short while.
func (p *people) flap() {
	i, ok := p.one()
	if !ok {
		return
	}
	for n := range time.Duration(5) {
		p.at(p.now.Add(n*2*time.Minute), "", func() {
			if !p.calm {
				p.cutOff([]string{i.ID}, p.trouble.upTo(2*time.Minute))
			}
		})
	}
}

// cutOff lets nobody hear the kubelets of some machines for a while.
func (p *people) cutOff(ids []string, d time.Duration) {
	p.note(true, "people: cut %v off for %s", ids, d.Round(time.Second))
	for _, id := range ids {
		p.cut[id] = p.now.Add(d)
		p.tellReady(id)
	}
	p.at(p.now.Add(d), "", func() {
		for _, id := range ids {
			if until, is := p.cut[id]; is && !p.now.Before(until) {
				delete(p.cut, id)
				p.tellReady(id)
			}
		}
	})
}

// hearAll ends it.
func (p *people) hearAll() {
	ids := sortedKeys(p.cut)
	clear(p.cut)
	for _, id := range ids {
		p.tellReady(id)
	}
}

// sight is what one process has seen of Nodes that are not Ready all at once, and
// of looks by id.
type sight struct {
	// first is when its cache showed most Nodes of a pool not Ready for the first
	// time, and dark since when it does so now.
	first, dark map[string]time.Time
	// ran is since when its cache shows an instance that ran and is to stay.
	ran map[string]time.Time
	// found is when a look by id showed an instance last, and gone how many in a
	// row did not.
	found map[string]time.Time
	gone  map[string]int
}

// see looks at the records as the cache has them.
func (p *process) see() {
	s, now := &p.sight, p.world.now
	if s.first == nil {
		*s = sight{map[string]time.Time{}, map[string]time.Time{}, map[string]time.Time{}, map[string]time.Time{}, map[string]int{}}
	}
	of, off, ran := map[string]int{}, map[string]int{}, map[string]time.Time{}
	for _, o := range p.cache.Objects(apiserver.Instance) {
		i, _ := o.(*api.Instance)
		if !stays(i) {
			continue
		}
		ran[i.Name] = now
		if was, is := s.ran[i.Name]; is {
			ran[i.Name] = was
		}
		of[i.Spec.Group]++
		if i.Status.JoinedTime != nil && i.Status.NodeState == api.NodeNotReady {
			off[i.Spec.Group]++
		}
	}
	s.ran = ran
	dark := map[string]time.Time{}
	for group, n := range off {
		if of[group] <= 3 || 2*n <= of[group] {
			continue
		}
		dark[group] = now
		if was, is := s.dark[group]; is {
			dark[group] = was
		}
		if s.first[group].IsZero() {
			s.first[group] = now
		}
	}
	s.dark = dark
}

// stays says whether an instance ran, and nobody decided that it goes.
func stays(i *api.Instance) bool {
	return i.Status.RunningTime != nil && i.Spec.Release == nil && i.Spec.CreationType != api.CreatedUnknown && i.Status.LifecycleState != api.InstanceRemoved
}

// looked takes in what a look by id was answered.
func (s *sight) looked(now time.Time, c region.Call, status int, answer []byte) {
	var ids []string
	var page struct {
		Instances struct{ Instance []struct{ InstanceId string } }
	}
	if len(s.first) == 0 || c.Action != "DescribeInstances" || status != 200 ||
		json.Unmarshal([]byte(c.Params["InstanceIds"]), &ids) != nil || json.Unmarshal(answer, &page) != nil {
		return
	}
	for _, id := range ids {
		if slices.ContainsFunc(page.Instances.Instance, func(i struct{ InstanceId string }) bool { return i.InstanceId == id }) {
			s.found[id], s.gone[id] = now, 0
		} else {
			s.gone[id]++
		}
	}
}

// surelyGone is how many looks by id must not find one of many that is missing.
const surelyGone = 3

// frozen checks a release that is about to begin: since most Nodes of the pool
// are not Ready, as the process must know, looks by id have shown each of its
// instances, or a person has ended the freeze (I6).
func (c *checker) frozen(i *api.Instance) {
	a, group := c.current, i.Spec.Group
	if a == nil || c.thawed[i.Spec.Pool] {
		return
	}
	s := &a.proc.sight
	if dark, is := s.dark[group]; !is || !dark.Before(a.picture) {
		return
	}
	for _, o := range a.proc.cache.Objects(apiserver.Instance) {
		other, _ := o.(*api.Instance)
		switch {
		case other.Spec.Group != group || !stays(other) || !s.ran[other.Name].Before(a.picture):
		case s.found[other.Name].Before(s.first[group]) && s.gone[other.Name] < surelyGone:
			c.violate("I6", "%s is about to be released while most Nodes of %s are not Ready, and no look by id has shown %s since", i.Name, group, other.Name)
			return
		}
	}
}
