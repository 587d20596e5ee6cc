package machine

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// podEvery is how soon a kubelet looks at its pods again, where the pace lets
// it.
const podEvery = 500 * time.Millisecond

// pace spreads the looks of all kubelets at their pods, so that together they
// ask so many times a second at most: the more machines, the longer each waits.
// docs/decisions/0012-pods-are-listed-at-a-pace.md says why no kubelet watches.
type pace struct {
	gap time.Duration
	// yield is how many times as long as the last look took none is made after
	// it, up to maxYield: while the API server is busy there are fewer.
	yield int

	mu      sync.Mutex
	last    time.Time // the latest that was promised
	yieldTo time.Time
}

// idleYield is the yield where most nodes have no pod.
const idleYield = 20

// maxYield is the longest time without a look because one took long.
const maxYield = 250 * time.Millisecond

// looked tells when a look began and ended.
func (p *pace) looked(began, ended time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.yieldTo = ended.Add(min(time.Duration(p.yield)*ended.Sub(began), maxYield))
}

// free is false while the look before is made room for.
func (p *pace) free(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !now.Before(p.yieldTo)
}

// next is when the one that asks may look.
func (p *pace) next(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := now.Add(jitter(podEvery))
	if soonest := p.last.Add(p.gap); at.Before(soonest) {
		at = soonest
	}
	p.last = at
	return at
}

// podMemory is what a kubelet remembers of one pod between two looks.
type podMemory struct {
	namespace, name string
	// told is the version of the pod as the kubelet last saw it before it told
	// its status; a list that is not newer is not answered again.
	told string
	// ends is when its containers have ended, grace what that was reckoned
	// with; zero where it was not told to end.
	ends  time.Time
	grace int64
	// killed is true where they did not end by themselves.
	killed bool
	// over is true once its end was told.
	over bool
	seen bool
}

// podsDue looks at the pods of the node where it is time, ends those whose time
// has come, and says when it wants to be called again.
func (k *kubelet) podsDue() time.Time {
	if k.stopped.Load() {
		return time.Time{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	ctx, cancel := context.WithTimeout(k.m.ctx, 20*time.Second)
	defer cancel()
	if began := time.Now(); !began.Before(k.nextLook) {
		p := k.pace()
		if p.free(began) {
			if err := k.lookAtPods(ctx); err != nil {
				k.m.host.Logger.V(1).Info("kubelet could not look at its pods", "instance", k.name, "error", err.Error())
			}
			p.looked(began, time.Now())
			p = k.pace()
		}
		k.nextLook = p.next(time.Now())
	}
	next := k.nextLook
	for uid, p := range k.pods {
		if p.ends.IsZero() {
			continue
		}
		if !time.Now().Before(p.ends) {
			if err := k.endPod(ctx, uid, p); err != nil {
				k.m.host.Logger.V(1).Info("kubelet could not end a pod", "instance", k.name, "pod", p.namespace+"/"+p.name, "error", err.Error())
				p.ends = time.Now().Add(podEvery)
			}
		}
		if !p.ends.IsZero() {
			next = earliest(next, p.ends)
		}
	}
	return next
}

// pace is the pace of this kubelet's looks.
func (k *kubelet) pace() *pace {
	if k.busy {
		return &k.m.host.busyPace
	}
	return &k.m.host.idlePace
}

// lookAtPods lists what is bound to the node, from the API server's own memory,
// and runs and ends what it finds.
func (k *kubelet) lookAtPods(ctx context.Context) error {
	query := url.Values{"fieldSelector": {"spec.nodeName=" + k.name}, "resourceVersion": {"0"}}
	b, err := k.call(ctx, http.MethodGet, "/api/v1/pods?"+query.Encode(), "", nil)
	if err != nil {
		return fmt.Errorf("list pods of node %s: %w", k.name, err)
	}
	var list core.PodList
	if err := decode(b, &list); err != nil {
		return fmt.Errorf("list pods of node %s: %w", k.name, err)
	}
	for _, p := range k.pods {
		p.seen = false
	}
	k.busy = false
	var failed error
	for i := range list.Items {
		p := &list.Items[i]
		k.busy = k.busy || !ownedBy(p, "DaemonSet")
		if err := k.sync(ctx, p, list.Items); err != nil && failed == nil {
			failed = err
		}
	}
	for uid, p := range k.pods {
		if !p.seen {
			delete(k.pods, uid)
		}
	}
	return failed
}

func ownedBy(p *core.Pod, kind string) bool {
	o := meta.GetControllerOf(p)
	return o != nil && o.Kind == kind
}

// sync does for one pod what is to be done now.
func (k *kubelet) sync(ctx context.Context, p *core.Pod, all []core.Pod) error {
	m := k.pods[p.UID]
	if m == nil {
		m = &podMemory{namespace: p.Namespace, name: p.Name}
		if k.pods == nil {
			k.pods = map[types.UID]*podMemory{}
		}
		k.pods[p.UID] = m
	}
	m.seen = true
	switch {
	case m.over:
	case p.DeletionTimestamp != nil:
		k.letEnd(p, m)
	case p.Status.Phase == core.PodSucceeded || p.Status.Phase == core.PodFailed:
	case m.told == p.ResourceVersion || asItIs(p, k.podStatus(p, all)):
	default:
		status := k.podStatus(p, all)
		p.Status.PodIP = status.PodIP // taken, for the others of the list
		if err := k.tellPod(ctx, p.UID, m, status); err != nil {
			return err
		}
		m.told = p.ResourceVersion
	}
	return nil
}

// letEnd reckons when the containers of a pod that was told to end have ended.
// A shorter grace than before counts from now.
func (k *kubelet) letEnd(p *core.Pod, m *podMemory) {
	grace := int64(0)
	if p.DeletionGracePeriodSeconds != nil {
		grace = *p.DeletionGracePeriodSeconds
	}
	if p.Status.Phase != core.PodRunning {
		grace = 0 // nothing of it runs
	}
	if !m.ends.IsZero() && grace >= m.grace {
		return
	}
	first := m.ends.IsZero()
	after, killed := endsAfter(&p.Spec, time.Duration(grace)*time.Second)
	ends := time.Now().Add(after)
	if first || ends.Before(m.ends) {
		m.ends, m.killed = ends, killed
	}
	m.grace = grace
}

// tellPod writes the status of a pod as its node. A pod that is gone, or
// another one of its name, is left alone.
func (k *kubelet) tellPod(ctx context.Context, uid types.UID, m *podMemory, s core.PodStatus) error {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": uid}, "status": s})
	if err != nil {
		return fmt.Errorf("encode status of pod %s/%s: %w", m.namespace, m.name, err)
	}
	where := "/api/v1/namespaces/" + m.namespace + "/pods/" + m.name + "/status"
	if _, err = k.call(ctx, http.MethodPatch, where, string(types.StrategicMergePatchType), body); err != nil && !gone(err) {
		return fmt.Errorf("report status of pod %s/%s: %w", m.namespace, m.name, err)
	}
	return nil
}

// gone says whether an answer means that the very object is there no more.
func gone(err error) bool {
	return hasCode(err, http.StatusNotFound) || hasCode(err, http.StatusConflict)
}

// endPod tells that the containers of a pod have ended, and deletes it.
func (k *kubelet) endPod(ctx context.Context, uid types.UID, m *podMemory) error {
	if !m.over {
		if err := k.tellPod(ctx, uid, m, core.PodStatus{Phase: endPhase(m.killed)}); err != nil {
			return err
		}
		m.over = true
	}
	none := int64(0)
	body, err := json.Marshal(meta.DeleteOptions{TypeMeta: meta.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"}, GracePeriodSeconds: &none,
		Preconditions: &meta.Preconditions{UID: &uid}})
	if err != nil {
		return fmt.Errorf("encode deletion of pod %s/%s: %w", m.namespace, m.name, err)
	}
	where := "/api/v1/namespaces/" + m.namespace + "/pods/" + m.name
	if _, err := k.call(ctx, http.MethodDelete, where, "application/json", body); err != nil && !gone(err) {
		return fmt.Errorf("delete pod %s/%s: %w", m.namespace, m.name, err)
	}
	m.ends = time.Time{}
	return nil
}
