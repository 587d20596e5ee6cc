package sim

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	typedpolicyv1 "k8s.io/client-go/kubernetes/typed/policy/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// clients is the part of a clientset that package node uses.
type clients struct {
	kubernetes.Interface
	p *process
}

// CoreV1 has Nodes and Pods.
func (c clients) CoreV1() typedcorev1.CoreV1Interface { return core{p: c.p} }

// PolicyV1 has evictions.
func (c clients) PolicyV1() typedpolicyv1.PolicyV1Interface { return policies{p: c.p} }

type core struct {
	typedcorev1.CoreV1Interface
	p *process
}

// Nodes of the cluster.
func (c core) Nodes() typedcorev1.NodeInterface { return nodes{p: c.p} }

// Pods of every namespace.
func (c core) Pods(string) typedcorev1.PodInterface { return pods{p: c.p} }

type nodes struct {
	typedcorev1.NodeInterface
	p *process
}

// List lists the one Node that the options name.
func (n nodes) List(ctx context.Context, opts metav1.ListOptions) (*corev1.NodeList, error) {
	out, one := &corev1.NodeList{}, &corev1.Node{}
	err := n.p.client().Get(ctx, types.NamespacedName{Name: strings.TrimPrefix(opts.FieldSelector, "metadata.name=")}, one)
	if err == nil {
		out.Items = append(out.Items, *one)
	}
	return out, client.IgnoreNotFound(err)
}

// Patch patches a Node.
func (n nodes) Patch(ctx context.Context, name string, kind types.PatchType, data []byte, _ metav1.PatchOptions, _ ...string) (*corev1.Node, error) {
	out := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	return out, n.p.client().Patch(ctx, out, client.RawPatch(kind, data))
}

// Delete deletes a Node.
func (n nodes) Delete(ctx context.Context, name string, o metav1.DeleteOptions) error {
	var opts []client.DeleteOption
	if o.Preconditions != nil {
		opts = append(opts, client.Preconditions{UID: o.Preconditions.UID})
	}
	return n.p.client().Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, opts...)
}

func (p *process) client() *apiserver.Client { return p.cache.Client }

type pods struct {
	typedcorev1.PodInterface
	p *process
}

// List lists the pods of the one node that the options name.
func (o pods) List(ctx context.Context, opts metav1.ListOptions) (*corev1.PodList, error) {
	var all corev1.PodList
	if err := o.p.client().List(ctx, &all); err != nil {
		return nil, err
	}
	out := &corev1.PodList{}
	for _, pod := range all.Items {
		if o.p.world.breaks.NoPods {
			break
		}
		if strings.Contains(opts.FieldSelector, pod.Spec.NodeName) {
			out.Items = append(out.Items, pod)
		}
	}
	return out, nil
}

type policies struct {
	typedpolicyv1.PolicyV1Interface
	p *process
}

// Evictions of one namespace.
func (c policies) Evictions(string) typedpolicyv1.EvictionInterface { return evictions{p: c.p} }

type evictions struct {
	typedpolicyv1.EvictionInterface
	p *process
}

// Evict lets a pod go, unless its disruption budget keeps it now.
func (e evictions) Evict(ctx context.Context, ev *policyv1.Eviction) error {
	w := e.p.world
	if w.now.Before(w.budgets[ev.Name]) {
		err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 10)
		err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause, Message: "the budget of " + ev.Name + " allows none now"}}
		return err
	}
	return e.p.client().Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ev.Namespace, Name: ev.Name}})
}
