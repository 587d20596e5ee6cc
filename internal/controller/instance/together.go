package instance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
)

// isTogether says whether a step is carried out for many instances in one call.
func isTogether(k lifecycle.Kind) bool {
	switch k {
	case lifecycle.LookByID, lifecycle.ReadConsole, lifecycle.Release, lifecycle.Untag:
		return true
	}
	return false
}

// together asks the cloud for all that wait for the same answer, in as few
// calls as can be.
func (p *pass) together(ctx context.Context, cases []*aCase) error {
	by := map[lifecycle.Kind][]*aCase{}
	for _, c := range cases {
		by[c.step.Kind] = append(by[c.step.Kind], c)
	}
	return errors.Join(p.look(ctx, by[lifecycle.LookByID]), p.readConsoles(ctx, by[lifecycle.ReadConsole]),
		p.release(ctx, by[lifecycle.Release]), p.untag(ctx, by[lifecycle.Untag]))
}

// names are the instances of some cases.
func names(cases []*aCase) []string {
	ids := make([]string, len(cases))
	for n, c := range cases {
		ids[n] = c.i.Name
	}
	return ids
}

// cause is why some cases leave: the activities that marked them.
func (p *pass) cause(ctx context.Context, cases []*aCase) context.Context {
	var by []string
	for _, c := range cases {
		if m := c.i.Spec.Release; m != nil && !slices.Contains(by, m.Activity) {
			by = append(by, m.Activity)
		}
	}
	if len(by) == 0 {
		return ctx
	}
	return cloud.WithCause(ctx, "activity "+strings.Join(by, ", "))
}

// look looks at instances by their IDs.
func (p *pass) look(ctx context.Context, cases []*aCase) error {
	found, err := p.find(ctx, names(cases))
	for _, c := range cases {
		if err != nil {
			c.over = true
			continue
		}
		f, ok := found[c.i.Name]
		c.facts.Look = lifecycle.Look{Made: true, Found: ok}
		if ok {
			c.facts.Look.Shown = p.shown(&f)
		}
	}
	return err
}

// find looks at instances by their IDs; the cloud takes a hundred in a call.
func (p *pass) find(ctx context.Context, ids []string) (map[string]cloud.Instance, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := p.Cloud.Find(ctx, ids...)
	if err != nil {
		return nil, fmt.Errorf("look at instances of %s by id: %w", p.group.Name, err)
	}
	found := make(map[string]cloud.Instance, len(list))
	for _, c := range list {
		found[c.ID] = c
	}
	return found, nil
}

// release makes the release calls (rule 12). One that the cloud refuses to
// release now is tried again after a while; its record stays as it is.
func (p *pass) release(ctx context.Context, cases []*aCase) error {
	if len(cases) == 0 {
		return nil
	}
	err := p.Cloud.Release(p.cause(ctx, cases), names(cases)...)
	refused := cloud.ReleaseErrors(err)
	var left []error
	gone := 0
	for _, c := range cases {
		why := refused[c.i.Name]
		if len(refused) == 0 {
			why = err // of the whole call
		}
		if why == nil {
			c.m.released, c.facts.LastRelease = p.now, p.now
			gone++
			continue
		}
		c.over, c.m.retry = true, p.now.Add(p.Waits.Retry)
		c.m.due = c.m.retry
		code := fault.CodeOf(why)
		row := fault.Lookup(code)
		switch {
		case code == fault.InstanceBusy, row.Next == fault.NextGone: // or it is said to be gone, and still shown
			continue
		case cloud.Classify(why) == cloud.Refused:
			c.m.retry = p.now.Add(p.Waits.ReleaseAgain)
			c.m.due = c.m.retry
			p.Events.Eventf(p.group, corev1.EventTypeWarning, "InstanceNotReleased", "%s is not released: %s: %s", c.i.Name, code,
				row.Advice(fault.Details{fault.DetailInstance: c.i.Name, fault.DetailPool: c.i.Spec.Pool}))
			continue
		}
		left = append(left, why)
	}
	if gone > 0 {
		metrics.InstancesReleased.WithLabelValues(p.group.Name).Add(float64(gone))
		p.Sweeper.Busy(p.now.Add(p.Waits.BusyAfter))
		p.Sweeper.Soon()
	}
	if len(left) > 0 {
		return fmt.Errorf("release %d instances of %s: %w", len(left), p.group.Name, left[0])
	}
	return nil
}

// untag takes our tags off those that were taken out.
func (p *pass) untag(ctx context.Context, cases []*aCase) error {
	if len(cases) == 0 {
		return nil
	}
	err := p.Tags.Untag(p.cause(ctx, cases), cloud.TagKeys(), names(cases)...)
	for _, c := range cases {
		if err != nil {
			c.over = true
			continue
		}
		c.m.untagged = p.Now()
		c.facts.Look.Ours, c.facts.Sweep.Ours = false, false
	}
	if err != nil {
		return fmt.Errorf("take our tags off instances of %s: %w", p.group.Name, err)
	}
	p.Sweeper.Soon()
	return nil
}

// consoles is how many consoles are read at most in the time between two looks
// at the same one.
const consoles = 60

// readConsoles reads the serial consoles of late machines, those first that
// wait longest. One whose turn does not come before its deadline is given up
// without.
func (p *pass) readConsoles(ctx context.Context, cases []*aCase) error {
	slices.SortFunc(cases, func(a, b *aCase) int {
		if order := a.facts.JoinBegan().Compare(b.facts.JoinBegan()); order != 0 {
			return order
		}
		return strings.Compare(a.i.Name, b.i.Name)
	})
	var read []*aCase
	for _, c := range cases {
		next, ok := p.logs.take(p.now, consoles, p.Waits.JoinLogAgain)
		switch {
		case ok:
			read = append(read, c)
			c.m.log.Tried = p.now
		case c.facts.Overdue():
			c.m.log.Tried = p.now
		default:
			c.over, c.m.due = true, next
		}
		c.facts.Log = c.m.log
	}
	return p.Each(len(read), func(n int) error {
		p.readConsole(ctx, read[n])
		return nil
	})
}

// readConsole takes from the console of a late machine at which step it is, and
// whether it says itself that it failed. What cannot be read is read later.
func (p *pass) readConsole(ctx context.Context, c *aCase) {
	raw, err := p.Cloud.BootLog(ctx, c.i.Name)
	if err != nil {
		return
	}
	r := bootstrap.ParseLog(raw)
	c.m.log.Failed, c.m.resetting = r.Failed, r.Resetting()
	c.facts.Log = c.m.log
	step := clip(string(r.At()), 64)
	if step == c.i.Status.Step && !r.Failed && !c.facts.Overdue() {
		return
	}
	st := c.status()
	st.Step = step
	if r.Failed || c.facts.Overdue() {
		st.Log = tail(string(bootstrap.Redact(r.Excerpt)), 4096)
	}
	if r.Failed {
		st.Message = clip(fmt.Sprintf("stopped at step %s, exit code %d: %s", r.Last.Step.Words(), r.Last.Exit, r.Last.Detail), 1000)
	}
	if talks(r.At()) && (r.Failed || c.facts.Overdue()) {
		p.denied(ctx, c)
	}
}

// talks says whether a step talks to the API server.
func talks(s bootstrap.Step) bool {
	return s == bootstrap.StepReach || s == bootstrap.StepJoin || s == bootstrap.StepReady
}

// denied asks whether the security groups keep a machine from the API server
// that it did not reach: a rule that was closed after the check. What cannot be
// asked is left as the machine told it.
func (p *pass) denied(ctx context.Context, c *aCase) {
	if p.Access == nil {
		return
	}
	f, err := p.Access(ctx, p.group.Spec.SecurityGroups)
	if c.m.log.Denied = err == nil && f != nil; !c.m.log.Denied {
		return
	}
	c.facts.Log = c.m.log
	st := c.status()
	if st.Message != "" {
		f.Message += "; " + st.Message
	}
	f.Details[fault.DetailPool] = c.i.Spec.Pool
	st.Message, st.Solution = clip(f.Message, 1000), clip(f.Advice(), 1000)
}

// tagAgain puts our tags on an attached instance that an earlier untag call
// took them from.
func (p *pass) tagAgain(ctx context.Context, c *aCase) error {
	o := cloud.Origin{ClusterID: p.ClusterID, Pool: c.i.Spec.Pool, GroupUID: c.i.Spec.GroupUID, ActivityUID: c.i.Spec.ActivityUID, Piece: -1}
	if err := p.Tags.Tag(ctx, o.Tags(), c.i.Name); err != nil {
		return fmt.Errorf("put our tags on instance %s again: %w", c.i.Name, err)
	}
	c.over = true
	p.Sweeper.Soon()
	return nil
}
