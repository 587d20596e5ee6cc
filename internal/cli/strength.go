package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/view"
	"github.com/poolkeeper/poolkeeper/internal/view/preview"
)

const strengthHelp = `Show the outlook of each instance type in each vSwitch of a pool, as the controller
last read it from the cloud, with refusals that are still remembered. A resource
pool scores 3 in stock, 1 where stock is low or not known, else 0; the pool is Weak
at 0, Strong where two zones score, Medium otherwise.

--refresh asks the cloud now, with your own credentials (ALIBABA_CLOUD_*, as
` + "`poolkeeper local env`" + ` gives them), and looks for vSwitches that would help.`

func (a *app) strengthCommand() *cobra.Command {
	var refresh bool
	get := &cobra.Command{
		Use: "get POOL", Short: "Show the outlook of each instance type in each vSwitch of a pool", Args: oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		Long:    strengthHelp,
		Example: "  poolkeeper strength get demo\n  poolkeeper strength get demo --refresh\n  poolkeeper strength get demo -o json",
		RunE:    a.run(func(c *call, args []string) error { return c.strength(args[0], refresh) }),
	}
	get.Flags().BoolVar(&refresh, "refresh", false, "ask the cloud now, with your own credentials")
	return Noun("strength", "Elastic strength: what the cloud could give a pool", get)
}

func (c *call) strength(pool string, refresh bool) error {
	p, err := c.getPool(pool)
	if err != nil {
		return err
	}
	g, err := c.groupOf(p)
	if err != nil {
		return err
	}
	if g == nil {
		return &Error{Code: ExitNotFound, What: "the strength of " + p.Name + " is not known yet", Cause: "the pool has no scaling group yet", Next: []string{fmt.Sprintf("`poolkeeper why %s`", p.Name)}}
	}
	var others []v1alpha1.ResourcePoolStatus
	if refresh {
		if others, err = c.refresh(g); err != nil {
			return err
		}
	}
	v := preview.Strength(g, c.clock)
	v.Help = view.StrengthHelp(v, others)
	age := "never checked"
	if v.AsOf.Cloud != nil {
		age = "checked " + c.clock.Age(*v.AsOf.Cloud) + " ago"
	}
	text := fmt.Sprintf("%s: %s, score %d, %s\n", p.Name, v.Word, v.Score, age) + v.Text(view.Style{Wide: c.flags.output == "wide", Color: c.color})
	if err := c.emit(result{views: []any{v}, raws: []client.Object{g}, text: text}); err != nil {
		return err
	}
	if !refresh && (v.Word == "Weak" || v.AsOf.Cloud == nil) {
		c.hint("Ask the cloud now: poolkeeper strength get %s --refresh", p.Name)
	}
	return nil
}

// refresh puts what the cloud says now into a group as it was read, and returns
// what other vSwitches of the cloud could give.
func (c *call) refresh(g *v1alpha1.ScalingGroup) ([]v1alpha1.ResourcePoolStatus, error) {
	m, err := c.market()
	if err != nil {
		return nil, err
	}
	s := &g.Spec.LaunchSettings
	all, err := m.VSwitches(c.ctx)
	if err != nil {
		return nil, cloudError(err, "the outlook was not refreshed")
	}
	known, others := map[string]bool{}, []string{}
	for _, id := range s.VSwitches {
		known[id] = true
	}
	for _, v := range all {
		if !known[v.ID] {
			others = append(others, v.ID)
		}
	}
	if g.Status.ResourcePools, err = c.pools(m, s, s.VSwitches, g.Status.ResourcePools); err != nil || len(others) == 0 {
		return nil, err
	}
	return c.pools(m, s, others, nil)
}

// pools asks the cloud for the outlook of resource pools, in the order of those
// known already.
func (c *call) pools(m Market, s *v1alpha1.LaunchSettings, vSwitches []string, before []v1alpha1.ResourcePoolStatus) ([]v1alpha1.ResourcePoolStatus, error) {
	list, err := m.ResourcePools(c.ctx, vSwitches, s.InstanceTypes, chargesOf(s)...)
	if err != nil {
		return nil, cloudError(err, "the outlook was not refreshed")
	}
	fit, err := m.Fits(c.ctx, s.ImageID, disksOf(s), s.InstanceTypes...)
	if err != nil {
		return nil, cloudError(err, "the outlook was not refreshed")
	}
	var out []v1alpha1.ResourcePoolStatus
	for _, p := range list {
		st := v1alpha1.ResourcePoolStatus{
			VSwitch: p.VSwitch, Zone: p.Zone, InstanceType: p.InstanceType, ChargeType: v1alpha1.ChargeType(p.ChargeType), Stock: string(p.Stock),
			VCPU: int32(p.VCPU), MemoryMiB: p.MemoryMiB, FreeAddresses: int32(p.FreeAddresses), CheckedTime: &metav1.Time{Time: c.Now()},
		}
		if p.Price.Known() {
			st.PricePerHour, st.Currency = p.Price.Decimal(), p.Price.Currency
		}
		if p.Constraint != nil {
			st.Constraint = string(p.Constraint.Code)
		} else if miss := fit.Of(p.InstanceType, p.Zone); miss != nil {
			st.Constraint = string(miss.Fault.Code)
		}
		out = append(out, st)
	}
	view.SortLike(out, before)
	return out, nil
}

// chargesOf are the charge types that a pool asks for.
func chargesOf(s *v1alpha1.LaunchSettings) []cloud.ChargeType {
	switch c := cloud.ChargeType(s.Billing.ChargeType); c {
	case "":
		return []cloud.ChargeType{cloud.PayAsYouGo}
	case cloud.Spot:
		return []cloud.ChargeType{cloud.Spot, cloud.PayAsYouGo}
	default:
		return []cloud.ChargeType{c}
	}
}

// disksOf are the disks of a machine.
func disksOf(s *v1alpha1.LaunchSettings) []cloud.Disk {
	var out []cloud.Disk
	for _, d := range append([]v1alpha1.Disk{s.SystemDisk}, s.DataDisks...) {
		out = append(out, cloud.Disk{Category: d.Category, SizeGiB: int(d.SizeGiB), PerformanceLevel: d.PerformanceLevel, Encrypted: d.Encrypted, KMSKeyID: d.KMSKeyID})
	}
	return out
}
