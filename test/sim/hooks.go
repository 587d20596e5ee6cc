package sim

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// drawHooks gives a pool lifecycle hooks of the seed's choice: up to one on the
// way in and two on the way out.
func (p *people) drawHooks(pool *api.NodePool) {
	for _, h := range []api.LifecycleHook{{Name: "register", Transition: api.WayIn}, {Name: "deregister", Transition: api.WayOut}, {Name: "backup", Transition: api.WayOut}} {
		if p.random.IntN(2) == 0 {
			continue
		}
		seconds := int32(30 + p.random.IntN(900))
		h.HeartbeatTimeoutSeconds = &seconds
		h.DefaultResult = []api.HookResult{api.HookContinue, api.HookContinue, api.HookAbandon}[p.random.IntN(3)]
		pool.Spec.LifecycleHooks = append(pool.Spec.LifecycleHooks, h)
	}
	if len(pool.Spec.LifecycleHooks) > 0 && !p.hooked {
		p.hooked = true
		p.at(p.now.Add(20*time.Second), "", p.answerHooks)
	}
}

// answerHooks lets the programs that hooks wait for look around now and then.
func (p *people) answerHooks() {
	for _, o := range p.api.Objects(apiserver.Instance) {
		i, _ := o.(*api.Instance)
		for n := range i.Status.Hooks {
			if h := &i.Status.Hooks[n]; h.Result == "" && (p.calm || p.random.IntN(4) == 0) {
				p.answer(i.Name, h)
			}
		}
		if p.calm { // one that was rolled back is to go after all
			p.setProtected(i.Name, false)
		}
	}
	p.at(p.now.Add(20*time.Second+p.trouble.upTo(time.Minute)), "", p.answerHooks)
}

// answer says to a hook what its program does: mostly that it may go on.
func (p *people) answer(id string, h *api.HookStatus) {
	i := &api.Instance{}
	if p.admin.Get(background, types.NamespacedName{Name: id}, i) != nil {
		return
	}
	a := api.HookAnswer{Hook: h.Name, Wait: h.Wait, Result: api.HookContinue}
	switch n := p.random.IntN(12); {
	case p.calm:
	case n == 0:
		a.Result = api.HookAbandon
	case n == 1 && h.Transition == api.WayOut:
		a.Result = api.HookRollback
	case n < 4:
		a.Result, a.Heartbeats = "", h.Heartbeats+1
	case n == 4:
		a.Wait = "web-a0" // an answer that comes too late, to a wait that is over
	}
	i.Spec.HookAnswers = slices.DeleteFunc(slices.Clone(i.Spec.HookAnswers), func(o api.HookAnswer) bool { return o.Hook == a.Hook })
	i.Spec.HookAnswers = append(i.Spec.HookAnswers, a)
	p.note(true, "people: hook %s of %s is told %q, %d heartbeats", a.Hook, id, a.Result, a.Heartbeats)
	if err := p.admin.Update(background, i); err != nil {
		p.violate("people", "%v", err)
	}
}

// unhook takes the hooks of a pool away: they hold nobody from then on.
func (p *people) unhook() {
	if name := p.anyPool(); name != "" && p.hooked {
		p.check.unhooked[name] = true
		p.edit(name, "loses its hooks", func(pool *api.NodePool) { pool.Spec.LifecycleHooks = nil })
	}
}

// hooksMove checks that a hook ends only by an answer, its time, another hook or
// its removal, and that nobody is in service or goes whom a hook holds.
func (c *checker) hooksMove(old, i *api.Instance) {
	holds := func(way api.Way) bool {
		return slices.ContainsFunc(i.Status.Hooks, func(h api.HookStatus) bool { return h.Transition == way && h.Result == "" })
	}
	if i.Status.LifecycleState == api.InstanceInService && holds(api.WayIn) {
		c.violate("hooks", "%s is in service, and a hook holds it on its way in", i.Name)
	}
	for _, h := range i.Status.Hooks {
		n := slices.IndexFunc(old.Status.Hooks, func(o api.HookStatus) bool { return o.Name == h.Name && o.Wait == h.Wait })
		if n < 0 || old.Status.Hooks[n].Result != "" || h.Result == "" {
			continue
		}
		if early := h.UntilTime.Sub(c.now); h.EndedBy == api.HookTimedOut && early > 2*c.waits.ClockMargin {
			c.violate("hooks", "hook %s of %s is taken for timed out %s before its end", h.Name, i.Name, early)
		}
		if h.EndedBy == api.HookRemoved && !c.unhooked[i.Spec.Pool] {
			c.violate("hooks", "hook %s of %s ends as removed, and nobody removed it", h.Name, i.Name)
		}
	}
}

// letGo checks, where an instance is about to be released, that it was in no
// hook's hands: each that its pool has on the way out has ended.
func (c *checker) letGo(i *api.Instance) {
	served := i.Status.JoinedTime != nil && !slices.ContainsFunc(i.Status.Hooks, func(h api.HookStatus) bool { return h.Transition == api.WayIn && h.Result != api.HookContinue })
	g := c.group(i.Spec.Pool)
	if !served || g == nil || string(g.UID) != i.Spec.GroupUID {
		return
	}
	for _, h := range g.Spec.LifecycleHooks {
		ended := slices.ContainsFunc(i.Status.Hooks, func(s api.HookStatus) bool {
			return s.Name == h.Name && s.Wait == i.Spec.Release.Activity && s.Result != ""
		})
		if h.Transition == api.WayOut && !ended {
			c.violate("hooks", "%s is about to be released, and hook %s has not let it go", i.Name, h.Name)
		}
	}
}
