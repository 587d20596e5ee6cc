package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Look is what one reading showed of a request: its pool and its task. Either
// may be nil: the task is not made yet, or the pool is gone.
type Look struct {
	Pool *v1alpha1.NodePool
	Task *v1alpha1.ClusterTask
}

// Change is one thing that changed between two looks.
type Change struct {
	Word  string
	Pairs []Pair
}

// Pair is a key with its value.
type Pair struct{ Key, Value string }

// Line writes a change as one plain line: time, word, key=value.
func (c Change) Line(at string) string {
	var b strings.Builder
	b.WriteString(at + " " + c.Word)
	for _, p := range c.Pairs {
		v := p.Value
		if v == "" || strings.ContainsAny(v, " \"=\t\n") {
			v = strconv.Quote(v)
		}
		b.WriteString(" " + p.Key + "=" + v)
	}
	return OneLine(b.String())
}

// Changes names what changed from one look to the next, in the order in which
// it happens.
func Changes(before, after Look, clock Clock) []Change {
	var list []Change
	old, cur := taskStatus(before.Task), taskStatus(after.Task)
	list = append(list, countChanges(old.Counts, cur.Counts)...)
	list = append(list, instanceChanges(old.Instances, cur.Instances)...)
	if c, ok := whyChange(before.Pool, after.Pool, clock); ok {
		list = append(list, c)
	}
	for _, e := range newEvents(old.Events, cur.Events) {
		list = append(list, Change{Word: "event", Pairs: pairs("code", e.Code, "message", e.Message)})
	}
	if w := poolWordOf(after.Pool); w != "" && w != poolWordOf(before.Pool) {
		list = append(list, Change{Word: "pool", Pairs: pairs("status", w)})
	}
	return list
}

// ActivityChange is an activity as one line of a log.
func ActivityChange(v Activity) Change {
	unsure := 0
	for _, p := range v.Pieces {
		if p.Status == "Unsure" {
			unsure++
		}
	}
	kv := []string{"state", v.Status, "result", v.Result(), "code", v.Code}
	if unsure > 0 {
		kv = append(kv, "unsure", fmt.Sprint(unsure))
	}
	return Change{Word: "activity", Pairs: pairs(append([]string{"name", v.Name}, kv...)...)}
}

// pairs makes key and value pairs; those with an empty value are left out.
func pairs(kv ...string) []Pair {
	var list []Pair
	for i := 0; i+1 < len(kv); i += 2 {
		if kv[i+1] != "" {
			list = append(list, Pair{kv[i], kv[i+1]})
		}
	}
	return list
}

func taskStatus(t *v1alpha1.ClusterTask) v1alpha1.ClusterTaskStatus {
	if t == nil {
		return v1alpha1.ClusterTaskStatus{}
	}
	return t.Status
}

func poolWordOf(p *v1alpha1.NodePool) string {
	if p == nil {
		return ""
	}
	return wordOf(p)
}

func countChanges(old, cur v1alpha1.TaskCounts) []Change {
	var list []Change
	add := func(word string, was, is, of int32) {
		if was == is {
			return
		}
		kv := []string{"n", fmt.Sprint(is)}
		if of > 0 {
			kv = append(kv, "of", fmt.Sprint(of))
		}
		list = append(list, Change{Word: word, Pairs: pairs(kv...)})
	}
	add("created", old.Created, cur.Created, cur.Wanted)
	add("joined", old.Joined, cur.Joined, cur.Created)
	add("not-joined", old.Failed, cur.Failed, cur.Created)
	add("released", old.Released, cur.Released, cur.Wanted)
	return list
}

func instanceChanges(old, cur []v1alpha1.TaskInstance) []Change {
	was := map[string]v1alpha1.TaskInstance{}
	for _, i := range old {
		was[i.Instance] = i
	}
	var list []Change
	for _, i := range cur {
		if was[i.Instance] != i {
			list = append(list, Change{Word: "instance", Pairs: pairs("id", i.Instance, "state", i.State, "message", i.Message)})
		}
	}
	return list
}

// whyChange tells of a cause that keeps the pool from its wish and is new.
func whyChange(before, after *v1alpha1.NodePool, clock Clock) (Change, bool) {
	var old, cur v1alpha1.Why
	if before != nil && before.Status.Why != nil {
		old = *before.Status.Why
	}
	if after == nil || after.Status.Why == nil {
		return Change{}, false
	}
	cur = *after.Status.Why
	if cur.Code == "" || (old.Code == cur.Code && old.Short == cur.Short && old.Count == cur.Count) {
		return Change{}, false
	}
	again := ""
	if cur.NextTime != nil {
		again = cur.NextTime.UTC().Format(time.RFC3339)
		if cur.NextTime.Sub(clock.Now) < 24*time.Hour {
			again = strings.TrimSuffix(clock.At(cur.NextTime.Time), " UTC")
		}
	}
	word := "refused"
	if fault.Code(cur.Code) == fault.CloudNoAnswer {
		word = "unanswered"
	}
	return Change{Word: word, Pairs: pairs("n", fmt.Sprint(cur.Short), "code", cur.Code, "again", again)}, true
}

// newEvents are the events that the older list does not end with.
func newEvents(old, cur []v1alpha1.TaskEvent) []v1alpha1.TaskEvent {
	if len(old) == 0 {
		return cur
	}
	last := old[len(old)-1]
	for i := len(cur) - 1; i >= 0; i-- {
		if cur[i].Message == last.Message && cur[i].Time.Equal(&last.Time) {
			return cur[i+1:]
		}
	}
	return cur
}

// Bar draws how far something is, in width characters.
func Bar(done, of int32, width int) string {
	if of <= 0 || done < 0 {
		return strings.Repeat("-", width)
	}
	full := min(int(int64(done)*int64(width)/int64(of)), width)
	return strings.Repeat("#", full) + strings.Repeat("-", width-full)
}

// barWidth is the width of a bar on a terminal. Unit: characters.
const barWidth = 22

// Live draws a request under way, one text per line.
func Live(l Look, clock Clock) []string {
	var lines []string
	row := func(name string, done, of int32, note string) {
		line := fmt.Sprintf("  %-8s%s  %d of %d", name, Bar(done, of, barWidth), done, of)
		lines = append(lines, strings.TrimRight(line+"   "+note, " "))
	}
	if t := l.Task; t != nil {
		c := t.Status.Counts
		switch {
		case t.Spec.Type == v1alpha1.TaskScale && t.Spec.To >= t.Spec.From:
			row("Create", c.Created, c.Wanted, "")
			row("Join", c.Joined, c.Created, joinNonEmpty(", ", failedText(c.Failed), lateText(t.Status.Instances)))
		case t.Spec.Type != v1alpha1.TaskScale && len(t.Status.Instances) > 0:
			done, of := instancesDone(t)
			row(string(t.Spec.Type), done, of, t.Status.Progress)
		default:
			row("Remove", c.Released, c.Wanted, "")
		}
	}
	if p := l.Pool; p != nil {
		gap := joinNonEmpty(": ", wordOf(p), PoolGap(p))
		lines = append(lines, "  Pool    "+gap)
		if w := p.Status.Why; w != nil {
			lines = append(lines, liveWhy(w, clock)...)
		}
	}
	return lines
}

// liveWhy is what keeps a pool from its wish: code and next try first, which
// must not be cut off on a narrow terminal, the sentence under them.
func liveWhy(w *v1alpha1.Why, clock Clock) []string {
	head := joinNonEmpty("; next: ", w.Code, WhyNext(w, clock))
	if w.NextTime != nil && w.NextTime.After(clock.Now) && !clock.Relative {
		head += fmt.Sprintf(", in %s", w.NextTime.Sub(clock.Now).Round(time.Second))
	}
	sentence := trimPoint(w.Sentence)
	if head == "" {
		return []string{"  ! " + sentence}
	}
	return []string{"  ! " + head, "    " + sentence}
}

// instancesDone counts the named instances of a task that are through.
func instancesDone(t *v1alpha1.ClusterTask) (done, of int32) {
	for _, i := range t.Status.Instances {
		of++
		if i.State == v1alpha1.TaskInstanceSuccess || i.State == v1alpha1.TaskInstanceLeftOut {
			done++
		}
	}
	return done, of
}

// lateText names the first machine that joins late.
func lateText(list []v1alpha1.TaskInstance) string {
	for _, i := range list {
		if i.State == v1alpha1.TaskInstanceRunning {
			return i.Instance + " " + i.Message
		}
	}
	return ""
}

func failedText(n int32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d failed to join", n)
}
