package node

import (
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/kubectl/pkg/drain"
)

// Drain makes one pass over the pods of a Node. Which pods have to go is
// kubectl's choice: all but those of daemon sets, mirror pods and finished
// ones. Each is asked for once; the disruption budgets decide.
func (c Cluster) Drain(ctx context.Context, name string) (Pass, error) {
	h := c.helper(ctx)
	list, errs := h.GetPodsForDeletion(name)
	if len(errs) > 0 {
		return Pass{}, fmt.Errorf("list pods of node %s: %w", name, errors.Join(errs...))
	}
	var pass Pass
	var failed error
	var ending string
	for _, pod := range list.Pods() {
		pass.Left++
		if pod.DeletionTimestamp != nil { // it was granted before and is on its way
			if ending == "" {
				ending = bounded(fmt.Sprintf("pod %s/%s: it was told to end and has not yet", pod.Namespace, pod.Name), 512)
			}
			continue
		}
		err := h.EvictPod(pod, policyv1.SchemeGroupVersion)
		switch {
		case err == nil:
			pass.Evicted++
		case apierrors.IsNotFound(err):
			pass.Left--
		case apierrors.IsTooManyRequests(err):
			if pass.Blocked == "" {
				pass.Blocked = blocked(&pod, err)
			}
		default:
			failed = errors.Join(failed, fmt.Errorf("evict pod %s/%s of node %s: %w", pod.Namespace, pod.Name, name, err))
		}
	}
	if pass.Blocked == "" {
		pass.Blocked = ending
	}
	return pass, failed
}

// helper is kubectl's drain as poolkeeper uses it. Pods without a controller
// and pods with local data go too: their machine is about to go.
func (c Cluster) helper(ctx context.Context) *drain.Helper {
	return &drain.Helper{
		Ctx: ctx, Client: c.Clients,
		Force: true, IgnoreAllDaemonSets: true, DeleteEmptyDirData: true,
		GracePeriodSeconds: -1, ChunkSize: 500,
		Out: io.Discard, ErrOut: io.Discard,
	}
}

// blocked says which pod may not go, and what keeps it.
func blocked(pod *corev1.Pod, err error) string {
	why := err.Error()
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			if cause.Type == policyv1.DisruptionBudgetCause {
				why = cause.Message
			}
		}
	}
	return bounded(fmt.Sprintf("pod %s/%s: %s", pod.Namespace, pod.Name, why), 512)
}
