package controller

import (
	"context"
	"fmt"
	"sort"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/sweep"
)

// settingsName is where the cluster ID is written down at the first start.
const settingsName = "poolkeeper-cluster"

// clusterID is the ID that was written down, or the one that is asked for, or
// the UID of kube-system. Another one than was written down is refused. One that
// nobody asked for is not written down yet: first the cloud is looked at for
// what an earlier life of this cluster left there (rule 1).
func clusterID(ctx context.Context, k kubernetes.Interface, asked string, anew bool) (id string, written bool, err error) {
	m, err := k.CoreV1().ConfigMaps(api.SystemNamespace).Get(ctx, settingsName, metav1.GetOptions{})
	if err == nil {
		if id := m.Data["clusterID"]; asked != "" && asked != id {
			return "", false, fmt.Errorf("this cluster's ID was written down as %s, not %s: start with --cluster-id %s", id, asked, id)
		}
		return m.Data["clusterID"], true, nil
	}
	if !apierrors.IsNotFound(err) {
		return "", false, fmt.Errorf("read cluster ID: %w", err)
	}
	if asked != "" {
		return asked, true, writeClusterID(ctx, k, asked)
	}
	ns, err := k.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", false, fmt.Errorf("read UID of kube-system: %w", err)
	}
	if id = string(ns.UID); anew {
		return id, true, writeClusterID(ctx, k, id)
	}
	return id, false, nil
}

// writeClusterID writes the ID down for good. Where another replica did so
// meanwhile it must be the same.
func writeClusterID(ctx context.Context, k kubernetes.Interface, id string) error {
	yes := true
	maps := k.CoreV1().ConfigMaps(api.SystemNamespace)
	_, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: settingsName}, Immutable: &yes, Data: map[string]string{"clusterID": id}}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		var m *corev1.ConfigMap
		if m, err = maps.Get(ctx, settingsName, metav1.GetOptions{}); err == nil && m.Data["clusterID"] != id {
			return fmt.Errorf("this cluster's ID was written down as %s, not %s: start again", m.Data["clusterID"], id)
		}
	}
	if err != nil {
		return fmt.Errorf("write cluster ID down: %w", err)
	}
	return nil
}

// otherCluster names, by pool, the other cluster ID that instances of a pool of
// ours carry: the first in order where there are several.
func otherCluster(p *sweep.Picture, ours string, pools map[string]bool) map[string]string {
	out := map[string]string{}
	for _, i := range p.Instances {
		o, ok := cloud.OriginOf(i.Tags)
		if !ok || o.ClusterID == ours || !pools[o.Pool] {
			continue
		}
		if was, seen := out[o.Pool]; !seen || o.ClusterID < was {
			out[o.Pool] = o.ClusterID
		}
	}
	return out
}

// anotherLife says why a group may neither create nor release while no cluster
// ID is written down: the cloud holds instances of another cluster ID and of
// this pool's name. Where it holds none of any pool, the ID is written down.
func (w *Assembly) anotherLife(ctx context.Context, pool string, poolNames func(context.Context) ([]string, error)) (string, error) {
	w.first.Lock()
	defer w.first.Unlock()
	if w.Written {
		return "", nil
	}
	pools, err := poolNames(ctx)
	if err != nil {
		return "", err
	}
	names := map[string]bool{pool: true}
	for _, p := range pools {
		names[p] = true
	}
	others := otherCluster(w.Sweeper.Latest(), w.ClusterID, names)
	if len(others) == 0 {
		err := writeClusterID(ctx, w.Clients, w.ClusterID)
		w.Written = err == nil
		return "", err
	}
	if id, ok := others[pool]; ok {
		return fmt.Sprintf("instances of node pool %s with another cluster ID of ours, %s, are there: start the controller with --cluster-id %s to take them over, or once with --new-cluster to begin anew beside them", pool, id, id), nil
	}
	return "", nil
}

// poolNames are the names of all pools, in order.
func (w *Assembly) poolNames(ctx context.Context) ([]string, error) {
	var list api.NodePoolList
	if err := w.Cache.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("list node pools: %w", err)
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	sort.Strings(names)
	return names, nil
}
