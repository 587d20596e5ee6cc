package nodepool

import (
	"cmp"
	"fmt"
	"sort"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// tally is what the instances of a pool are doing.
type tally struct {
	counts api.PoolCounts
	price  *api.Price
	// failed and offline name instances, in order.
	failed, offline []string
	// paid are subscriptions that failed to join: they are not replaced by
	// themselves.
	paid []string
	// stopped are those of the offline ones that do not run in the cloud.
	stopped []string
	// subscriptions are those that end, by instance.
	subscriptions map[string]time.Time
	// codes of failures to join, by how often.
	codes map[string]int
	// helps is what helps against a code in this case, where that is known.
	helps map[string]string
	// undrained are leaving instances that no task named and whose required drain
	// stopped at its limit; waiting is the first by name whose drain is blocked.
	undrained []*api.Instance
	// late are those that join late, at a step that is known.
	late    []*api.Instance
	waiting *api.Instance
	// held are those that a lifecycle hook holds on their way in or out, in
	// order.
	held []*api.Instance
	// activities that decided that instances go which are still there.
	activities map[string]bool
}

// count tells what the instances of a pool are doing. Counted is what
// activity.md 3 says: nobody decided that it goes, it is of known origin, and
// the entries of the pool are taken into account.
func count(p *passed, list []*api.Instance) tally {
	t := tally{codes: map[string]int{}, helps: map[string]string{}, activities: map[string]bool{}, subscriptions: map[string]time.Time{}}
	in, out := directions(p.pool.Spec.Transfers)
	bill := newBill()
	for _, i := range list {
		if i.Status.LifecycleState == api.InstanceRemoved {
			continue
		}
		bill.add(i)
		if i.Spec.CreationType == api.CreatedUnknown || !ofGroup(p.group, i) {
			continue
		}
		delete(in, i.Name)
		if i.Spec.Release == nil && !out[i.Name] {
			t.stays(i)
		} else {
			t.goes(i)
		}
	}
	t.counts.Instances += int32(len(in))
	t.counts.Joining += int32(len(in))
	if p.group != nil {
		t.counts.Uncertain = p.group.Status.Uncertain
	}
	sort.Strings(t.failed)
	sort.Strings(t.paid)
	sort.Strings(t.offline)
	sort.Strings(t.stopped)
	for _, list := range [][]*api.Instance{t.undrained, t.late, t.held} {
		sort.Slice(list, func(a, b int) bool { return list[a].Name < list[b].Name })
	}
	t.price = bill.price()
	return t
}

func ofGroup(g *api.ScalingGroup, i *api.Instance) bool {
	return g == nil || g.UID == "" || i.Spec.GroupUID == "" || i.Spec.GroupUID == string(g.UID)
}

func directions(list []api.Transfer) (in, out map[string]bool) {
	in, out = map[string]bool{}, map[string]bool{}
	for _, t := range list {
		if t.Direction == api.TransferIn {
			in[t.Instance] = true
		} else {
			out[t.Instance] = true
		}
	}
	return in, out
}

// stays adds an instance that is counted.
func (t *tally) stays(i *api.Instance) {
	c := &t.counts
	c.Instances++
	switch {
	case i.Spec.Standby:
		c.Standby++
	case i.Status.NodeState == api.NodeFailed, fault.OfHook(fault.Code(i.Status.Code)):
		t.fail(i)
	case i.Status.LifecycleState == api.InstanceStopped:
		c.Offline++
		t.offline, t.stopped = append(t.offline, i.Name), append(t.stopped, i.Name)
	case i.Status.LifecycleState == api.InstancePendingWait:
		c.Joining++
		c.PendingWait++
		t.held = append(t.held, i)
	case i.Status.NodeState == api.NodeReady:
		c.InService++
	case i.Status.JoinedTime != nil:
		c.Offline++
		t.offline = append(t.offline, i.Name)
	default:
		c.Joining++
		if view.JoinStep(i) != "" {
			t.late = append(t.late, i)
		}
	}
	if i.Spec.Protected {
		c.Protected++
	}
	if i.Status.ChargeType == api.ChargeSubscription {
		c.Subscription++
		if i.Status.NodeState == api.NodeFailed {
			t.paid = append(t.paid, i.Name)
		}
		if end := i.Status.ExpiryTime; end != nil {
			t.subscriptions[i.Name] = end.Time
		}
	}
	if i.Spec.CreationType == api.CreatedAttached {
		c.Attached++
	}
}

// goes adds an instance that somebody decided to let go. One that failed to
// join and is kept to look at is shown as failed.
func (t *tally) goes(i *api.Instance) {
	if m := i.Spec.Release; m != nil && m.NotBeforeTime != nil && i.Status.NodeState == api.NodeFailed && i.Status.ReleaseSentTime == nil {
		t.fail(i)
		return
	}
	t.counts.Removing++
	m := i.Spec.Release
	if m == nil {
		return
	}
	if m.Activity != "" {
		t.activities["activity "+m.Activity] = true
	}
	if len(view.Held(i)) > 0 {
		t.held = append(t.held, i)
	}
	draining := i.Status.DrainEndTime == nil && i.Status.ReleaseSentTime == nil
	switch {
	case draining && m.Task == "" && meta.IsStatusConditionTrue(i.Status.Conditions, api.ConditionDrainStopped):
		t.undrained = append(t.undrained, i)
	case draining && i.Status.DrainStartTime != nil && i.Status.DrainBlocked != "" && (t.waiting == nil || i.Name < t.waiting.Name):
		t.waiting = i
	}
}

func (t *tally) fail(i *api.Instance) {
	t.counts.Failed++
	t.failed = append(t.failed, i.Name)
	if i.Status.Code != "" {
		t.codes[i.Status.Code]++
		t.helps[i.Status.Code] = cmp.Or(t.helps[i.Status.Code], i.Status.Solution)
	}
}

// code is the code that most failures have; names break ties.
func (t *tally) code() string {
	best, most := "", 0
	for c, n := range t.codes {
		if n > most || n == most && c < best {
			best, most = c, n
		}
	}
	return best
}

// some names up to five of a list.
func some(names []string) string {
	out := ""
	for n, name := range names {
		if n == 5 {
			return out + fmt.Sprintf(" and %d more", len(names)-5)
		}
		if n > 0 {
			out += ", "
		}
		out += name
	}
	return out
}
