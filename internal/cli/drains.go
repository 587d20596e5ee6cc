package cli

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/reply"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// mostDrains bounds for how many nodes a preview lists pods.
const mostDrains = 12

// drains tells, node by node, how many pods a drain would evict and which
// disruption budget it may wait for.
func (c *call) drains(list []*v1alpha1.Instance, f removeFlags) string {
	if !f.drain {
		return "  drain      off: pods are not evicted first"
	}
	lines := []string{fmt.Sprintf("  drain      each within %s; one that does not end stops the rest", view.Duration(f.limit))}
	for n, i := range list {
		if n == mostDrains {
			lines = append(lines, fmt.Sprintf("             and %d more", len(list)-n))
			break
		}
		lines = append(lines, "             "+i.Name+": "+c.drain(i))
	}
	return strings.Join(lines, "\n")
}

// drain tells of one node.
func (c *call) drain(i *v1alpha1.Instance) string {
	if i.Status.NodeState == v1alpha1.NodeUnknown {
		return "nothing to drain, its Node object is gone"
	}
	var all corev1.PodList
	if err := c.List(c.ctx, &all, client.MatchingFields{"spec.nodeName": i.Name}); err != nil {
		if apierrors.IsForbidden(err) {
			return "its pods are not known: you may not list pods"
		}
		return "its pods are not known: " + reply.Text(err)
	}
	var pods []corev1.Pod
	for _, p := range all.Items {
		if view.Evicted(&p) {
			pods = append(pods, p)
		}
	}
	if len(pods) == 0 {
		return "no pods to evict"
	}
	text := plural(len(pods), "pod")
	if b := c.budgets(pods); len(b) > 0 {
		text += "; may wait for " + strings.Join(b, ", ")
	}
	return text
}

// budgets are the disruption budgets that allow no eviction of these pods now.
func (c *call) budgets(pods []corev1.Pod) []string {
	var found []string
	seen := map[string]bool{}
	for _, p := range pods {
		if seen[p.Namespace] {
			continue
		}
		seen[p.Namespace] = true
		var list policyv1.PodDisruptionBudgetList
		if c.List(c.ctx, &list, client.InNamespace(p.Namespace)) != nil {
			continue // the drain itself will tell
		}
		for _, b := range list.Items {
			if b.Status.DisruptionsAllowed == 0 && view.Covers(&b, pods) {
				found = append(found, fmt.Sprintf("PDB %s/%s (%d of %d healthy, needs %d)",
					b.Namespace, b.Name, b.Status.CurrentHealthy, b.Status.ExpectedPods, b.Status.DesiredHealthy))
			}
		}
	}
	return found
}
