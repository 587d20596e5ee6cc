package nodepool_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// drains is the condition about the drain of a pool's nodes.
func (b *bench) drains() *metav1.Condition {
	return meta.FindStatusCondition(b.pool().Status.Conditions, api.ConditionDrainReady)
}

func drained(mode api.DrainMode) *api.NodePool {
	return aPool("web", func(p *api.NodePool) { p.Spec.Drain.Mode = mode })
}

// The role is looked for before the number is passed down, and never holds it.
func TestTheDrainRoleIsLookedForBeforeTheNumberChanges(t *testing.T) {
	missing := fault.New(fault.DrainRoleMissing, "")
	b := newBench(t, drained(api.DrainBestEffort))
	b.check.undrained = missing
	b.look()
	if g := b.group(); g.Spec.DesiredCapacity != 3 || g.Spec.Undrained != fault.DrainRoleNotThere {
		t.Fatalf("the group has %d, undrained %q", g.Spec.DesiredCapacity, g.Spec.Undrained)
	}
	b.later()
	c := b.drains()
	if c == nil || c.Status != metav1.ConditionFalse || c.Reason != api.ReasonDrainRoleMissing ||
		!strings.Contains(c.Message, string(fault.DrainRoleMissing)) || !strings.Contains(c.Message, "poolkeeper local role grant "+fault.DrainRole) {
		t.Fatalf("condition %+v", c)
	}
	asked := b.check.drains
	b.edit(func(p *api.NodePool) { p.Spec.ExpectedNodes, p.Generation = 5, 2 })
	b.look()
	if b.check.drains == asked || b.group().Spec.DesiredCapacity != 5 {
		t.Fatalf("asked %d times, then %d; the group has %d", asked, b.check.drains, b.group().Spec.DesiredCapacity)
	}
	b.check.undrained = nil
	b.clock.Pass(wait.Defaults().SettingsRetry)
	b.look()
	if g := b.group(); g.Spec.Undrained != "" {
		t.Fatalf("undrained %q after the grant", g.Spec.Undrained)
	}
}

// What our key may not read is said instead, and what could not be asked
// changes nothing.
func TestAnUnreadDrainRole(t *testing.T) {
	b := newBench(t, drained(api.DrainRequired))
	b.check.undrained, _ = fault.DrainRoleOf(false, fault.New(fault.NoPermission, "You are not authorized"))
	b.look()
	b.later()
	if c := b.drains(); c == nil || c.Reason != api.ReasonDrainRoleUnread || !strings.Contains(c.Message, "AliyunRAMReadOnlyAccess") ||
		strings.Contains(c.Message, "role grant") || !strings.Contains(c.Message, "scaling in waits") {
		t.Fatalf("condition %+v", c)
	}
	b.check.down = true
	b.clock.Pass(wait.Defaults().SettingsRetry)
	b.look()
	if c := b.drains(); c.Status != metav1.ConditionUnknown || b.group().Spec.Undrained != fault.DrainRoleNotRead {
		t.Fatalf("condition %+v, undrained %q", c, b.group().Spec.Undrained)
	}
}

// With the drain off nobody asks, and nothing is said.
func TestNoDrainNoRole(t *testing.T) {
	b := newBench(t, drained(api.DrainOff))
	b.check.undrained = fault.New(fault.DrainRoleMissing, "")
	b.look()
	b.later()
	if b.check.drains != 0 || b.drains() != nil || b.group().Spec.Undrained != "" {
		t.Fatalf("asked %d times; condition %+v", b.check.drains, b.drains())
	}
}

// Neither rest nor a restart asks again before it is time.
func TestTheDrainRoleIsNotAskedForAtRest(t *testing.T) {
	b := newBench(t, drained(api.DrainBestEffort))
	b.look()
	b.later()
	asked := b.check.drains
	b.r = b.reconciler()
	b.later()
	b.later()
	if b.check.drains != asked {
		t.Fatalf("asked %d times, then %d", asked, b.check.drains)
	}
}
