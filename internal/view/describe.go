package view

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// Field is one named line of a description.
type Field struct {
	Name string
	Cell Cell
	// More are further lines under it, without a name of their own.
	More []string
}

// Describe writes named lines, their texts in one column.
func Describe(fields []Field, color bool) string {
	width := 0
	for _, f := range fields {
		if f.Cell.Text != "" {
			width = max(width, utf8.RuneCountInString(f.Name))
		}
	}
	var b strings.Builder
	for _, f := range fields {
		if f.Cell.Text == "" {
			continue
		}
		pad := strings.Repeat(" ", width-utf8.RuneCountInString(f.Name))
		b.WriteString(f.Name + pad + "  " + Paint(OneLine(f.Cell.Text), f.Cell.Tone, color) + "\n")
		for _, line := range f.More {
			b.WriteString(strings.Repeat(" ", width+2) + Paint(OneLine(line), f.Cell.Tone, color) + "\n")
		}
	}
	return b.String()
}

func field(name, format string, args ...any) Field {
	return Field{Name: name, Cell: Cell{Text: fmt.Sprintf(format, args...)}}
}

// advice is a solution, each of its parts on a line of its own. One that quotes a
// command is not parted: a command may have the same mark.
func advice(name, solution string) Field {
	if strings.Contains(solution, "`") {
		return field(name, "%s", solution)
	}
	parts := strings.Split(solution, "; ")
	return Field{Name: name, Cell: Cell{Text: parts[0]}, More: parts[1:]}
}

func listField(name string, list []string) Field { return field(name, "%s", strings.Join(list, ", ")) }

func timeField(name string, t *time.Time, clock Clock) Field {
	if t == nil {
		return field(name, "")
	}
	return field(name, "%s", clock.At(*t))
}

// WhyFields are cause, next try and solution of what keeps something from its
// wish.
func WhyFields(w *Why, clock Clock) []Field {
	if w == nil {
		return nil
	}
	cause := trimPoint(w.Sentence)
	if w.Code != "" && !strings.Contains(cause, w.Code) {
		cause = joinNonEmpty("   ", cause, w.Code)
	}
	if w.Count > 1 {
		cause += fmt.Sprintf(" x%d", w.Count)
	}
	fields := []Field{field("Cause", "%s", cause)}
	if n := w.Next; n != nil {
		text := trimPoint(n.What)
		if n.Time != nil {
			at := clock.At(*n.Time)
			if d := n.Time.Sub(clock.Now).Round(time.Second); d > 0 && !clock.Relative {
				at += fmt.Sprintf(", in %s", d)
			}
			text = joinNonEmpty(": ", at, text)
		}
		fields = append(fields, field("Next", "%s", text))
	}
	return append(fields, advice("Help", w.Solution))
}

// Describe is a pool in named lines.
func (v Pool) Describe(clock Clock, color bool) string {
	c := v.Counts
	fields := []Field{
		field("Pool", "%s", v.Name),
		{Name: "Status", Cell: Cell{Text: joinNonEmpty("   ", v.Word, strings.Join(v.Chips, ", ")), Tone: v.tone}},
		field("Summary", "%s", v.Summary),
		field("Nodes", "expected %d, in service %d, joining %d, failed %d, offline %d, removing %d",
			c.Expected, c.InService, c.Joining, c.Failed, c.Offline, c.Removing),
		field("Kept", "protected %d, standby %d, subscription %d, attached %d",
			c.Kept.Protected, c.Kept.Standby, c.Kept.Subscription, c.Kept.Attached),
	}
	fields = append(fields, listField("Missing", v.Missing))
	fields = append(fields, WhyFields(v.Why, clock)...)
	fields = append(fields,
		field("Limits", "%s", v.limits()),
		field("Policy", "%s", v.Policy),
		listField("vSwitches", v.VSwitches), listField("Types", v.InstanceTypes), listField("Hooks", v.Hooks), field("Image", "%s", v.Image.text()),
		field("Strength", "%s", v.strength()))
	if v.Price != nil {
		fields = append(fields, field("Price", "%s %s/h", v.Price.Currency, v.Price.PerHour))
	}
	fields = append(fields, field("Activity", "%s", v.Activity), field("Task", "%s", v.Task), field("Age", "%s", clock.Age(v.CreatedTime)))
	return Describe(fields, color)
}

// limits are what a person allows of the pool.
func (v Pool) limits() string {
	text := fmt.Sprintf("min %d, max %d", v.MinNodes, v.MaxNodes)
	if n := v.MaxCreationsPerHour; n > 0 {
		text += fmt.Sprintf(", at most %d created per hour", n)
	}
	if s := v.MaxSpendPerHour; s != "" {
		text += ", at most " + Money(s) + "/h"
	}
	return text
}

// strength is the word with its score; empty where nothing is known yet.
func (v Pool) strength() string {
	if v.Strength == "" {
		return ""
	}
	return fmt.Sprintf("%s, score %d", v.Strength, v.Score)
}

// Describe is an instance in named lines.
func (v Instance) Describe(clock Clock, color bool) string {
	fields := []Field{
		field("Instance", "%s", v.Name),
		{Name: "Status", Cell: Cell{Text: v.Instance + ", node " + v.NodeStatus, Tone: v.tone}},
		field("Summary", "%s", v.Summary),
		field("Pool", "%s", v.Pool),
		field("Place", "%s", joinNonEmpty(", ", v.Zone, v.VSwitch, v.InstanceType)),
		field("Address", "%s", v.Address),
		field("Cloud", "%s", v.CloudStatus),
		field("Billing", "%s", v.Billing),
	}
	if v.Price != nil {
		fields = append(fields, field("Price", "%s %s/h, %s since it was created", v.Price.Currency, v.Price.PerHour, v.Spent))
	}
	fields = append(fields,
		field("Came", "%s", joinNonEmpty(", by ", v.CreationType, v.Activity)),
		listField("Kept", v.Kept), field("Step", "%s", v.Step), field("Code", "%s", v.Code),
		timeField("Joined", v.JoinedTime, clock), field("Age", "%s", clock.Age(v.CreatedTime)))
	return Describe(fields, color)
}

// Describe is a task in named lines.
func (v Task) Describe(clock Clock, color bool) string {
	c := v.Counts
	fields := []Field{
		field("Task", "%s", v.Name), field("Title", "%s", v.Title),
		{Name: "Status", Cell: Cell{Text: v.Status, Tone: v.tone}},
		field("Progress", "%s", v.Progress),
	}
	if c != (TaskCounts{}) {
		fields = append(fields, field("Instances", "wanted %d, created %d, joined %d, failed %d, released %d",
			c.Wanted, c.Created, c.Joined, c.Failed, c.Released))
	}
	fields = append(fields, field("Pool", "%s", v.Pool), field("Asked by", "%s", v.AskedBy),
		timeField("Started", v.StartTime, clock), timeField("Ended", v.EndTime, clock), field("Took", "%s", v.Took))
	if v.Error != nil {
		fields = append(fields, field("Error", "%s", joinNonEmpty(": ", v.Error.Code, v.Error.Message)))
	}
	for _, s := range v.Stages {
		fields = append(fields, field("Stage", "%s", joinNonEmpty(": ", s.Name, s.Status)))
	}
	for _, i := range v.Instances {
		fields = append(fields, field("Instance", "%s", joinNonEmpty(": ", i.Instance+" "+i.State, i.Message)))
	}
	for _, e := range v.Events {
		fields = append(fields, field("Event", "%s %s", clock.At(e.Time), joinNonEmpty(" ", e.Message, e.Code)))
	}
	return Describe(fields, color)
}

// DescribeCauses is why a task ended as it did: one cause beside its solution
// for each code, with the log of the machine that failed.
func (v Task) DescribeCauses(color bool) string {
	code := ""
	if v.Error != nil {
		code = v.Error.Code
	}
	var b strings.Builder
	b.WriteString(joinNonEmpty("   ", v.Title, Paint(v.Status, v.tone, color), code) + "\n")
	if len(v.Causes) == 0 {
		b.WriteString(v.ownCause(color))
	}
	for _, c := range v.Causes {
		cause := joinNonEmpty("   ", trimPoint(c.Cause), c.Code)
		if c.Count > 1 {
			cause += fmt.Sprintf(" x%d", c.Count)
		}
		b.WriteString(Describe([]Field{
			field("CAUSE", "%s", cause), advice("SOLUTION", c.Solution),
			field("MESSAGE", "%s", joinNonEmpty("   ", c.Message, c.RequestID)), field("INSTANCE", "%s", c.Instance),
		}, color))
		for _, line := range strings.Split(strings.TrimRight(Printable(c.Log), "\n"), "\n") {
			if line != "" {
				b.WriteString("  | " + line + "\n")
			}
		}
	}
	return b.String()
}

// ownCause is why a task ended as it did where no cause with a solution was
// found: its error, and what each instance says that failed.
func (v Task) ownCause(color bool) string {
	var fields []Field
	if v.Error != nil && v.Error.Message != "" {
		fields = append(fields, field("CAUSE", "%s", v.Error.Message))
	}
	for _, i := range v.Instances {
		if i.State == v1alpha1.TaskInstanceFailed && (v.Error == nil || !strings.Contains(v.Error.Message, i.Message)) {
			fields = append(fields, field("CAUSE", "%s", joinNonEmpty(": ", i.Instance, i.Message)))
		}
	}
	if len(fields) == 0 {
		return "No cause is recorded.\n"
	}
	return Describe(fields, color)
}

// Describe is a scaling activity in named lines.
func (v Activity) Describe(clock Clock, color bool) string {
	fields := []Field{
		field("Activity", "%s", v.Name),
		{Name: "Status", Cell: Cell{Text: v.Status, Tone: v.tone}},
		field("Cause", "%s", v.Cause), field("Summary", "%s", v.Summary), field("Pool", "%s", v.Pool),
		field("Instances", "%d, wanted %d", v.Before, v.Wanted), field("Result", "%s", v.Result()),
		field("Error", "%s", joinNonEmpty(": ", v.Code, v.Message)),
		timeField("Started", v.StartTime, clock), timeField("Ended", v.EndTime, clock), field("Took", "%s", v.Took),
	}
	for _, l := range v.Release {
		fields = append(fields, field("Release", "%s", joinNonEmpty(": ", l.Instance, l.Reason)))
	}
	for _, l := range v.TakeOut {
		fields = append(fields, field("Take out", "%s", joinNonEmpty(": ", l.Instance, l.Reason)))
	}
	fields = append(fields, listField("Bring in", v.BringIn))
	for _, l := range v.LeftOut {
		fields = append(fields, field("Left out", "%s", joinNonEmpty(": ", l.Instance, l.Reason)))
	}
	return Describe(fields, color)
}

// Tell is what `why` says about a pool: its sentence, then, where it is not as
// wished, cause, next try, help and trail.
func (v Pool) Tell(clock Clock, color bool) string {
	if v.Why == nil || (v.Status == PoolStateWord(v1alpha1.PoolUpdating) && v.Why.Code == "") {
		return v.Summary + "\n"
	}
	head := fmt.Sprintf("%s has %d of %d nodes", v.Name, v.Counts.InService, v.Counts.Expected)
	if v.Why.Since != nil {
		head += " since " + clock.At(*v.Why.Since)
	}
	if v.gap != "" {
		head += ": " + v.gap
	}
	fields := WhyFields(v.Why, clock)
	for _, m := range v.Conditions {
		if !strings.Contains(m.Text, trimPoint(v.Why.Sentence)) && !strings.Contains(v.Why.Sentence, m.Text) {
			fields = append(fields, field(m.Name, "%s", m.Text))
		}
	}
	var trail []string
	if v.Activity != "" {
		trail = append(trail, "activity "+v.Activity)
	}
	for _, t := range v.Running {
		trail = append(trail, "task "+t)
	}
	if v.Task != "" && len(v.Running) == 0 {
		trail = append(trail, "task "+v.Task)
	}
	return head + ".\n" + Describe(append(fields, listField("Trail", trail)), color)
}

// Tell is what `why` says about an instance: its sentence and, where it failed
// to join, the end of its log.
func (v Instance) Tell(log string) string {
	text := v.Summary + "\n"
	if v.NodeState != "Failed" {
		return text
	}
	for _, line := range strings.Split(strings.TrimRight(Printable(log), "\n"), "\n") {
		if line != "" {
			text += "  | " + line + "\n"
		}
	}
	return text
}
