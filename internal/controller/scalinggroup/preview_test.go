package scalinggroup_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/view/preview"
)

// done is what a plan would do, or what was done: names that go and that are
// called back, and how many are created where.
type done struct {
	Release, CallBack []string
	Create            map[string]int
}

func promised(p preview.Plan) done {
	d := done{CallBack: slices.Sorted(slices.Values(p.CallBack)), Create: map[string]int{}}
	for _, l := range p.Release {
		d.Release = append(d.Release, l.Instance)
	}
	for _, c := range p.Candidates {
		if c.Amount > 0 {
			d.Create[c.VSwitch+"/"+c.InstanceType] += int(c.Amount)
		}
	}
	slices.Sort(d.Release)
	return d
}

// before shows what another number means, on the objects as they are.
func (b *bench) before(to int32) preview.Plan {
	b.Helper()
	g, p := b.group(), &api.NodePool{}
	p.Name, p.UID, p.Spec.ExpectedNodes = "web", "pool-uid", g.Spec.DesiredCapacity
	p.Status.Counts.Instances = g.Status.Counted
	w := preview.World{Pool: p, Group: g, Now: b.clock.Now()}
	w.Activities.Items, w.Instances.Items = b.activities(), b.instances()
	return preview.New(w, preview.Ask{To: to})
}

// execute lets the group reach a number, where the cloud gives all it is asked
// for, and tells what was done.
func (b *bench) execute(to int32) done {
	b.Helper()
	d, marked := done{Create: map[string]int{}}, map[string]bool{}
	for _, i := range b.instances() {
		marked[i.Name] = i.Spec.Release != nil
	}
	b.desired(to)
	for range 8 {
		b.later(time.Second)
		if b.open() == nil {
			continue
		}
		a := b.carryOut(func(c api.Candidate, n int) (int, fault.Code) {
			d.Create[c.VSwitch+"/"+c.InstanceType] += n
			return n, ""
		})
		for _, l := range a.Spec.Release {
			d.Release = append(d.Release, l.Instance)
		}
	}
	for _, i := range b.instances() {
		if marked[i.Name] && i.Spec.Release == nil {
			d.CallBack = append(d.CallBack, i.Name)
		}
	}
	slices.Sort(d.Release)
	slices.Sort(d.CallBack)
	return d
}

// drawGroup makes a group with a history: several activities at several times,
// short stock, machines that do not run, that people keep or want gone, and some
// that are on their way out.
func drawGroup(t *testing.T, rt *rapid.T) *bench {
	b := newBench(t, func(g *api.ScalingGroup) {
		g.Spec.ScalingPolicy.Type = rapid.SampledFrom([]api.ScalingPolicyType{api.PolicyPriority, api.PolicyDistributionBalancing, api.PolicyCostOptimization}).Draw(rt, "policy")
		g.Spec.InstanceTypes = []string{"ecs.g7.large", "ecs.c7.large"}[:rapid.IntRange(1, 2).Draw(rt, "types")]
	})
	b.look()
	for n := range rapid.IntRange(1, 3).Draw(rt, "rounds") {
		b.desired(rapid.Int32Range(0, 9).Draw(rt, "number"))
		for range 4 {
			b.later(time.Duration(rapid.IntRange(0, 2).Draw(rt, "seconds")) * time.Second)
			if b.open() != nil {
				b.carryOut(func(c api.Candidate, k int) (int, fault.Code) {
					if c.VSwitch == "vsw-a" && n == 0 && rapid.Bool().Draw(rt, "short") {
						return k / 2, fault.NoStock
					}
					return k, ""
				})
			}
		}
		if rapid.Bool().Draw(rt, "gone") {
			b.gone()
		}
		b.joins()
	}
	b.later(time.Duration(rapid.IntRange(2, 900).Draw(rt, "later")) * time.Second)
	for range 4 {
		if b.open() != nil {
			b.carryOut(all)
		}
		b.later(2 * time.Second)
	}
	return b
}

// moveWorld changes something that a plan may depend on.
func (b *bench) moveWorld(rt *rapid.T) {
	list := b.instances()
	if len(list) == 0 {
		return
	}
	i := &list[rapid.IntRange(0, len(list)-1).Draw(rt, "which")]
	switch rapid.SampledFrom([]string{"protect", "first", "standby", "stopped", "subscription", "stock"}).Draw(rt, "move") {
	case "protect":
		i.Spec.Protected = true
	case "first":
		i.Spec.ReleaseFirst = true
	case "standby":
		i.Spec.Standby = true
	case "stopped":
		i.Status.CloudStatus = "Stopped"
	case "subscription":
		i.Status.ChargeType = api.ChargeSubscription
	case "stock":
		b.market.stock["vsw-a"] = "WithoutStock"
		b.later(20 * time.Minute)
		return
	}
	st := i.Status
	if err := b.Update(b.Context(), i); err != nil {
		b.Fatal(err)
	}
	i.Status = st
	b.putStatus(i)
}

// What a preview promises is what is done where the cloud gives what it is asked
// for; and a plan that has another name than before does something else, or for
// other reasons, while one with the same name does the same.
func TestAPreviewIsWhatIsDone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := drawGroup(t, rt)
		to := rapid.Int32Range(0, 12).Draw(rt, "to")
		first := b.before(to)
		for range rapid.IntRange(0, 3).Draw(rt, "moves") {
			b.moveWorld(rt)
		}
		b.look()
		if b.open() != nil {
			b.carryOut(all)
			b.later(2 * time.Second)
		}
		now := b.before(to)
		if d := cmp.Diff(promised(first), promised(now), cmpopts.EquateEmpty()); (d != "") && first.Hash == now.Hash {
			rt.Fatalf("one name for two plans:\n%s%s%s", first.Text(), now.Text(), d)
		}
		if d := cmp.Diff(promised(now), b.execute(to), cmpopts.EquateEmpty()); d != "" {
			rt.Fatalf("promised and done (-want +got):\n%s%s%s", now.Text(), d, b.told())
		}
	})
}

// told lists a group's instances, for whoever reads a failure.
func (b *bench) told() string {
	text := fmt.Sprintf("%+v\n", b.group().Status.Why)
	for _, i := range b.instances() {
		text += fmt.Sprintf("%s %s %s piece %d, created %s, marked %v\n", i.Name, i.Spec.Placement.VSwitch, i.Spec.Activity, i.Spec.Piece,
			i.CreationTimestamp.Format(time.TimeOnly), i.Spec.Release != nil)
	}
	return text
}
