package clustertask

import (
	"context"
	"slices"
	"sort"
	"strings"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	words "github.com/poolkeeper/poolkeeper/internal/view"
)

// lateMark begins what a scale task says of a machine that joins late, and
// thenMark stands between the steps that it was seen at.
const (
	lateMark = "joins late: "
	thenMark = "; then "
)

// late tells which machines of the pool join late, each with its step and how
// long it may take, and of those told before what became of them.
func (w *work) late(ctx context.Context, v *view) error {
	told := len(w.t.Status.Instances) > 0
	young := w.now.Sub(w.t.Status.StartTime.Time) < w.Waits.JoinLate
	if !told && (young || v.pool.Status.Counts.Joining == 0) {
		return nil
	}
	list, err := w.records(ctx)
	if err != nil {
		return err
	}
	sort.Slice(list, func(a, b int) bool { return list[a].Name < list[b].Name })
	there := map[string]*api.Instance{}
	for _, i := range list {
		there[i.Name] = i
		if step := words.JoinStep(i); step != "" && i.Spec.Release == nil {
			w.machine(i.Name, api.TaskInstanceRunning, seenAt(*w.result(i.Name), step))
		}
	}
	for _, r := range slices.Clone(w.t.Status.Instances) {
		w.outcome(r, there[r.Instance])
	}
	return nil
}

// seenAt adds a step to those that a machine was seen at.
func seenAt(before api.TaskInstance, step string) string {
	switch text := before.Message; {
	case before.State != api.TaskInstanceRunning || text == "":
		return lateMark + step
	case strings.HasSuffix(text, step):
		return text
	default:
		return text + thenMark + step
	}
}

// outcome tells what became of a machine that joined late or failed: with how
// long the join took, where it did.
func (w *work) outcome(r api.TaskInstance, i *api.Instance) {
	late := r.State == api.TaskInstanceRunning
	switch {
	case late && (i == nil || i.Spec.Release != nil):
		w.machine(r.Instance, api.TaskInstanceLeftOut, "it left before it joined")
	case i == nil || i.Status.JoinedTime == nil || !late && r.State != api.TaskInstanceFailed:
	case i.Spec.RejoinTime != nil:
		w.machine(r.Instance, api.TaskInstanceSuccess, "joined when a person let it join again")
	case i.Status.RunningTime != nil:
		text := "joined late, after " + words.Took(i.Status.JoinedTime.Sub(i.Status.RunningTime.Time))
		if late {
			first, _, _ := strings.Cut(strings.TrimPrefix(r.Message, lateMark), thenMark)
			text += ": " + first
		}
		w.machine(r.Instance, api.TaskInstanceSuccess, text)
	}
}
