package view

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Undrained says why the nodes of a pool cannot be drained, what that means for
// it, and the one thing that mends it.
func Undrained(mode v1alpha1.DrainMode, f *fault.Fault) string {
	state, then := fault.DrainRoleState(f), "nodes are released without a drain"
	if mode == v1alpha1.DrainRequired {
		then = "scaling in waits, as the pool requires a drain"
	}
	return fmt.Sprintf("%s (%s); until that is mended %s. What mends it: %s", fault.DrainRoleCause(state), f.Code, then, fault.DrainRoleSolution(state))
}

// Evicted is true for a pod that a drain moves: not those that the node itself
// keeps, that a daemon set puts back, or that have ended.
func Evicted(p *corev1.Pod) bool {
	if _, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return false
	}
	owner := metav1.GetControllerOf(p)
	return (owner == nil || owner.Kind != "DaemonSet") && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

// Covers says whether a disruption budget speaks of any of these pods.
func Covers(b *policyv1.PodDisruptionBudget, pods []corev1.Pod) bool {
	sel, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	if err != nil {
		return false
	}
	for _, p := range pods {
		if p.Namespace == b.Namespace && sel.Matches(labels.Set(p.Labels)) {
			return true
		}
	}
	return false
}

// Duration writes a duration without its zeros: "30m", "1h30m".
func Duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
