package clustertask

import (
	"context"
	"fmt"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/change"
)

// The kinds of wishes in Instance.status.wishes.
const (
	wishConvert = "Convert"
	wishRenew   = "Renew"
)

// wishes is true of tasks that write a wish on each instance and follow what
// controller/instance makes of it.
func (w *work) wishes() bool {
	return w.t.Spec.Type == api.TaskConvert || w.t.Spec.Type == api.TaskRenew
}

// wish asks for another charge type or a longer subscription of one instance,
// once for each task, and follows what came of it. The wish's id is the task's
// UID, so that a crash between wish and status asks for nothing twice.
func (w *work) wish(ctx context.Context, id string, i *api.Instance) error {
	uid := string(w.t.UID)
	kind, open := w.openWish(i)
	result := wishResult(i, kind)
	switch {
	case open == uid:
		w.followWish(id, result)
		return nil
	case w.result(id).State == api.TaskInstanceRunning:
		w.set(id, api.TaskInstanceFailed, "another task asked for something else meanwhile: see what came of that")
		return nil
	case open != "" && (result == nil || result.ID != open || !result.Done):
		w.set(id, api.TaskInstanceWaiting, "an earlier wish of this kind is under way")
		return nil
	}
	if state, why := w.fitWish(i); state != "" {
		w.set(id, state, why)
		return nil
	}
	before, months := i.DeepCopy(), max(w.t.Spec.PeriodMonths, 1)
	if kind == wishRenew {
		i.Spec.Renew = &api.RenewWish{PeriodMonths: months, ID: uid}
	} else {
		i.Spec.Convert = &api.ConvertWish{To: w.t.Spec.ConvertTo, ID: uid}
		if w.t.Spec.ConvertTo == api.ChargeSubscription {
			i.Spec.Convert.PeriodMonths = months
		}
	}
	w.set(id, api.TaskInstanceRunning, "the cloud is asked")
	if err := w.Client.Patch(ctx, i, change.Since(before)); err != nil {
		w.set(id, api.TaskInstanceWaiting, "")
		return fmt.Errorf("write the wish of task %s on instance %s: %w", w.t.Name, id, err)
	}
	return nil
}

// openWish is the kind of the task's wish, and the id of the newest wish of that
// kind on an instance; empty for none.
func (w *work) openWish(i *api.Instance) (kind, id string) {
	switch {
	case w.t.Spec.Type == api.TaskRenew && i.Spec.Renew != nil:
		return wishRenew, i.Spec.Renew.ID
	case w.t.Spec.Type == api.TaskRenew:
		return wishRenew, ""
	case i.Spec.Convert != nil:
		return wishConvert, i.Spec.Convert.ID
	}
	return wishConvert, ""
}

func wishResult(i *api.Instance, kind string) *api.WishResult {
	for n := range i.Status.Wishes {
		if i.Status.Wishes[n].Kind == kind {
			return &i.Status.Wishes[n]
		}
	}
	return nil
}

// fitWish says why nothing is asked of the cloud for an instance; no state:
// it is.
func (w *work) fitWish(i *api.Instance) (state, why string) {
	charge := i.Status.ChargeType
	if charge == "" {
		charge = i.Spec.Placement.ChargeType
	}
	switch {
	case i.Status.LifecycleState == api.InstanceRemoved || i.Spec.Release != nil:
		return api.TaskInstanceLeftOut, "it is leaving or was taken out"
	case i.Spec.CreationType == api.CreatedUnknown:
		return api.TaskInstanceLeftOut, "nobody knows whose it is: poolkeeper instance adopt or disown " + i.Name
	case w.t.Spec.Type == api.TaskRenew && charge != api.ChargeSubscription:
		return api.TaskInstanceLeftOut, fmt.Sprintf("it is billed %s: only a subscription is renewed", charge)
	case w.t.Spec.Type == api.TaskConvert && charge == w.t.Spec.ConvertTo:
		return api.TaskInstanceSuccess, fmt.Sprintf("it is billed %s already", charge)
	}
	return "", ""
}

// followWish tells what came of the wish of this task.
func (w *work) followWish(id string, r *api.WishResult) {
	switch {
	case r == nil || r.ID != string(w.t.UID) || !r.Done:
		w.set(id, api.TaskInstanceRunning, "the cloud is asked")
	case r.Code == "" && w.t.Spec.Type == api.TaskRenew:
		w.set(id, api.TaskInstanceSuccess, "renewed by "+some(int(max(w.t.Spec.PeriodMonths, 1)), "month"))
	case r.Code == "":
		w.set(id, api.TaskInstanceSuccess, fmt.Sprintf("it is billed %s from now on", w.t.Spec.ConvertTo))
	default:
		w.set(id, api.TaskInstanceFailed, r.Message+" ("+r.Code+")")
		w.addCause(r.Code, r.Message, id)
	}
}

// addCause tells the cause of a failure of one instance, once for each code.
func (w *work) addCause(code, message, id string) {
	st := &w.t.Status
	for n := range st.Causes {
		if st.Causes[n].Code == code {
			st.Causes[n].Count++
			return
		}
	}
	if len(st.Causes) < 32 {
		c := w.cause(code, message, "", nil)
		c.Instance = id
		st.Causes = append(st.Causes, *c)
	}
}
