package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cli/screen"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// shower shows a request while it is followed.
type shower interface {
	// begin says what is followed.
	begin(f *follow)
	// change shows what is new since the look before.
	change(f *follow, before view.Look)
	// note says something in passing.
	note(f *follow, text string)
	// stop ends the showing without a result.
	stop(f *follow)
	// end shows the result; the error is printed elsewhere.
	end(f *follow, err error)
}

// newShower chooses by who reads: a program, a terminal, or a log.
func (f *follow) newShower() shower {
	switch {
	case f.machine():
		return &objectShower{}
	case f.Terminal(f.Out):
		return &liveShower{screen: screen.Screen{Out: f.Out}, leave: "Ctrl-C"}
	}
	return plainShower{}
}

// exitCode is the code that an error ends with.
func exitCode(err error) int {
	if err == nil {
		return ExitDone
	}
	if e, ok := err.(*Error); ok {
		return e.Code
	}
	return ExitDefect
}

// took is how long the request took, also where it ended before somebody
// watched.
func (f *follow) took() string {
	end := f.Now()
	if t := f.look.Task; t != nil && t.Status.EndTime != nil && end.Sub(t.Status.EndTime.Time) > 2*time.Second {
		end = t.Status.EndTime.Time
	}
	return view.Took(max(end.Sub(f.began), 0))
}

// doneText says that a request is done.
func doneText(f *follow) string {
	took := f.took()
	p, t := f.look.Pool, f.look.Task
	switch {
	case f.deleting && t != nil && t.Status.Progress != "":
		return fmt.Sprintf("%s is deleted: %s. Took %s.", f.pool, strings.TrimSuffix(t.Status.Progress, "."), took)
	case f.deleting:
		return fmt.Sprintf("%s is deleted. Took %s.", f.pool, took)
	case t != nil && f.generation == 0 && t.Status.Progress != "":
		return fmt.Sprintf("Done: %s. %s. Took %s.", t.Spec.Title, strings.TrimSuffix(t.Status.Progress, "."), took)
	case t != nil && f.generation == 0:
		return fmt.Sprintf("Done: %s. Took %s.", t.Spec.Title, took)
	case p == nil:
		return "Done."
	}
	text := fmt.Sprintf("%s has %d of %d. Took %s.", p.Name, p.Status.Counts.InService, p.Spec.ExpectedNodes, took)
	if pr := p.Status.Price; pr != nil && pr.PerHour != "" {
		text += fmt.Sprintf(" %s %s/h.", pr.Currency, view.Money(pr.PerHour))
	}
	return text
}

// plainShower writes one line per change.
type plainShower struct{}

func (plainShower) line(f *follow, c view.Change) { fmt.Fprintln(f.Out, c.Line(f.at())) }

func (s plainShower) begin(f *follow) {
	c := view.Change{Word: "following"}
	add := func(k, v string) { c.Pairs = append(c.Pairs, view.Pair{Key: k, Value: v}) }
	if f.pool != "" {
		add("pool", f.pool)
	}
	if f.changed {
		c.Word = "accepted"
		add("from", fmt.Sprint(f.from))
		add("to", fmt.Sprint(f.wanted))
	}
	if f.task != "" {
		add("task", f.task)
	}
	s.line(f, c)
}

func (s plainShower) change(f *follow, before view.Look) {
	if before.Pool == nil {
		before.Pool = f.look.Pool // what was so before is no news
	}
	for _, c := range view.Changes(before, f.look, f.clock) {
		s.line(f, c)
	}
}

func (s plainShower) note(f *follow, text string) {
	s.line(f, view.Change{Word: "note", Pairs: []view.Pair{{Key: "message", Value: text}}})
}

func (plainShower) stop(*follow) {}

func (s plainShower) end(f *follow, err error) {
	c := view.Change{Word: "done"}
	add := func(k, v string) {
		if v != "" {
			c.Pairs = append(c.Pairs, view.Pair{Key: k, Value: v})
		}
	}
	if err != nil {
		c.Word = "failed"
		if e, ok := err.(*Error); ok {
			add("code", e.Fault)
		}
	} else {
		add("pool", f.pool)
		if p := f.look.Pool; p != nil && !f.deleting {
			add("nodes", fmt.Sprint(p.Status.Counts.InService))
			add("expected", fmt.Sprint(p.Spec.ExpectedNodes))
		}
		add("took", strings.ReplaceAll(f.took(), " ", ""))
	}
	add("exit", fmt.Sprint(exitCode(err)))
	s.line(f, c)
}

// objectShower writes one object per line whenever it changed.
type objectShower struct {
	last string
	// poolOnly writes the pool even where there is a task.
	poolOnly bool
}

func (*objectShower) begin(*follow) {}

func (s *objectShower) change(f *follow, _ view.Look) {
	var now any
	var name, version string
	switch {
	case f.look.Task != nil && !s.poolOnly:
		now, name = view.NewTask(f.look.Task, f.Now()), objectName(f.look.Task)
		version = "task " + f.look.Task.ResourceVersion
	case f.look.Pool != nil:
		now, name = view.NewPool(f.look.Pool, nil, f.Now()), objectName(f.look.Pool)
		version = "pool " + f.look.Pool.ResourceVersion
	default:
		return
	}
	if version == s.last {
		return
	}
	first := s.last == ""
	s.last = version
	switch {
	case f.flags.output == "name":
		if first {
			fmt.Fprintln(f.Out, name)
		}
	case f.flags.output == "yaml":
		fmt.Fprintln(f.Out, "---")
		_ = writeYAML(f.Out, now)
	default:
		_ = writeJSON(f.Out, now, "")
	}
}

func (*objectShower) note(*follow, string) {}
func (*objectShower) stop(*follow)         {}
func (*objectShower) end(*follow, error)   {}

// liveShower redraws in place on a terminal.
type liveShower struct {
	screen screen.Screen
	head   string // the first line; empty for none
	leave  string // what to type to leave it
}

func (s *liveShower) begin(f *follow) {
	switch {
	case f.changed:
		fmt.Fprintf(f.Out, "Accepted: %s %d -> %d, task %s\n", f.pool, f.from, f.wanted, f.task)
	case f.task != "":
		fmt.Fprintf(f.Out, "Task %s\n", f.task)
	}
}

func (s *liveShower) change(f *follow, _ view.Look) {
	clock := f.clock
	clock.Now = f.Now()
	var lines []string
	if s.head != "" {
		lines = append(lines, "  "+s.head)
	}
	lines = append(append(lines, view.Live(f.look, clock)...), fmt.Sprintf("  %s   %s stops watching, not the work.", view.Took(f.Now().Sub(f.began)), s.leave))
	s.screen.Draw(lines)
}

func (s *liveShower) note(f *follow, text string) {
	s.screen.Clear()
	fmt.Fprintln(f.Out, text)
}

func (s *liveShower) stop(*follow) { s.screen.Leave() }

func (s *liveShower) end(f *follow, err error) {
	s.screen.Clear()
	for _, line := range view.Live(f.look, f.clock) {
		fmt.Fprintln(f.Out, line)
	}
	if err == nil {
		fmt.Fprintln(f.Out, doneText(f))
	}
}
