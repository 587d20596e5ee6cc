package sim

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// poolName is the first pool of a history, and the one of a directed history.
const poolName = "web"

// poolNames are the pools that a history may have; they share zones and stock.
var poolNames = []string{poolName, "batch", "db"}

func newPool(expected int32) *api.NodePool {
	no := false
	return &api.NodePool{ObjectMeta: metav1.ObjectMeta{Name: poolName}, Spec: api.NodePoolSpec{
		ExpectedNodes: expected, MaxNodes: 2000, ScalingPolicy: api.ScalingPolicy{Type: api.PolicyPriority},
		Drain: api.Drain{Mode: api.DrainBestEffort}, HealthCheck: api.HealthCheckNone, DeletionProtection: &no,
		LaunchSettings: api.LaunchSettings{VSwitches: []string{"vsw-a", "vsw-b", "vsw-c"}, InstanceTypes: slices.Clone(wantedTypes),
			ImageID: "aliyun_3_x64_20G_local.vhd", SecurityGroups: []string{"sg-local"},
			Billing:    api.Billing{ChargeType: api.ChargePayAsYouGo},
			SystemDisk: api.Disk{Category: "cloud_essd", SizeGiB: 40}},
	}}
}

// draw is a pool of the seed's choice.
func (p *people) draw(name string) *api.NodePool {
	pool := newPool(int32(1 + p.random.IntN(p.most(name)-1)))
	pool.Name = name
	switch p.random.IntN(5) {
	case 1:
		pool.Spec.ScalingPolicy.Type = api.PolicyDistributionBalancing
	case 2:
		pool.Spec.Drain.Mode = api.DrainRequired
	case 3:
		pool.Spec.ScalingPolicy.Type = api.PolicyCostOptimization
	case 4:
		pool.Spec.ScalingPolicy.Type, pool.Spec.Billing.ChargeType = api.PolicyCostOptimization, api.ChargeSpot
	}
	if p.random.IntN(4) == 0 {
		pool.Spec.HealthCheck = api.HealthCheckECS
	}
	if p.random.IntN(3) == 0 {
		p.drawHooks(pool)
	}
	return pool
}

// badEdit gives a pool settings that the cloud has nothing for, and those from
// before a while later.
func (p *people) badEdit() {
	name := p.anyPool()
	if name == "" {
		return
	}
	bad := []func(*api.LaunchSettings){
		func(l *api.LaunchSettings) { l.ImageID = "none.vhd" },
		func(l *api.LaunchSettings) { l.VSwitches = []string{"vsw-none"} },
		func(l *api.LaunchSettings) { l.InstanceTypes = []string{"ecs.none.large"} },
		func(l *api.LaunchSettings) { l.SecurityGroups = []string{"sg-none"} },
	}[p.random.IntN(4)]
	p.bad[name] = true
	p.edit(name, "gets settings that the cloud has nothing for", func(pool *api.NodePool) { bad(&pool.Spec.LaunchSettings) })
	p.at(p.now.Add(p.trouble.upTo(15*time.Minute)), "", func() { p.mend(name) })
}

// mend gives a pool good settings again, where it has bad ones.
func (p *people) mend(name string) {
	if !p.bad[name] {
		return
	}
	delete(p.bad, name)
	p.edit(name, "gets good settings again", func(pool *api.NodePool) {
		l, good := &pool.Spec.LaunchSettings, newPool(0).Spec.LaunchSettings
		l.ImageID, l.VSwitches, l.InstanceTypes, l.SecurityGroups = good.ImageID, good.VSwitches, good.InstanceTypes, good.SecurityGroups
	})
}

// most is the number that people ask of a pool at most.
func (p *people) most(name string) int {
	if name == poolName {
		return 6
	}
	return 3
}

// begin creates the pools, and puts on the agenda what happens until calm.
func (p *people) begin(until time.Duration) {
	count := []int{1, 1, 1, 2, 2, 3}[p.random.IntN(6)]
	for _, name := range poolNames[:count] {
		pool := p.draw(name)
		if name == poolName {
			p.create(pool)
		} else {
			p.at(p.began.Add(p.trouble.upTo(5*time.Minute)), "", func() { p.create(pool) })
		}
	}
	n := 3 + p.random.IntN(6+2*count)
	for range n {
		p.at(p.began.Add(p.trouble.upTo(until)), "", p.act)
	}
	if p.options.Calm {
		return
	}
	for range p.random.IntN(5 + count) {
		p.at(p.began.Add(p.trouble.upTo(until)), "", p.mischief)
	}
	if p.random.IntN(3) == 0 { // somebody has a join credential
		for range 1 + p.random.IntN(5) {
			p.at(p.began.Add(p.trouble.upTo(until)), "", p.forge)
		}
	}
	if p.random.IntN(20) == 0 {
		p.at(p.began.Add(p.trouble.upTo(until)), "", p.flood)
	}
}

// create asks for a pool, and again as long as one of its name is going.
func (p *people) create(pool *api.NodePool) {
	p.pools[pool.Name] = true
	err := p.admin.Create(background, pool.DeepCopy())
	there := &api.NodePool{}
	switch {
	case apierrors.IsAlreadyExists(err):
		if p.admin.Get(background, types.NamespacedName{Name: pool.Name}, there) != nil || there.DeletionTimestamp == nil {
			return // it was made anew already
		}
		p.at(p.now.Add(time.Minute), "", func() { p.create(pool) })
	case err != nil:
		p.violate("people", "%v", err)
	default:
		p.check.begins(pool.Name, pool.Spec.ExpectedNodes)
	}
}

// anyPool is the name of a pool that was not deleted; empty where there is none.
func (p *people) anyPool() string {
	var there []string
	for _, name := range sortedKeys(p.pools) {
		if p.pools[name] {
			there = append(there, name)
		}
	}
	if len(there) == 0 {
		return ""
	}
	return there[p.random.IntN(len(there))]
}

// act is one change of mind.
func (p *people) act() {
	name := p.anyPool()
	if name == "" {
		return
	}
	if !p.options.Calm && p.random.IntN(30) == 0 {
		p.deletePool(name)
		return
	}
	p.setNumberOf(name, int32(p.random.IntN(p.most(name)+1)))
}

func (p *people) edit(name, what string, change func(*api.NodePool)) {
	pool := &api.NodePool{}
	if p.admin.Get(background, types.NamespacedName{Name: name}, pool) != nil || pool.DeletionTimestamp != nil {
		return
	}
	p.note(true, "people: %s %s", name, what)
	change(pool)
	if err := p.admin.Update(background, pool); err != nil {
		p.violate("people", "%v", err)
	}
}

func (p *people) setNumber(n int32) { p.setNumberOf(poolName, n) }

func (p *people) setNumberOf(name string, n int32) {
	p.edit(name, fmt.Sprintf("is to have %d", n), func(pool *api.NodePool) {
		p.check.asked(name, n)
		pool.Spec.ExpectedNodes = n
	})
}

// say has a task of a pool taken up by its annotation.
func (p *people) say(name, annotation string) {
	p.count++
	p.check.thawed[name] = p.check.thawed[name] || annotation == api.AnnotationThawCount
	p.edit(name, "is told "+annotation, func(pool *api.NodePool) {
		metav1.SetMetaDataAnnotation(&pool.ObjectMeta, annotation, strconv.Itoa(p.count))
	})
}

// deletePool deletes a pool; often it is made anew as soon as its name is free,
// with other settings: the only one always, where nothing much has happened yet.
func (p *people) deletePool(name string) {
	p.note(true, "people: delete pool %s", name)
	p.pools[name] = p.random.IntN(3) > 0 || len(p.pools) == 1 && len(p.history) < leastEvents
	err := p.admin.Delete(background, &api.NodePool{ObjectMeta: metav1.ObjectMeta{Name: name}})
	if err != nil && !apierrors.IsNotFound(err) {
		p.violate("people", "%v", err)
	}
	if p.pools[name] {
		pool := p.draw(name)
		p.at(p.now.Add(p.trouble.upTo(5*time.Minute)), "", func() {
			p.note(true, "people: make pool %s anew", name)
			p.create(pool)
		})
	}
}
