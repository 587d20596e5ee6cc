package view

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

var now = time.Date(2026, 11, 24, 14, 5, 18, 0, time.UTC)

// TestSentences gives an object and compares its words and its sentence.
func TestSentences(t *testing.T) {
	datadriven.RunTest(t, "testdata/sentences.txt", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "pool":
			p := v1alpha1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: "web", Generation: 1}}
			p.Status.ObservedGeneration = 1
			read(t, d.Input, &p)
			return fmt.Sprintf("%s\n%s\ncomplete=%t tone=%s\n", PoolWord(&p.Spec, &p.Status), PoolSentence(&p, now), Complete(&p), toneNames[PoolTone(&p)])
		case "instance":
			i := v1alpha1.Instance{ObjectMeta: metav1.ObjectMeta{Name: "i-1"}, Spec: v1alpha1.InstanceSpec{Pool: "web"}}
			read(t, d.Input, &i)
			return fmt.Sprintf("%s / %s\n%s\n", InstanceWord(&i), NodeWord(&i), InstanceSentence(&i, now))
		case "task":
			k := v1alpha1.ClusterTask{Spec: v1alpha1.ClusterTaskSpec{Title: "Scale web 4 -> 20"}}
			read(t, d.Input, &k)
			return fmt.Sprintf("%s\n%s\n", TaskWord(k.Status.State), TaskSentence(&k, now))
		case "activity":
			a := v1alpha1.ScalingActivity{ObjectMeta: metav1.ObjectMeta{Name: "web-a8"}, Spec: v1alpha1.ScalingActivitySpec{Cause: "expected number 4 -> 20"}}
			read(t, d.Input, &a)
			words := []string{ActivityWord(a.Status.State)}
			for _, p := range a.Status.Pieces {
				words = append(words, PieceWord(p))
			}
			return fmt.Sprintf("%s\n%s\n", strings.Join(words, ", "), ActivitySentence(&a))
		}
		t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
		return ""
	})
}

var toneNames = map[Tone]string{ToneNone: "none", ToneOK: "ok", ToneBusy: "busy", ToneWarn: "warn", ToneBad: "bad", ToneHold: "hold", ToneOff: "off"}

func read(t *testing.T, text string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}

// TestPoolSentenceHolds: whatever the numbers, the sentence fits its field, says
// the pool's name, is green only when everything is there, and does not change
// with the clock while the next try is still to come.
func TestPoolSentenceHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string) int32 { return rapid.Int32Range(0, 50).Draw(t, name) }
		p := &v1alpha1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: "web", Generation: 2}}
		p.Spec.ExpectedNodes = n("expected")
		p.Status.ObservedGeneration = int64(1 + n("observed")%2)
		p.Status.State = rapid.SampledFrom([]v1alpha1.PoolState{"", v1alpha1.PoolActive, v1alpha1.PoolScaling, v1alpha1.PoolRemoving, v1alpha1.PoolUpdating}).Draw(t, "state")
		p.Status.Counts = v1alpha1.PoolCounts{Instances: n("instances"), InService: n("inService"), Joining: n("joining"), Failed: n("failed"), Offline: n("offline"), Removing: n("removing"), Uncertain: n("uncertain")}
		next := metav1.NewTime(now.Add(time.Hour))
		p.Status.Why = &v1alpha1.Why{Sentence: rapid.StringN(0, 400, 1024).Draw(t, "why"), Next: rapid.StringN(0, 200, 512).Draw(t, "next"), NextTime: &next}
		before := p.DeepCopy()
		got := PoolSentence(p, now)
		if len(got) > 1024 || !strings.HasPrefix(got, "web ") {
			t.Fatalf("sentence of %d bytes: %q", len(got), got)
		}
		if later := PoolSentence(p, now.Add(59*time.Minute)); later != got {
			t.Fatalf("the clock alone changed %q to %q", got, later)
		}
		c := p.Status.Counts
		if Complete(p) && (c.InService != p.Spec.ExpectedNodes || c.Instances != p.Spec.ExpectedNodes || c.Removing+c.Uncertain > 0 || p.Status.ObservedGeneration < p.Generation) {
			t.Fatalf("green with %+v of %d", c, p.Spec.ExpectedNodes)
		}
		if PoolTone(p) == ToneOK != Complete(p) {
			t.Fatalf("tone %v, complete %v", PoolTone(p), Complete(p))
		}
		if word := PoolWord(&p.Spec, &p.Status); p.Status.State == v1alpha1.PoolActive && strings.Contains(word, " of ") == (c.InService == p.Spec.ExpectedNodes) {
			t.Fatalf("word %q with %d of %d", word, c.InService, p.Spec.ExpectedNodes)
		}
		if !reflect.DeepEqual(before, p) {
			t.Fatal("the object was changed")
		}
	})
}

// TestTimes: times of day where they are of today, dates where not.
func TestTimes(t *testing.T) {
	shanghai := time.FixedZone("CST", 8*3600)
	for name, tc := range map[string]struct {
		clock Clock
		at    time.Time
		want  string
	}{
		"today, UTC":              {Clock{Now: now}, now.Add(-time.Hour), "13:05:18 UTC"},
		"another day":             {Clock{Now: now}, now.Add(-24 * time.Hour), "2026-11-23 14:05:18 UTC"},
		"another day there":       {Clock{Now: now, Zone: shanghai}, now.Add(2 * time.Hour), "2026-11-25 00:05:18"},
		"today there":             {Clock{Now: now, Zone: shanghai}, now.Add(time.Hour), "23:05:18"},
		"how long ago":            {Clock{Now: now, Relative: true}, now.Add(-90 * time.Minute), "90m ago"},
		"how long till then":      {Clock{Now: now, Relative: true}, now.Add(90 * time.Second), "in 90s"},
		"never":                   {Clock{Now: now}, time.Time{}, "-"},
		"a future age is no age":  {Clock{Now: now, Relative: true}, now, "0s ago"},
		"a year of another clock": {Clock{Now: now}, now.AddDate(-1, 0, 0), "2025-11-24 14:05:18 UTC"},
	} {
		if got := tc.clock.At(tc.at); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0 s", 1500 * time.Millisecond: "1.5 s", 41 * time.Second: "41 s",
		192 * time.Second: "3 min 12 s", 125 * time.Minute: "2 h 5 min",
	} {
		if got := Took(d); got != want {
			t.Errorf("Took(%v) = %q, want %q", d, got, want)
		}
	}
}

// TestMoney: two decimals, three where the third says something.
func TestMoney(t *testing.T) {
	for in, want := range map[string]string{"1.2": "1.20", "18.300": "18.30", "0.125": "0.125", "0": "0.00", "": "", "much": "much", "2.3456": "2.346"} {
		if got := Money(in); got != want {
			t.Errorf("Money(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestBars: never longer than asked for, whatever the numbers.
func TestBars(t *testing.T) {
	for want, got := range map[string]string{
		"-----": Bar(0, 0, 5), "#####": Bar(7, 7, 5), "##---": Bar(4, 10, 5), "#####+": Bar(9, 3, 5) + "+", "-----+": Bar(-1, 3, 5) + "+",
	} {
		if got != want {
			t.Errorf("bar %q, want %q", got, want)
		}
	}
}

// TestTerminalSafety: what comes from a machine cannot move a terminal's cursor.
func TestTerminalSafety(t *testing.T) {
	evil := "a\x1b[2Jb\r\nc\u009bd\te"
	if got, want := OneLine(evil), "a [2Jb  c d e"; got != want {
		t.Errorf("OneLine %q, want %q", got, want)
	}
	if got, want := Printable(evil), "a?[2Jb?\nc?d\te"; got != want {
		t.Errorf("Printable %q, want %q", got, want)
	}
	line := Change{Word: "event", Pairs: pairs("message", evil)}.Line("14:00:00")
	if strings.ContainsAny(line, "\x1b\n\r") {
		t.Errorf("a control character in %q", line)
	}
}

// TestTableWidths: columns stand under their names whatever letters they hold.
func TestTableWidths(t *testing.T) {
	table := Table{
		Columns: []Column{{Name: "A"}, {Name: "N", Right: true}, {Name: "W", Wide: true}, {Name: "Z"}},
		Rows:    [][]Cell{{{Text: "größe"}, {Text: "7"}, {Text: "w"}, {Text: "end", Tone: ToneBad}}, {{Text: "b"}, {Text: "1234"}, {Text: ""}, {Text: ""}}},
	}
	want := "A         N  Z\ngröße     7  end\nb      1234\n"
	if diff := cmp.Diff(want, table.Text(Style{})); diff != "" {
		t.Errorf("narrow (-want +got):\n%s", diff)
	}
	want = "A         N  W  Z\ngröße     7  w  \x1b[31mend\x1b[0m\nb      1234\n"
	if diff := cmp.Diff(want, table.Text(Style{Wide: true, Color: true})); diff != "" {
		t.Errorf("wide, in colour (-want +got):\n%s", diff)
	}
}

// TestRefusalsSpeakByScope: a remembered refusal shows on the resource pools
// that its scope speaks of, and only while it lasts.
func TestRefusalsSpeakByScope(t *testing.T) {
	rp := func(vsw, zone, typ string) v1alpha1.ResourcePoolStatus {
		return v1alpha1.ResourcePoolStatus{VSwitch: vsw, Zone: zone, InstanceType: typ, ChargeType: v1alpha1.ChargePayAsYouGo, Stock: "WithStock", FreeAddresses: 9}
	}
	pools := []v1alpha1.ResourcePoolStatus{rp("v-a", "a", "g7"), rp("v-a", "a", "c7"), rp("v-b", "b", "g7")}
	for name, tc := range map[string]struct {
		refusal v1alpha1.Refusal
		want    []bool
	}{
		"one resource pool": {v1alpha1.Refusal{Scope: "pool", VSwitch: "v-a", Zone: "a", InstanceType: "g7", ChargeType: v1alpha1.ChargePayAsYouGo}, []bool{true, false, false}},
		"a type anywhere":   {v1alpha1.Refusal{Scope: "type", InstanceType: "g7"}, []bool{true, false, true}},
		"a zone":            {v1alpha1.Refusal{Scope: "zone", Zone: "a"}, []bool{true, true, false}},
		"a vSwitch":         {v1alpha1.Refusal{Scope: "vswitch", VSwitch: "v-b", Zone: "b"}, []bool{false, false, true}},
		"the account":       {v1alpha1.Refusal{Scope: "account"}, []bool{true, true, true}},
	} {
		tc.refusal.UntilTime = metav1.NewTime(now.Add(time.Minute))
		for _, expired := range []bool{false, true} {
			if expired {
				tc.refusal.UntilTime = metav1.NewTime(now.Add(-time.Minute))
			}
			g := &v1alpha1.ScalingGroup{Status: v1alpha1.ScalingGroupStatus{ResourcePools: pools, Refusals: []v1alpha1.Refusal{tc.refusal}}}
			for k, c := range NewStrength(g, Clock{Now: now}).Pools {
				if got, want := c.Until != nil, tc.want[k] && !expired; got != want {
					t.Errorf("%s, expired %t: pool %d refused: %t, want %t", name, expired, k, got, want)
				}
			}
		}
	}
}

// A solution is told part by part, but one that quotes a command is left whole.
func TestAdviceIsToldPartByPart(t *testing.T) {
	for solution, want := range map[string]string{
		"add a zone; or a type": "Help  add a zone\n      or a type\n",
		"type `a; b`; then c":   "Help  type `a; b`; then c\n",
		"":                      "",
	} {
		if got := Describe([]Field{advice("Help", solution)}, false); got != want {
			t.Errorf("%q: got %q, want %q", solution, got, want)
		}
	}
}
