package clustertask

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	words "github.com/poolkeeper/poolkeeper/internal/view"
)

// outcome is how far one instance of a wave is.
type outcome struct {
	state   string // of the instance: running, success or failed
	message string
	final   bool // it can no longer be taken back
	// code of what failed, and what it waited for; empty where nothing did.
	code    fault.Code
	blocked string
}

// followWave watches the instances of the wave that the pool carries. What
// fails or is canceled goes back, number and entry in one update; the wave is
// done when every other one is through.
func (w *work) followWave(ctx context.Context, pool *api.NodePool, mine []string) (time.Duration, error) {
	results, err := w.outcomes(ctx, mine)
	if err != nil {
		return 0, err
	}
	var back []string
	pending := false
	stop := w.cancelWave()
	for _, id := range mine {
		o := results[id]
		if o.state == api.TaskInstanceRunning && stop != "" && !o.final {
			o = outcome{state: api.TaskInstanceFailed, message: stop + ": it stays in the pool as it was"}
		}
		if o.state == api.TaskInstanceFailed {
			back = append(back, id)
			w.tell(id, o)
		}
		pending = pending || o.state == api.TaskInstanceRunning
		w.set(id, o.state, o.message)
	}
	if len(back) > 0 {
		if err := w.takeEntries(ctx, pool, back, true); err != nil {
			return 0, err
		}
		w.event("", fmt.Sprintf("taken back: %s; expected number is %d", names(back), pool.Spec.ExpectedNodes))
	}
	w.noteTakenBack(mine)
	w.t.Status.Progress = w.tally()
	if pending {
		if len(back) > 0 {
			return w.Waits.Retry, w.write(ctx)
		}
		return w.pace(ctx, w.Waits.Retry)
	}
	w.t.Status.WaveDone = true
	w.stage(fmt.Sprintf("Wave %d", w.t.Status.Wave), api.TaskSuccess)
	return w.Waits.Conflict, w.write(ctx)
}

// tell gives the task the cause of what failed with a code, once for each code,
// with the first instance by name.
func (w *work) tell(id string, o outcome) {
	if o.code == "" {
		return
	}
	st := &w.t.Status
	for i := range st.Causes {
		if st.Causes[i].Code == string(o.code) {
			if st.Causes[i].Instance != id {
				st.Causes[i].Count++
			}
			return
		}
	}
	again := "poolkeeper node remove " + id
	if w.t.Spec.Release {
		again += " --release"
	}
	c := w.cause(string(o.code), o.message, "",
		fault.Details{fault.DetailBlocked: o.blocked, fault.DetailCommand: again, fault.DetailInstances: id})
	c.Instance = id
	st.Causes = append(st.Causes, *c)
}

// noteTakenBack gives a result to instances whose entries went before a crash
// could write why.
func (w *work) noteTakenBack(mine []string) {
	for _, id := range w.t.Status.WaveInstances {
		if !slices.Contains(mine, id) && w.result(id).State == api.TaskInstanceRunning {
			w.set(id, api.TaskInstanceFailed, "its entry was taken back")
		}
	}
}

// cancelWave says why what can still be taken back is; empty: it goes on.
func (w *work) cancelWave() string {
	if w.t.Spec.Cancel || !w.t.DeletionTimestamp.IsZero() {
		return "canceled"
	}
	if s := w.t.Spec.DeadlineSeconds; s > 0 && w.now.Sub(w.t.Status.StartTime.Time) >= time.Duration(s)*time.Second {
		return "out of time"
	}
	return ""
}

// outcomes looks at the instances of the wave; those of them whose tags matter
// are looked at in the cloud, in one call.
func (w *work) outcomes(ctx context.Context, ids []string) (map[string]outcome, error) {
	records := map[string]*api.Instance{}
	var ask []string
	for _, id := range ids {
		i, err := w.record(ctx, w.Live, id)
		if err != nil {
			return nil, err
		}
		records[id] = i
		if w.t.Spec.Type == api.TaskAttach || (i != nil && i.Status.LifecycleState == api.InstanceRemoved) {
			ask = append(ask, id)
		}
	}
	seen, known := map[string]Seen{}, true
	if len(ask) > 0 {
		var err error
		if seen, err = w.Look.Look(ctx, ask...); err != nil {
			known = false
		}
	}
	refused, err := w.refusedIn(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]outcome{}
	for _, id := range ids {
		s, there := seen[id]
		if w.t.Spec.Type == api.TaskAttach {
			if out[id] = w.cameIn(records[id], there || !known); out[id].state == api.TaskInstanceRunning && refused[id] != "" {
				out[id] = outcome{state: api.TaskInstanceFailed, message: refused[id]}
			}
		} else {
			out[id] = w.wentOut(records[id], !known || there && s.Ours)
		}
	}
	return out, nil
}

// refusedIn are the instances that an activity since the task began was to
// bring in and left out though they are there, with the reason.
func (w *work) refusedIn(ctx context.Context) (map[string]string, error) {
	if w.t.Spec.Type != api.TaskAttach {
		return nil, nil
	}
	list, err := w.activities(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, a := range list {
		if a.Status.StartTime == nil || a.Status.StartTime.Before(w.t.Status.StartTime) {
			continue
		}
		for _, l := range a.Status.LeftOut {
			if slices.Contains(a.Spec.BringIn, l.Instance) {
				out[l.Instance] = l.Reason
			}
		}
	}
	return out, nil
}

// cameIn is how far an instance is that is brought in: done with its record,
// or when the cloud no longer has it.
func (w *work) cameIn(i *api.Instance, there bool) outcome {
	switch {
	case i != nil && i.Status.LifecycleState != api.InstanceRemoved && i.Spec.CreationType != api.CreatedUnknown && i.Spec.Release == nil:
		return w.attached(i)
	case !there:
		return outcome{state: api.TaskInstanceSuccess, final: true, message: "it is gone from the cloud; the pool makes a new one in its place"}
	}
	return outcome{state: api.TaskInstanceRunning, message: "being tagged and recorded"}
}

// attached is what is left to do for an instance that has its record now. One
// whose Node is in the cluster already is matched to it.
func (w *work) attached(i *api.Instance) outcome {
	switch i.Status.NodeState {
	case "":
		return outcome{state: api.TaskInstanceRunning, final: true, message: "recorded; its Node is being looked for"}
	case api.NodeJoining:
		return outcome{state: api.TaskInstanceSuccess, final: true, message: "attached; for it to join, type on the machine, as root, what is printed by: poolkeeper node join-command " + w.t.Spec.Pool}
	}
	return outcome{state: api.TaskInstanceSuccess, final: true, message: "attached; its Node is in the cluster already, nothing is to be done on the machine"}
}

// heldBy says which lifecycle hook holds an instance, and until when; empty where
// none does.
func (w *work) heldBy(i *api.Instance) string {
	for _, h := range words.Held(i) {
		return fmt.Sprintf("lifecycle hook %s holds it until %s, then %s", h.Name, words.Clock{Now: w.now, Zone: time.UTC}.At(h.UntilTime.Time), h.DefaultResult)
	}
	return ""
}

// wentOut is how far an instance is that goes out: done without a record, or
// Removed with our tags off; failed when its drain is at its limit.
func (w *work) wentOut(i *api.Instance, tagged bool) outcome {
	switch {
	case i == nil:
		return outcome{state: api.TaskInstanceSuccess, message: "released", final: true}
	case i.Status.LifecycleState == api.InstanceRemoved && !tagged:
		return outcome{state: api.TaskInstanceSuccess, final: true, message: "taken out, runs on: " + w.stays(i)}
	case i.Status.LifecycleState == api.InstanceRemoved:
		return outcome{state: api.TaskInstanceRunning, message: "our tags are being taken off", final: true}
	case i.Status.ReleaseSentTime != nil:
		return outcome{state: api.TaskInstanceRunning, message: "being released", final: true}
	}
	held := w.heldBy(i)
	if i.Spec.Release == nil || i.Status.DrainFor != i.Spec.Release.Activity || i.Status.DrainStartTime == nil || i.Status.DrainEndTime != nil {
		return outcome{state: api.TaskInstanceRunning, message: held}
	}
	limit := w.Waits.DrainLimit
	if s := i.Spec.Release.DrainLimitSeconds; s > 0 {
		limit = time.Duration(s) * time.Second
	}
	text := "draining, " + some(int(i.Status.PodsLeft), "pod") + " left"
	if i.Status.DrainBlocked != "" {
		text += "; " + i.Status.DrainBlocked
	}
	if held != "" {
		text += "; " + held
	}
	// The instance's controller says that it stopped, and leaves the cordon: only
	// then the mark may go.
	if i.Spec.Release.Drain == api.DrainRequired && meta.IsStatusConditionTrue(i.Status.Conditions, api.ConditionDrainStopped) {
		return outcome{state: api.TaskInstanceFailed, code: fault.DrainLimit, blocked: i.Status.DrainBlocked,
			message: fmt.Sprintf("not drained within %s: %s. Nothing was released, and the node stays cordoned", limit, text)}
	}
	return outcome{state: api.TaskInstanceRunning, message: text + "; its limit is at " + i.Status.DrainStartTime.Add(limit).UTC().Format("15:04:05 UTC")}
}

// stays says why an instance that was taken out was not released, and how to
// end what it costs.
func (w *work) stays(i *api.Instance) string {
	if !w.t.Spec.Release {
		return "releasing was not asked for; it goes on costing. Stop its kubelet: systemctl disable --now kubelet"
	}
	return whyKept(i)
}
