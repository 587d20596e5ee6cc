package scalinggroup

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/instancerecord"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/view/snapshot"
)

// maxRefusals bounds the memory.
const maxRefusals = 500

// lasting is for how many rechecks after its end a refusal is still known, so
// that the next failure is one in a row.
const lasting = 24

// remember brings the memory of refusals up to date: what came of activities
// that ended, machines that failed to join, each taken in once, and what ends a
// memory: a success, an edit, a person's word, time. Memory and what was taken
// in are one write, so that a crash loses neither and doubles neither.
func (g *group) remember() {
	st, spec := &g.g.Status, &g.g.Spec
	list, words := snapshot.Refusals(st.Refusals), wordsOf(st.Refusals)
	for i := range g.activities {
		a := &g.activities[i]
		if a.Spec.Number <= st.RememberedActivity || !snapshot.Ours(g.g, a.Spec.GroupUID) {
			continue
		}
		if !a.Status.Done {
			break
		}
		list = g.ofActivity(list, words, a)
		st.RememberedActivity = a.Spec.Number
	}
	for i := range g.activities {
		list = g.ofSettled(list, &g.activities[i])
	}
	list = g.ofMachines(list, words)
	if spec.ResumeCount > st.ResumedCount {
		if zone, typ, one := strings.Cut(spec.ResumeCandidate, "/"); one {
			list = scaling.Resumed(list, snapshot.Pools(g.g), zone, typ)
		} else {
			list, st.ResumedTime = nil, nowTime(g.now.Truncate(time.Second))
		}
		st.ResumedCount = spec.ResumeCount
	}
	list = scaling.Current(list, spec.SettingsGeneration)
	g.setRefusals(scaling.Lasting(list, g.now, lasting*g.Waits.Held), words)
}

// ofActivity takes in what came of an activity, piece by piece.
func (g *group) ofActivity(list []scaling.Refusal, words map[string]said, a *api.ScalingActivity) []scaling.Refusal {
	for n, p := range a.Status.Pieces {
		if p.State != api.PieceResolved || int(p.Candidate) >= len(a.Spec.Candidates) {
			continue
		}
		place := placeOf(&a.Spec.Candidates[p.Candidate])
		if len(p.Instances) > 0 {
			list = scaling.Forget(list, place)
		}
		if p.Code == "" {
			continue
		}
		at := g.now
		if p.ResolvedTime != nil {
			at = p.ResolvedTime.Time
		}
		m := scaling.Met{Code: fault.Code(p.Code), Place: place, At: at, Generation: a.Spec.SettingsGeneration}
		list = scaling.Remember(list, m, g.Waits.Faults(), scaling.HoldAfter, jitter(a.Name, strconv.Itoa(n)))
		g.kept.refused = g.now
		solution := ""
		if p.Permission != "" {
			solution = fault.Lookup(m.Code).Advice(fault.Details{fault.DetailPool: g.g.Spec.Pool, fault.DetailPermission: p.Permission})
		}
		keepWords(words, m.Code, place, said{p.Message, p.RequestID, solution})
	}
	return list
}

// ofSettled ends what pieces disprove whose instances became known after their
// activity had ended: a call whose answer was lost had made them all the same.
func (g *group) ofSettled(list []scaling.Refusal, a *api.ScalingActivity) []scaling.Refusal {
	if len(list) == 0 || a.Status.EndTime == nil || !snapshot.Ours(g.g, a.Spec.GroupUID) {
		return list
	}
	for _, p := range a.Status.Pieces {
		late := p.ResolvedTime != nil && !p.ResolvedTime.Before(a.Status.EndTime)
		if late && len(p.Instances) > 0 && p.FirstSendTime != nil && int(p.Candidate) < len(a.Spec.Candidates) {
			// A refusal is remembered by the second: one of the same second is no earlier.
			list = scaling.Outdated(list, placeOf(&a.Spec.Candidates[p.Candidate]), p.FirstSendTime.Truncate(time.Second))
		}
	}
	return list
}

// placeOf is what a candidate asks for.
func placeOf(c *api.Candidate) fault.Place {
	return fault.Place{VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType, ChargeType: string(c.ChargeType), Disk: c.Disk}
}

// ofMachines takes in machines that failed to join, or vanished before they ran,
// or were abandoned by a hook, since, and forgets where one joined.
func (g *group) ofMachines(list []scaling.Refusal, words map[string]said) []scaling.Refusal {
	st := &g.g.Status
	known := map[string]bool{}
	for _, name := range st.FailedInstances {
		known[name] = true
	}
	var names []string
	var fresh []*api.Instance
	var joined, served time.Time
	for n := range g.instances {
		i := &g.instances[n]
		if i.Spec.CreationType != api.CreatedByUs || !snapshot.Ours(g.g, i.Spec.GroupUID) {
			continue
		}
		if t := i.Status.JoinedTime; t != nil && t.After(joined) {
			joined = t.Time
		}
		if t := snapshot.Served(i); t.After(served) {
			served = t
		}
		if snapshot.Failed(i) || instancerecord.NeverRan(&i.Status) {
			if names = append(names, i.Name); !known[i.Name] {
				fresh = append(fresh, i)
			}
		}
	}
	slices.Sort(names)
	st.FailedInstances = names
	slices.SortFunc(fresh, func(a, b *api.Instance) int {
		return cmp.Or(a.Status.FailedTime.Compare(b.Status.FailedTime.Time), cmp.Compare(a.Name, b.Name))
	})
	tries := g.tries()
	for _, i := range fresh {
		if instancerecord.NeverRan(&i.Status) {
			g.kept.vanish(i.Name)
			g.kept.refused = g.now
		}
		list = g.ofMachine(list, words, i, tries[i.Spec.ActivityUID])
	}
	return scaling.Joined(list, joined, served)
}

// tries are the activities by their UID.
func (g *group) tries() map[string]*api.ScalingActivity {
	out := map[string]*api.ScalingActivity{}
	for i := range g.activities {
		out[string(g.activities[i].UID)] = &g.activities[i]
	}
	return out
}

// ofMachine takes in one machine that failed, with what it cost until then.
func (g *group) ofMachine(list []scaling.Refusal, words map[string]said, i *api.Instance, a *api.ScalingActivity) []scaling.Refusal {
	p, at := &i.Spec.Placement, i.Status.FailedTime.Time
	tried, generation := i.CreationTimestamp.Time, int64(0)
	if a != nil {
		generation = a.Spec.SettingsGeneration
		if n := int(i.Spec.Piece); n < len(a.Status.Pieces) && a.Status.Pieces[n].FirstSendTime != nil {
			tried = a.Status.Pieces[n].FirstSendTime.Time
		}
	}
	m := scaling.Met{
		Code: fault.Code(i.Status.Code), At: at, Tried: tried, Generation: generation,
		Place: fault.Place{VSwitch: p.VSwitch, Zone: p.Zone, InstanceType: p.InstanceType, ChargeType: string(p.ChargeType), Disk: snapshot.Disks(&g.g.Spec)},
		// Both by the second, as a failure is written.
		Burnt: scaling.Accrued([]scaling.Billed{{Price: scaling.Micros(p.PricePerHour), From: tried.Truncate(time.Second)}}, at),
	}
	if m.Code == "" {
		m.Code = fault.FailedJoinCluster
	}
	if instancerecord.NeverRan(&i.Status) {
		m.Burnt = 0 // what never ran is not billed
	}
	list = scaling.Remember(list, m, g.Waits.Faults(), scaling.HoldAfter, jitter(i.Name))
	keepWords(words, m.Code, m.Place, said{i.Status.Message, "", i.Status.Solution})
	return list
}

// jitter is a number from 0 up to, not including, 1, the same for the same name.
func jitter(parts ...string) float64 {
	h := fnv.New32a()
	for _, p := range parts {
		_, _ = h.Write([]byte(p + "/"))
	}
	return float64(h.Sum32()%1000) / 1000
}

// said is what is known of a refusal in words, newest: the vendor's own, and what
// helps in this case.
type said struct{ message, requestID, solution string }

func wordsKey(c fault.Code, p fault.Place) string {
	return string(c) + "|" + p.VSwitch + "|" + p.Zone + "|" + p.InstanceType + "|" + p.ChargeType + "|" + p.Disk
}

func wordsOf(list []api.Refusal) map[string]said {
	out := map[string]said{}
	for i := range list {
		out[wordsKey(fault.Code(list[i].Code), snapshot.Place(&list[i]))] = said{list[i].Message, list[i].RequestID, list[i].Solution}
	}
	return out
}

func keepWords(to map[string]said, c fault.Code, at fault.Place, s said) {
	to[wordsKey(c, fault.Lookup(c).Scope.Of(at))] = said{clip(s.message, 1000), clip(s.requestID, 64), clip(s.solution, 1000)}
}

// setRefusals writes the memory into the status; those that last longest first.
// Nil words: those that stand there.
func (g *group) setRefusals(list []scaling.Refusal, known map[string]said) {
	if known == nil {
		known = wordsOf(g.g.Status.Refusals)
	}
	slices.SortFunc(list, func(a, b scaling.Refusal) int {
		return cmp.Or(b.Until.Compare(a.Until), cmp.Compare(a.Code, b.Code), cmp.Compare(wordsKey("", a.Place), wordsKey("", b.Place)))
	})
	var out []api.Refusal
	for _, r := range list[:min(len(list), maxRefusals)] {
		scope := fault.Lookup(r.Code).Scope
		if r.All {
			scope = fault.ScopeGroup
		}
		w := known[wordsKey(r.Code, r.Place)]
		out = append(out, api.Refusal{
			Code: string(r.Code), Scope: string(scope), VSwitch: r.Place.VSwitch, Zone: r.Place.Zone, InstanceType: r.Place.InstanceType,
			ChargeType: api.ChargeType(r.Place.ChargeType), Disk: r.Place.Disk, Message: w.message, RequestID: w.requestID, Solution: w.solution,
			FirstTime: second(r.First), LastTime: second(r.Last), UntilTime: second(r.Until.Add(time.Second - time.Nanosecond)),
			Count: int32(r.Count), SettingsGeneration: r.Generation, Burnt: burnt(r.Burnt),
		})
	}
	g.g.Status.Refusals = out
}

// second is a time as a status keeps it.
func second(t time.Time) metav1.Time { return metav1.NewTime(t.Truncate(time.Second)) }

func burnt(micros int64) string {
	if micros == 0 {
		return ""
	}
	return scaling.Decimal(micros)
}
