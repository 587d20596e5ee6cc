package cli

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// sold is a cloud of the test that sells what a transcript says, one line each:
//
//	zone vsw-a zone-a 212
//	type ecs.g7.xlarge 4 16384 x86_64
//	stock vsw-a ecs.g7.xlarge WithStock 1.2
//	image img-1 x86_64 UEFI
//	group sg-1
//	misfit ecs.g7.xlarge InvalidParameter.Conflict
//	account 1234567890
//	down
type sold struct {
	vSwitches []cloud.VSwitch
	types     []cloud.InstanceType
	pools     []cloud.ResourcePool
	images    []cloud.Image
	groups    []cloud.SecurityGroup
	misfit    map[string]*fault.Fault
	account   string
	down      bool
	noRole    bool
}

// HasRole tells that the account has every role, unless the transcript says it
// has none.
func (s *sold) HasRole(context.Context, string) (bool, error) {
	if err := s.away("HasRole"); err != nil {
		return false, err
	}
	return !s.noRole, nil
}

func newSold(t *testing.T, text string) *sold {
	t.Helper()
	s := &sold{misfit: map[string]*fault.Fault{}}
	number := func(w string) int {
		n, err := strconv.Atoi(w)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		w := strings.Fields(line)
		switch w[0] {
		case "zone":
			s.vSwitches = append(s.vSwitches, cloud.VSwitch{ID: w[1], Zone: w[2], FreeAddresses: number(w[3])})
		case "type":
			s.types = append(s.types, cloud.InstanceType{Name: w[1], VCPU: number(w[2]), MemoryMiB: int64(number(w[3])), Architecture: w[4]})
		case "stock":
			price, err := cloud.ParsePrice(w[4], "CNY")
			if err != nil {
				t.Fatal(err)
			}
			s.pools = append(s.pools, cloud.ResourcePool{VSwitch: w[1], InstanceType: w[2], ChargeType: cloud.PayAsYouGo, Stock: cloud.Stock(w[3]), Price: price})
		case "image":
			s.images = append(s.images, cloud.Image{ID: w[1], OS: "Linux of " + w[1], Architecture: w[2], BootMode: w[3]})
		case "group":
			s.groups = append(s.groups, cloud.SecurityGroup{ID: w[1]})
		case "misfit":
			s.misfit[w[1]] = fault.New(fault.Code(w[2]), "")
		case "account":
			s.account = w[1]
		case "no-role":
			s.noRole = true
		case "down":
			s.down = true
		default:
			t.Fatalf("unknown line of a cloud: %q", line)
		}
	}
	return s
}

// openMarket gives the cloud of the transcript.
func (w *world) openMarket() (Market, error) {
	if w.market == nil {
		return nil, errors.New("ALIBABA_CLOUD_REGION_ID is not set")
	}
	return w.market, nil
}

func (s *sold) away(call string) error {
	if s.down {
		return cloud.Fail(call, cloud.NotSent, fault.New(fault.CloudUnreachable, ""), nil)
	}
	return nil
}

// only are those with one of the names; all where none is named.
func only[T any](all []T, names []string, name func(T) string) []T {
	return slices.DeleteFunc(slices.Clone(all), func(v T) bool { return len(names) > 0 && !slices.Contains(names, name(v)) })
}

func (s *sold) ID(context.Context) (string, error) { return s.account, s.away("ID") }

func (s *sold) VSwitches(_ context.Context, ids ...string) ([]cloud.VSwitch, error) {
	return only(s.vSwitches, ids, func(v cloud.VSwitch) string { return v.ID }), s.away("VSwitches")
}

func (s *sold) Images(_ context.Context, ids ...string) ([]cloud.Image, error) {
	return only(s.images, ids, func(v cloud.Image) string { return v.ID }), s.away("Images")
}

func (s *sold) SecurityGroups(_ context.Context, ids ...string) ([]cloud.SecurityGroup, error) {
	return only(s.groups, ids, func(v cloud.SecurityGroup) string { return v.ID }), s.away("SecurityGroups")
}

func (s *sold) InstanceTypes(_ context.Context, names ...string) ([]cloud.InstanceType, error) {
	return only(s.types, names, func(v cloud.InstanceType) string { return v.Name }), s.away("InstanceTypes")
}

func (s *sold) KeyPairs(context.Context, ...string) ([]string, error) { return nil, s.away("KeyPairs") }

func (s *sold) Fits(_ context.Context, image string, _ []cloud.Disk, types ...string) (cloud.Fit, error) {
	images := only(s.images, []string{image}, func(v cloud.Image) string { return v.ID })
	if len(images) == 0 {
		return cloud.Fit{}, cloud.Fail("Fits", cloud.Refused, fault.New(fault.ImageNotFound, ""), nil)
	}
	out := cloud.Fit{Image: images[0]}
	for _, t := range types {
		if f := s.misfit[t]; f != nil {
			out.Misfits = append(out.Misfits, cloud.Misfit{InstanceType: t, Fault: f})
		}
	}
	return out, s.away("Fits")
}

func (s *sold) ResourcePools(_ context.Context, vSwitches, types []string, _ ...cloud.ChargeType) ([]cloud.ResourcePool, error) {
	var out []cloud.ResourcePool
	for _, v := range only(s.vSwitches, vSwitches, func(v cloud.VSwitch) string { return v.ID }) {
		for _, t := range types {
			p := cloud.ResourcePool{VSwitch: v.ID, Zone: v.Zone, InstanceType: t, ChargeType: cloud.PayAsYouGo, Stock: cloud.NotOffered, FreeAddresses: v.FreeAddresses}
			for _, known := range s.pools {
				if known.VSwitch == v.ID && known.InstanceType == t {
					p.Stock, p.Price = known.Stock, known.Price
				}
			}
			out = append(out, p)
		}
	}
	return out, s.away("ResourcePools")
}
