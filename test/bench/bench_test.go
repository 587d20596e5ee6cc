package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseProcess(t *testing.T) {
	cpu, err := parseCPU("42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 100 1000 50")
	if err != nil || cpu != 3*time.Second {
		t.Errorf("cpu %s, %v", cpu, err)
	}
	if _, err := parseCPU("42 (x) S 1"); err == nil {
		t.Error("a short line was read")
	}
	now, most, err := parseMemory("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n")
	if err != nil || now != 1<<20 || most != 2<<20 {
		t.Errorf("%f, %f, %v", now, most, err)
	}
}

func TestMetrics(t *testing.T) {
	before := parseMetrics("# HELP calls x\ncalls{code=\"\",operation=\"Run\"} 1\n")
	after := parseMetrics("# TYPE calls counter\ncalls{code=\"\",operation=\"Run\"} 3\ncalls{code=\"Throttled\",operation=\"Run\"} 1\ncalls{code=\"\",operation=\"List\"} 5\nsum 1.5e2\ncallsmore 9\n")
	d := after.minus(before)
	if diff := cmp.Diff(map[string]float64{"Run": 3, "List": 5}, d.by("calls", "operation")); diff != "" {
		t.Error(diff)
	}
	if d.total("calls") != 8 || d.total("sum") != 150 {
		t.Errorf("%v", d)
	}
}

const auditText = `{"stage":"ResponseComplete","verb":"create","user":{"username":"system:serviceaccount:poolkeeper-system:poolkeeper-controller"},"objectRef":{"resource":"instances","name":"i-1"},"responseStatus":{"code":201},"requestReceivedTimestamp":"2026-01-01T00:00:01.000000Z","stageTimestamp":"2026-01-01T00:00:02.000000Z"}
{"stage":"ResponseComplete","verb":"update","user":{"username":"system:serviceaccount:poolkeeper-system:poolkeeper-controller"},"objectRef":{"resource":"instances","subresource":"status","name":"i-1"},"responseStatus":{"code":409},"requestReceivedTimestamp":"2026-01-01T00:00:02.000000Z","stageTimestamp":"2026-01-01T00:00:03.000000Z"}
{"stage":"ResponseStarted","verb":"watch","user":{"username":"system:serviceaccount:poolkeeper-system:poolkeeper-controller"},"objectRef":{"resource":"instances"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-01-01T00:00:02.000000Z","stageTimestamp":"2026-01-01T00:00:03.500000Z"}
{"stage":"ResponseComplete","verb":"watch","user":{"username":"system:serviceaccount:poolkeeper-system:poolkeeper-controller"},"objectRef":{"resource":"instances"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-01-01T00:00:02.000000Z","stageTimestamp":"2026-01-01T00:00:04.000000Z"}
{"stage":"ResponseComplete","verb":"get","requestURI":"/version?x=1","user":{"username":"somebody"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-01-01T00:00:02.000000Z","stageTimestamp":"2026-01-01T00:00:04.000000Z"}
{"stage":"ResponseComplete","verb":"create","user":{"username":"system:node:i-1"},"objectRef":{"resource":"nodes"},"responseStatus":{"code":201},"requestReceivedTimestamp":"2026-01-01T00:00:09.000000Z","stageTimestamp":"2026-01-01T00:00:20.000000Z"}
{"stage":"ResponseComplete","ver`

// A request counts once, a watch when it begins, and only within the span; a
// line that is being written is left for later.
func TestAudit(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	all, err := parseAudit(strings.NewReader(auditText), from, from.Add(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	total, writes, by := controllerCalls(all)
	want := map[string]callCount{"create instances": {Count: 1}, "update instances/status": {Count: 1, Conflicts: 1}, "watch instances": {Count: 1}}
	if diff := cmp.Diff(want, by); diff != "" || total != 3 || writes != 2 || len(all) != 4 {
		t.Errorf("%d, %d of %d: %s", total, writes, len(all), diff)
	}
	got := progressOf(stepTimes(all, from))
	if diff := cmp.Diff([]progress{{stepCreated, 2, 2, 2}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFastest(t *testing.T) {
	times := map[int]time.Duration{0: 4, 16: 2, 48: 1, 128: 2}
	if diff := cmp.Diff([]int{48, 16}, fastest(times, 2)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{7}, fastest(map[int]time.Duration{7: 1}, 2)); diff != "" {
		t.Error(diff)
	}
}

func TestTargets(t *testing.T) {
	for name, c := range map[string]struct {
		f    figure
		want string
	}{
		"met":           {figure{Value: 5, Target: 5}, "ok"},
		"missed":        {figure{Value: 5.1, Target: 5}, "MISSED"},
		"of a ratio":    {figure{Value: 50, Floor: 20, Ratio: 2.5, Target: 2, OfRatio: true}, "MISSED"},
		"nothing":       {figure{Value: 0, Zero: true}, "ok"},
		"not nothing":   {figure{Value: 1, Zero: true}, "MISSED"},
		"not judged":    {figure{Value: 1}, ""},
		"within its 2x": {figure{Value: 39, Floor: 20, Ratio: 1.95, Target: 2, OfRatio: true}, "ok"},
	} {
		cells := c.f.cells()
		if got := cells[len(cells)-1]; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestBecameWorse(t *testing.T) {
	before := []figure{{Name: "time", Unit: "s", Value: 10}, {Name: "rate", Unit: "n/s", Value: 50, More: true}, {Name: "writes", Unit: "n", Value: 0}, {Name: "same", Unit: "s", Value: 1}, {Name: "unit", Unit: "s", Value: 1}}
	now := []figure{{Name: "time", Unit: "s", Value: 12}, {Name: "rate", Unit: "n/s", Value: 25, More: true}, {Name: "writes", Unit: "n", Value: 3}, {Name: "same", Unit: "s", Value: 1.05}, {Name: "unit", Unit: "ms", Value: 9}, {Name: "new", Value: 9}}
	var got []string
	for _, c := range becameWorse(before, now) {
		got = append(got, c.name)
	}
	if diff := cmp.Diff([]string{"rate", "writes", "time"}, got); diff != "" {
		t.Error(diff)
	}
	if worse := becameWorse(now, now); len(worse) > 0 {
		t.Errorf("worse than itself: %v", worse)
	}
}

// The table and its Markdown hold each figure, its target and whether it is met.
func TestTable(t *testing.T) {
	r := newReport(options{})
	r.add(figure{Name: "0 to 5 nodes Ready", Unit: "s", Value: 3, Floor: 2, Ratio: 1.5, Target: 2, OfRatio: true}, figure{Name: "rate", Unit: "nodes/s", Value: 123.4})
	r.Requests["up"] = map[string]callCount{"create instances": {Count: 7, Conflicts: 2}}
	for _, markdown := range []bool{false, true} {
		var b bytes.Buffer
		if err := r.finish(&b, options{markdown: markdown}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"0 to 5 nodes Ready", "1.50", "≤ 2 × floor", "ok", "123", "create instances", "2 conflicts"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("no %q in:\n%s", want, b.String())
			}
		}
	}
}

// What a person types wrong is told at once, all of it.
func TestFlags(t *testing.T) {
	_, err := readFlags([]string{"-parts", "floor,roof", "-small", "0", "-large", "99999", "-bin", t.TempDir()})
	for _, want := range []string{`"roof"`, "--small 0", "--large 99999", "make build"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	o := options{only: "floor,large", large: 7, small: 3}
	b := bench{options: o}
	if diff := cmp.Diff([]int{7}, b.sizes()); diff != "" {
		t.Error(diff)
	}
}

// What grows steadily is found; what breathes, or grows while it warms up, is
// not; what was measured too short is no judgement.
func TestGrowth(t *testing.T) {
	for name, c := range map[string]struct {
		values []float64
		wrong  string
	}{
		"flat":                 {[]float64{100, 100, 100, 100, 100, 100, 100, 100}, ""},
		"it breathes":          {[]float64{100, 140, 90, 110, 95, 130, 104, 96}, ""},
		"it warms up":          {[]float64{20, 60, 99, 101, 100, 103, 102, 101}, ""},
		"a leak":               {[]float64{100, 110, 120, 130, 140, 150, 160, 170}, "grew from 125 to 165 MiB"},
		"small, within slack":  {[]float64{10, 11, 12, 13, 14, 15, 16, 17}, ""},
		"small, beyond slack":  {[]float64{10, 12, 14, 16, 18, 22, 26, 34}, "grew from 15 to 30 MiB"},
		"too short to tell it": {[]float64{100, 200, 300}, "3 turns say nothing, 8 are needed"},
	} {
		_, _, err := (&track{name: "x", unit: "MiB", slack: 12, values: c.values}).growth()
		if got := fmt.Sprint(err); (c.wrong == "") != (err == nil) || !strings.Contains(got, c.wrong) && err != nil {
			t.Errorf("%s: %v, want %q", name, err, c.wrong)
		}
	}
}
