package region

import (
	"encoding/binary"
	"net/netip"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

// add counts an instance in (1) or out (-1) everywhere that bounds something.
func (r *Region) add(i *Instance, n int) {
	l := i.launch
	key := l.Zone + "/" + l.Type.Name
	if l.spot() {
		key += "/spot"
	}
	r.count["stock/"+key] += n
	r.count["type/"+l.Type.Name] += n
	r.count["vcpu/"+l.Zone] += n * l.Type.VCPU
	disks := append([]Disk{l.SystemDisk}, l.DataDisks...)
	for _, d := range disks {
		r.count["disk/"+l.Zone+"/"+d.Category] += n
		r.count["gib"] += n * d.SizeGiB
	}
	for _, g := range i.Groups {
		r.count["group/"+g] += n
	}
	if l.DeploymentSet != "" {
		r.count["set/"+l.DeploymentSet+"/"+l.Zone] += n
	}
	if i.Charge == postPaid {
		r.count["postpaid"] += n
		r.count["postpaiddisks"] += n * len(disks)
	}
}

// stockOf finds the entry that speaks of an instance type in a zone, and its
// key in the totals. No entry: plenty.
func (r *Region) stockOf(zone, name string, spot bool) (*scenario.Stock, string) {
	var general *scenario.Stock
	for k := range r.world.Stock {
		s := &r.world.Stock[k]
		if s.Zone != zone || s.Type != name {
			continue
		}
		if s.Spot && spot {
			return s, zone + "/" + name + "/spot"
		}
		if !s.Spot {
			general = s
		}
	}
	return general, zone + "/" + name
}

const plenty = 1 << 30

// left returns how many instances of a type a zone has left.
func (r *Region) left(zone, name string, spot bool) int {
	s, key := r.stockOf(zone, name, spot)
	if s == nil || s.Count < 0 {
		return plenty
	}
	return max(0, r.world.Totals[key]-r.live(zone, name, key))
}

// live counts the instances that draw on one stock.
func (r *Region) live(zone, name, key string) int {
	own := zone + "/" + name
	if key != own {
		return r.count["stock/"+key]
	}
	n := r.count["stock/"+own]
	if s, k := r.stockOf(zone, name, true); s == nil || k == own {
		n += r.count["stock/"+own+"/spot"]
	}
	return n
}

func (r *Region) diskStock(zone, category string) *scenario.DiskStock {
	for k := range r.world.DiskStock {
		if s := &r.world.DiskStock[k]; s.Zone == zone && s.Category == category {
			return s
		}
	}
	return nil
}

func (r *Region) disksLeft(zone, category string) int {
	s := r.diskStock(zone, category)
	if s == nil || s.Count < 0 {
		return plenty
	}
	return max(0, r.world.Totals["disk/"+zone+"/"+category]-r.count["disk/"+zone+"/"+category])
}

// keepTotals turns what is left into totals, which do not change while
// instances come and go.
func (r *Region) keepTotals() {
	r.world.Totals = map[string]int{}
	for _, s := range r.world.Stock {
		_, key := r.stockOf(s.Zone, s.Type, s.Spot)
		r.world.Totals[key] = s.Count + r.live(s.Zone, s.Type, key)
	}
	for _, s := range r.world.DiskStock {
		key := "disk/" + s.Zone + "/" + s.Category
		r.world.Totals[key] = s.Count + r.count[key]
	}
}

// addresses is the pool of one vSwitch.
type addresses struct {
	first uint32
	size  int
	used  map[uint32]bool
	next  int
}

func (r *Region) openVSwitches() {
	for _, v := range r.world.VSwitches {
		p, err := netip.ParsePrefix(v.CIDR)
		if err != nil || r.vSwitches[v.ID] != nil {
			continue
		}
		b := p.Masked().Addr().As4()
		// The network's own address and the last three are the cloud's.
		r.vSwitches[v.ID] = &addresses{first: binary.BigEndian.Uint32(b[:]) + 1, size: 1<<(32-p.Bits()) - 4, used: map[uint32]bool{}}
	}
}

func (r *Region) freeAddresses(v *scenario.VSwitch) int {
	a := r.vSwitches[v.ID]
	return max(0, a.size-len(a.used)-v.Taken)
}

// pick gives the next free address; the caller knows that there is one.
func (a *addresses) pick() string {
	for {
		n := a.first + uint32(a.next%a.size)
		a.next = (a.next + 1) % a.size
		if !a.used[n] {
			a.used[n] = true
			var b [4]byte
			binary.BigEndian.PutUint32(b[:], n)
			return netip.AddrFrom4(b).String()
		}
	}
}

func (a *addresses) take(ip string) { a.mark(ip, true) }

func (a *addresses) giveBack(ip string) { a.mark(ip, false) }

func (a *addresses) mark(ip string, used bool) {
	addr, err := netip.ParseAddr(ip)
	if a == nil || err != nil {
		return
	}
	b := addr.As4()
	n := binary.BigEndian.Uint32(b[:])
	if used {
		a.used[n] = true
		a.next = max(a.next, int(n-a.first)+1) % a.size
	} else {
		delete(a.used, n)
	}
}
