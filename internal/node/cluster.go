package node

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Cluster carries out Nodes against a cluster.
type Cluster struct {
	// Cache is where Nodes are found. It holds what Trim leaves of them.
	Cache client.Reader
	// Clients write Nodes, list the pods of one and ask for evictions.
	Clients kubernetes.Interface
}

var _ Nodes = Cluster{}

// Find returns the Node of an instance from the cache. A Node of that name
// with another provider ID, or with none, is not the instance's and an ErrForeign.
func (c Cluster) Find(ctx context.Context, name, providerID string) (Node, bool, error) {
	var n corev1.Node // shares what it points to with the cache; From copies
	err := c.Cache.Get(ctx, types.NamespacedName{Name: name}, &n, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return Node{}, false, nil
	}
	if err != nil {
		return Node{}, false, fmt.Errorf("find node %s: %w", name, err)
	}
	return known(&n, providerID)
}

// Look returns the Node of an instance from the API server. It lists by name,
// for which the right that the cache needs is enough.
func (c Cluster) Look(ctx context.Context, name, providerID string) (Node, bool, error) {
	list, err := c.Clients.CoreV1().Nodes().List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()})
	if err != nil {
		return Node{}, false, fmt.Errorf("look at node %s: %w", name, err)
	}
	for i := range list.Items {
		if n := &list.Items[i]; n.Name == name {
			return known(n, providerID)
		}
	}
	return Node{}, false, nil
}

func known(n *corev1.Node, providerID string) (Node, bool, error) {
	if providerID != "" && n.Spec.ProviderID != providerID {
		return Node{}, false, fmt.Errorf("find node %s: its provider ID is %q, not %q: %w", n.Name, bounded(n.Spec.ProviderID, 128), providerID, ErrForeign)
	}
	return From(n), true, nil
}

// From returns what poolkeeper knows of a Node object.
func From(n *corev1.Node) Node {
	out := Node{
		Name: n.Name, UID: string(n.UID), ProviderID: n.Spec.ProviderID,
		Unschedulable: n.Spec.Unschedulable,
		Cordoned:      n.Spec.Unschedulable && n.Annotations[annotationCordoned] != "",
	}
	for i := range n.Status.Conditions {
		if c := &n.Status.Conditions[i]; c.Type == corev1.NodeReady {
			out.Ready = c.Status == corev1.ConditionTrue
			out.Reason, out.Message = bounded(c.Reason, 256), bounded(c.Message, 256)
			out.Since = c.LastTransitionTime.Time
		}
	}
	return out
}

// Trim leaves of a Node object what Find needs, so that a cache of thousands
// stays small. It suits as a transform of a cache; other objects pass.
func Trim(obj any) (any, error) {
	n, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	out := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: n.Name, UID: n.UID, ResourceVersion: n.ResourceVersion,
		CreationTimestamp: n.CreationTimestamp, DeletionTimestamp: n.DeletionTimestamp,
	}}
	if v := n.Annotations[annotationCordoned]; v != "" {
		out.Annotations = map[string]string{annotationCordoned: v}
	}
	out.Spec.ProviderID, out.Spec.Unschedulable = n.Spec.ProviderID, n.Spec.Unschedulable
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			c.LastHeartbeatTime = metav1.Time{}
			out.Status.Conditions = []corev1.NodeCondition{c}
		}
	}
	return out, nil
}

const (
	patchCordon   = `{"metadata":{"annotations":{"` + annotationCordoned + `":"true"}},"spec":{"unschedulable":true}}`
	patchUncordon = `{"metadata":{"annotations":{"` + annotationCordoned + `":null}},"spec":{"unschedulable":null}}`
)

// Cordon keeps new pods away from a Node. One that is cordoned already is
// left as it is, so that Uncordon leaves a person's cordon.
func (c Cluster) Cordon(ctx context.Context, name string) error {
	n, found, err := c.Find(ctx, name, "")
	if err != nil || !found || n.Unschedulable {
		return err
	}
	return c.patch(ctx, "cordon", name, patchCordon)
}

// Uncordon takes a cordon of ours back.
func (c Cluster) Uncordon(ctx context.Context, name string) error {
	n, found, err := c.Find(ctx, name, "")
	if err != nil || !found || !n.Cordoned {
		return err
	}
	return c.patch(ctx, "uncordon", name, patchUncordon)
}

func (c Cluster) patch(ctx context.Context, verb, name, patch string) error {
	_, err := c.Clients.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("%s node %s: %w", verb, name, err)
	}
	return nil
}

// Delete deletes the Node that was found; a later one of the same name stays.
func (c Cluster) Delete(ctx context.Context, n Node) error {
	opts := metav1.DeleteOptions{}
	if n.UID != "" {
		uid := types.UID(n.UID)
		opts.Preconditions = &metav1.Preconditions{UID: &uid}
	}
	err := c.Clients.CoreV1().Nodes().Delete(ctx, n.Name, opts)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete node %s: %w", n.Name, err)
	}
	return nil
}
