package kill

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// result is what came of one shot.
type result struct {
	shot
	hit  bool
	at   string        // the call that was hit
	took time.Duration // from the kill to a pool at rest
}

// Each step of the protocol is hit by a kill, and the pool ends as wished: as
// many instances in the cloud, records and Nodes as expected, the same ones,
// exactly as many created and released as the change of the number asked for.
func TestEachStep(t *testing.T) {
	r := startRegion(t)
	r.createPool(t)
	r.scaleAndSettle(t, low)
	r.protectOne(t)
	size := low
	var results []result
	t.Cleanup(func() { t.Log(table(results)) })
	for _, s := range shots() {
		want := map[way]int{out: high, in: low}[s.way]
		ok := t.Run(s.String(), func(t *testing.T) {
			if size == want {
				r.scaleAndSettle(t, low+high-want)
			}
			if s.setup != nil {
				if err := s.setup(r); err != nil {
					t.Fatal(err)
				}
			}
			size = want
			res := r.shoot(t, s, want)
			results = append(results, res)
			t.Log(res.row())
		})
		if !ok {
			r.recover(t, size)
		}
	}
	r.checkOrphans(t)
	r.checkProcesses(t)
}

// checkOrphans waits until the Secrets that no activity names are collected: an
// hour, divided by the factor, after they were written.
func (r *region) checkOrphans(t *testing.T) {
	t.Helper()
	left := until(t.Context(), time.Hour/20+patience, func(ctx context.Context) string {
		w, err := r.look(ctx)
		if err != nil {
			return err.Error()
		}
		return strings.Join(w.orphans(), ", ")
	})
	if left != "" {
		t.Errorf("Secrets that no activity names are left: %s", left)
	}
}

// shoot scales the pool, kills a process at the step, and checks what comes of
// it.
func (r *region) shoot(t *testing.T, s shot, want int) result {
	t.Helper()
	created, released := r.books.count()
	trap := &trap{match: s.match, nth: max(1, s.nth), after: s.after, process: r.victim(s.victim), sprung: make(chan struct{})}
	r.gate.set(trap)
	defer r.gate.set(nil)
	began := time.Now()
	if err := r.scale(t.Context(), int32(want)); err != nil {
		t.Fatal(err)
	}
	w, missing := r.rest(t.Context(), want, func() bool { return closed(trap.sprung) })
	res := result{shot: s, hit: closed(trap.sprung), took: time.Since(began)}
	switch {
	case !res.hit:
		t.Errorf("the step was not hit: %s", missing)
	case missing != "":
		res.at = trap.at
		t.Errorf("killed at %s; the pool did not come to rest within %s: %s", trap.at, patience, missing)
	default:
		res.at = trap.at
	}
	if missing != "" {
		t.Log(r.story(w))
		return res
	}
	for _, p := range r.wrong(w) {
		t.Error(p)
	}
	r.checkMoved(t, created, released, want)
	return res
}

// checkMoved compares what was created and released with the change.
func (r *region) checkMoved(t *testing.T, created, released, want int) {
	t.Helper()
	wantCreated, wantReleased := 0, 0
	if want == high {
		wantCreated = high - low
	} else {
		wantReleased = high - low
	}
	nowCreated, nowReleased := r.books.count()
	if got := nowCreated - created; got != wantCreated {
		t.Errorf("%d instances were created, want %d", got, wantCreated)
	}
	if got := nowReleased - released; got != wantReleased {
		t.Errorf("%d instances were named in release calls, want %d", got, wantReleased)
	}
}

func (r *region) victim(v victim) *program {
	return map[victim]*program{theController: r.controller, theCloud: r.cloud, thePlane: r.plane}[v]
}

// rest waits until the pool is at rest at n nodes and what else is asked for
// holds. A pool that is at rest for two sweeps while that does not hold ends
// the wait: it will not come any more.
func (r *region) rest(ctx context.Context, n int, also func() bool) (*world, string) {
	var w *world
	var calm time.Time
	missing := until(ctx, r.patience, func(ctx context.Context) string {
		next, err := r.look(ctx)
		if err != nil {
			return err.Error()
		}
		w = next
		if what := w.missing(n); what != "" {
			calm = time.Time{}
			return what
		}
		if also() || (!calm.IsZero() && time.Since(calm) > 8*time.Second) {
			return ""
		}
		if calm.IsZero() {
			calm = time.Now()
		}
		return "the pool is at rest"
	})
	return w, missing
}

func (r *region) scaleAndSettle(t *testing.T, n int) {
	t.Helper()
	if err := r.scale(t.Context(), int32(n)); err != nil {
		t.Fatal(err)
	}
	w, missing := r.rest(t.Context(), n, func() bool { return true })
	if missing != "" {
		t.Fatalf("the pool does not come to rest at %d nodes: %s\n%s", n, missing, r.story(w))
	}
}

// recover gives a pool that one step left broken more time, so that the steps
// after it can be tried too.
func (r *region) recover(t *testing.T, n int) {
	t.Helper()
	if w, missing := r.rest(t.Context(), n, func() bool { return true }); missing != "" {
		t.Fatalf("the pool stays broken, the steps after this one were not tried: %s\n%s", missing, r.story(w))
	}
}

// story is what the world looks like, and what the controller wrote last.
func (r *region) story(w *world) string {
	if w == nil {
		return r.plane.tail(20)
	}
	return w.describe() + "\n" + r.controller.tail(40)
}

// checkProcesses fails where a process ended though nobody killed it. A
// controller that finds no API server when it starts ends and is started again.
func (r *region) checkProcesses(t *testing.T) {
	t.Helper()
	for _, p := range []*program{r.plane, r.cloud} {
		if ended := p.ended(); len(ended) > 0 {
			t.Errorf("%s ended by itself: %v\n%s", p.name, ended, p.tail(20))
		}
	}
	if p := r.controller; strings.Contains(p.tail(1<<20), "panic: ") || strings.Contains(p.tail(1<<20), "Observed a panic") {
		t.Errorf("the controller panicked; see %s", p.log)
	}
}

// protectOne protects one instance, which no release call may ever name.
func (r *region) protectOne(t *testing.T) {
	t.Helper()
	w, err := r.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := &w.instances.Items[0]
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"protected":true}}`))
	if err := r.admin.Patch(t.Context(), i, patch); err != nil {
		t.Fatal(err)
	}
}

// runPods binds one pod to each Node. Machines of the local cloud run none, so
// the test ends them as a kubelet would.
func (r *region) runPods() error {
	ctx := context.Background()
	var nodes corev1.NodeList
	if err := r.admin.List(ctx, &nodes); err != nil {
		return err
	}
	for _, n := range nodes.Items {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", GenerateName: "pod-"},
			Spec: corev1.PodSpec{NodeName: n.Name, AutomountServiceAccountToken: ptr.To(false), Containers: []corev1.Container{{Name: "c", Image: "none"}}}}
		if err := r.admin.Create(ctx, pod); err != nil {
			return err
		}
	}
	return nil
}

// endPods ends pods that are to go.
func (r *region) endPods(ctx context.Context) error {
	var list corev1.PodList
	if err := r.admin.List(ctx, &list, client.InNamespace("default")); err != nil {
		return err
	}
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			continue
		}
		if err := client.IgnoreNotFound(r.admin.Delete(ctx, &list.Items[i], client.GracePeriodSeconds(0))); err != nil {
			return err
		}
	}
	return nil
}

// fillVPC puts a hundred instances of somebody else into the VPC, so that a
// sweep has two pages.
func (r *region) fillVPC() error {
	list, err := r.listCloud(context.Background())
	if err != nil || len(list) > 100 {
		return err
	}
	_, err = r.control(context.Background(), http.MethodPost, "instances", `{"count":100,"name":"foreign"}`)
	return err
}

// control uses the controls of the local cloud, past the proxy.
func (r *region) control(ctx context.Context, method, path, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.cloudURL+"/_local/"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(r.controlToken))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s %s", method, path, resp.Status, answer)
	}
	return answer, err
}

// heading of the rows that results print.
var heading = fmt.Sprintf("%-4s  %-50s  %-13s  %-6s  %-3s  %7s  %s", "RULE", "STEP", "KILLED", "WHEN", "HIT", "SECONDS", "CALL")

func (r result) row() string {
	side, hit := "before", "no"
	if r.after {
		side = "after"
	}
	if r.hit {
		hit = "yes"
	}
	return fmt.Sprintf("%-4s  %-50s  %-13s  %-6s  %-3s  %7.1f  %s", r.rule, r.name, r.victim, side, hit, r.took.Seconds(), r.at)
}

// table prints the results in the order of the steps.
func table(results []result) string {
	var b strings.Builder
	kills := map[victim]int{}
	hits := 0
	fmt.Fprintf(&b, "\n%s\n", heading)
	for _, s := range steps {
		for _, r := range results {
			if r.name == s.name {
				b.WriteString(r.row() + "\n")
			}
		}
	}
	for _, r := range results {
		if r.hit {
			hits++
			kills[r.victim]++
		}
	}
	fmt.Fprintf(&b, "%d of %d hit: controller killed %d times, local cloud %d, control plane %d\n", hits, len(results), kills[theController], kills[theCloud], kills[thePlane])
	return b.String()
}
