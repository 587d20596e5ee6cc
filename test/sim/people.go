package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// people are all who do something on purpose: who set the number, who work
// behind the pool's back, who start and stop controllers.
type people struct {
	*world
	// pools are those that were asked for, by name; false: deleted.
	pools map[string]bool
	count int
	life  int
	// hooked is true once a pool has lifecycle hooks.
	hooked bool
	// bad are pools that have settings which the cloud has nothing for.
	bad map[string]bool
	// misnamed are machines whose Node is not theirs by name and provider ID.
	misnamed map[string]bool
}

func newPeople(w *world) *people {
	return &people{world: w, pools: map[string]bool{}, bad: map[string]bool{}, misnamed: map[string]bool{}}
}

// mischief is one thing that goes wrong, or is done behind the pool's back.
func (p *people) mischief() {
	all := []func(){p.outage, p.stickCache, p.secondLeader, p.pause, p.vanish, p.release, p.takeOut, p.stop, p.deleteNode, p.protect, p.noStock, p.quota, p.balance, p.addresses, p.price, p.price, p.reclaim, p.budget, p.copyTags, p.kill, p.remove, p.remove, p.attach, p.cancel, p.unhook, p.reinstall, p.reinstall, p.otherVersion, p.otherVersion, p.darkness, p.flap, p.badEdit, p.misname}
	all[p.random.IntN(len(all))]()
}

// one is an instance of ours in the cloud, in a random state.
func (p *people) one() (region.Summary, bool) {
	var ours []region.Summary
	for _, i := range p.region.List() {
		if p.check.ours(i) {
			ours = append(ours, i)
		}
	}
	if len(ours) == 0 {
		return region.Summary{}, false
	}
	return ours[p.random.IntN(len(ours))], true
}

func (p *people) control(verb string) {
	i, ok := p.one()
	if !ok {
		return
	}
	said, err := p.region.Control(i.ID, verb)
	if err != nil {
		return
	}
	if verb == "release" {
		p.releasing[i.ID] = true
	}
	p.note(true, "people: %s", said)
	p.effects()
}

func (p *people) release() { p.control("release") }

func (p *people) takeOut() {
	if i, ok := p.one(); ok {
		p.untag(i.ID)
	}
}

// untag takes our tags off an instance.
func (p *people) untag(id string) {
	p.check.untagged[id] = p.now
	if said, err := p.region.Control(id, "take-out"); err == nil {
		p.note(true, "people: %s", said)
	}
}

// stop stops a machine, and starts it a while later.
func (p *people) stop() {
	i, ok := p.one()
	if !ok {
		return
	}
	if said, err := p.region.Control(i.ID, "stop"); err == nil {
		p.note(true, "people: %s", said)
		p.effects()
		p.at(p.now.Add(10*time.Minute), "", func() {
			if _, err := p.region.Control(i.ID, "start"); err == nil {
				p.note(true, "people: start %s", i.ID)
			}
			p.effects()
		})
	}
}

func (p *people) vanish() {
	said, err := p.region.AddFault(region.Fault{Machine: []string{"vanish", "never-start"}[p.random.IntN(2)], Times: 1 + p.random.IntN(2)})
	if err == nil {
		p.note(true, "people: %s", said)
	}
}

func (p *people) deleteNode() {
	if i, ok := p.one(); ok {
		if p.admin.Delete(background, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: i.ID}}) == nil {
			p.note(true, "people: delete node %s", i.ID)
		}
	}
}

// protect keeps an instance from being released, for a while.
func (p *people) protect() {
	if i, ok := p.one(); ok {
		p.setProtected(i.ID, true)
		p.at(p.now.Add(15*time.Minute), "", func() { p.setProtected(i.ID, false) })
	}
}

func (p *people) setProtected(id string, yes bool) {
	i := &api.Instance{}
	if p.admin.Get(background, types.NamespacedName{Name: id}, i) != nil || i.Spec.Protected == yes {
		return
	}
	i.Spec.Protected = yes
	p.note(true, "people: set protected of %s to %v", id, yes)
	if err := p.admin.Update(background, i); err != nil {
		p.violate("people", "%v", err)
	}
}

// budget keeps the pod of a machine where it is, for a while.
func (p *people) budget() {
	if i, ok := p.one(); ok {
		p.budgets["app-"+i.ID] = p.now.Add(20 * time.Minute)
		p.note(true, "people: a disruption budget keeps the pod of %s", i.ID)
	}
}

// copyTags puts the tags of one of ours on an instance that is not.
func (p *people) copyTags() {
	i, ok := p.one()
	if !ok {
		return
	}
	said, err := p.region.MakeInstances(region.Make{Tags: i.Tags}, "by-hand")
	if err == nil {
		p.note(true, "people: with the tags of %s: %s", i.ID, said)
		p.check.copied(said)
		p.effects()
	}
}

func (p *people) outage() {
	d := p.trouble.upTo(10 * time.Minute)
	p.trouble.outage = p.now.Add(d)
	p.note(true, "the API server is down for %s", d.Round(time.Second))
}

func (p *people) stickCache() {
	if len(p.processes) == 0 {
		return
	}
	of, kind, d := p.processes[p.random.IntN(len(p.processes))], cached[p.random.IntN(len(cached))], p.trouble.upTo(10*time.Minute)
	of.stuck[kind] = p.now.Add(d)
	p.note(true, "%s sees no changes of %s for %s", of.name, kind.Kind, d.Round(time.Second))
}

func (p *people) skew() time.Duration {
	if p.options.Calm || p.stage != nil || p.random.IntN(2) == 0 {
		return 0
	}
	return time.Duration(p.random.Int64N(int64(110*time.Second))) - 55*time.Second
}

// secondLeader starts another controller while the first is alive; one of them
// ends a while later.
func (p *people) secondLeader() {
	if len(p.processes) > 1 {
		return
	}
	p.life++
	p.startProcess(fmt.Sprintf("%c%d", 'b'+rune(p.life%20), p.life), p.skew())
	p.at(p.now.Add(p.trouble.upTo(15*time.Minute)), "", func() {
		if len(p.processes) > 1 {
			gone := p.processes[p.random.IntN(2)]
			gone.dead = true
			p.note(true, "%s is stopped", gone.name)
		}
	})
}

// pause stops a process for a while and lets it go on where it was.
func (p *people) pause() {
	if len(p.processes) == 0 {
		return
	}
	of, d := p.processes[p.random.IntN(len(p.processes))], p.trouble.upTo(40*time.Minute)
	of.paused = p.now.Add(d)
	p.note(true, "%s stands still for %s", of.name, d.Round(time.Second))
}

func (p *people) kill() {
	if len(p.processes) > 0 {
		p.processes[p.random.IntN(len(p.processes))].crash("whatever it did", true)
	}
}

// ask files a task of a pool.
func (p *people) ask(name string, t api.ClusterTaskSpec) {
	pool := &api.NodePool{}
	if p.admin.Get(background, types.NamespacedName{Name: name}, pool) != nil {
		return
	}
	p.count++
	t.Title, t.Pool, t.PoolUID, t.AskedBy = string(t.Type)+" by name", name, string(pool.UID), "people"
	p.note(true, "people: ask to %s %v, release %v", t.Type, t.Instances, t.Release)
	task := &api.ClusterTask{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("by-hand-%d", p.count)}, Spec: t}
	if err := p.admin.Create(background, task); err != nil {
		p.violate("people", "%v", err)
	}
}

// remove asks for one or two instances to be taken out by name; the second may be
// another pool's, which people then are told.
func (p *people) remove() {
	var pool string
	t := api.ClusterTaskSpec{Type: api.TaskRemove, Release: p.random.IntN(2) == 0, KeepExpected: p.random.IntN(4) == 0, Concurrency: 1}
	for range 1 + p.random.IntN(2) {
		if i, ok := p.one(); ok && !slices.Contains(t.Instances, i.ID) {
			t.Instances = append(t.Instances, i.ID)
			pool = cmp.Or(pool, i.Tags[cloud.TagPool])
		}
	}
	if len(t.Instances) > 0 {
		p.ask(pool, t)
	}
}

// attach asks for an instance to be brought in that somebody made by hand.
func (p *people) attach() {
	said, err := p.region.MakeInstances(region.Make{}, "by-hand")
	if err != nil {
		return
	}
	p.effects()
	pool := p.anyPool()
	p.check.broughtIn[pool] += 2 // an attached instance is one more that is expected
	p.ask(pool, api.ClusterTaskSpec{Type: api.TaskAttach, Instances: []string{strings.TrimPrefix(said, "made ")}})
}

// cancel cancels the newest task that was asked for by hand.
func (p *people) cancel() {
	t := &api.ClusterTask{}
	if p.admin.Get(background, types.NamespacedName{Name: fmt.Sprintf("by-hand-%d", p.count)}, t) != nil || t.Spec.Cancel {
		return
	}
	t.Spec.Cancel = true
	p.note(true, "people: cancel %s", t.Name)
	if err := p.admin.Update(background, t); err != nil {
		p.violate("people", "%v", err)
	}
}

// decide says of each instance of unknown origin whose it is.
func (p *people) decide(pool string) {
	said := map[api.TaskType][]string{}
	for _, o := range p.api.Objects(apiserver.Instance) {
		if i, ok := o.(*api.Instance); ok && i.Spec.Pool == pool && i.Spec.CreationType == api.CreatedUnknown {
			verdict := api.TaskAdopt
			if p.check.copies[i.Name] {
				verdict = api.TaskDisown
			}
			said[verdict] = append(said[verdict], i.Name)
		}
	}
	for _, verdict := range sortedKeys(said) {
		p.ask(pool, api.ClusterTaskSpec{Type: verdict, Instances: said[verdict]})
	}
}

// touch changes an object that somebody is about to write, before they do.
func (p *people) touch(c apiserver.Call) {
	o, err := p.api.Scheme.New(c.Kind)
	if err != nil {
		return
	}
	obj, ok := o.(client.Object)
	if !ok || p.admin.Get(background, types.NamespacedName{Namespace: c.Namespace, Name: c.Name}, obj) != nil {
		return
	}
	p.count++
	base, _ := obj.DeepCopyObject().(client.Object)
	labels := map[string]string{"touched": strconv.Itoa(p.count)}
	for k, v := range obj.GetLabels() {
		if k != "touched" {
			labels[k] = v
		}
	}
	obj.SetLabels(labels)
	_ = p.admin.Patch(background, obj, client.MergeFrom(base))
}

// settle ends the trouble: one controller lives, and what people broke is as it
// was.
func (p *people) settle() {
	p.calm = true
	p.note(true, "the trouble stops")
	p.trouble.outage = time.Time{}
	for _, of := range p.processes {
		of.paused = time.Time{}
		clear(of.stuck)
	}
	for n, of := range p.processes {
		of.dead = n > 0
		of.keys.Provider = of.keys.own
	}
	for _, a := range p.actors { // calls that hang go on
		if p.now.Before(a.wake) {
			a.wake = p.now
		}
	}
	clear(p.budgets)
	p.hearAll()
	if _, err := p.region.RemoveFault("all"); err != nil {
		p.violate("people", "%v", err)
	}
	p.plenty()
	for _, o := range p.api.Objects(apiserver.Instance) {
		p.setProtected(o.GetName(), false)
	}
	for _, id := range sortedKeys(p.misnamed) {
		p.nameRight(id)
	}
	p.dropRequests()
	p.versionKnown()
	for _, name := range sortedKeys(p.bad) {
		p.mend(name)
	}
	if len(p.processes) == 0 {
		p.startProcess("last", 0)
	}
	for _, o := range p.api.Objects(apiserver.NodePool) {
		p.say(o.GetName(), api.AnnotationResumeCount)
	}
}
