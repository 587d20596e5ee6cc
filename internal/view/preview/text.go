package preview

import (
	"fmt"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// maxShown bounds the names that a plan shows to people.
const maxShown = 12

// row is one line of a plan: what is done, how many, and columns.
type row struct {
	act   string
	cells []string
}

// Text is a plan as people read it, its first line the numbers and the name of
// the plan.
func (v Plan) Text() string {
	return fmt.Sprintf("%s: %d -> %d, plan %s\n", v.Pool, v.From, v.To, v.Hash) + v.Lines()
}

// Lines is what a plan would do, one line each.
func (v Plan) Lines() string {
	var rows []row
	add := func(act string, cells ...string) { rows = append(rows, row{act, cells}) }
	if v.Drop > 0 {
		add("drop", fmt.Sprintf("%d not created yet", v.Drop))
	}
	if !v.Known {
		add("then", "not known: the controller has not read yet what the cloud offers")
	}
	if len(v.CallBack) > 0 {
		add("call back", fmt.Sprintf("%d that were to go: %s", len(v.CallBack), few(v.CallBack)))
	}
	text := table(rows) + leavings("release", v.Release) + leavings("take out", v.TakeOut) + leavings("kept", v.Kept)
	rows = nil
	if n := len(v.Release); n > 0 {
		add("lost", fmt.Sprintf("the disks of %s with their local data; volumes stay", some(n)))
	}
	if n := len(v.TakeOut); n > 0 {
		add("goes on", fmt.Sprintf("%s running and costing, no longer ours", some(n)))
	}
	text += table(rows) + v.creation()
	rows = nil
	if v.Drain == drainOff {
		add("drain", "none, as what drains nodes lacks its role")
	} else if v.Drain != "" {
		add("drain", v.Drain+", before each release")
	}
	for _, h := range v.Hooks {
		add("hook", h.text())
	}
	for _, c := range v.Ceilings {
		said := "ok"
		if c.Stops > 0 {
			said = fmt.Sprintf("stops %d of %d", c.Stops, c.Of)
		}
		add("ceiling", c.Ceiling+": "+said)
	}
	for _, s := range v.Blocked {
		add("but", s)
	}
	return text + table(rows)
}

// text says whom a hook holds, and for how long.
func (h PlanHook) text() string {
	which := "new instance"
	if h.Transition == string(v1alpha1.WayOut) {
		which = "instance that goes"
	}
	long := strings.TrimSuffix(strings.TrimSuffix(view.Took(time.Duration(h.TimeoutSeconds)*time.Second), " 0 s"), " 0 min")
	return fmt.Sprintf("%s holds each %s until it is completed, or for %s, then %s", h.Name, which, long, h.DefaultResult)
}

// HooksOut tells which hooks of a pool hold what goes with it, a line for each;
// empty where none does.
func HooksOut(p *v1alpha1.NodePool) string {
	var rows []row
	for _, h := range hooksOn(p, v1alpha1.WayOut) {
		rows = append(rows, row{"hook", []string{h.text()}})
	}
	return table(rows)
}

// Question asks for a scale-in, with the act and its number.
func (v Plan) Question() string {
	if n := len(v.Release); n > 0 {
		return fmt.Sprintf("Release %s? [y/N]", some(n))
	}
	if n := v.From - v.To; n > 1 {
		return fmt.Sprintf("Reduce %s by %d nodes? [y/N]", v.Pool, n)
	}
	return fmt.Sprintf("Reduce %s by 1 node? [y/N]", v.Pool)
}

// Brief is a plan on one line.
func (v Plan) Brief() string {
	parts := []string{fmt.Sprintf("%d -> %d", v.From, v.To)}
	add := func(n int, format string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf(format, n))
		}
	}
	add(int(v.Drop), "%d dropped")
	add(len(v.CallBack), "%d called back")
	for _, c := range v.Candidates {
		add(int(c.Amount), "%d created as "+c.InstanceType+" in "+c.VSwitch)
	}
	add(len(v.Release), "%d released")
	add(len(v.TakeOut), "%d taken out")
	add(len(v.Kept), "%d kept")
	return strings.Join(append(parts, v.Blocked...), ", ")
}

// PriceText is what the pool costs before and after; empty where nobody knows
// or nothing changes.
func (v Plan) PriceText() string {
	if v.Before == nil || v.Before.PerHour == v.After.PerHour {
		return ""
	}
	return fmt.Sprintf("%s %s/h -> %s/h", v.Before.Currency, v.Before.PerHour, v.After.PerHour)
}

// creation tells who is asked, in which order, and who is not.
func (v Plan) creation() string {
	if v.Create == 0 {
		return ""
	}
	var rows []row
	for i, c := range v.Candidates {
		if i == maxShown {
			rows = append(rows, row{"", []string{"", fmt.Sprintf("and %d more", len(v.Candidates)-i)}})
			break
		}
		r := row{"then", []string{"", c.VSwitch, c.InstanceType, c.billing(), "", c.Word + ", if those run short"}}
		if c.Amount > 0 {
			r = row{"create", []string{fmt.Sprint(c.Amount), c.VSwitch, c.InstanceType, c.billing(), c.plus(), c.Word}}
		}
		rows = append(rows, r)
	}
	for i, c := range v.NotAsked {
		if i == maxShown {
			rows = append(rows, row{"", []string{"", fmt.Sprintf("and %d more", len(v.NotAsked)-i)}})
			break
		}
		rows = append(rows, row{"not asked", []string{"", c.VSwitch, c.InstanceType, c.billing(), "", c.Word}})
	}
	if at := v.AsOf.Cloud; at != nil {
		age := view.Clock{Now: v.AsOf.API}.Age(*at)
		return table(rows) + table([]row{{"known", []string{"stock and prices as of " + age + " ago"}}})
	}
	return table(rows)
}

// billing is said where it is not the usual one.
func (c PlanCandidate) billing() string {
	if c.Billing == view.BillingWord("") {
		return ""
	}
	return c.Billing
}

// plus is what a candidate adds to the price.
func (c PlanCandidate) plus() string {
	if c.micros == 0 {
		return ""
	}
	return "+" + view.Money(scaling.Decimal(c.micros*int64(c.Amount))) + "/h"
}

// leavings writes instances with what they are, at most maxShown of them.
func leavings(act string, list []Leaving) string {
	var rows []row
	for i, l := range list {
		if i == maxShown {
			rows = append(rows, row{"", []string{fmt.Sprintf("and %d more", len(list)-i)}})
			break
		}
		price := ""
		if l.PerHour != "" && act != "kept" {
			price = "-" + l.PerHour + "/h"
		}
		rows = append(rows, row{act, []string{l.Instance, l.Zone, l.InstanceType, price, joinNonEmpty(": ", l.Reason, l.Help)}})
	}
	return table(rows)
}

// table writes rows with their cells in columns; a column that is empty in all
// of them takes no room.
func table(rows []row) string {
	width := map[int]int{}
	for _, r := range rows {
		for i, c := range r.cells {
			width[i] = max(width[i], len(c))
		}
	}
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "  %-9s", r.act)
		line := ""
		for i, c := range r.cells {
			if width[i] > 0 {
				line += fmt.Sprintf("  %-*s", width[i], c)
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

func few(names []string) string {
	if len(names) > maxShown {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxShown], ", "), len(names)-maxShown)
	}
	return strings.Join(names, ", ")
}

func some(n int) string {
	if n == 1 {
		return "1 instance"
	}
	return fmt.Sprintf("%d instances", n)
}

// drainOff is the drain of a plan whose nodes cannot be drained.
const drainOff = "off"
