package controller

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/cloudtest"
	"github.com/poolkeeper/poolkeeper/internal/sweep"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// firstLife is a cluster that has just begun, over a cloud with an instance of
// another cluster ID and this pool's name.
func firstLife(t *testing.T, pool string) *Assembly {
	c := cloudtest.NewFake(cloudtest.Options{})
	c.Add(cloud.Instance{ID: "i-1", Tags: cloud.Origin{ClusterID: "old", Pool: pool, GroupUID: "g", Piece: -1}.Tags()})
	w := &Assembly{Parts: Parts{Settings: Settings{ClusterID: "new"}, Clients: fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "new"}})}}
	w.Sweeper = sweep.New(sweep.Options{Cloud: c, ClusterID: "new", Waits: wait.Defaults(), Now: time.Now})
	if err := w.Sweeper.Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	return w
}

// pools are the names of the cluster's node pools.
func pools(names ...string) func(context.Context) ([]string, error) {
	return func(context.Context) ([]string, error) { return names, nil }
}

func (w *Assembly) start(t *testing.T, asked string, anew bool) (string, bool, error) {
	t.Helper()
	id, written, err := clusterID(context.Background(), w.Clients, asked, anew)
	w.ClusterID, w.Written = id, written
	return id, written, err
}

func TestAnEarlierLifeOfTheClusterHoldsItsPoolOnly(t *testing.T) {
	w := firstLife(t, "web")
	if id, written, err := w.start(t, "", false); id != "new" || written || err != nil {
		t.Fatalf("starts as %s, written %v: %v", id, written, err)
	}
	why, err := w.anotherLife(t.Context(), "web", pools("db", "web"))
	if err != nil || !strings.Contains(why, "--cluster-id old") || !strings.Contains(why, "--new-cluster") {
		t.Fatalf("web: %q, %v", why, err)
	}
	if why, err = w.anotherLife(t.Context(), "db", pools("db", "web")); why != "" || err != nil {
		t.Fatalf("db: %q, %v", why, err)
	}
	if _, written, _ := w.start(t, "", false); written {
		t.Fatal("the ID was written down although a person has to decide")
	}
	if id, written, err := w.start(t, "old", false); id != "old" || !written || err != nil {
		t.Fatalf("taken over as %s: %v", id, err)
	}
	if why, err = w.anotherLife(t.Context(), "web", pools()); why != "" || err != nil {
		t.Fatalf("taken over, and yet: %q, %v", why, err)
	}
	if _, _, err = w.start(t, "new", false); err == nil || !strings.Contains(err.Error(), "--cluster-id old") {
		t.Fatalf("another ID than was written down: %v", err)
	}
}

func TestAClusterBeginsAnewOnAPersonsWord(t *testing.T) {
	w := firstLife(t, "web")
	if id, written, err := w.start(t, "", true); id != "new" || !written || err != nil {
		t.Fatalf("starts as %s, written %v: %v", id, written, err)
	}
	if id, written, err := w.start(t, "", false); id != "new" || !written || err != nil {
		t.Fatalf("starts again as %s, written %v: %v", id, written, err)
	}
}

func TestWithNothingLeftOfAnotherLifeTheIDIsWrittenDown(t *testing.T) {
	w := firstLife(t, "another-cluster's")
	_, _, _ = w.start(t, "", false)
	if why, err := w.anotherLife(t.Context(), "web", pools("web")); why != "" || err != nil {
		t.Fatalf("web: %q, %v", why, err)
	}
	if id, written, err := w.start(t, "", false); id != "new" || !written || err != nil {
		t.Fatalf("starts again as %s, written %v: %v", id, written, err)
	}
}

// Machines of a second installation come and go while nothing of ours changes.
func TestGroupsAreToldOfASecondInstallation(t *testing.T) {
	c := cloudtest.NewFake(cloudtest.Options{})
	w := &Assembly{Parts: Parts{Settings: Settings{ClusterID: "new"}}}
	w.Sweeper = sweep.New(sweep.Options{Cloud: c, ClusterID: "new", Waits: wait.Defaults(), Now: time.Now})
	add := func(id, cluster, pool string) {
		c.Add(cloud.Instance{ID: id, Tags: cloud.Origin{ClusterID: cluster, Pool: pool, GroupUID: "g", Piece: -1}.Tags()})
	}
	for _, step := range []struct {
		name string
		do   func()
		want []string
	}{
		{"nothing there", func() {}, nil},
		{"ours come", func() { add("i-1", "new", "web") }, nil},
		{"another's come", func() { add("i-2", "other", "web"); add("i-3", "other", "db") }, []string{"db", "web"}},
		{"as before", func() {}, nil},
		{"one more, after a group has read the picture", func() { add("i-4", "other", "web") }, []string{"web"}},
		{"all of a pool go", func() { c.Vanish("i-3") }, []string{"db"}},
	} {
		step.do()
		if err := w.Sweeper.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.tags.ofPool(w.Sweeper.Latest(), w.ClusterID, "web")
		if got := w.OthersChanged(); !slices.Equal(got, step.want) {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
	}
}
