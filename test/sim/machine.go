package sim

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
)

// effects lets happen to machines what the region says.
func (w *world) effects() {
	for _, e := range w.region.Effects() {
		switch e.Kind {
		case region.Start:
			w.power[e.ID]++
			boot := e.Machine.Boot + time.Duration(w.random.Int64N(int64(30*time.Second)))
			if e.Machine.StopAtStep == "" {
				w.switchedOn(e.ID, boot)
			}
		case region.Stop, region.Release:
			w.power[e.ID]++
			life := w.power[e.ID]
			w.at(w.now.Add(40*time.Second), "", func() {
				if w.power[e.ID] == life {
					w.setReady(e.ID, false)
				}
			})
		}
	}
}

// switchedOn lets the join script of a machine run once it has booted.
func (w *world) switchedOn(id string, boot time.Duration) {
	life := w.power[id]
	w.at(w.now.Add(boot+w.trouble.lateJoin()), "", func() { w.joinScript(id, life) })
}

// register lets a machine that has a certificate become a Node once its record
// says that it belongs to a pool.
func (w *world) register(id string, life int) {
	if !w.lives(id, life) || !w.kubelet(id).certified {
		return
	}
	if i := w.record(id); i == nil || i.Status.LifecycleState == api.InstanceRemoved || i.Spec.CreationType == api.CreatedUnknown {
		w.at(w.now.Add(10*time.Second), "", func() { w.register(id, life) })
		return
	}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: id}, Spec: corev1.NodeSpec{ProviderID: w.providerOf(id)}}
	err := w.admin.Create(context.Background(), n)
	if err == nil {
		w.note(true, "node %s joins", id)
		w.addPod(id)
	} else if !apierrors.IsAlreadyExists(err) {
		w.violate("node", "%v", err)
	}
	w.setReady(id, true)
	w.watchNode(id, life)
}

// watchNode makes a machine register again whose Node somebody deleted: the
// kubelet does so when it is started anew, which people do now and then.
func (w *world) watchNode(id string, life int) {
	w.at(w.now.Add(5*time.Minute), "", func() {
		if !w.calm {
			w.register(id, life)
		}
	})
}

func (w *world) addPod(id string) {
	yes := true
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "app-" + id,
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "app", UID: "app", Controller: &yes}}},
		Spec: corev1.PodSpec{NodeName: id}}
	if err := w.admin.Create(context.Background(), pod); err != nil && !apierrors.IsAlreadyExists(err) {
		w.violate("pod", "%v", err)
	}
}

// setReady is what a kubelet says of itself.
func (w *world) setReady(id string, ready bool) {
	w.ready[id] = ready
	w.tellReady(id)
}

// tellReady writes whether a Node is Ready, where it is there: Unknown where its
// machine is cut off.
func (w *world) tellReady(id string) {
	n := &corev1.Node{}
	if w.admin.Get(context.Background(), types.NamespacedName{Name: id}, n) != nil {
		return
	}
	status := corev1.ConditionFalse
	switch {
	case w.now.Before(w.cut[id]):
		status = corev1.ConditionUnknown
	case w.ready[id]:
		status = corev1.ConditionTrue
	}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status, Reason: "Kubelet", LastTransitionTime: metav1.NewTime(w.now)}}
	if err := w.admin.Status().Update(context.Background(), n); err != nil {
		w.violate("node", "%v", err)
	}
}
