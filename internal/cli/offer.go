package cli

import (
	"cmp"
	"fmt"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/internal/cli/near"
	"github.com/poolkeeper/poolkeeper/internal/cli/reply"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

const offerHelp = `List what the cloud sells, asked with your own credentials (ALIBABA_CLOUD_*, as
` + "`poolkeeper local env`" + ` gives them).

Without flags all instance types with vCPU and memory. With --type or --zone also
where each is in stock and what it costs per hour, pay-as-you-go; a type may be
shortened (ecs.g7). --image and --disk tell of each type whether it goes together
with them. --images lists images with OS, architecture and boot mode instead.`

// offerFlags choose among what the cloud sells.
type offerFlags struct {
	zone, typ, disk, image string
	images                 bool
}

func (a *app) offerCommand() *cobra.Command {
	var f offerFlags
	list := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List what the cloud sells, with stock and prices", Long: offerHelp, Args: noArgs,
		Example: "  poolkeeper offer list\n  poolkeeper offer list --type ecs.g7 --zone cn-hangzhou-h\n  poolkeeper offer list --type ecs.g7.xlarge --image aliyun_3_x64_20G.vhd --disk cloud_essd\n  poolkeeper offer list --images",
		RunE: a.alone(func(c *call, _ []string) error {
			m, err := c.market()
			if err != nil {
				return err
			}
			if f.images {
				return c.images(m)
			}
			return c.offers(m, f)
		}),
	}
	fl := list.Flags()
	fl.StringVar(&f.zone, "zone", "", "only what is sold in this `zone`")
	fl.StringVar(&f.typ, "type", "", "only this `type`, or those that begin so")
	fl.StringVar(&f.disk, "disk", "", "whether it takes disks of this `category`, such as cloud_essd")
	fl.StringVar(&f.image, "image", "", "whether it starts this `image`")
	fl.BoolVar(&f.images, "images", false, "list images instead")
	cmd := Noun("offer", "What the cloud sells, with stock and prices", list)
	cmd.Aliases = []string{"offers"}
	return cmd
}

func (c *call) images(m Market) error {
	all, err := m.Images(c.ctx)
	if err != nil {
		return cloudError(err, "the images were not listed")
	}
	r := result{list: true}
	var rows []view.Image
	for _, i := range all {
		v := view.Image{ID: i.ID, Name: i.Name, OS: i.OS, Architecture: i.Architecture, BootMode: i.BootMode, Trusted: i.Trusted}
		rows, r.views, r.names = append(rows, v), append(r.views, v), append(r.names, v.ID)
	}
	r.table = view.ImageTable(rows)
	return c.emit(r)
}

// mostSold is for how many types stock and price are asked at once. Unit:
// instance types.
const mostSold = 60

func (c *call) offers(m Market, f offerFlags) error {
	types, err := c.typesLike(m, f.typ)
	if err != nil {
		return err
	}
	list := make([]view.Offer, 0, len(types))
	for _, t := range types {
		list = append(list, view.Offer{InstanceType: t.Name, Family: t.Family, VCPU: t.VCPU, MemoryMiB: t.MemoryMiB, GPUs: t.GPUs, Architecture: t.Architecture})
	}
	if f.typ != "" || f.zone != "" || f.disk != "" || f.image != "" {
		if len(types) > mostSold {
			return badInput("nothing was asked", fmt.Sprintf("%d instance types match, and stock and price are asked for at most %d at once", len(types), mostSold),
				"name a family: `poolkeeper offer list --type ecs.g7`")
		}
		if list, err = c.sold(m, list, f); err != nil {
			return err
		}
	}
	r := result{list: true, table: view.OfferTable(list)}
	for _, o := range list {
		r.views, r.names = append(r.views, o), append(r.names, o.InstanceType)
	}
	if err := c.emit(r); err != nil {
		return err
	}
	if len(list) > 0 && list[0].Zone == "" {
		c.hint("Stock and prices: poolkeeper offer list --type %s", list[0].InstanceType)
	}
	return nil
}

// typesLike are the instance types that begin with a text, by name.
func (c *call) typesLike(m Market, begin string) ([]cloud.InstanceType, error) {
	all, err := m.InstanceTypes(c.ctx)
	if err != nil {
		return nil, cloudError(err, "the offers were not listed")
	}
	var some []cloud.InstanceType
	var names []string
	for _, t := range all {
		names = append(names, t.Name)
		if t.Name == begin {
			return []cloud.InstanceType{t}, nil
		}
		if strings.HasPrefix(t.Name, begin) {
			some = append(some, t)
		}
	}
	sort.Slice(some, func(i, j int) bool { return some[i].Name < some[j].Name })
	if len(some) > 0 {
		return some, nil
	}
	return nil, reply.NotSold("instance type", begin, names, "poolkeeper offer list --type")
}

// sold tells zone by zone where types are in stock and what they cost.
func (c *call) sold(m Market, types []view.Offer, f offerFlags) ([]view.Offer, error) {
	vSwitches, err := c.onePerZone(m, f.zone)
	if err != nil {
		return nil, err
	}
	byName := map[string]view.Offer{}
	var names []string
	for _, t := range types {
		byName[t.InstanceType], names = t, append(names, t.InstanceType)
	}
	fits, err := c.fits(m, types, f)
	if err != nil {
		return nil, err
	}
	pools, err := m.ResourcePools(c.ctx, vSwitches, names)
	if err != nil {
		return nil, cloudError(err, "the offers were not listed")
	}
	var out []view.Offer
	for _, p := range pools {
		o := byName[p.InstanceType]
		o.Zone, o.Stock, o.Word = p.Zone, string(p.Stock), view.StockWord(string(p.Stock))
		if p.Price.Known() {
			o.Price = &view.Price{Currency: p.Price.Currency, PerHour: view.Money(p.Price.Decimal())}
		}
		if miss := fits[o.InstanceType].Of(o.InstanceType, o.Zone); miss != nil {
			o.Code, o.Word = string(miss.Fault.Code), "Does not fit: "+miss.Fault.Entry().Cause
		}
		out = append(out, o)
	}
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].InstanceType != out[j].InstanceType {
			return out[i].InstanceType < out[j].InstanceType
		}
		return out[i].Zone < out[j].Zone
	})
	return out, nil
}

// onePerZone is one vSwitch in each zone: the cloud is asked by them.
func (c *call) onePerZone(m Market, zone string) ([]string, error) {
	all, err := m.VSwitches(c.ctx)
	if err != nil {
		return nil, cloudError(err, "the offers were not listed")
	}
	var ids, zones []string
	seen := map[string]bool{}
	for _, v := range all {
		if !seen[v.Zone] {
			seen[v.Zone] = true
			zones = append(zones, v.Zone)
			if zone == "" || zone == v.Zone {
				ids = append(ids, v.ID)
			}
		}
	}
	if len(ids) > 0 {
		return ids, nil
	}
	sort.Strings(zones)
	e := &Error{Code: ExitNotFound, What: fmt.Sprintf("no vSwitch is in zone %q", zone), Cause: "vSwitches are in " + strings.Join(zones, ", ")}
	if meant := near.To(zone, zones); meant != "" {
		e.Next = []string{fmt.Sprintf("did you mean --zone %s?", meant)}
	}
	return nil, e
}

// fits tells of each type what goes together with image and disk.
func (c *call) fits(m Market, types []view.Offer, f offerFlags) (map[string]cloud.Fit, error) {
	if f.image == "" && f.disk == "" {
		return nil, nil
	}
	var disks []cloud.Disk
	if f.disk != "" {
		disks = []cloud.Disk{{Category: f.disk, SizeGiB: 40}}
	}
	asked, err := c.imagesFor(m, types, f.image)
	if err != nil {
		return nil, err
	}
	out := map[string]cloud.Fit{}
	for id, names := range asked {
		fit, err := m.Fits(c.ctx, id, disks, names...)
		if fault.CodeOf(err) == fault.ImageNotFound {
			return nil, c.noImage(m, id)
		}
		if err != nil {
			return nil, cloudError(err, "the offers were not listed")
		}
		for _, name := range names {
			out[name] = fit
		}
	}
	return out, nil
}

// noImage says which images there are instead of one that is not sold.
func (c *call) noImage(m Market, id string) error {
	all, err := m.Images(c.ctx)
	if err != nil {
		return cloudError(err, "the offers were not listed")
	}
	return reply.NotSold("image", id, namesOf(all, func(v cloud.Image) string { return v.ID }), "poolkeeper offer list --image")
}

// imagesFor says with which image each type is asked about: the one named, else
// one of its architecture.
func (c *call) imagesFor(m Market, types []view.Offer, image string) (map[string][]string, error) {
	of := map[string]string{}
	if image == "" {
		all, err := m.Images(c.ctx)
		if err != nil {
			return nil, cloudError(err, "the offers were not listed")
		}
		for _, i := range all {
			if of[i.Architecture] == "" && i.Trusted == "" {
				of[i.Architecture] = i.ID
			}
		}
	}
	asked := map[string][]string{}
	for _, t := range types {
		if id := cmp.Or(image, of[t.Architecture]); id != "" {
			asked[id] = append(asked[id], t.InstanceType)
		}
	}
	return asked, nil
}
