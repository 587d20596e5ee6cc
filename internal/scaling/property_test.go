package scaling

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

var (
	someZones  = []string{"zone-a", "zone-b", "zone-c"}
	someTypes  = []string{"ecs.g7", "ecs.c7"}
	someKept   = []string{"", "", "", "", KeptSubscription, KeptProtected, KeptStandby, KeptAttached, KeptHeld, KeptReleaseProtected}
	somePolicy = []Policy{Priority, DistributionBalancing, CostOptimization}
	someCodes  = []fault.Code{fault.NoStock, fault.ElasticQuota, fault.PrivateIPAddress, fault.Arrearage, fault.FailedJoinCluster, fault.DiskTypeNoStock, "Never.Heard.Of"}
)

// chance is true once in so many times.
func chance(t *rapid.T, of int, what string) bool { return rapid.IntRange(1, of).Draw(t, what) == of }

func drawSnapshot(t *rapid.T) Snapshot {
	s := Snapshot{
		Now: now, Desired: rapid.IntRange(0, 12).Draw(t, "desired"), KeepFailed: rapid.IntRange(0, 2).Draw(t, "keepFailed"), KeepFailedFor: time.Hour,
		Settings: Settings{
			Policy: rapid.SampledFrom(somePolicy).Draw(t, "policy"), TypeFirst: chance(t, 3, "typeFirst"), StrictBalance: chance(t, 4, "strict"),
			Charge: rapid.SampledFrom([]ChargeType{PayAsYouGo, Spot}).Draw(t, "charge"), OnDemandBase: rapid.IntRange(0, 3).Draw(t, "base"),
			OnDemandPercent: rapid.IntRange(0, 100).Draw(t, "percent"), SpotPools: rapid.IntRange(1, 3).Draw(t, "spotPools"), Compensate: chance(t, 2, "compensate"),
		},
		Busy: chance(t, 8, "busy"), Emptying: chance(t, 12, "emptying"), Rebalance: chance(t, 3, "rebalance"), Max: rapid.IntRange(0, 14).Draw(t, "max"),
	}
	if chance(t, 4, "unsure") {
		s.Uncertain = rapid.IntRange(0, 4).Draw(t, "uncertain")
	}
	if chance(t, 10, "frozen") {
		s.Frozen = "the definition is being deleted: nothing is created or released until it is there again"
	}
	if chance(t, 10, "noRelease") {
		s.NoRelease = "4 of 9 are missing: nothing is released until a person says so"
	}
	if chance(t, 10, "undrained") {
		s.Undrained = fault.DrainRoleNotThere
	}
	if chance(t, 2, "nextLook") {
		s.NextLook = now.Add(time.Minute)
	}
	for _, z := range someZones {
		for _, it := range someTypes {
			for _, c := range []ChargeType{PayAsYouGo, Spot} {
				s.Pools = append(s.Pools, ResourcePool{
					VSwitch: "vsw-" + z, Zone: z, InstanceType: it, ChargeType: c, VCPU: 2, FreeAddresses: -1, Disk: "cloud_essd",
					Price: int64(rapid.IntRange(0, 5).Draw(t, "price")) * 100_000, SoldOut: chance(t, 6, "soldOut"),
				})
			}
		}
	}
	for n := range rapid.IntRange(0, 15).Draw(t, "instances") {
		s.Instances = append(s.Instances, drawInstance(t, n))
	}
	for n := range rapid.IntRange(0, 3).Draw(t, "transfers") {
		s.Transfers = append(s.Transfers, Transfer{
			Instance: fmt.Sprintf("i-%02d", n*4), In: chance(t, 2, "in"), Release: chance(t, 2, "release"), Task: "t",
		})
	}
	for range rapid.IntRange(0, 3).Draw(t, "refusals") {
		s.Refusals = append(s.Refusals, Refusal{
			Code:  rapid.SampledFrom(someCodes).Draw(t, "code"),
			Place: fault.Place{VSwitch: "vsw-zone-a", Zone: "zone-a", InstanceType: "ecs.g7", ChargeType: string(s.Settings.Charge), Disk: "cloud_essd"},
			Count: rapid.IntRange(1, 5).Draw(t, "count"), Until: now.Add(time.Duration(rapid.IntRange(-5, 9).Draw(t, "until")) * time.Minute),
		})
	}
	return s
}

func drawInstance(t *rapid.T, n int) Instance {
	i := Instance{
		Name: fmt.Sprintf("i-%02d", n), Zone: rapid.SampledFrom(someZones).Draw(t, "zone"), InstanceType: "ecs.g7", ChargeType: PayAsYouGo,
		Price: int64(rapid.IntRange(0, 3).Draw(t, "price")), VCPU: 2, Created: now.Add(-time.Duration(rapid.IntRange(1, 4).Draw(t, "age")) * time.Hour),
		Seen: !chance(t, 5, "unseen"), Running: !chance(t, 6, "stopped"), Joined: !chance(t, 5, "joining"), ReleaseFirst: chance(t, 8, "first"),
		Kept: rapid.SampledFrom(someKept).Draw(t, "kept"), Unknown: chance(t, 12, "unknown"), Removed: chance(t, 12, "removed"), Unhealthy: chance(t, 12, "unhealthy"),
	}
	i.VSwitch = "vsw-" + i.Zone
	i.FailedToJoin = !i.Joined && chance(t, 2, "failed")
	i.Resetting = i.FailedToJoin && chance(t, 4, "resetting")
	if chance(t, 4, "marked") {
		i.Marked = now.Add(-time.Duration(rapid.IntRange(1, 9).Draw(t, "mark")) * time.Minute)
		i.ReleaseSent, i.Named = chance(t, 3, "sent"), chance(t, 3, "named")
		if i.Named && chance(t, 2, "byTask") {
			i.Task = rapid.SampledFrom([]string{"t", "another"}).Draw(t, "task")
		}
	}
	return i
}

func clone(s Snapshot) Snapshot {
	s.Pools, s.Instances = slices.Clone(s.Pools), slices.Clone(s.Instances)
	s.Transfers, s.Refusals = slices.Clone(s.Transfers), slices.Clone(s.Refusals)
	return s
}

// counted reckons rule 3 a second time, in its own words.
func counted(s Snapshot) int {
	byRecord := map[string]bool{}
	for _, i := range s.Instances {
		if i.Marked.IsZero() && !i.Unknown && !i.Removed {
			byRecord[i.Name] = true
		}
	}
	for _, t := range s.Transfers {
		byRecord[t.Instance] = t.In
	}
	n := 0
	for _, yes := range byRecord {
		if yes {
			n++
		}
	}
	return n
}

func TestPlanHoldsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSnapshot(t)
		if chance(t, 4, "ceiling") {
			s.Ceilings = append(s.Ceilings, drawCeiling(t))
		}
		before := clone(s)
		d := Plan(s)
		if diff := cmp.Diff(before, s); diff != "" {
			t.Fatalf("the snapshot was changed:\n%s", diff)
		}
		if d.Create > 0 && len(d.Release)+len(d.TakeOut)+len(d.CallBack)+len(d.BringIn) > 0 {
			t.Fatalf("creates beside something else: %+v", d)
		}
		if d.Create > 0 && counted(s)+s.Uncertain+d.Create > s.Desired+d.Surge {
			t.Fatalf("overshoots: %d counted, %d uncertain, %d desired: %+v", counted(s), s.Uncertain, s.Desired, d)
		}
		if d.Surge > 0 && (!s.Rebalance || d.Surge > max(1, s.Desired/10) || (s.Max > 0 && s.Desired+d.Surge > s.Max)) {
			t.Fatalf("a surge of %d at %d of at most %d", d.Surge, s.Desired, s.Max)
		}
		for _, c := range d.CallBack {
			if i, _ := s.find(c); i.ReleaseSent || i.Marked.IsZero() || i.Removed || i.Named && (i.Task == "" || s.listed(i)) {
				t.Fatalf("calls %s back", c)
			}
		}
		checkLeaving(t, s, d)
		checkWhy(t, s, d)
		for _, i := range s.Instances { // what a task took back counts before anything is made in its place
			back := i.Task != "" && !i.Marked.IsZero() && !i.ReleaseSent && !i.Removed && !s.listed(i)
			if back && !d.Empty() && !slices.Contains(d.CallBack, i.Name) {
				t.Fatalf("%s stays marked, and something else is decided: %+v", i.Name, d)
			}
		}
		if (s.Busy || s.Frozen != "") && !d.Empty() {
			t.Fatalf("decides beside an open activity: %+v", d)
		}
	})
}

// checkWhy: no state without its reason. Off its number a group says in one
// sentence why, what is tried next, and when: at a time, or at an event that it
// names. Where nothing is tried until somebody acts, it says what would help.
func checkWhy(t *rapid.T, s Snapshot, d Decision) {
	w, ok := Explain(s, d)
	if !ok {
		if counted(s) != s.Desired {
			t.Fatalf("%d of %d, and no reason", counted(s), s.Desired)
		}
		return
	}
	switch {
	case w.Sentence == "" || strings.HasSuffix(w.Sentence, ".") || strings.Contains(w.Sentence, "\n"):
		t.Fatalf("not one sentence: %+v", w)
	case w.NextStep == "":
		t.Fatalf("not said what comes next: %+v", w)
	case w.Code != "" && w.Edit == "" && fault.Lookup(w.Code).Solution == "":
		t.Fatalf("a code, and nothing that would help: %+v", w)
	case w.Short != 0 && w.NextStep == nothingTried && w.Edit == "" && !strings.Contains(w.Sentence, "until"):
		t.Fatalf("nothing is tried, and nothing would help: %+v", w)
	case w.Short != 0 && w.NextStep == askedAgain && w.Next.IsZero() && d.Wake.IsZero() && s.NextLook.IsZero() && s.Frozen == "" && !expires(w.Code):
		t.Fatalf("something is tried, and not said when: %+v", w)
	case !w.Next.IsZero() && w.Next.Before(s.Now):
		t.Fatalf("the next try is over: %+v at %v", w, s.Now)
	}
}

// checkLeaving checks I4: what is kept is never released; a task's own hold and
// a deletion of the pool, for what people protected, are the exceptions.
func checkLeaving(t *rapid.T, s Snapshot, d Decision) {
	left := counted(s)
	for _, c := range d.Release {
		i, ok := s.find(c.Name)
		may := i.Kept == "" || (i.Kept == KeptHeld && c.Task != "") ||
			(s.Emptying && (i.Kept == KeptProtected || i.Kept == KeptStandby || i.Kept == KeptHeld))
		if !ok || !may || i.Unknown || i.Removed || !i.Marked.IsZero() {
			t.Fatalf("releases %+v", i)
		}
		if c.Task == "" {
			left--
		}
		replaced := s.Emptying || i.FailedToJoin || i.Unhealthy || c.Task != ""
		if !replaced && (!i.Seen || left < s.Desired) {
			t.Fatalf("releases %s down to %d of %d", i.Name, left, s.Desired)
		}
	}
	for _, c := range d.TakeOut {
		if i, ok := s.find(c.Name); !ok || i.Removed || !i.Marked.IsZero() {
			t.Fatalf("takes out %+v", i)
		}
	}
}

func TestTheOrderOfListsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSnapshot(t)
		other := clone(s)
		r := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
		r.Shuffle(len(other.Instances), func(a, b int) { other.Instances[a], other.Instances[b] = other.Instances[b], other.Instances[a] })
		r.Shuffle(len(other.Transfers), func(a, b int) { other.Transfers[a], other.Transfers[b] = other.Transfers[b], other.Transfers[a] })
		r.Shuffle(len(other.Refusals), func(a, b int) { other.Refusals[a], other.Refusals[b] = other.Refusals[b], other.Refusals[a] })
		if diff := cmp.Diff(Plan(s), Plan(other)); diff != "" {
			t.Fatalf("another order, another decision:\n%s", diff)
		}
	})
}

// carry plays a decision on a snapshot: everything that was decided comes about,
// and everything asked for is given.
func carry(s Snapshot, d Decision, round int) Snapshot {
	s = clone(s)
	s.Now = s.Now.Add(time.Minute)
	leaves := map[string]bool{}
	for _, c := range d.Release {
		leaves[c.Name] = true
	}
	out := map[string]bool{}
	for _, c := range d.TakeOut {
		out[c.Name] = true
	}
	s.Instances = slices.DeleteFunc(s.Instances, func(i Instance) bool { return leaves[i.Name] })
	for n := range s.Instances {
		i := &s.Instances[n]
		i.Removed = i.Removed || out[i.Name]
		if slices.Contains(d.CallBack, i.Name) {
			i.Marked = time.Time{}
		}
		if slices.Contains(d.BringIn, i.Name) {
			i.Removed, i.Unknown, i.Kept = false, false, KeptAttached
		}
		i.Seen, i.Joined = true, !i.FailedToJoin
	}
	for _, name := range d.BringIn {
		if _, ok := s.find(name); !ok {
			s.Instances = append(s.Instances, Instance{Name: name, Zone: "zone-a", Seen: true, Running: true, Joined: true, Kept: KeptAttached, Created: s.Now})
		}
	}
	for c, n := range Allocation(d, s.Settings.StrictBalance) {
		for k := range n {
			cand := d.Candidates[c]
			s.Instances = append(s.Instances, Instance{
				Name: fmt.Sprintf("n-%d-%d-%d", round, c, k), Zone: cand.Zone, VSwitch: cand.VSwitch, InstanceType: cand.InstanceType, ChargeType: cand.ChargeType,
				Price: cand.Price, VCPU: 2, Created: s.Now, Seen: true, Running: true, Joined: true,
			})
		}
	}
	return s
}

func TestItConvergesAndStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSnapshot(t)
		s.Busy, s.Uncertain, s.Refusals, s.Max = false, 0, nil, 0
		if s.Settings.StrictBalance = false; s.Emptying {
			s.Desired = 0
		}
		for n := range s.Pools {
			s.Pools[n].SoldOut = false
		}
		s = carry(s, Decision{}, -1)
		s.Transfers = slices.DeleteFunc(s.Transfers, func(x Transfer) bool { // a task drops what was decided to go before
			i, ok := s.find(x.Instance)
			return x.In && ok && !i.Marked.IsZero()
		})
		s.Settings.Compensate = true
		var d Decision
		for round := 0; ; round++ {
			if d = Plan(s); d.Empty() {
				break
			}
			if round > 60 {
				t.Fatalf("does not settle: %+v", d)
			}
			s = carry(s, d, round)
		}
		if many := len(d.Blocked) > 0; !many && !s.Emptying && counted(s) != s.Desired {
			t.Fatalf("settled at %d of %d without a reason", counted(s), s.Desired)
		}
		if !cmp.Equal(Plan(s), d) {
			t.Fatal("looks again and decides otherwise")
		}
	})
}

func drawActivity(t *rapid.T) Activity {
	s := drawSnapshot(t)
	s.Instances, s.Transfers, s.Uncertain, s.Busy, s.Emptying, s.Refusals = nil, nil, 0, false, false, nil
	s.Desired = rapid.IntRange(1, 600).Draw(t, "create")
	d := Plan(s)
	return Activity{Create: d.Create, Candidates: d.Candidates, StrictBalance: s.Settings.StrictBalance}
}

func TestPiecesNeverAskForMoreThanIsWanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawActivity(t)
		made := 0
		for n := 0; ; n++ {
			wanted := rapid.IntRange(0, 700).Draw(t, "wanted")
			p, ok := NextPiece(a, wanted)
			again, _ := NextPiece(a, wanted)
			if p != again {
				t.Fatal("the same activity, another piece")
			}
			if !ok {
				return
			}
			if p.Amount < 1 || p.Amount > min(MaxPiece, wanted, a.Create-made) {
				t.Fatalf("asks for %d of %d wanted, %d of %d made", p.Amount, wanted, made, a.Create)
			}
			if n > 400 {
				t.Fatal("the activity does not end")
			}
			for _, old := range a.Pieces {
				if old.Candidate == p.Candidate && old.Code != "" {
					t.Fatalf("asks again what was refused: %+v", old)
				}
			}
			p.Created = p.Amount
			if chance(t, 3, "refused") {
				p.Created, p.Code = rapid.IntRange(0, p.Amount-1).Draw(t, "created"), rapid.SampledFrom(someCodes).Draw(t, "code")
			}
			made += p.Created
			a.Pieces = append(a.Pieces, p)
		}
	})
}

func TestBalancedPiecesKeepZonesEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Snapshot{Now: now, Settings: Settings{Policy: DistributionBalancing, Charge: PayAsYouGo}}
		have := map[string]int{}
		for _, z := range someZones {
			s.Pools = append(s.Pools, ResourcePool{VSwitch: z, Zone: z, InstanceType: "ecs.g7", ChargeType: PayAsYouGo, FreeAddresses: -1})
			for k := range rapid.IntRange(0, 9).Draw(t, z) {
				have[z]++
				s.Instances = append(s.Instances, Instance{Name: fmt.Sprintf("%s-%d", z, k), Zone: z, Seen: true, Running: true, Joined: true})
			}
		}
		s.Desired = len(s.Instances) + rapid.IntRange(1, 250).Draw(t, "more")
		shut := rapid.SampledFrom(append([]string{""}, someZones...)).Draw(t, "shut")
		d := Plan(s)
		a := Activity{Create: d.Create, Candidates: d.Candidates}
		got, made := map[string]int{}, 0
		for {
			p, ok := NextPiece(a, d.Create-made)
			if !ok {
				break
			}
			zone := d.Candidates[p.Candidate].Zone
			if p.Created = p.Amount; zone == shut {
				p.Created, p.Code = 0, fault.NoStock
			}
			got[zone] += p.Created
			made += p.Created
			a.Pieces = append(a.Pieces, p)
		}
		if made != d.Create {
			t.Fatalf("%d of %d created", made, d.Create)
		}
		for _, z := range someZones {
			for _, other := range someZones {
				if got[z] > 0 && other != shut && have[z]+got[z] > have[other]+got[other]+1 {
					t.Fatalf("%s got %d and has more than %s: had %v, got %v", z, got[z], other, have, got)
				}
			}
		}
	})
}
