package snapshot

import (
	"strconv"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/instancerecord"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// read is what is known beside an instance's own record.
type read struct {
	g     *v1alpha1.ScalingGroup
	now   time.Time
	pools []scaling.ResourcePool
	// sent is when each piece was first sent, by activity UID and index.
	sent map[string]time.Time
	// settings are the generations that activities created with, by UID.
	settings map[string]int64
	vcpu     map[string]int
}

func pieceKey(uid string, piece int) string { return uid + "/" + strconv.Itoa(piece) }

func (r *read) remember(a *v1alpha1.ScalingActivity) {
	r.settings[string(a.UID)] = a.Spec.SettingsGeneration
	for n, p := range a.Status.Pieces {
		if p.FirstSendTime != nil {
			r.sent[pieceKey(string(a.UID), n)] = p.FirstSendTime.Time
		}
	}
}

// created is when an instance was asked for, by our own clock; where that is no
// longer known, when its record was made.
func (r *read) created(i *v1alpha1.Instance) time.Time {
	if t, ok := r.sent[pieceKey(i.Spec.ActivityUID, int(i.Spec.Piece))]; ok && i.Spec.CreationType == v1alpha1.CreatedByUs {
		return t
	}
	return i.CreationTimestamp.Time
}

// activityNumber is the number in the name of the activity that created an
// instance; 0 where none of this group did.
func activityNumber(i *v1alpha1.Instance) int {
	number, ok := strings.CutPrefix(i.Spec.Activity, i.Spec.Group+"-a")
	if n, err := strconv.Atoi(number); ok && err == nil {
		return n
	}
	return 0
}

// instance is one record as the planner sees it. One of an earlier group of the
// same name is of unknown origin.
func (r *read) instance(i *v1alpha1.Instance) scaling.Instance {
	p, st := &i.Spec.Placement, &i.Status
	out := scaling.Instance{
		Name: i.Name, Zone: p.Zone, VSwitch: p.VSwitch, InstanceType: p.InstanceType, ChargeType: scaling.ChargeType(view.ChargeToday(i)),
		Price: r.price(i), VCPU: r.vcpu[p.InstanceType], Created: r.created(i), Activity: activityNumber(i), Piece: int(i.Spec.Piece),
		Seen: st.SeenTime != nil, Running: st.CloudStatus == "Running", State: strings.ToLower(st.CloudStatus),
		FailedToJoin: Failed(i), NotStarted: Failed(i) && st.Code == string(fault.StartInstanceFailed), Abandoned: Abandoned(i), Joined: !Served(i).IsZero(), Unhealthy: r.unhealthy(i), ReleaseFirst: i.Spec.ReleaseFirst,
		Kept: Kept(i, r.g.Spec.ManageAttached), ReleaseSent: st.ReleaseSentTime != nil,
		Unknown: i.Spec.CreationType == v1alpha1.CreatedUnknown || !Ours(r.g, i.Spec.GroupUID),
		Removed: takenOut(i), Resetting: r.resetting(i),
	}
	if m := i.Spec.Release; m != nil {
		out.Marked, out.Named, out.Task = m.Time.Time, m.Task != "" || m.TakeOut, m.Task
	}
	return out
}

// takenOut says whether an instance left its group without release. One that was
// brought in again has lost the mark, or the word, by which it left.
func takenOut(i *v1alpha1.Instance) bool {
	back := i.Spec.CreationType == v1alpha1.CreatedAttached && i.Spec.Release == nil && !i.Spec.Disown
	return i.Status.LifecycleState == v1alpha1.InstanceRemoved && !back
}

// Failed says whether an instance was given up on its way in, and no person let
// it join again since.
func Failed(i *v1alpha1.Instance) bool {
	at, again := i.Status.FailedTime, i.Spec.RejoinTime
	return at != nil && (Abandoned(i) || i.Status.JoinedTime == nil && !instancerecord.NeverRan(&i.Status) && (again == nil || !at.Before(again)))
}

// Abandoned says whether a lifecycle hook ended its way in.
func Abandoned(i *v1alpha1.Instance) bool {
	return i.Status.FailedTime != nil && fault.OfHook(fault.Code(i.Status.Code))
}

// Served is when an instance came into service: its Node was Ready, and no
// lifecycle hook of the way in held it any more. Zero where it did not.
func Served(i *v1alpha1.Instance) time.Time {
	if i.Status.JoinedTime == nil {
		return time.Time{}
	}
	at := i.Status.JoinedTime.Time
	for n := range i.Status.Hooks {
		switch h := &i.Status.Hooks[n]; {
		case h.Transition != v1alpha1.WayIn:
		case h.Result != v1alpha1.HookContinue:
			return time.Time{}
		case h.EndTime != nil && h.EndTime.After(at):
			at = h.EndTime.Time
		}
	}
	return at
}

// resetting says whether an instance was given up while it reset its MIG
// partitions, and is to stay: its settings were not edited since it was created,
// and no person resumed the pool since.
func (r *read) resetting(i *v1alpha1.Instance) bool {
	if !Failed(i) || !i.Status.Resetting {
		return false
	}
	resumed := r.g.Status.ResumedTime
	generation, known := r.settings[i.Spec.ActivityUID]
	edited := known && generation < r.g.Spec.SettingsGeneration
	return !edited && (resumed == nil || resumed.Before(i.Status.FailedTime))
}

// unhealthy says whether the health check is on and finds an instance not
// running; protected and standby ones are exempt. The record says Stopped only
// after two sweeps in a row.
func (r *read) unhealthy(i *v1alpha1.Instance) bool {
	return r.g.Spec.HealthCheck == v1alpha1.HealthCheckECS && i.Status.LifecycleState == v1alpha1.InstanceStopped &&
		!i.Spec.Protected && !i.Spec.Standby
}

// price is what an instance costs now: what it was created or converted at, or
// today's price where that moves (spot).
func (r *read) price(i *v1alpha1.Instance) int64 {
	p, terms := &i.Spec.Placement, view.BillingOf(i).Today()
	converted := terms.ChargeType != string(p.ChargeType)
	if terms.ChargeType == string(v1alpha1.ChargeSpot) || converted && (terms.Price == "" || len(i.Status.Terms) == 0) {
		for _, pool := range r.pools {
			if pool.VSwitch == p.VSwitch && pool.InstanceType == p.InstanceType && pool.ChargeType == scaling.ChargeType(terms.ChargeType) && pool.Price > 0 {
				return pool.Price
			}
		}
	}
	return scaling.Micros(terms.Price)
}

// Kept says why an instance may not be released by scaling in; empty where it
// may. What not even the deletion of the pool releases comes before what a
// person's wish or a task keeps, which that overrides.
func Kept(i *v1alpha1.Instance, manageAttached bool) string {
	switch {
	case view.ChargeToday(i) == v1alpha1.ChargeSubscription:
		return scaling.KeptSubscription
	case i.Spec.CreationType == v1alpha1.CreatedAttached && !manageAttached:
		return scaling.KeptAttached
	case !i.Spec.CreationType.Known():
		return scaling.KeptNewer
	case i.Status.ReleaseProtected:
		return scaling.KeptReleaseProtected
	case i.Spec.Protected:
		return scaling.KeptProtected
	case i.Spec.Standby:
		return scaling.KeptStandby
	case i.Spec.HeldBy != "":
		return scaling.KeptHeld
	}
	return ""
}

// uncertain is how many instances unsettled pieces may have made that no record
// knows yet, and in which zones.
func uncertain(g *v1alpha1.ScalingGroup, activities []v1alpha1.ScalingActivity, instances []v1alpha1.Instance) (int, map[string]int) {
	recorded := map[string]int{}
	for i := range instances {
		recorded[pieceKey(instances[i].Spec.ActivityUID, int(instances[i].Spec.Piece))]++
	}
	n, zones := 0, map[string]int{}
	for i := range activities {
		a := &activities[i]
		if !Ours(g, a.Spec.GroupUID) {
			continue
		}
		for k, p := range a.Status.Pieces {
			if !p.Unsure() {
				continue
			}
			more := max(int(p.Amount)-recorded[pieceKey(string(a.UID), k)], 0)
			n += more
			if c := int(p.Candidate); c < len(a.Spec.Candidates) && more > 0 {
				zones[a.Spec.Candidates[c].Zone] += more
			}
		}
	}
	return n, zones
}
