package scaling

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

func drawCeiling(t *rapid.T) Ceiling {
	c := Ceiling{Whole: rapid.Bool().Draw(t, "whole")}
	if rapid.Bool().Draw(t, "ofNodes") {
		c.Nodes = rapid.IntRange(1, 12).Draw(t, "nodes")
	}
	if rapid.Bool().Draw(t, "ofCreations") {
		c.Creations = rapid.IntRange(1, 12).Draw(t, "creations")
	}
	if rapid.Bool().Draw(t, "ofSpend") {
		c.Spend = int64(rapid.IntRange(1, 30).Draw(t, "spend")) * 100_000
	}
	c.Used = Used{
		Nodes: rapid.IntRange(0, 9).Draw(t, "there"), PerHour: int64(rapid.IntRange(0, 20).Draw(t, "costs")) * 100_000,
		Unpriced: rapid.IntRange(0, 2).Draw(t, "unpriced"), Dearest: 500_000,
	}
	for range rapid.IntRange(0, 3).Draw(t, "created") {
		c.Used.Created = append(c.Used.Created, Creation{
			At: now.Add(-time.Duration(rapid.IntRange(0, 90).Draw(t, "ago")) * time.Minute), N: rapid.IntRange(1, 4).Draw(t, "n")})
	}
	return c
}

// recently reckons the creations of the last hour a second time.
func recently(c Ceiling) int {
	n := 0
	for _, x := range c.Used.Created {
		if x.At.After(now.Add(-time.Hour)) {
			n += x.N
		}
	}
	return n
}

// Whichever candidates give what is created, no ceiling is passed; what a
// ceiling stops is said; what is stopped without need is a defect too.
func TestNoDecisionPassesACeiling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSnapshot(t)
		free := Plan(s)
		for range rapid.IntRange(1, 2).Draw(t, "ceilings") {
			s.Ceilings = append(s.Ceilings, drawCeiling(t))
		}
		d := Plan(s)
		if d.Create > free.Create {
			t.Fatalf("creates %d, and %d without ceilings", d.Create, free.Create)
		}
		stopped := false
		for _, b := range d.Blocked {
			stopped = stopped || b.Ceiling != ""
		}
		if d.Create < free.Create && !stopped {
			t.Fatalf("creates %d instead of %d and does not say why: %+v", d.Create, free.Create, d.Blocked)
		}
		dearest := int64(0)
		for _, c := range d.Candidates {
			dearest = max(dearest, c.Price)
		}
		for _, c := range s.Ceilings {
			if d.Create == 0 {
				break
			}
			if c.Nodes > 0 && c.Used.Nodes+d.Create > c.Nodes {
				t.Fatalf("%d nodes of at most %d", c.Used.Nodes+d.Create, c.Nodes)
			}
			if c.Creations > 0 && recently(c)+d.Create > c.Creations {
				t.Fatalf("%d creations of at most %d", recently(c)+d.Create, c.Creations)
			}
			if spend := c.Used.Spend() + dearest*int64(d.Create); c.Spend > 0 && spend > c.Spend {
				t.Fatalf("up to %d an hour of at most %d", spend, c.Spend)
			}
			for _, x := range d.Candidates {
				if c.Spend > 0 && x.Price <= 0 {
					t.Fatalf("asks %s, whose price is not known", name(x))
				}
			}
		}
		if d.Create == 0 && free.Create > 0 {
			needed(t, s, free)
		}
	})
}

// needed says that at least one ceiling stops even one instance: of the
// cheapest candidate there is.
func needed(t *rapid.T, s Snapshot, free Decision) {
	for _, c := range s.Ceilings {
		pays := c.Spend == 0
		for _, x := range free.Candidates {
			pays = pays || x.Price > 0 && c.Used.Spend()+x.Price <= c.Spend
		}
		if !pays || c.Nodes > 0 && c.Used.Nodes >= c.Nodes || c.Creations > 0 && recently(c) >= c.Creations {
			return
		}
	}
	if len(s.Ceilings) == 1 && !s.Settings.StrictBalance && s.Settings.Charge != Spot { // of several, each may leave another resource pool only
		t.Fatalf("nothing is created, and no ceiling stops one: %+v", s.Ceilings)
	}
}

// Ceilings that are far away change nothing.
func TestFarCeilingsChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSnapshot(t)
		for n := range s.Pools {
			s.Pools[n].Price = max(s.Pools[n].Price, 1)
		}
		want := Plan(s)
		s.Ceilings = []Ceiling{{Nodes: 10_000, Creations: 10_000, Spend: 1e12}, {Whole: true, Nodes: 10_000, Creations: 10_000, Spend: 1e12}}
		got := Plan(s)
		for _, c := range got.Checks {
			if c.Stops != 0 {
				t.Fatalf("%+v", c)
			}
		}
		if got.Checks = nil; !cmp.Equal(want, got) {
			t.Fatal(cmp.Diff(want, got))
		}
	})
}

// When the next creation may begin is when the oldest are an hour old.
func TestCreationsGoOnWhenTheOldestLeaveTheHour(t *testing.T) {
	ago := func(minutes, n int) Creation {
		return Creation{At: now.Add(-time.Duration(minutes) * time.Minute), N: n}
	}
	c := Ceiling{Creations: 5, Used: Used{Created: []Creation{ago(10, 2), ago(59, 3), ago(60, 100)}}}
	s := Snapshot{Now: now, Desired: 9, Settings: Settings{Policy: Priority, Charge: PayAsYouGo}, Ceilings: []Ceiling{c},
		Pools: []ResourcePool{{VSwitch: "vsw-a", Zone: "zone-a", InstanceType: "g7", ChargeType: PayAsYouGo, FreeAddresses: -1}}}
	d := Plan(s)
	if w, _ := Explain(s, d); d.Create != 0 || w.Code != fault.CeilingCreations || !w.Next.Equal(now.Add(time.Minute)) {
		t.Errorf("%d created, %+v", d.Create, w)
	}
	s.Now = now.Add(time.Minute)
	if d = Plan(s); d.Create != 3 {
		t.Errorf("a minute later %d are created, want 3", d.Create)
	}
}
