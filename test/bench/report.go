package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// report is what a run writes down.
type report struct {
	Time    time.Time `json:"time"`
	Version string    `json:"version"`
	Quick   bool      `json:"quick,omitempty"`
	CPUs    int       `json:"cpus"`
	// Load is the system's load average over a minute, at the start: above the
	// number of CPUs, times say little.
	Load    string   `json:"load"`
	Seconds float64  `json:"seconds"`
	Figures []figure `json:"figures"`
	// Floors are the bare client's seconds by nodes and by how many joined at
	// once; 0: all.
	Floors map[int]map[int]float64 `json:"floors,omitempty"`
	// Requests of the controller by phase, verb and resource.
	Requests map[string]map[string]callCount `json:"requests,omitempty"`
	// CloudCalls of the controller by phase and operation.
	CloudCalls map[string]map[string]float64 `json:"cloudCalls,omitempty"`
	// Steps of the scale-outs.
	Steps map[string][]progress `json:"steps,omitempty"`
	// Single is where the median time of a single node goes. Unit: ms.
	Single map[string]float64 `json:"single,omitempty"`

	best map[int]bareCost
}

// bareCost is what the bare client takes at its best concurrency: seconds in
// all, and milliseconds of the control plane's CPU per node.
type bareCost struct{ seconds, cpu float64 }

func newReport(o options) *report {
	r := &report{Time: time.Now().UTC().Truncate(time.Second), Quick: o.quick, CPUs: runtime.NumCPU(), Version: revision(),
		Floors: map[int]map[int]float64{}, Requests: map[string]map[string]callCount{}, CloudCalls: map[string]map[string]float64{},
		Steps: map[string][]progress{}, best: map[int]bareCost{}}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		r.Load, _, _ = strings.Cut(string(b), " ")
	}
	return r
}

// revision is the commit that Go noted, where it did.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "unknown"
}

// floor notes the bare client's times for a number of nodes, and the best.
func (r *report) floor(n int, times map[int]time.Duration, best bareCost) {
	r.Floors[n], r.best[n] = map[int]float64{}, best
	for at, d := range times {
		r.Floors[n][at] = d.Seconds()
	}
}

// add notes figures.
func (r *report) add(f ...figure) { r.Figures = append(r.Figures, f...) }

// finish writes the file, the table, and what became worse.
func (r *report) finish(w io.Writer, o options) error {
	r.Seconds = time.Since(r.Time).Seconds()
	if o.markdown {
		r.markdown(w)
	} else {
		r.table(w)
	}
	if o.out != "" {
		text, err := json.MarshalIndent(r, "", "  ")
		if err == nil {
			err = os.WriteFile(o.out, append(text, '\n'), 0o644)
		}
		if err != nil {
			return fmt.Errorf("write figures: %w", err)
		}
		fmt.Fprintf(w, "\nwritten to %s\n", o.out)
	}
	if o.compare == "" {
		return nil
	}
	return r.compared(w, o.compare)
}

func (r *report) compared(w io.Writer, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read earlier run: %w", err)
	}
	var before report
	if err := json.Unmarshal(text, &before); err != nil {
		return fmt.Errorf("read earlier run %s: %w", file, err)
	}
	worse := becameWorse(before.Figures, r.Figures)
	if len(worse) == 0 {
		fmt.Fprintf(w, "\nnothing became worse than in %s by more than %.0f %%\n", file, noise*100)
		return nil
	}
	fmt.Fprintf(w, "\nworse than in %s by more than %.0f %%:\n", file, noise*100)
	for _, c := range worse {
		fmt.Fprintf(w, "  %-48s %s -> %s %s (%.0f %% worse)\n", c.name, number(c.was), number(c.now), c.unit, c.by*100)
	}
	return nil
}

// number writes a value with three digits that count.
func number(v float64) string {
	switch a := max(v, -v); {
	case a >= 100 || a == float64(int(a)):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// cells are the columns of one figure.
func (f figure) cells() []string {
	floor, ratio, target, verdict := "", "", "", ""
	if f.Floor > 0 {
		floor, ratio = number(f.Floor), number(f.Ratio)
	}
	if f.hasTarget() {
		if target = "≤ " + number(f.Target); f.OfRatio {
			target += " × floor"
		}
		if verdict = "MISSED"; f.met() {
			verdict = "ok"
		}
	}
	return []string{f.Name, number(f.Value), f.Unit, floor, ratio, target, verdict}
}

var heads = []string{"FIGURE", "VALUE", "UNIT", "FLOOR", "RATIO", "TARGET", ""}

func (r *report) table(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\n"+strings.Join(heads, "\t"))
	for _, f := range r.Figures {
		fmt.Fprintln(t, strings.Join(f.cells(), "\t"))
	}
	_ = t.Flush()
	r.details(w, "\n%s\n")
	missed := 0
	for _, f := range r.Figures {
		if f.hasTarget() && !f.met() {
			missed++
		}
	}
	fmt.Fprintf(w, "\n%d figures, %d targets missed; %d CPUs, load %s at the start, %.0f s\n", len(r.Figures), missed, r.CPUs, r.Load, r.Seconds)
}

func (r *report) markdown(w io.Writer) {
	row := func(cells []string) { fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")) }
	row([]string{"Figure", "Value", "Unit", "Floor", "Ratio", "Target", "Met"})
	row(slices.Repeat([]string{"---"}, len(heads)))
	for _, f := range r.Figures {
		row(f.cells())
	}
	fmt.Fprintf(w, "\n%s, %d CPUs, load %s at the start, %.0f s.\n\n```", r.Time.Format(time.RFC3339), r.CPUs, r.Load, r.Seconds)
	r.details(w, "\n%s\n")
	fmt.Fprintln(w, "```")
}

// details are the tables behind the figures.
func (r *report) details(w io.Writer, title string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer func() { _ = t.Flush() }()
	for _, phase := range sortedKeys(r.Steps) {
		fmt.Fprintf(t, title, "Steps of "+phase+", seconds from the request: first, half, last")
		for _, p := range r.Steps[phase] {
			fmt.Fprintf(t, "  %s\t%.2f\t%.2f\t%.2f\n", p.Step, p.First, p.Half, p.Last)
		}
	}
	if len(r.Single) > 0 {
		fmt.Fprintf(t, title, "A single node, median ms of each step")
		for _, s := range append(steps[:len(steps):len(steps)], stepReady) {
			fmt.Fprintf(t, "  %s\t%.0f\n", s, r.Single[s])
		}
	}
	for _, phase := range sortedKeys(r.Requests) {
		fmt.Fprintf(t, title, "Requests of the controller, "+phase)
		for _, k := range sortedKeys(r.Requests[phase]) {
			c := r.Requests[phase][k]
			fmt.Fprintf(t, "  %s\t%d\t%d conflicts\n", k, c.Count, c.Conflicts)
		}
	}
	for _, phase := range sortedKeys(r.CloudCalls) {
		fmt.Fprintf(t, title, "Cloud calls, "+phase)
		for _, k := range sortedKeys(r.CloudCalls[phase]) {
			if v := r.CloudCalls[phase][k]; v > 0 {
				fmt.Fprintf(t, "  %s\t%.0f\n", k, v)
			}
		}
	}
}
