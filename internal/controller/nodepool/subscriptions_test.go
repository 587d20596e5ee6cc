package nodepool_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// A subscription is warned of from a set time before its end, once, with both
// ways out; a renewal clears it, and a restart does not tell it anew.
func TestASubscriptionThatEndsIsWarnedOfOnce(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	b.settle(nil)
	ends := metav1.NewTime(b.clock.Now().Add(8 * 24 * time.Hour))
	i := b.instance("i-1", func(i *api.Instance) {
		ready(i)
		i.Status.ChargeType, i.Status.ExpiryTime = api.ChargeSubscription, &ends
	})
	events := func() (out []string) {
		for e := b.event(); e != ""; e = b.event() {
			if strings.Contains(e, "SubscriptionEnding") {
				out = append(out, e)
			}
		}
		return out
	}
	b.later()
	if c := condition(b.pool(), api.ConditionSubscriptionsEnding); c.Status != "" || len(events()) != 0 {
		t.Fatalf("8 days before its end: %+v", c)
	}
	b.clock.Pass(25 * time.Hour)
	b.later()
	c := condition(b.pool(), api.ConditionSubscriptionsEnding)
	b.says(c.Message, "i-1 ends at", "poolkeeper instance renew i-1 --period 1", "poolkeeper node remove i-1")
	b.says(b.pool().Status.Summary, "poolkeeper instance renew i-1")
	if told := events(); len(told) != 1 {
		t.Fatalf("told %d times: %q", len(told), told)
	}
	b.r = b.reconciler()
	b.later()
	if told := events(); len(told) != 0 {
		t.Fatalf("told again: %q", told)
	}
	b.get("i-1", i)
	renewed := metav1.NewTime(ends.Add(30 * 24 * time.Hour))
	i.Status.ExpiryTime = &renewed
	b.putStatus(i)
	b.later()
	if c := condition(b.pool(), api.ConditionSubscriptionsEnding); c.Status != "" {
		t.Fatalf("after a renewal: %+v", c)
	}
}
