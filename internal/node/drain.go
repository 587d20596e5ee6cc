package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/kubectl/pkg/drain"
)

// Drain makes one pass over the pods of a Node. Which pods have to go is
// kubectl's choice: all but those of daemon sets, mirror pods and finished
// ones. Each is asked for once; the disruption budgets decide.
func (c Cluster) Drain(ctx context.Context, name string, left, next time.Duration) (Pass, error) {
	h := c.helper(ctx)
	list, errs := h.GetPodsForDeletion(name)
	if len(errs) > 0 {
		return Pass{}, fmt.Errorf("list pods of node %s: %w", name, errors.Join(errs...))
	}
	var pass Pass
	var failed error
	var blocked, ending reasons
	for _, pod := range list.Pods() {
		pass.Left++
		grace, ask := graceOf(&pod, left, next)
		if !ask {
			if pod.DeletionTimestamp != nil {
				ending.add(&pod, endsSlowly)
			}
			continue
		}
		h.GracePeriodSeconds = grace
		err := h.EvictPod(pod, policyv1.SchemeGroupVersion)
		switch {
		case err == nil && pod.DeletionTimestamp != nil:
			ending.add(&pod, endsSlowly)
		case err == nil:
			pass.Evicted++
		case apierrors.IsNotFound(err):
			pass.Left--
		case apierrors.IsTooManyRequests(err):
			blocked.add(&pod, whyBlocked(err))
		default:
			failed = errors.Join(failed, fmt.Errorf("evict pod %s/%s of node %s: %w", pod.Namespace, pod.Name, name, err))
		}
	}
	pass.Blocked = bounded(append(blocked, ending...).String(), 512)
	return pass, failed
}

const (
	ownGrace   = -1 // a pod's own grace, as kubectl's flag says it
	endsSlowly = "told to end and not ended yet"
)

// graceOf says whether a pod is to be asked for in a pass, and with what grace
// in seconds. One that would be running yet at the limit gets a shorter one, so
// that it is gone at the last look; one that is ending already is cut only when
// the limit is near.
func graceOf(p *corev1.Pod, left, next time.Duration) (grace int, ask bool) {
	most := max(1, int64((left-2*next)/time.Second))
	switch {
	case left <= 0:
		return 0, false
	case p.DeletionTimestamp != nil:
		has := p.DeletionGracePeriodSeconds
		return int(most), left <= 2*next && has != nil && *has > most
	case p.Spec.TerminationGracePeriodSeconds != nil && *p.Spec.TerminationGracePeriodSeconds > most:
		return int(most), true
	}
	return ownGrace, true
}

// helper is kubectl's drain as poolkeeper uses it. Pods without a controller
// and pods with local data go too: their machine is about to go.
func (c Cluster) helper(ctx context.Context) *drain.Helper {
	return &drain.Helper{
		Ctx: ctx, Client: c.Clients,
		Force: true, IgnoreAllDaemonSets: true, DeleteEmptyDirData: true,
		GracePeriodSeconds: ownGrace, ChunkSize: 500,
		Out: io.Discard, ErrOut: io.Discard,
	}
}

// whyBlocked says what keeps a pod from being evicted.
func whyBlocked(err error) string {
	why := err.Error()
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			if cause.Type == policyv1.DisruptionBudgetCause {
				why = cause.Message
			}
		}
	}
	return strings.TrimSuffix(why, ".")
}

// reasons are pods by what they wait for, in the order in which they came.
type reasons []reason

type reason struct {
	why  string
	pods []string
}

func (r *reasons) add(p *corev1.Pod, why string) {
	name := p.Namespace + "/" + p.Name
	for i := range *r {
		if (*r)[i].why == why {
			(*r)[i].pods = append((*r)[i].pods, name)
			return
		}
	}
	*r = append(*r, reason{why, []string{name}})
}

// mostPods is how many pods are named for one reason.
const mostPods = 3

// String names the pods and what they wait for.
func (r reasons) String() string {
	var parts []string
	for _, one := range r {
		word, pods, more := "pod ", one.pods, ""
		if n := len(pods); n > 1 {
			word = "pods "
			if n > mostPods {
				pods, more = pods[:mostPods], fmt.Sprintf(" and %d more", n-mostPods)
			}
		}
		parts = append(parts, word+strings.Join(pods, ", ")+more+": "+one.why)
	}
	return strings.Join(parts, "; ")
}
