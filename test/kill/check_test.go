package kill

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// world is everything at one moment: the pool, its records, its Nodes and what
// the cloud itself says, invisible instances included.
type world struct {
	pool       api.NodePool
	group      api.ScalingGroup
	activities api.ScalingActivityList
	instances  api.InstanceList
	tasks      api.ClusterTaskList
	nodes      corev1.NodeList
	secrets    corev1.SecretList
	ours       []shown // with our tags
	foreign    []shown
}

// shown is one instance as the controls of the cloud list it.
type shown struct {
	ID, Status string
	Tags       map[string]string
}

// look reads the world. The cloud is read last, so that nothing it has is
// younger than a record of it.
func (r *region) look(ctx context.Context) (*world, error) {
	w := &world{}
	if err := r.endPods(ctx); err != nil {
		return nil, err
	}
	if err := r.admin.Get(ctx, types.NamespacedName{Name: poolName}, &w.pool); err != nil {
		return nil, err
	}
	if err := r.admin.Get(ctx, types.NamespacedName{Name: poolName}, &w.group); err != nil {
		return nil, err
	}
	for _, list := range []client.ObjectList{&w.activities, &w.instances, &w.tasks, &w.nodes} {
		if err := r.admin.List(ctx, list); err != nil {
			return nil, err
		}
	}
	if err := r.admin.List(ctx, &w.secrets, client.InNamespace(api.SystemNamespace), client.HasLabels{api.LabelActivity}); err != nil {
		return nil, err
	}
	list, err := r.listCloud(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, i := range list {
		if i.Tags[api.LabelPool] == poolName {
			w.ours = append(w.ours, i)
			ids = append(ids, i.ID)
		} else {
			w.foreign = append(w.foreign, i)
		}
	}
	r.books.show(ids)
	return w, nil
}

func (r *region) listCloud(ctx context.Context) ([]shown, error) {
	body, err := r.control(ctx, http.MethodGet, "instances", "")
	if err != nil {
		return nil, err
	}
	var list []shown
	return list, json.Unmarshal(body, &list)
}

// missing says what stands between the world and n nodes at rest; empty when
// nothing does.
func (w *world) missing(n int) string {
	for _, what := range []string{w.notCounted(n), w.notJoined(), w.notEnded(), w.notSaid(n)} {
		if what != "" {
			return what
		}
	}
	return ""
}

func (w *world) notCounted(n int) string {
	switch {
	case int(w.pool.Spec.ExpectedNodes) != n:
		return fmt.Sprintf("the pool expects %d nodes, not %d", w.pool.Spec.ExpectedNodes, n)
	case len(w.ours) != n:
		return fmt.Sprintf("%d instances in the cloud, want %d", len(w.ours), n)
	case len(w.instances.Items) != n:
		return fmt.Sprintf("%d records, want %d", len(w.instances.Items), n)
	case len(w.nodes.Items) != n:
		return fmt.Sprintf("%d Nodes, want %d", len(w.nodes.Items), n)
	}
	return ""
}

func (w *world) notJoined() string {
	for _, i := range w.instances.Items {
		s := i.Status.LifecycleState
		if (s != api.InstanceInService && s != api.InstanceProtected) || i.Status.NodeState != api.NodeReady || i.Spec.Release != nil || i.DeletionTimestamp != nil {
			return fmt.Sprintf("instance %s is %s, its node %s", i.Name, s, i.Status.NodeState)
		}
	}
	for _, n := range w.nodes.Items {
		ready := slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		})
		if !ready || n.Spec.Unschedulable {
			return fmt.Sprintf("node %s: ready %v, cordoned %v", n.Name, ready, n.Spec.Unschedulable)
		}
	}
	return ""
}

func (w *world) notEnded() string {
	for _, a := range w.activities.Items {
		if !a.Status.Done {
			return "activity " + a.Name + " is open"
		}
		for n, p := range a.Status.Pieces {
			if p.State != api.PieceResolved {
				return fmt.Sprintf("piece %d of activity %s is %s", n, a.Name, p.State)
			}
		}
	}
	for _, t := range w.tasks.Items {
		overtaken := t.Spec.PoolGeneration < w.pool.Generation && t.Status.State == api.TaskCanceled
		if t.Status.State != api.TaskSuccess && !overtaken {
			return fmt.Sprintf("task %s (%s) is %s", t.Name, t.Spec.Title, t.Status.State)
		}
	}
	named := w.named()
	for _, s := range w.secrets.Items {
		if named[s.Name] {
			return "the Secret " + s.Name + " of a finished activity is left"
		}
	}
	return ""
}

// named are the Secrets that an activity names.
func (w *world) named() map[string]bool {
	out := map[string]bool{}
	for _, a := range w.activities.Items {
		if a.Spec.Requests != nil {
			out[a.Spec.Requests.Secret] = true
		}
	}
	return out
}

// orphans are Secrets with requests that no activity names, which a kill right
// after their creation leaves. They go after a while (rule 9).
func (w *world) orphans() []string {
	var out []string
	named := w.named()
	for _, s := range w.secrets.Items {
		if !named[s.Name] {
			out = append(out, s.Name)
		}
	}
	return out
}

func (w *world) notSaid(n int) string {
	s := w.pool.Status
	if s.ObservedGeneration != w.pool.Generation || int(s.Nodes) != n || s.State != api.PoolActive || s.Counts.Uncertain != 0 {
		return fmt.Sprintf("the pool says: %s, %d nodes, %q", s.State, s.Nodes, s.Summary)
	}
	if g := w.group.Status; g.ObservedGeneration != w.group.Generation || int(g.Counted) != n || g.OpenActivity != "" {
		return fmt.Sprintf("the group says: %d counted, open activity %q, %q", g.Counted, g.OpenActivity, g.Summary)
	}
	return ""
}

// wrong are the rules that the world breaks though it is at rest.
func (r *region) wrong(w *world) []string {
	out := r.books.problems()
	records, nodes := map[string]bool{}, map[string]bool{}
	for _, i := range w.instances.Items {
		records[i.Name] = true
		if i.Spec.Protected && r.books.wasReleased(i.Name) {
			out = append(out, "a release call named the protected instance "+i.Name)
		}
		if i.Spec.CreationType != api.CreatedByUs {
			out = append(out, fmt.Sprintf("instance %s is recorded as %s", i.Name, i.Spec.CreationType))
		}
	}
	for _, n := range w.nodes.Items {
		nodes[n.Name] = true
	}
	for _, i := range w.ours {
		if !records[i.ID] || !nodes[i.ID] {
			out = append(out, fmt.Sprintf("instance %s of the cloud: recorded %v, joined %v", i.ID, records[i.ID], nodes[i.ID]))
		}
	}
	for _, i := range w.foreign {
		if r.books.wasReleased(i.ID) {
			out = append(out, "a release call named the foreign instance "+i.ID)
		}
	}
	return append(out, w.pieces()...)
}

// pieces compares what each piece holds with what it asked for.
func (w *world) pieces() []string {
	var out []string
	held := map[string]string{}
	for _, a := range w.activities.Items {
		for n, p := range a.Status.Pieces {
			if len(p.Instances) > int(p.Amount) {
				out = append(out, fmt.Sprintf("piece %d of %s asked for %d and holds %d", n, a.Name, p.Amount, len(p.Instances)))
			}
			for _, id := range p.Instances {
				if other := held[id]; other != "" {
					out = append(out, fmt.Sprintf("instance %s stands in %s and in %s", id, other, a.Name))
				}
				held[id] = a.Name
			}
		}
	}
	return out
}

// describe is what a person who looks for the cause reads first.
func (w *world) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "pool: %s %q; group: %q open %q\n", w.pool.Status.State, w.pool.Status.Summary, w.group.Status.Summary, w.group.Status.OpenActivity)
	for _, a := range w.activities.Items {
		if n := len(w.activities.Items); a.Spec.Number <= int64(n-3) && a.Status.Done {
			continue
		}
		fmt.Fprintf(&b, "activity %s: create %d release %d, %s done %v, marked %d, left out %v", a.Name, a.Spec.Create, len(a.Spec.Release), a.Status.State, a.Status.Done, len(a.Status.Marked), a.Status.LeftOut)
		for n, p := range a.Status.Pieces {
			fmt.Fprintf(&b, "; piece %d: %d asked, %s, %d sends, %v %s", n, p.Amount, p.State, p.Sends, p.Instances, p.Message)
		}
		b.WriteString("\n")
	}
	for _, i := range w.instances.Items {
		fmt.Fprintf(&b, "instance %s: %s, node %s, %q, finalizers %v, deleting %v, release sent %v\n", i.Name, i.Status.LifecycleState, i.Status.NodeState, i.Status.Summary, i.Finalizers, i.DeletionTimestamp != nil, i.Status.ReleaseSentTime)
	}
	for _, i := range w.ours {
		fmt.Fprintf(&b, "cloud %s: %s\n", i.ID, i.Status)
	}
	return b.String()
}
