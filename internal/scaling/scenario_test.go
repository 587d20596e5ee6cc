package scaling

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// now is the moment of every scenario; ages count back from it.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestScenarios reads testdata: a comment says the rule, then come the facts,
// then the decision.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 7 {
		t.Fatalf("scenarios: %v, %v", files, err)
	}
	for _, path := range files {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			w := read(t, d)
			switch d.Cmd {
			case "plan":
				return show(Plan(w.snapshot))
			case "carry-out":
				return w.carryOut(t)
			case "strength":
				return showStrength(Outlook(w.snapshot))
			case "why":
				return showWhy(w.snapshot)
			case "price":
				return showPrice(w.snapshot)
			}
			d.Fatalf(t, "no such command")
			return ""
		})
	}
}

// world is what a scenario says.
type world struct {
	snapshot Snapshot
	gives    map[string]int
	refuses  map[string]fault.Code
	wanted   []int // how many the group wants at each later piece
}

// words is one line: its words, and key=value pairs.
type words struct {
	t    *testing.T
	list []string
	by   map[string]string
}

func split(t *testing.T, fields []string) words {
	w := words{t: t, by: map[string]string{}}
	for _, f := range fields {
		if k, v, ok := strings.Cut(f, "="); ok {
			w.by[k] = v
		} else {
			w.list = append(w.list, f)
			w.by[f] = "true"
		}
	}
	return w
}

func (w words) is(key string) bool { return w.by[key] == "true" }

func (w words) number(key string, otherwise int) int {
	if w.by[key] == "" {
		return otherwise
	}
	n, err := strconv.Atoi(w.by[key])
	if err != nil {
		w.t.Fatalf("%s: %v", key, err)
	}
	return n
}

func (w words) ago(key string) time.Time {
	if w.by[key] == "" {
		return time.Time{}
	}
	return now.Add(-w.duration(key))
}

func (w words) duration(key string) time.Duration {
	d, err := time.ParseDuration(w.by[key])
	if err != nil {
		w.t.Fatalf("%s: %v", key, err)
	}
	return d
}

func (w words) micros() int64 { return w.money("price") }

func (w words) money(key string) int64 {
	if w.by[key] == "" {
		return 0
	}
	f, err := strconv.ParseFloat(w.by[key], 64)
	if err != nil {
		w.t.Fatalf("%s: %v", key, err)
	}
	return int64(f*1e6 + 0.5)
}

func read(t *testing.T, d *datadriven.TestData) *world {
	var args []string
	for _, a := range d.CmdArgs {
		args = append(args, strings.TrimSuffix(a.Key+"="+strings.Join(a.Vals, ","), "="))
	}
	w := &world{snapshot: snapshotOf(split(t, args)), gives: map[string]int{}, refuses: map[string]fault.Code{}}
	for _, line := range strings.Split(d.Input, "\n") {
		if f := strings.Fields(line); len(f) > 0 {
			w.line(t, f[0], split(t, f[1:]), strings.TrimSpace(strings.TrimPrefix(line, f[0])))
		}
	}
	return w
}

func snapshotOf(a words) Snapshot {
	s := Snapshot{
		Now: now, Desired: a.number("desired", 0), Uncertain: a.number("uncertain", 0), Busy: a.is("busy"), New: a.is("new"), Emptying: a.is("emptying"),
		KeepFailed: a.number("keepFailed", 1), KeepFailedFor: 4 * time.Hour, Rebalance: a.is("rebalance"), Max: a.number("max", 0),
		Generation: int64(a.number("generation", 0)), Cause: strings.ReplaceAll(a.by["cause"], "_", " "), Lost: strings.ReplaceAll(a.by["lost"], "_", " "),
		Left: Left{Count: a.number("left", 0), Cause: strings.ReplaceAll(a.by["because"], "_", " ")},
		Settings: Settings{
			Policy: Policy(a.by["policy"]), TypeFirst: a.is("typeFirst"), StrictBalance: a.is("strict"), Charge: ChargeType(a.by["charge"]),
			OnDemandBase: a.number("base", 0), OnDemandPercent: a.number("percent", 0), SpotPools: a.number("spotPools", 2), Compensate: a.by["compensate"] != "no",
		},
	}
	if s.Settings.Charge == "" {
		s.Settings.Charge = PayAsYouGo
	}
	return s
}

func (w *world) line(t *testing.T, kind string, f words, rest string) {
	s := &w.snapshot
	switch kind {
	case "pool":
		s.Pools = append(s.Pools, ResourcePool{
			VSwitch: f.list[0], Zone: f.list[1], InstanceType: f.list[2], ChargeType: orCharge(f.by["charge"]), Stock: Stock(f.by["stock"]),
			Price: f.micros(), VCPU: f.number("vcpu", 0), FreeAddresses: f.number("free", -1), Constraint: fault.Code(f.by["constraint"]), Disk: f.by["disk"],
		})
	case "instance":
		s.Instances = append(s.Instances, instanceOf(f))
	case "transfer":
		s.Transfers = append(s.Transfers, Transfer{Instance: f.list[0], In: f.is("in"), Release: f.is("release"), Task: f.by["task"]})
	case "refused":
		s.Refusals = append(s.Refusals, Refusal{
			Code: fault.Code(f.list[0]), All: f.is("all"), Count: f.number("count", 1), Generation: int64(f.number("generation", 0)),
			Place: fault.Place{VSwitch: f.by["vsw"], Zone: f.by["zone"], InstanceType: f.by["type"], ChargeType: f.by["charge"], Disk: f.by["disk"]},
			Last:  f.ago("last"), Until: now.Add(f.duration("until")), Burnt: f.micros(),
		})
	case "ceiling":
		s.Ceilings = append(s.Ceilings, Ceiling{
			Whole: f.is("whole"), Nodes: f.number("nodes", 0), Creations: f.number("creations", 0), Spend: f.money("spend"),
			Used: Used{Nodes: f.number("there", 0), PerHour: f.money("costs"), Unpriced: f.number("unpriced", 0), Dearest: f.money("dearest")},
		})
	case "created":
		c := &s.Ceilings[len(s.Ceilings)-1]
		c.Used.Created = append(c.Used.Created, Creation{At: f.ago("ago"), N: f.number("n", 1)})
	case "frozen":
		s.Frozen = rest
	case "norelease":
		s.NoRelease = rest
	case "undrained":
		s.Undrained = rest
	case "gives":
		w.gives[f.list[0]] = f.number("n", 0)
		w.refuses[f.list[0]] = fault.Code(f.by["code"])
	case "wanted":
		for _, n := range f.list {
			v, _ := strconv.Atoi(n)
			w.wanted = append(w.wanted, v)
		}
	default:
		t.Fatalf("no such fact: %s", kind)
	}
}

func orCharge(s string) ChargeType {
	if s == "" {
		return PayAsYouGo
	}
	return ChargeType(s)
}

func instanceOf(f words) Instance {
	i := Instance{
		Name: f.list[0], Zone: f.list[1], VSwitch: f.by["vsw"], InstanceType: f.by["type"], ChargeType: orCharge(f.by["charge"]),
		Price: f.micros(), VCPU: f.number("vcpu", 0), Created: now.Add(-time.Hour), Activity: f.number("activity", 0), Piece: f.number("piece", 0), Seen: !f.is("unseen"), State: f.by["state"], Running: !f.is("stopped"),
		FailedToJoin: f.is("failed"), Resetting: f.is("resetting"), NotStarted: f.is("never-started"), Abandoned: f.is("abandoned"), Joined: !f.is("failed") && !f.is("joining"), Unhealthy: f.is("unhealthy"), ReleaseFirst: f.is("first"),
		Kept: strings.ReplaceAll(f.by["keep"], "_", " "), Marked: f.ago("marked"), ReleaseSent: f.is("sent"), Named: f.is("named"), Task: f.by["task"],
		Unknown: f.is("unknown"), Removed: f.is("removed"), Lost: f.is("lost"),
	}
	if f.by["age"] != "" {
		i.Created = f.ago("age")
	}
	return i
}

func show(d Decision) string {
	var b strings.Builder
	if d.Cause != "" {
		fmt.Fprintf(&b, "cause: %s\n", d.Cause)
	}
	for _, n := range d.CallBack {
		fmt.Fprintf(&b, "call back %s\n", n)
	}
	if d.Create > 0 {
		fmt.Fprintf(&b, "create %d", d.Create)
		if d.Surge > 0 {
			fmt.Fprintf(&b, " (surge %d)", d.Surge)
		}
		b.WriteString("\n")
	}
	for _, c := range d.Candidates {
		fmt.Fprintf(&b, "  %s", name(c))
		if c.Share != 0 || c.ShareWith != "" {
			fmt.Fprintf(&b, " share %d", c.Share)
		}
		if c.ShareWith != "" {
			fmt.Fprintf(&b, " of %s", c.ShareWith)
		}
		b.WriteString("\n")
	}
	chosen := func(verb string, list []Chosen) {
		for _, c := range list {
			fmt.Fprintf(&b, "%s %s: %s", verb, c.Name, c.Why)
			if !c.NotBefore.IsZero() {
				fmt.Fprintf(&b, ", not before %s", c.NotBefore.Sub(now))
			}
			b.WriteString("\n")
		}
	}
	chosen("release", d.Release)
	chosen("take out", d.TakeOut)
	for _, n := range d.BringIn {
		fmt.Fprintf(&b, "bring in %s\n", n)
	}
	for _, r := range d.Blocked {
		fmt.Fprintf(&b, "blocked: %s\n", strings.TrimPrefix(fmt.Sprintf("%s: %s", r.Code, r.Text), ": "))
	}
	for _, c := range d.Checks {
		if c.Stops == 0 {
			fmt.Fprintf(&b, "ceiling %s: ok\n", c.Ceiling)
		} else {
			fmt.Fprintf(&b, "ceiling %s: stops %d of %d\n", c.Ceiling, c.Stops, c.Of)
		}
	}
	if !d.Wake.IsZero() {
		fmt.Fprintf(&b, "wake in %s\n", d.Wake.Sub(now))
	}
	if d.Imbalance > 1 {
		fmt.Fprintf(&b, "zones differ by %d\n", d.Imbalance)
	}
	if b.Len() == 0 {
		return "nothing to do\n"
	}
	return b.String()
}

func name(c Candidate) string {
	s := c.VSwitch + "/" + c.InstanceType
	if c.ChargeType != PayAsYouGo {
		s += "/" + string(c.ChargeType)
	}
	return s
}

// carryOut plays an activity to its end against a cloud that gives what the
// scenario says.
func (w *world) carryOut(t *testing.T) string {
	d := Plan(w.snapshot)
	a := Activity{Create: d.Create, Candidates: d.Candidates, StrictBalance: w.snapshot.Settings.StrictBalance}
	var b strings.Builder
	made := 0
	for n := 0; ; n++ {
		wanted := d.Create - made
		if n < len(w.wanted) {
			wanted = w.wanted[n]
		}
		p, ok := NextPiece(a, wanted)
		if !ok {
			fmt.Fprintf(&b, "%d of %d created\n", made, d.Create)
			return b.String()
		}
		if n > 100 {
			t.Fatal("the activity does not end")
		}
		key := name(d.Candidates[p.Candidate])
		p.Created = p.Amount
		if has, limited := w.gives[key]; limited {
			p.Created = min(p.Amount, has)
			w.gives[key] -= p.Created
			if p.Created < p.Amount {
				p.Code = w.refuses[key]
			}
		}
		made += p.Created
		fmt.Fprintf(&b, "%s: asked for %d, %d created", key, p.Amount, p.Created)
		if p.Code != "" {
			fmt.Fprintf(&b, ", then %s", p.Code)
		}
		b.WriteString("\n")
		a.Pieces = append(a.Pieces, p)
	}
}

func showStrength(e Elastic) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, sum %d\n", e.Word, e.Sum)
	for _, p := range e.Pools {
		fmt.Fprintf(&b, "  %s/%s %d %s\n", p.Pool.VSwitch, p.Pool.InstanceType, p.Score, p.Code)
	}
	return b.String()
}

func showWhy(s Snapshot) string {
	w, ok := Explain(s, Plan(s))
	if !ok {
		return "as wished\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "short by %d: %s\n", w.Short, w.Sentence)
	if w.Code != "" {
		fmt.Fprintf(&b, "code: %s\n", w.Code)
	}
	fmt.Fprintf(&b, "next: %s", w.NextStep)
	if !w.Next.IsZero() {
		fmt.Fprintf(&b, ", in %s", w.Next.Sub(now))
	}
	b.WriteString("\n")
	if w.Held {
		fmt.Fprintf(&b, "held: %d times, %.2f burnt\n", w.Count, float64(w.Burnt)/1e6)
	}
	if w.Edit != "" {
		fmt.Fprintf(&b, "helps: %s\n", w.Edit)
	}
	return b.String()
}

func showPrice(s Snapshot) string {
	line := func(b Bill) string {
		return fmt.Sprintf("%.2f per hour, %.2f of it paid in advance, %d without a price\n", float64(b.PerHour)/1e6, float64(b.Prepaid)/1e6, b.Unpriced)
	}
	return "now: " + line(HourlyPrice(s.Instances)) + "after: " + line(PriceAfter(s, Plan(s)))
}
