package nodepool

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// mode is what a deletion, of the pool or of a definition, makes of the group.
type mode struct {
	// frozen stops everything; it says why.
	frozen string
	// emptying lets every instance go.
	emptying bool
	// blocked holds the deletion of the pool; it says why.
	blocked, reason string
}

// modeOf says whether the pool lives, is frozen, is emptied or holds out. Of a
// pool that is being deleted the definitions are read live: nothing may be
// released because a definition goes.
func (r *Reconciler) modeOf(ctx context.Context, p *passed) (mode, error) {
	going := !p.pool.DeletionTimestamp.IsZero()
	name, err := r.Definitions.Deleting(ctx, going)
	if err != nil {
		return mode{}, fmt.Errorf("look at the definitions of our kinds: %w", err)
	}
	if name != "" {
		m := mode{frozen: fmt.Sprintf("the definition %s is being deleted: nothing is created or released until it is there again", name)}
		if going {
			m.reason = api.ReasonDefinitionDeleted
			m.blocked = fmt.Sprintf("the definition %s is being deleted, which empties no pool; its instances go on running", name)
		}
		return m, nil
	}
	if !going {
		return mode{}, nil
	}
	protected := p.pool.Spec.DeletionProtection == nil || *p.pool.Spec.DeletionProtection
	if !protected {
		return mode{emptying: true}, nil
	}
	has, err := r.hasInstances(ctx, p)
	if err != nil {
		return mode{}, err
	}
	if !has && p.pool.Spec.ExpectedNodes == 0 {
		return mode{emptying: true}, nil
	}
	return mode{reason: api.ReasonProtected, blocked: fmt.Sprintf(
		"deletionProtection is on, and it has or expects instances; it keeps its number. To release them and end the deletion: kubectl patch nodepool %s --type=merge -p '{\"spec\":{\"deletionProtection\":false}}'",
		p.pool.Name)}, nil
}

// hasInstances is true where a protected pool has anything to lose. It is read
// live: an instance that the cache does not show yet is one too.
func (r *Reconciler) hasInstances(ctx context.Context, p *passed) (bool, error) {
	if p.group != nil && (p.group.Status.Uncertain > 0 || p.group.Status.Counted > 0 || p.group.Status.OpenActivity != "") {
		return true, nil
	}
	list, err := r.instances(ctx, r.Live, p.pool.Name)
	if err != nil {
		return false, err
	}
	for i := range list {
		if list[i].Status.LifecycleState != api.InstanceRemoved {
			return true, nil
		}
	}
	return false, nil
}

// instances lists the records of a pool. What the cache gives is shared and
// must not be changed.
func (r *Reconciler) instances(ctx context.Context, from client.Reader, pool string) ([]*api.Instance, error) {
	var list api.InstanceList
	if err := from.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list instances of %s: %w", pool, err)
	}
	var out []*api.Instance
	for i := range list.Items {
		if list.Items[i].Spec.Pool == pool {
			out = append(out, &list.Items[i])
		}
	}
	return out, nil
}

// CRDs are the definitions of our kinds as the API server has them.
type CRDs struct {
	// Cache holds the metadata of definitions; Live reads it anew.
	Cache, Live client.Reader
}

var _ Definitions = CRDs{}

// definitions are the names of the definitions of our kinds.
var definitions = []string{
	"clustertasks.poolkeeper.io", "instances.poolkeeper.io", "nodepools.poolkeeper.io",
	"scalingactivities.poolkeeper.io", "scalinggroups.poolkeeper.io",
}

// definition is an empty definition, as its metadata.
func definition() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{
		APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition",
	}}
}

// Deleting returns the first definition that is being deleted or is gone.
func (c CRDs) Deleting(ctx context.Context, live bool) (string, error) {
	from := c.Cache
	if live {
		from = c.Live
	}
	for _, name := range definitions {
		d := definition()
		err := from.Get(ctx, types.NamespacedName{Name: name}, d)
		if client.IgnoreNotFound(err) != nil {
			return "", fmt.Errorf("read definition %s: %w", name, err)
		}
		if err != nil || !d.DeletionTimestamp.IsZero() {
			return name, nil
		}
	}
	return "", nil
}
