package clustertask

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	words "github.com/poolkeeper/poolkeeper/internal/view"
	"github.com/poolkeeper/poolkeeper/internal/view/snapshot"
)

// causes tells what went wrong on the way, once for each code, with what to do
// about it: refusals of the pieces asked for since the task began, machines
// that did not join with their step and log, and what holds the group up. What
// was told once stays told, also when its traces are gone.
func (w *work) causes(ctx context.Context, v *view) error {
	found := map[string]*api.TaskCause{}
	if err := w.refusals(ctx, v.group, found); err != nil {
		return err
	}
	if v.pool.Status.Counts.Failed > 0 {
		if err := w.failures(ctx, found); err != nil {
			return err
		}
	}
	w.remembered(v.group, found)
	w.standing(v, found)
	for i := range w.t.Status.Causes {
		old := &w.t.Status.Causes[i]
		if now := found[old.Code]; now == nil || now.Count < old.Count {
			found[old.Code] = old.DeepCopy()
		}
	}
	list := make([]api.TaskCause, 0, len(found))
	for _, c := range found {
		list = append(list, *c)
	}
	sort.Slice(list, func(a, b int) bool {
		if x, y := rank(list[a].Code), rank(list[b].Code); x != y {
			return x < y
		}
		return list[a].Code < list[b].Code
	})
	w.t.Status.Causes = list[:min(len(list), 32)]
	return nil
}

// standing tells what keeps group and pool from their number now.
func (w *work) standing(v *view, found map[string]*api.TaskCause) {
	reasons := []*api.Why{v.group.Status.Why}
	if why := v.pool.Status.Why; why != nil && why.Code == string(fault.DrainLimit) {
		reasons = append(reasons, why)
	}
	for _, why := range reasons {
		if why == nil || why.Code == "" || found[why.Code] != nil {
			continue
		}
		c := w.cause(why.Code, why.Sentence, "", nil)
		if strings.HasPrefix(why.Sentence, c.Cause) {
			c.Message = "" // it says nothing else
		}
		switch {
		case why.Code == string(fault.OnlyKeptInstances):
			c.Solution = cut(c.Solution+": "+why.Solution, 2048) // each by name, with its way out
		case why.Solution != "":
			c.Solution = cut(why.Solution, 2048) // it knows more of the case
		}
		if why.Code == string(fault.DrainRoleMissing) { // missing, or not read: the group knows which
			c.Cause, c.Solution, c.Message = cut(why.Sentence, 2048), cut(why.Solution, 2048), ""
		}
		found[why.Code] = c
	}
}

// remembered tells what the group took in since the task began and no piece of
// an activity says: instances that vanished before they ran, and what does not
// go together, in the cloud's own words.
func (w *work) remembered(g *api.ScalingGroup, found map[string]*api.TaskCause) {
	for i := range g.Status.Refusals {
		r := &g.Status.Refusals[i]
		if found[r.Code] == nil && !r.LastTime.Before(w.t.Status.StartTime) {
			if found[r.Code] = w.cause(r.Code, r.Message, r.RequestID, snapshot.Details(g, snapshot.Place(r))); r.Solution != "" {
				found[r.Code].Solution = fault.InPool(r.Solution, w.t.Spec.Pool)
			}
		}
	}
	if why := g.Status.Why; why == nil || why.Code == "" {
		return // what does not fit was not needed
	}
	for i := range g.Status.Misfits {
		m := &g.Status.Misfits[i]
		if found[m.Code] == nil {
			at := fault.Place{Zone: m.Zone, InstanceType: m.InstanceType, Disk: snapshot.Disks(&g.Spec)}
			found[m.Code] = w.cause(m.Code, m.Message, m.RequestID, snapshot.Details(g, at))
		}
	}
}

// ownCause tells cause and solution of the code that a task ends with, after
// what led to it.
func (w *work) ownCause(code, message string) {
	st := &w.t.Status
	var met []string
	for _, c := range st.Causes {
		if c.Code == code {
			return
		}
		met = append(met, c.Code)
	}
	if len(st.Causes) >= 32 {
		return
	}
	st.Causes = append(st.Causes, *w.cause(code, message, "", fault.Details{fault.DetailCodes: fault.List(met)}))
}

// rank puts stock first, and machines last.
func rank(code string) int {
	switch fault.Code(code) {
	case fault.InstanceTypeNoStock, fault.NoStock, fault.ZoneNotOnSale, fault.DiskTypeNoStock:
		return 0
	case fault.FailedJoinCluster, fault.StartInstanceFailed:
		return 2
	}
	return 1
}

// cause is the catalogue's cause and solution of a code, with what is known of
// the case.
func (w *work) cause(code, message, requestID string, d fault.Details) *api.TaskCause {
	e := fault.Lookup(fault.Code(code))
	known := fault.Details{fault.DetailPool: w.t.Spec.Pool}
	maps.Copy(known, d)
	return &api.TaskCause{
		Code: cut(code, 128), Cause: cut(e.Cause, 2048), Solution: cut(e.Advice(known), 2048),
		Message: cut(message, 1024), RequestID: cut(requestID, 64), Count: 1,
	}
}

// refusals collects what the cloud refused to the activities of this task.
func (w *work) refusals(ctx context.Context, g *api.ScalingGroup, found map[string]*api.TaskCause) error {
	list, err := w.activities(ctx)
	if err != nil {
		return err
	}
	sort.Slice(list, func(a, b int) bool { return list[a].Spec.Number < list[b].Spec.Number })
	add := func(code, message, requestID string, d fault.Details) {
		if code == "" {
			return
		}
		n := int32(1)
		if c := found[code]; c != nil {
			n += c.Count
		}
		found[code] = w.cause(code, message, requestID, d)
		found[code].Count = n
	}
	for _, a := range list {
		if a.Status.Done && w.older(a) {
			continue
		}
		w.told(a)
		stopped := a.Status.Code
		for i := range a.Status.Pieces {
			p := &a.Status.Pieces[i]
			for _, met := range p.Answers { // each that did not end it
				if string(met.Code) != p.Code || p.State != api.PieceResolved || met.Send != p.Sends {
					add(met.Code, "", "", asked(g, a, p))
				}
			}
			if p.State == api.PieceResolved {
				add(p.Code, p.Message, p.RequestID, asked(g, a, p))
			}
			if p.Code == stopped {
				stopped = ""
			}
		}
		add(stopped, a.Status.Message, "", nil)
		if waits := words.ActivityWaits(a, w.Now()); waits != nil && found[waits.Code] != nil {
			found[waits.Code].Message = cut(waits.Sentence+"; next: "+words.WhyNext(waits, words.Clock{Now: w.Now()}), 1024)
		}
	}
	return nil
}

// older says whether an activity was decided before the task. Where both are of
// the same second, its number tells.
func (w *work) older(a *api.ScalingActivity) bool {
	made, asked := a.CreationTimestamp, w.t.CreationTimestamp
	return made.Before(&asked) || made.Equal(&asked) && a.Spec.Wanted != w.t.Status.Target
}

// mostTold is how many activities a task tells of.
const mostTold = 40

// told adds what came of an activity that has ended to the task's events, once.
func (w *work) told(a *api.ScalingActivity) {
	if !a.Status.Done || a.Status.Summary == "" || len(w.t.Status.Events) >= mostTold {
		return
	}
	text := a.Name + ": " + a.Status.Summary
	for _, e := range w.t.Status.Events {
		if e.Message == cut(text, 1024) {
			return
		}
	}
	w.event("", text)
}

// asked is what a piece asked for, as advice can name it.
func asked(g *api.ScalingGroup, a *api.ScalingActivity, p *api.Piece) fault.Details {
	if int(p.Candidate) >= len(a.Spec.Candidates) {
		return nil
	}
	c := a.Spec.Candidates[p.Candidate]
	d := snapshot.Details(g, fault.Place{VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType, Disk: c.Disk})
	d[fault.DetailPermission] = p.Permission
	return d
}

// failures collects machines that did not join: one cause for each code, with
// the log of the first by name, and each machine with its step.
func (w *work) failures(ctx context.Context, found map[string]*api.TaskCause) error {
	list, err := w.records(ctx)
	if err != nil {
		return err
	}
	sort.Slice(list, func(a, b int) bool { return list[a].Name < list[b].Name })
	for _, i := range list {
		s := &i.Status
		if (s.NodeState != api.NodeFailed && !fault.OfHook(fault.Code(s.Code))) || s.FailedTime == nil || s.FailedTime.Before(w.t.Status.StartTime) {
			continue
		}
		code := s.Code
		if code == "" {
			code = string(fault.FailedJoinCluster)
		}
		text := s.Message
		if step := bootstrap.Step(s.Step).Words(); step != "" && !strings.Contains(s.Message, step) {
			text = fmt.Sprintf("stopped at step %s: %s", step, s.Message)
		}
		w.machine(i.Name, api.TaskInstanceFailed, text)
		if fault.OfHook(fault.Code(code)) {
			continue // nothing to see on the machine, which is gone in a moment: the group remembers the cause
		}
		c := found[code]
		if c == nil || c.Instance == "" {
			c = w.cause(code, text, "", nil)
			c.Instance, c.Log, c.Count = i.Name, s.Log, 0
			if c.Solution = cut(fault.Lookup(fault.Code(code)).Advice(w.ofMachine(i)), 2048); s.Solution != "" {
				c.Solution = s.Solution
			}
			found[code] = c
		}
		c.Count++
	}
	return nil
}

// ofMachine is what advice can name about a machine that failed.
func (w *work) ofMachine(i *api.Instance) fault.Details {
	d := fault.Details{fault.DetailPool: w.t.Spec.Pool, fault.DetailInstance: i.Name}
	if i.Status.Resetting {
		d[fault.DetailMIG] = i.Name
	}
	return d
}

// machine notes how one machine does, in the order of their names.
func (w *work) machine(id, state, text string) {
	st, now := &w.t.Status, api.TaskInstance{Instance: id, State: state, Message: cut(text, 512)}
	n, there := slices.BinarySearchFunc(st.Instances, id, func(i api.TaskInstance, id string) int { return strings.Compare(i.Instance, id) })
	switch {
	case there:
		st.Instances[n] = now
	case len(st.Instances) < 500:
		st.Instances = slices.Insert(st.Instances, n, now)
	}
}
