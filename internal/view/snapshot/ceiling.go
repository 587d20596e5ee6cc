package snapshot

import (
	"time"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

// Installation are the ceilings of the whole installation with what all its
// groups use of them: all groups, all activities, read before all instances.
// What open activities may still create is in use already, so that two groups
// never share the same room; except names a group whose open activity is left
// out, since it is what is decided anew.
func Installation(c *v1alpha1.Ceilings, groups []v1alpha1.ScalingGroup, activities []v1alpha1.ScalingActivity, instances []v1alpha1.Instance, except string, now time.Time) scaling.Ceiling {
	out := scaling.Ceiling{Whole: true, Nodes: int(c.Nodes), Creations: int(c.CreationsPerHour), Spend: scaling.Micros(c.SpendPerHour)}
	byGroup := map[string]*v1alpha1.ScalingGroup{}
	for i := range groups {
		byGroup[groups[i].Name] = &groups[i]
	}
	acts, insts := map[string][]v1alpha1.ScalingActivity{}, map[string][]v1alpha1.Instance{}
	names := map[string]bool{}
	for i := range activities {
		name := activities[i].Spec.Group
		acts[name], names[name] = append(acts[name], activities[i]), true
	}
	for i := range instances {
		name := instances[i].Spec.Group
		insts[name], names[name] = append(insts[name], instances[i]), true
	}
	for name := range names {
		g := byGroup[name]
		if g == nil { // its objects outlived it
			g = &v1alpha1.ScalingGroup{}
		}
		r := reader(g, now)
		for i := range acts[name] {
			r.remember(&acts[name][i])
		}
		list := make([]scaling.Instance, 0, len(insts[name]))
		for i := range insts[name] {
			list = append(list, r.instance(&insts[name][i]))
		}
		out.Used.Add(r.used(list, acts[name], insts[name], name != except))
	}
	return out
}

// used is what one group uses of a ceiling; open says whether what an open
// activity may still create is in it.
func (r *read) used(list []scaling.Instance, activities []v1alpha1.ScalingActivity, instances []v1alpha1.Instance, open bool) scaling.Used {
	var u scaling.Used
	for _, p := range r.pools {
		u.Dearest = max(u.Dearest, p.Price)
	}
	recorded, known := map[string]int{}, map[string]bool{}
	for i := range activities {
		known[string(activities[i].UID)] = true
	}
	for n := range list {
		i, o := &list[n], &instances[n]
		recorded[pieceKey(o.Spec.ActivityUID, int(o.Spec.Piece))]++
		if i.Removed {
			continue
		}
		u.Cost(i.Price, 1)
		if i.Marked.IsZero() && !i.Unknown {
			u.Nodes++
		}
		if o.Spec.CreationType == v1alpha1.CreatedByUs && !known[o.Spec.ActivityUID] && r.now.Sub(i.Created) < time.Hour {
			u.Created = append(u.Created, scaling.Creation{At: i.Created, N: 1}) // its activity is no longer there to tell
		}
	}
	for i := range activities {
		r.began(&u, &activities[i], recorded, open)
	}
	return u
}

// began adds what an activity began to create, and what it may still make.
func (r *read) began(u *scaling.Used, a *v1alpha1.ScalingActivity, recorded map[string]int, open bool) {
	left, dearest := int(a.Spec.Create), int64(0)
	for _, c := range a.Spec.Candidates {
		dearest = max(dearest, scaling.Micros(c.PricePerHour))
	}
	for n, p := range a.Status.Pieces {
		amount := int(p.Amount)
		if p.State == v1alpha1.PieceResolved {
			amount = len(p.Instances)
		} else if !open && !p.Unsure() {
			continue
		} else if coming := max(amount-recorded[pieceKey(string(a.UID), n)], 0); coming > 0 {
			u.Nodes += coming
			price := dearest
			if c := int(p.Candidate); c < len(a.Spec.Candidates) {
				price = scaling.Micros(a.Spec.Candidates[c].PricePerHour)
			}
			u.Cost(price, coming)
		}
		left -= amount
		if p.FirstSendTime != nil && r.now.Sub(p.FirstSendTime.Time) < time.Hour && amount > 0 {
			u.Created = append(u.Created, scaling.Creation{At: p.FirstSendTime.Time, N: amount})
		}
	}
	if open && !a.Status.Done && left > 0 {
		u.Nodes += left
		u.Cost(dearest, left)
		u.Created = append(u.Created, scaling.Creation{At: r.now, N: left})
	}
}

// reader is what is known of a group beside the records of its instances.
func reader(g *v1alpha1.ScalingGroup, now time.Time) *read {
	r := &read{g: g, now: now, pools: Pools(g), sent: map[string]time.Time{}, settings: map[string]int64{}, vcpu: map[string]int{}}
	for _, p := range r.pools {
		r.vcpu[p.InstanceType] = p.VCPU
	}
	return r
}
