package machine

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A simulated container does nothing. It starts at once, is ready once it has
// started, and ends as soon as it is told to, after its preStop hook slept. One
// whose own command says that it ignores the signal runs until it is killed.
// Those of a Job have done their work at once.

// podStatus is what the kubelet says of a pod that was not told to end.
func (k *kubelet) podStatus(p *core.Pod, all []core.Pod) core.PodStatus {
	now := meta.NewTime(k.m.host.Now())
	done := ownedBy(p, "Job")
	host := k.m.spec.PrivateIP
	s := core.PodStatus{ObservedGeneration: p.Generation, Phase: core.PodRunning, HostIP: host, HostIPs: []core.HostIP{{IP: host}}, PodIP: p.Status.PodIP, StartTime: p.Status.StartTime}
	if s.StartTime == nil {
		s.StartTime = &now
	}
	if s.PodIP == "" {
		s.PodIP = k.podAddress(p, all)
	}
	s.PodIPs = []core.PodIP{{IP: s.PodIP}}
	s.Conditions = podConditions(p, done, now)
	if done {
		s.Phase = core.PodSucceeded
	}
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		sidecar := c.RestartPolicy != nil && *c.RestartPolicy == core.ContainerRestartPolicyAlways
		s.InitContainerStatuses = append(s.InitContainerStatuses, containerStatus(p, c, !sidecar || done, *s.StartTime))
	}
	for i := range p.Spec.Containers {
		s.ContainerStatuses = append(s.ContainerStatuses, containerStatus(p, &p.Spec.Containers[i], done, *s.StartTime))
	}
	return s
}

func containerStatus(p *core.Pod, c *core.Container, done bool, started meta.Time) core.ContainerStatus {
	yes := !done
	s := core.ContainerStatus{Name: c.Name, Image: c.Image, ImageID: c.Image, Ready: true, Started: &yes,
		ContainerID: fmt.Sprintf("containerd://%s-%s", p.UID, c.Name)}
	if !done {
		s.State.Running = &core.ContainerStateRunning{StartedAt: started}
		return s
	}
	s.State.Terminated = &core.ContainerStateTerminated{Reason: "Completed", ContainerID: s.ContainerID, StartedAt: started, FinishedAt: started}
	return s
}

// podConditions are those that the kubelet keeps; the scheduler's stays.
func podConditions(p *core.Pod, done bool, now meta.Time) []core.PodCondition {
	one := func(t core.PodConditionType, is bool, reason string) core.PodCondition {
		c := core.PodCondition{Type: t, Status: core.ConditionFalse, Reason: reason, LastTransitionTime: now, ObservedGeneration: p.Generation}
		if is {
			c.Status, c.Reason = core.ConditionTrue, ""
		}
		for _, before := range p.Status.Conditions {
			if before.Type == t && before.Status == c.Status {
				c.LastTransitionTime = before.LastTransitionTime
			}
		}
		return c
	}
	ready, why := !done, "PodCompleted"
	for _, gate := range p.Spec.ReadinessGates {
		if ready && !conditionTrue(p, gate.ConditionType) {
			ready, why = false, "ReadinessGatesNotReady"
		}
	}
	return []core.PodCondition{
		one(core.PodReadyToStartContainers, !done, ""),
		one(core.PodInitialized, true, ""),
		one(core.PodReady, ready, why),
		one(core.ContainersReady, !done, why),
	}
}

func conditionTrue(p *core.Pod, t core.PodConditionType) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == t {
			return c.Status == core.ConditionTrue
		}
	}
	return false
}

// asItIs says whether a pod's status says already what it should.
func asItIs(p *core.Pod, s core.PodStatus) bool {
	if p.Status.Phase != s.Phase || p.Status.PodIP != s.PodIP || len(p.Status.ContainerStatuses) != len(s.ContainerStatuses) || p.Status.ObservedGeneration != s.ObservedGeneration {
		return false
	}
	for _, c := range s.Conditions {
		if conditionTrue(p, c.Type) != (c.Status == core.ConditionTrue) {
			return false
		}
	}
	return true
}

// podAddress is a free address for a pod. Each machine has 254 of them below
// 240.0.0.0/4, where neither machines nor services are.
func (k *kubelet) podAddress(p *core.Pod, all []core.Pod) string {
	host, err := netip.ParseAddr(k.m.spec.PrivateIP)
	if p.Spec.HostNetwork || err != nil || !host.Is4() {
		return k.m.spec.PrivateIP
	}
	a := host.As4()
	a[0], a[1], a[2] = 240, a[2], a[3]
	used := map[string]bool{}
	for i := range all {
		used[all[i].Status.PodIP] = true
	}
	for n := byte(1); n < 255; n++ {
		a[3] = n
		if ip := netip.AddrFrom4(a).String(); !used[ip] {
			return ip
		}
	}
	return k.m.spec.PrivateIP
}

// endsAfter is how long the containers of a pod take to end when they are told
// to, within their grace, and whether they have to be killed then.
func endsAfter(s *core.PodSpec, grace time.Duration) (after time.Duration, killed bool) {
	for i := range s.Containers {
		c := &s.Containers[i]
		if ignoresTerm(c) {
			return grace, grace > 0
		}
		if c.Lifecycle != nil && c.Lifecycle.PreStop != nil {
			after = max(after, slept(c.Lifecycle.PreStop))
		}
	}
	return min(after, grace), after > grace
}

// ignoresTerm says whether a container's own command lets no signal end it.
func ignoresTerm(c *core.Container) bool {
	line := strings.ReplaceAll(strings.Join(append(append([]string(nil), c.Command...), c.Args...), " "), `"`, `'`)
	return strings.Contains(line, "trap '' TERM") || strings.Contains(line, "trap '' SIGTERM")
}

// slept is for how long a hook sleeps.
func slept(h *core.LifecycleHandler) time.Duration {
	switch {
	case h.Sleep != nil:
		return time.Duration(h.Sleep.Seconds) * time.Second
	case h.Exec != nil:
		words := strings.Fields(strings.Join(h.Exec.Command, " "))
		for i, w := range words[:max(len(words)-1, 0)] {
			if seconds, err := strconv.Atoi(words[i+1]); err == nil && w == "sleep" {
				return time.Duration(seconds) * time.Second
			}
		}
	}
	return 0
}

// endPhase is the phase of a pod that was told to end and has.
func endPhase(killed bool) core.PodPhase {
	if killed {
		return core.PodFailed
	}
	return core.PodSucceeded
}
