package instance

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
)

// rules are the hooks of the pass's pool.
func (p *pass) rules() []lifecycle.HookRule {
	var out []lifecycle.HookRule
	for _, h := range p.group.Spec.LifecycleHooks {
		out = append(out, lifecycle.HookRule{Name: h.Name, Way: lifecycle.Way(h.Transition), Timeout: p.Waits.Hook(h.TimeoutSeconds()),
			Default: lifecycle.Result(h.DefaultResult)})
	}
	return out
}

// answersOf is what was said to the hooks of an instance.
func answersOf(i *api.Instance) []lifecycle.Answer {
	var out []lifecycle.Answer
	for _, a := range i.Spec.HookAnswers {
		out = append(out, lifecycle.Answer{Hook: a.Hook, Wait: a.Wait, Result: lifecycle.Result(a.Result), Heartbeats: int(a.Heartbeats)})
	}
	return out
}

// hooksOf are the hooks that were written of an instance.
func hooksOf(s *api.InstanceStatus) []lifecycle.Hook {
	var out []lifecycle.Hook
	for _, h := range s.Hooks {
		out = append(out, lifecycle.Hook{Name: h.Name, Way: lifecycle.Way(h.Transition), Wait: h.Wait, Start: h.StartTime.Time, Until: h.UntilTime.Time,
			Default: lifecycle.Result(h.DefaultResult), Heartbeats: int(h.Heartbeats),
			Result: lifecycle.Result(h.Result), End: micro(h.EndTime), EndedBy: lifecycle.EndedBy(h.EndedBy)})
	}
	return out
}

// writeHooks takes over what its hooks are now. Programs are told of each that
// begins to hold it, once that is written.
func (p *pass) writeHooks(c *aCase) {
	known := map[string]bool{}
	for _, h := range c.facts.Record.Hooks {
		known[h.Wait+"/"+h.Name] = true
	}
	st := c.status()
	st.Hooks, c.lock = nil, true
	for _, h := range lifecycle.HooksOf(c.facts) {
		one := api.HookStatus{Name: h.Name, Transition: api.Way(h.Way), Wait: h.Wait, StartTime: metav1.NewMicroTime(h.Start), UntilTime: metav1.NewMicroTime(h.Until),
			DefaultResult: api.HookResult(h.Default), Heartbeats: int32(h.Heartbeats), Result: api.HookResult(h.Result), EndedBy: api.HookEnd(h.EndedBy)}
		if !h.End.IsZero() {
			one.EndTime = &metav1.MicroTime{Time: h.End}
		}
		st.Hooks = append(st.Hooks, one)
		if h.Result == "" && !known[h.Wait+"/"+h.Name] {
			c.begun = append(c.begun, h)
		}
	}
}

// tellHooks tells of hooks that have begun to hold an instance.
func (p *pass) tellHooks(c *aCase) {
	for _, h := range c.begun {
		way := "in"
		if h.Way == lifecycle.WayOut {
			way = "out"
		}
		p.Events.Eventf(c.i, corev1.EventTypeNormal, "HookWaiting", "lifecycle hook %s holds %s on its way %s until %s, then %s; to complete it: poolkeeper hook complete %s %s --result continue",
			h.Name, c.i.Name, way, h.Until.UTC().Format(time.RFC3339), h.Default, c.i.Name, h.Name)
	}
	c.begun = nil
}

// heldBy says which hook holds an instance on the way that it is on; empty
// where none does.
func heldBy(i *api.Instance, s *api.InstanceStatus) string {
	if s.LifecycleState != api.InstancePendingWait && s.LifecycleState != api.InstanceRemovingWait {
		return ""
	}
	for _, h := range s.Hooks {
		if h.Result == "" && (h.Transition == api.WayOut) == (i.Spec.Release != nil) {
			return fmt.Sprintf("lifecycle hook %s holds it until %s, then %s", h.Name, h.UntilTime.UTC().Format(time.RFC3339), h.DefaultResult)
		}
	}
	return ""
}
