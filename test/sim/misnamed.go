package sim

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// providerOf is what the Node of an instance says where it runs.
func (w *world) providerOf(id string) string { return w.regionID + "." + id }

// misname lets one machine register under another name, or puts a Node that says
// to run elsewhere in the place of its own; a while later it is as it should be.
func (p *people) misname() {
	i, ok := p.one()
	if !ok || p.admin.Delete(background, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: i.ID}}) != nil {
		return
	}
	if p.random.IntN(2) == 0 {
		p.registerAs("other-"+i.ID, p.providerOf(i.ID))
	} else {
		p.registerAs(i.ID, p.providerOf("i-of-somebody"))
	}
	p.misnamed[i.ID] = true
	p.at(p.now.Add(p.trouble.upTo(20*time.Minute)), "", func() { p.nameRight(i.ID) })
}

// registerAs makes a Node that is Ready, whoever it is.
func (p *people) registerAs(name, provider string) {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{ProviderID: provider}}
	if err := p.admin.Create(background, n); err != nil {
		p.violate("people", "%v", err)
		return
	}
	p.note(true, "people: node %s registers, provider ID %s", name, provider)
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Kubelet", LastTransitionTime: metav1.NewTime(p.now)}}
	p.told("node "+name+" is ready", p.admin.Status().Update(background, n))
}

// nameRight ends it: Nodes that are not whom they say to be go, and the kubelet of
// the machine registers anew.
func (p *people) nameRight(id string) {
	if !p.misnamed[id] {
		return
	}
	delete(p.misnamed, id)
	_ = p.admin.Delete(background, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "other-" + id}})
	n := &corev1.Node{}
	if p.admin.Get(background, types.NamespacedName{Name: id}, n) == nil && n.Spec.ProviderID != p.providerOf(id) {
		_ = p.admin.Delete(background, n)
	}
	p.register(id, p.power[id])
}

// nodeChanges checks that nobody of ours touches a Node that is not the one of an
// instance by name and provider ID (I7), and notes whose own was there.
func (c *checker) nodeChanges(e apiserver.Event, n *corev1.Node) {
	own := n.Spec.ProviderID == c.providerOf(n.Name)
	if c.current != nil && !own {
		c.violate("I7", "Node %s is touched, which says that it is %s", n.Name, n.Spec.ProviderID)
	}
	if own && !e.Deleted {
		c.registered[n.Name] = true
	}
}

// joinsItself checks that an instance has joined only where its own Node was there
// (I12).
func (c *checker) joinsItself(old, i *api.Instance) {
	if i.Status.JoinedTime != nil && (old == nil || old.Status.JoinedTime == nil) && !c.registered[i.Name] {
		c.violate("I12", "%s is said to have joined, and its own Node never was there", i.Name)
	}
}
