package instance

import (
	"context"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
)

// others are the Nodes that carry a provider ID of the region and are not named
// after its instance. They are learnt from changes of Nodes; the first list
// counts as such. Nodes that are as they should be are not kept.
type others struct {
	mu       sync.RWMutex
	provider map[string]string   // by Node
	nodes    map[string][]string // by provider ID, in the order of their coming
}

// see takes in how a Node is now, or that it is gone.
func (o *others) see(region string, n *corev1.Node, gone bool) {
	id, ours := strings.CutPrefix(n.Spec.ProviderID, region+".")
	beside := ours && id != n.Name && !gone
	o.mu.Lock()
	defer o.mu.Unlock()
	before, known := o.provider[n.Name]
	if known == beside && before == n.Spec.ProviderID || !known && !beside {
		return
	}
	if known {
		delete(o.provider, n.Name)
		o.nodes[before] = slices.DeleteFunc(o.nodes[before], func(name string) bool { return name == n.Name })
		if len(o.nodes[before]) == 0 {
			delete(o.nodes, before)
		}
	}
	if !beside {
		return
	}
	if o.provider == nil {
		o.provider, o.nodes = map[string]string{}, map[string][]string{}
	}
	o.provider[n.Name] = n.Spec.ProviderID
	o.nodes[n.Spec.ProviderID] = append(o.nodes[n.Spec.ProviderID], n.Name)
}

// of is the first Node of another name with a provider ID; empty for none.
func (o *others) of(provider string) string {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if list := o.nodes[provider]; len(list) > 0 {
		return list[0]
	}
	return ""
}

// nodes remembers Nodes of another name, and has the instance looked at whose
// Node a changed one is, or says to be.
func (r *Reconciler) nodes() handler.EventHandler {
	named := r.gather(r.groupOfNode)
	beside := func(o client.Object, gone bool, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		n, ok := o.(*corev1.Node)
		if !ok {
			return
		}
		r.others.see(r.Region, n, gone)
		id, ours := strings.CutPrefix(n.Spec.ProviderID, r.Region+".")
		if !ours || id == n.Name {
			return
		}
		if g := r.groupOf(id); g != "" {
			r.groups.of(g).touch(id)
			q.AddAfter(reconcile.Request{NamespacedName: types.NamespacedName{Name: g}}, r.Waits.Gather)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			beside(e.Object, false, q)
			named.Create(ctx, e, q)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			beside(e.ObjectNew, false, q)
			named.Update(ctx, e, q)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			beside(e.Object, true, q)
			named.Delete(ctx, e, q)
		},
	}
}

// cordonedNode says that somebody else than we cordoned its Node; empty where not.
func cordonedNode(c *aCase) string {
	if n := c.facts.Node; !n.Cordoned || n.CordonedByUs || c.facts.Record.State == lifecycle.Removed {
		return ""
	}
	return "its Node is cordoned and takes no new pods (kubectl uncordon " + c.i.Name + " ends that)"
}

// otherNode names a Node of another name with its provider ID; empty for none.
func otherNode(c *aCase) string {
	if c.other == "" || c.facts.Record.State == lifecycle.Removed {
		return ""
	}
	return "Node " + c.other + " carries its provider ID under another name: it is not its Node, and is not touched (kubectl delete node " + c.other + " ends that)"
}

// says reports whether a condition is as a message wants it: gone where that is
// empty.
func says(st *api.InstanceStatus, kind, message string) bool {
	c := meta.FindStatusCondition(st.Conditions, kind)
	if c == nil || message == "" {
		return c == nil && message == ""
	}
	return c.Message == message
}

// say makes it so.
func (p *pass) say(c *aCase, st *api.InstanceStatus, kind, reason, message string) {
	if message == "" {
		meta.RemoveStatusCondition(&st.Conditions, kind)
		return
	}
	meta.SetStatusCondition(&st.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: reason, Message: clip(message, 500),
		ObservedGeneration: c.i.Generation, LastTransitionTime: metav1.Time{Time: p.now}})
}
