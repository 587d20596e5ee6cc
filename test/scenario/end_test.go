package scenario

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// end leaves the region as the next transcript needs it: the local cloud as it
// was at first, no pool, no instance, no Node. That deleting a pool leaves
// nothing of it behind is itself one of the invariants.
func (s *story) end(t *testing.T) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	s.ours = map[string]bool{}
	list, err := s.learn(ctx, s.world)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		s.ours[i.Name] = i.Status.LifecycleState != v1alpha1.InstanceRemoved
	}
	for _, line := range []string{
		"poolkeeper local fault remove all",
		"echo '{}' >scenario.yaml && poolkeeper local scenario apply scenario.yaml",
		"kubectl delete deployments,statefulsets,daemonsets,jobs,poddisruptionbudgets,pods --all --force --grace-period=0 --wait=false -n default",
		`for p in $(kubectl get nodepools -o name); do kubectl patch $p --type=merge -p '{"spec":{"deletionProtection":false}}'; done`,
		"kubectl delete nodepools --all --wait=false",
	} {
		if out, err := s.shell(ctx, line); err != nil {
			t.Errorf("clear up: %s: %v\n%s", line, err, out)
		}
	}
	if err := s.empty(ctx, waitLimit); err != nil {
		t.Errorf("clear up: %v", err)
		s.tell(t)
		s.force(ctx, t)
	}
}

// force releases in the cloud what a deletion left, so that the next
// transcript does not suffer from this one's failure.
func (s *story) force(ctx context.Context, t *testing.T) {
	t.Helper()
	all, err := s.world.instances(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		_, _ = s.shell(ctx, "poolkeeper local instance release "+i.ID)
	}
	clear(s.ours)
	if err := s.empty(ctx, 20*time.Second); err != nil {
		t.Fatalf("clear up by force: %v", err)
	}
}

// empty waits until nothing is left. What a deletion keeps by rule, such as
// subscriptions, is released here as a person would in the cloud's console.
func (s *story) empty(ctx context.Context, limit time.Duration) error {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(limit); ; <-again.C {
		left, err := s.left(ctx)
		if err != nil || left == "" || time.Now().After(end) {
			if err == nil && left != "" {
				err = fmt.Errorf("after %s there is still %s", limit, left)
			}
			return err
		}
	}
}

func (s *story) left(ctx context.Context) (string, error) {
	now, err := s.sight(ctx)
	if err != nil {
		return "", err
	}
	if len(now.pools) > 0 {
		return fmt.Sprintf("pool %s", now.pools[0].Name), nil
	}
	for id, c := range now.cloud {
		if c.Tags[poolTag] == "" || c.Tags[clusterTag] != now.cluster || c.Charge == "PrePaid" {
			out, err := s.shell(ctx, "poolkeeper local instance release "+id)
			if err != nil && !strings.Contains(out, "there is none of this id") { // it went by itself meanwhile
				return "", fmt.Errorf("release %s: %w\n%s", id, err, out)
			}
		}
	}
	for id := range now.cloud {
		return "instance " + s.seen(id, s.dir) + " in the cloud", nil
	}
	for _, i := range now.instances {
		if i.Status.LifecycleState != v1alpha1.InstanceRemoved {
			return "record " + s.seen(i.Name, s.dir), nil
		}
	}
	for name, n := range now.nodes {
		if s.ours[name] {
			return "node " + s.seen(name, s.dir) + " of a pool that was deleted", nil
		}
		if err := s.kube.Delete(ctx, &n); client.IgnoreNotFound(err) != nil {
			return "", fmt.Errorf("delete node %s: %w", name, err)
		}
		return "node " + s.seen(name, s.dir), nil
	}
	return "", nil
}
