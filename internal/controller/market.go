package controller

import (
	"context"
	"slices"
	"sync"
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/controller/scalinggroup"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

// market asks the cloud for the outlook of resource pools.
type market struct {
	cloud Provider
	now   func() time.Time
	// life is how long a refusal of a trial is kept: what it is about is looked
	// up each time, and only the cloud's words are kept.
	life time.Duration

	mu     sync.Mutex
	trials map[string]trial
	images map[string]otherImage
}

// otherImage is an image that starts an instance type; no id where there is none.
type otherImage struct {
	id    string
	until time.Time
}

// trial is what the cloud answered to a launch that was only tried.
type trial struct {
	fault *fault.Fault
	until time.Time
}

func newMarket(c Provider, now func() time.Time, life time.Duration) *market {
	return &market{cloud: c, now: now, life: life, trials: map[string]trial{}, images: map[string]otherImage{}}
}

// Outlook returns the resource pools in the order of vSwitches, then types,
// then charge types, and what there is to know of those that cannot be had.
func (m *market) Outlook(ctx context.Context, s *api.LaunchSettings, charges []api.ChargeType, refused bool) (scalinggroup.Outlook, error) {
	want := make([]cloud.ChargeType, 0, len(charges))
	for _, c := range charges {
		want = append(want, cloud.ChargeType(c))
	}
	pools, err := m.cloud.ResourcePools(ctx, s.VSwitches, s.InstanceTypes, want...)
	if err != nil {
		return scalinggroup.Outlook{}, err
	}
	fit, err := m.cloud.Fits(ctx, s.ImageID, disks(s), s.InstanceTypes...)
	if err != nil {
		return scalinggroup.Outlook{}, err
	}
	i := fit.Image
	out := scalinggroup.Outlook{Image: &api.ImageStatus{ID: i.ID, OS: i.OS, Architecture: i.Architecture, BootMode: i.BootMode, Trusted: i.Trusted}}
	for _, p := range pools {
		st := poolStatus(p)
		if miss := m.misfit(ctx, s, p, fit); miss != nil {
			st.Constraint = miss.Code
			out.Misfits = add(out.Misfits, *miss)
		}
		refused = refused || st.Constraint != "" || p.Stock == cloud.WithoutStock || p.Stock == cloud.ClosedWithoutStock
		out.Pools = append(out.Pools, st)
	}
	rank := func(p api.ResourcePoolStatus) int {
		return slices.Index(s.VSwitches, p.VSwitch)*10000 + slices.Index(s.InstanceTypes, p.InstanceType)*10 + slices.Index(charges, p.ChargeType)
	}
	slices.SortStableFunc(out.Pools, func(a, b api.ResourcePoolStatus) int { return rank(a) - rank(b) })
	if refused && len(want) > 0 {
		out.Fits, err = m.fits(ctx, s, want[0], pools, fit.Types)
	}
	return out, err
}

func poolStatus(p cloud.ResourcePool) api.ResourcePoolStatus {
	st := api.ResourcePoolStatus{VSwitch: p.VSwitch, Zone: p.Zone, InstanceType: p.InstanceType, ChargeType: api.ChargeType(p.ChargeType),
		Stock: string(p.Stock), VCPU: int32(p.VCPU), MemoryMiB: p.MemoryMiB, FreeAddresses: int32(p.FreeAddresses)}
	if p.Price.Known() {
		st.PricePerHour, st.Currency = p.Price.Decimal(), p.Price.Currency
	}
	return st
}

// misfit is why a resource pool cannot be asked: as it was looked up, and where
// the cloud answers a trial, in its own code and words. A trial that is not
// refused ends what was looked up.
func (m *market) misfit(ctx context.Context, s *api.LaunchSettings, p cloud.ResourcePool, fit cloud.Fit) *api.Misfit {
	looked := cloud.Misfit{InstanceType: p.InstanceType, Zone: p.Zone, Fault: p.Constraint}
	if p.Constraint == nil {
		found := fit.Of(p.InstanceType, p.Zone)
		if found == nil {
			return nil
		}
		looked = *found
	}
	f := looked.Fault
	if p.Zone != "" && p.VCPU > 0 {
		if f = m.try(ctx, launchOf(s, scaling.Candidate{VSwitch: p.VSwitch, Zone: p.Zone, InstanceType: p.InstanceType, ChargeType: scaling.ChargeType(p.ChargeType)}), f); f == nil {
			return nil
		}
	}
	miss := &api.Misfit{InstanceType: p.InstanceType, Code: string(f.Code), Message: f.Message, RequestID: f.RequestID,
		Offered: looked.Offered[:min(len(looked.Offered), 10)]}
	if f.Entry().Scope.Of(fault.Place{Zone: p.Zone}).Zone != "" {
		miss.Zone = p.Zone
	}
	if f.Entry().Scope == fault.ScopeTypeImage {
		miss.OtherImage = m.otherImage(ctx, s, p.InstanceType)
	}
	return miss
}

// try asks the cloud what it answers to a launch; the fault that was looked up
// stands where its answer speaks of something else, or does not come.
func (m *market) try(ctx context.Context, l cloud.Launch, looked *fault.Fault) *fault.Fault {
	key, err := m.cloud.Encode(l)
	if err != nil {
		return looked
	}
	name := string(looked.Code) + " " + string(key)
	m.mu.Lock()
	kept, ok := m.trials[name]
	m.mu.Unlock()
	if ok && m.now().Before(kept.until) {
		return kept.fault
	}
	err = m.cloud.Try(ctx, l)
	if err == nil {
		return nil
	}
	f := fault.Of(err)
	if f == nil || cloud.Classify(err) != cloud.Refused || !answers(f.Entry(), looked.Entry()) {
		return looked
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, t := range m.trials {
		if !m.now().Before(t.until) {
			delete(m.trials, k)
		}
	}
	m.trials[name] = trial{f, m.now().Add(m.life)}
	return f
}

// answers says whether a refusal speaks of what was looked up: of what goes
// together, and of the offer of a zone only where that was the question.
func answers(e, looked fault.Entry) bool {
	switch e.Scope {
	case fault.ScopeTypeImage, fault.ScopeTypeDisk, fault.ScopeDisk:
		return true
	case fault.ScopeType:
		return e.Retry.Kind == fault.RetryEdit
	case fault.ScopePool:
		return e.Known && looked.Scope == fault.ScopePool
	}
	return false
}

// add adds a misfit unless it is known of the same place.
func add(list []api.Misfit, m api.Misfit) []api.Misfit {
	const most = 200
	same := func(o api.Misfit) bool {
		return o.InstanceType == m.InstanceType && o.Zone == m.Zone && o.Code == m.Code
	}
	if len(list) == most || slices.ContainsFunc(list, same) {
		return list
	}
	return append(list, m)
}

// mostTried is how many images are looked at for one that starts a type.
const mostTried = 8

// otherImage is the first image of the vendor's and the account's that starts an
// instance type with these disks; empty where none of those looked at does, or
// the cloud does not tell.
func (m *market) otherImage(ctx context.Context, s *api.LaunchSettings, instanceType string) string {
	key := "image " + s.ImageID + " " + instanceType
	m.mu.Lock()
	kept, ok := m.images[key]
	m.mu.Unlock()
	if ok && m.now().Before(kept.until) {
		return kept.id
	}
	list, err := m.cloud.Images(ctx)
	if err != nil {
		return ""
	}
	list = slices.DeleteFunc(list, func(i cloud.Image) bool { return i.ID == s.ImageID })
	found := otherImage{until: m.now().Add(m.life)}
	for _, i := range list[:min(len(list), mostTried)] {
		fit, err := m.cloud.Fits(ctx, i.ID, disks(s), instanceType)
		if err != nil {
			return ""
		}
		if fit.Of(instanceType, "") == nil {
			found.id = i.ID
			break
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.images[key] = found
	return found.id
}

// fits are instance types that the settings do not name, start their image and
// are in stock, zone by zone, and vSwitches beside theirs where one of their own
// types is.
func (m *market) fits(ctx context.Context, s *api.LaunchSettings, c cloud.ChargeType, pools []cloud.ResourcePool, starts []string) ([]api.ZoneFits, error) {
	var own, zones []string
	for _, p := range pools {
		if p.Zone != "" && !slices.Contains(own, p.Zone) {
			own = append(own, p.Zone)
		}
	}
	if len(own) == 0 {
		return nil, nil
	}
	all, err := m.cloud.VSwitches(ctx)
	if err != nil {
		return nil, err
	}
	others := map[string]string{} // the first by zone
	zones = slices.Clone(own)
	for _, v := range all {
		if slices.Contains(s.VSwitches, v.ID) || v.FreeAddresses <= 0 || others[v.Zone] != "" && others[v.Zone] < v.ID {
			continue
		}
		others[v.Zone] = v.ID
		if !slices.Contains(zones, v.Zone) {
			zones = append(zones, v.Zone)
		}
	}
	slices.Sort(zones[len(own):])
	zones = zones[:min(len(zones), 64)]
	sold, err := m.cloud.Sold(ctx, c, s.SystemDisk.Category, zones...)
	if err != nil {
		return nil, err
	}
	var out []api.ZoneFits
	for n, z := range zones {
		f := api.ZoneFits{Zone: z}
		if n < len(own) {
			f.InstanceTypes = notNamed(s, starts, sold[z])
		}
		if slices.ContainsFunc(s.InstanceTypes, func(t string) bool { return slices.Contains(starts, t) && slices.Contains(sold[z], t) }) {
			f.VSwitch = others[z]
		}
		if len(f.InstanceTypes) > 0 || f.VSwitch != "" {
			out = append(out, f)
		}
	}
	return out, nil
}

// notNamed are up to ten types that start the image and are sold, and that the
// settings do not name.
func notNamed(s *api.LaunchSettings, starts, sold []string) []string {
	var names []string
	for _, t := range starts {
		if len(names) < 10 && slices.Contains(sold, t) && !slices.Contains(s.InstanceTypes, t) {
			names = append(names, t)
		}
	}
	return names
}
