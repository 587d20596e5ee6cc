package scalinggroup

import (
	"context"
	"hash/fnv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

// holdAfter is how often the same cause may come in a row before it is only
// tried now and then.
const holdAfter = 3

// refusals are what the cloud refused and what has not expired. They follow
// from the activities alone (and, for joins, from the status), so that a
// restarted controller remembers the same.
func (g *group) refusals(now time.Time) []scaling.Refusal {
	memory := map[string]*scaling.Refusal{}
	var order []string
	for a := range g.activities {
		act := &g.activities[a]
		for _, p := range act.Status.Pieces {
			if p.ResolvedTime == nil || int(p.Candidate) >= len(act.Spec.Candidates) {
				continue
			}
			place := placeOf(act.Spec.Candidates[p.Candidate])
			if len(p.Instances) > 0 {
				for k, r := range memory {
					if fault.Lookup(r.Code).Scope.Covers(r.Place, place) {
						delete(memory, k)
					}
				}
			}
			if p.Code == "" || g.ended(act, p) {
				continue
			}
			entry := fault.Lookup(fault.Code(p.Code))
			at := entry.Scope.Of(place)
			key := p.Code + "|" + at.VSwitch + "|" + at.Zone + "|" + at.InstanceType + "|" + at.ChargeType + "|" + at.Disk
			r := memory[key]
			if r == nil {
				r = &scaling.Refusal{Code: fault.Code(p.Code), Place: place}
				memory[key] = r
				order = append(order, key)
			}
			r.Count++
			r.Until = g.until(entry, r.Count, p.ResolvedTime.Time, act.Name)
		}
	}
	var out []scaling.Refusal
	for _, key := range order {
		if r := memory[key]; r != nil && r.Until.After(now) {
			out = append(out, *r)
			delete(memory, key)
		}
	}
	for _, r := range g.g.Status.Refusals {
		if r.Scope == joinScope && r.UntilTime.After(now) {
			out = append(out, scaling.Refusal{Code: fault.Code(r.Code), Until: r.UntilTime.Time, Count: int(r.Count), All: true})
		}
	}
	return out
}

// ended says whether an edit or a person's word has ended a refusal.
func (g *group) ended(act *api.ScalingActivity, p api.Piece) bool {
	if t := g.g.Status.ResumedTime; t != nil && !p.ResolvedTime.After(t.Time) {
		return true
	}
	edit := fault.Lookup(fault.Code(p.Code)).Retry.Kind == fault.RetryEdit
	return edit && act.Spec.SettingsGeneration < g.g.Spec.SettingsGeneration
}

// until is when something refused may be asked again. The jitter follows from
// the activity, so that it is the same at every look.
func (g *group) until(e fault.Entry, count int, at time.Time, seed string) time.Time {
	h := fnv.New32a()
	_, _ = h.Write([]byte(seed))
	d, ok := g.FaultWaits.Wait(e.Retry, count, at, float64(h.Sum32()%1000)/1000)
	if !ok || count >= holdAfter || e.Retry.Kind == fault.RetryEdit {
		d = max(d, g.Waits.Held)
	}
	return at.Add(d)
}

func placeOf(c api.Candidate) fault.Place {
	return fault.Place{VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType, ChargeType: string(c.ChargeType), Disk: c.Disk}
}

// joinScope marks the memory of failed joins in the status: machines go, and
// their failures with them, so these are kept there.
const joinScope = "group"

// rememberJoins counts joins that failed in a row and puts the next creation
// off, further each time; one that joins ends it.
func (r *Reconciler) rememberJoins(g *group) {
	var last *api.Refusal
	for i := range g.g.Status.Refusals {
		if g.g.Status.Refusals[i].Scope == joinScope {
			last = &g.g.Status.Refusals[i]
		}
	}
	var newest, joined time.Time
	code, message := "", ""
	for i := range g.instances {
		s := &g.instances[i].Status
		if s.FailedTime != nil && s.JoinedTime == nil && s.FailedTime.After(newest) {
			newest, code, message = s.FailedTime.Time, s.Code, s.Message
		}
		if s.JoinedTime != nil && s.JoinedTime.After(joined) {
			joined = s.JoinedTime.Time
		}
	}
	switch {
	case newest.IsZero() || (last != nil && !newest.After(last.LastTime.Time)):
		if last != nil && joined.After(last.LastTime.Time) {
			g.g.Status.Refusals = nil
		}
		return
	case last == nil:
		last = &api.Refusal{Scope: joinScope, FirstTime: metav1.NewTime(newest)}
	}
	last.Code, last.Message, last.LastTime = code, message, metav1.NewTime(newest)
	last.Count++
	d := fault.Backoff(r.Waits.Sweep, r.Waits.Held, int(last.Count), 0.5)
	if last.Count >= holdAfter {
		d = r.Waits.Held
	}
	last.UntilTime = metav1.NewTime(newest.Add(d))
	g.g.Status.Refusals = []api.Refusal{*last}
}

// outlook refreshes what is known of the resource pools, on a schedule and
// before a scale-out; it is written when something changed that matters.
func (r *Reconciler) outlook(ctx context.Context, g *group) {
	age := r.Waits.Stock
	if int(g.g.Spec.DesiredCapacity) > int(g.g.Status.Counted) {
		age = r.Waits.Stock / 10
	}
	now := r.Now()
	if p := g.g.Status.ResourcePools; len(p) > 0 && p[0].CheckedTime != nil && now.Sub(p[0].CheckedTime.Time) < age &&
		g.g.Status.ObservedGeneration == g.g.Generation {
		return
	}
	pools, err := r.Market.Pools(ctx, &g.g.Spec.LaunchSettings, charges(&g.g.Spec))
	if err != nil {
		return // what is known stays, with its age
	}
	for i := range pools {
		pools[i].CheckedTime = nowTime(now)
	}
	g.g.Status.ResourcePools = pools
	g.g.Status.Strength = scaling.Strength(g.snapshot(now))
}

// charges are the charge types that a group may ask for.
func charges(s *api.ScalingGroupSpec) []api.ChargeType {
	if s.Billing.ChargeType == api.ChargeSpot {
		return []api.ChargeType{api.ChargeSpot, api.ChargePayAsYouGo}
	}
	if s.Billing.ChargeType == "" {
		return []api.ChargeType{api.ChargePayAsYouGo}
	}
	return []api.ChargeType{s.Billing.ChargeType}
}
