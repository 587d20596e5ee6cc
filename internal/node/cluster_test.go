package node_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clientgo "k8s.io/client-go/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/internal/node"
)

// reader reads Nodes from the clientset, as a cache without lag would.
type reader struct{ c *fake.Clientset }

func (r reader) Get(ctx context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	n, err := r.c.CoreV1().Nodes().Get(ctx, key.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	n.DeepCopyInto(obj.(*corev1.Node))
	return nil
}

func (r reader) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("nodes are not listed")
}

func cluster(objs ...runtime.Object) (node.Cluster, *fake.Clientset) {
	c := fake.NewClientset(objs...)
	return node.Cluster{Cache: reader{c}, Clients: c}, c
}

func aNode(name string, change func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid-1"}}
	n.Spec.ProviderID = "cn-local." + name
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"}}
	if change != nil {
		change(n)
	}
	return n
}

func aPod(name string, change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	p.Spec.NodeName = "i-1"
	p.Status.Phase = corev1.PodRunning
	if change != nil {
		change(p)
	}
	return p
}

func TestFindMatchesNameAndProviderID(t *testing.T) {
	c, _ := cluster(aNode("i-1", nil))
	n, found, err := c.Find(t.Context(), "i-1", "cn-local.i-1")
	if err != nil || !found || !n.Ready || n.UID != "uid-1" {
		t.Fatalf("got %+v, %v, %v", n, found, err)
	}
	if _, found, err = c.Find(t.Context(), "i-2", "cn-local.i-2"); found || err != nil {
		t.Fatalf("a Node that is not there: %v, %v", found, err)
	}
	if _, found, err = c.Find(t.Context(), "i-1", "other.i-1"); found || err == nil {
		t.Fatalf("a Node of another provider ID was taken for the instance's")
	}
	c, _ = cluster(aNode("i-1", func(n *corev1.Node) { n.Spec.ProviderID = "" }))
	if _, found, err = c.Find(t.Context(), "i-1", "cn-local.i-1"); found || !errors.Is(err, node.ErrForeign) {
		t.Fatalf("a Node made by hand, without a provider ID, was taken for the instance's")
	}
}

func TestCordonIsTakenBackOnlyWhereItWasOurs(t *testing.T) {
	byPerson := aNode("i-2", func(n *corev1.Node) { n.Spec.Unschedulable = true })
	c, k := cluster(aNode("i-1", nil), byPerson)
	for _, name := range []string{"i-1", "i-2", "i-gone"} {
		if err := c.Cordon(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	n, _, err := c.Find(t.Context(), "i-1", "")
	if err != nil || !n.Unschedulable || !n.Cordoned {
		t.Fatalf("after cordon: %+v, %v", n, err)
	}
	for _, name := range []string{"i-1", "i-2", "i-gone"} {
		if err := c.Uncordon(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]bool{"i-1": false, "i-2": true}
	got := map[string]bool{}
	for name := range want {
		n, _, err := c.Find(t.Context(), name, "")
		if err != nil {
			t.Fatal(err)
		}
		got[name] = n.Unschedulable
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("unschedulable (-want +got):\n%s", d)
	}
	for _, a := range k.Actions() {
		if a.GetVerb() == "patch" && a.(clientgo.PatchAction).GetName() == "i-2" {
			t.Fatal("a person's cordon was written over")
		}
	}
}

func TestDrainPassChoosesPodsAndNamesWhatBlocks(t *testing.T) {
	yes := true
	daemon := aPod("daemon", func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "d", Controller: &yes}}
	})
	mirror := aPod("mirror", func(p *corev1.Pod) {
		p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
	})
	leaving := aPod("leaving", func(p *corev1.Pod) {
		now := metav1.Now()
		p.DeletionTimestamp, p.Finalizers = &now, []string{"test/hold"}
	})
	set := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "d"}}
	c, k := cluster(aNode("i-1", nil), set, aPod("web", nil), aPod("db", nil), daemon, mirror, leaving)
	var asked []string
	k.PrependReactor("create", "pods", func(a clientgo.Action) (bool, runtime.Object, error) {
		if a.GetSubresource() != "eviction" {
			return false, nil, nil
		}
		name := a.(clientgo.CreateAction).GetObject().(*policyv1.Eviction).Name
		asked = append(asked, name)
		if name != "db" {
			return true, nil, nil
		}
		err := apierrors.NewTooManyRequests("it would violate the budget", 0)
		err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause, Message: "The disruption budget db needs 2 healthy pods and has 2 currently"}}
		return true, nil, err
	})
	got, err := c.Drain(t.Context(), "i-1", 30*time.Minute, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want := node.Pass{Left: 3, Evicted: 1, Blocked: "pod default/db: The disruption budget db needs 2 healthy pods and has 2 currently; " +
		"pod default/leaving: told to end and not ended yet"}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("pass (-want +got):\n%s", d)
	}
	if len(asked) != 2 {
		t.Fatalf("evictions asked for: %v", asked)
	}
	if got.Drained() {
		t.Fatal("a node with pods is drained")
	}
}

// A pod that was granted to go and does not end is what the drain waits for.
func TestDrainNamesAPodThatDoesNotEnd(t *testing.T) {
	c, _ := cluster(aNode("i-1", nil), aPod("slow", func(p *corev1.Pod) {
		now := metav1.Now()
		p.DeletionTimestamp, p.Finalizers = &now, []string{"test/hold"}
	}))
	got, err := c.Drain(t.Context(), "i-1", 30*time.Minute, 5*time.Second)
	if err != nil || got.Left != 1 || !strings.Contains(got.Blocked, "pod default/slow") {
		t.Fatalf("got %+v, %v", got, err)
	}
}

// No pod gets a longer grace than the drain has left: one that is asked for is
// given less, one that is ending already is cut when the limit is near, and at
// the limit none is asked for.
func TestDrainCutsLongGraces(t *testing.T) {
	seconds := func(n int64) *int64 { return &n }
	ending := func(grace int64) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			now := metav1.Now()
			p.DeletionTimestamp, p.DeletionGracePeriodSeconds, p.Finalizers = &now, &grace, []string{"test/hold"}
		}
	}
	objs := []runtime.Object{
		aPod("long", func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = seconds(3600) }),
		aPod("short", func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = seconds(3) }),
		aPod("ending-long", ending(3600)), aPod("ending-soon", ending(1)),
	}
	for what, want := range map[string]map[string]int64{
		"100s": {"long": 90, "short": -1}, "11s": {"long": 1, "short": 1}, "9s": {"long": 1, "short": 1, "ending-long": 1}, "0s": {}, "-1m": {},
	} {
		left, err := time.ParseDuration(what)
		if err != nil {
			t.Fatal(err)
		}
		c, k := cluster(append([]runtime.Object{aNode("i-1", nil)}, objs...)...)
		got := map[string]int64{}
		k.PrependReactor("create", "pods", func(a clientgo.Action) (bool, runtime.Object, error) {
			e := a.(clientgo.CreateAction).GetObject().(*policyv1.Eviction)
			got[e.Name] = -1
			if e.DeleteOptions != nil && e.DeleteOptions.GracePeriodSeconds != nil {
				got[e.Name] = *e.DeleteOptions.GracePeriodSeconds
			}
			return true, nil, nil
		})
		pass, err := c.Drain(t.Context(), "i-1", left, 5*time.Second)
		if d := cmp.Diff(want, got); err != nil || d != "" || pass.Left != 4 {
			t.Errorf("%s before the limit, %+v, %v: graces (-want +got):\n%s", what, pass, err, d)
		}
	}
}

// What blocks names every budget, and some of its pods.
func TestDrainNamesPodsByTheirBudget(t *testing.T) {
	var objs []runtime.Object
	for _, name := range []string{"cart-1", "cart-2", "cart-3", "cart-4", "cart-5", "db-0"} {
		objs = append(objs, aPod(name, nil))
	}
	c, k := cluster(append(objs, aNode("i-1", nil))...)
	k.PrependReactor("create", "pods", func(a clientgo.Action) (bool, runtime.Object, error) {
		budget, _, _ := strings.Cut(a.(clientgo.CreateAction).GetObject().(*policyv1.Eviction).Name, "-")
		err := apierrors.NewTooManyRequests("it would violate the budget", 0)
		err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause, Message: "The disruption budget " + budget + " needs 1 healthy pods and has 1 currently"}}
		return true, nil, err
	})
	got, err := c.Drain(t.Context(), "i-1", time.Minute, time.Second)
	want := "pods default/cart-1, default/cart-2, default/cart-3 and 2 more: The disruption budget cart needs 1 healthy pods and has 1 currently; " +
		"pod default/db-0: The disruption budget db needs 1 healthy pods and has 1 currently"
	if err != nil || got.Blocked != want {
		t.Fatalf("%v, says:\n%s\nwant:\n%s", err, got.Blocked, want)
	}
}

func TestDrainOfAnEmptyNodeIsOver(t *testing.T) {
	other := aPod("elsewhere", func(p *corev1.Pod) { p.Spec.NodeName = "i-2" })
	c, k := cluster(aNode("i-1", nil), other)
	// The tracker does not know field selectors: do what the API server does.
	k.PrependReactor("list", "pods", func(a clientgo.Action) (bool, runtime.Object, error) {
		if sel := a.(clientgo.ListAction).GetListRestrictions().Fields.String(); sel != "spec.nodeName=i-1" {
			t.Errorf("pods are listed by %q", sel)
		}
		return true, &corev1.PodList{}, nil
	})
	p, err := c.Drain(t.Context(), "i-1", 30*time.Minute, 5*time.Second)
	if err != nil || !p.Drained() {
		t.Fatalf("got %+v, %v", p, err)
	}
}

func TestDeleteSparesALaterNodeOfTheName(t *testing.T) {
	c, k := cluster(aNode("i-1", nil))
	var uid string
	k.PrependReactor("delete", "nodes", func(a clientgo.Action) (bool, runtime.Object, error) {
		if p := a.(clientgo.DeleteActionImpl).DeleteOptions.Preconditions; p != nil && p.UID != nil {
			uid = string(*p.UID)
		}
		return false, nil, nil
	})
	n, _, _ := c.Find(t.Context(), "i-1", "")
	for range 2 {
		if err := c.Delete(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	if uid != "uid-1" {
		t.Fatalf("the delete names UID %q", uid)
	}
	if _, found, _ := c.Find(t.Context(), "i-1", ""); found {
		t.Fatal("the Node is still there")
	}
}

func TestTrimKeepsWhatFindNeeds(t *testing.T) {
	full := aNode("i-1", func(n *corev1.Node) {
		n.Spec.Unschedulable = true
		n.Annotations = map[string]string{"poolkeeper.io/cordoned": "true", "big": strings.Repeat("x", 1000)}
		n.Labels = map[string]string{"a": "b"}
		n.Status.Images = []corev1.ContainerImage{{Names: []string{"image"}}}
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeDiskPressure})
	})
	out, err := node.Trim(full)
	if err != nil {
		t.Fatal(err)
	}
	slim := out.(*corev1.Node)
	if d := cmp.Diff(node.From(full), node.From(slim)); d != "" {
		t.Fatalf("trimming changed what is known:\n%s", d)
	}
	if slim.Labels != nil || slim.Status.Images != nil || len(slim.Status.Conditions) != 1 || len(slim.Annotations) != 1 {
		t.Fatalf("not trimmed: %+v", slim)
	}
}

// Look asks the API server, whatever the cache shows.
func TestLookDoesNotAskTheCache(t *testing.T) {
	c, set := cluster(aNode("i-1", nil), aNode("i-2", func(n *corev1.Node) { n.Spec.ProviderID = "cn-local.i-9" }))
	c.Cache = reader{fake.NewClientset()}
	if _, there, err := c.Find(t.Context(), "i-1", "cn-local.i-1"); there || err != nil {
		t.Fatalf("the cache shows it: %v, %v", there, err)
	}
	if n, there, err := c.Look(t.Context(), "i-1", "cn-local.i-1"); !there || err != nil || n.UID != "uid-1" {
		t.Fatalf("not found: %+v, %v", n, err)
	}
	if _, there, err := c.Look(t.Context(), "i-2", "cn-local.i-2"); there || !errors.Is(err, node.ErrForeign) {
		t.Fatalf("another machine's: %v, %v", there, err)
	}
	if _, there, err := c.Look(t.Context(), "i-3", "cn-local.i-3"); there || err != nil {
		t.Fatalf("one that is not there: %v, %v", there, err)
	}
	for _, a := range set.Actions() {
		if l, ok := a.(clientgo.ListAction); !ok || l.GetListRestrictions().Fields.Empty() {
			t.Errorf("%s asks for more than one node", a.GetVerb())
		}
	}
}
