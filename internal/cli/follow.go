package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// follow watches one request until it ends. With a task it ends with the task;
// with a pool alone, when that is as wished.
type follow struct {
	*call
	pool    string
	poolUID types.UID
	// task to follow; empty follows the pool.
	task string
	// generation of the pool that holds the request; 0 where the task alone
	// does.
	generation int64
	// changed is true where this command has changed the number.
	changed bool
	// from and wanted are the expected numbers before and after. Unit: nodes.
	from, wanted int32
	timeout      time.Duration
	// deleting follows a pool until it is gone.
	deleting bool

	look     view.Look
	replaced bool
	// away is true while the API server does not answer.
	away bool
	show shower
	// began is when the request did; zero until this command asked.
	began time.Time
}

// errTimeout ends a wait whose time is over.
var errTimeout = errors.New("timeout")

// run follows until the end and says how it was.
func (f *follow) run() error {
	ctx, cancel := context.WithTimeoutCause(f.ctx, f.timeout, errTimeout)
	defer cancel()
	f.show = f.newShower()
	if f.began.IsZero() {
		f.began = f.Now()
	}
	f.show.begin(f)
	wake := f.watch(ctx)
	for {
		ended, err := f.step(ctx)
		if ctx.Err() != nil {
			return f.cut(context.Cause(ctx))
		}
		if f.outOfReach(err) {
			err = nil
		}
		if ended || err != nil {
			f.show.end(f, err)
			return err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return f.cut(context.Cause(ctx))
		}
	}
}

// outOfReach is true for an API server that does not answer: the work does not
// need us, so the follower waits until it is back or its time is over.
func (f *follow) outOfReach(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.Code != ExitUnreachable {
		return false
	}
	if !f.away {
		f.away = true
		f.show.note(f, joinSentence(e.What, e.Cause)+" Trying again.")
	}
	return true
}

// inReach says that the API server answers again, where it did not.
func (f *follow) inReach() {
	if f.away {
		f.away = false
		f.show.note(f, "The API server is back.")
	}
}

func joinSentence(what, cause string) string {
	if cause == "" {
		return strings.ToUpper(what[:1]) + what[1:] + "."
	}
	return strings.ToUpper(what[:1]) + what[1:] + ": " + cause + "."
}

// step reads once, shows what changed and decides whether this is the end.
func (f *follow) step(ctx context.Context) (ended bool, err error) {
	now, err := f.read(ctx)
	if err != nil {
		return false, err
	}
	f.inReach()
	before := f.look
	f.look = now
	f.show.change(f, before)
	return f.verdict(ctx)
}

// read looks at pool and task.
func (f *follow) read(ctx context.Context) (view.Look, error) {
	var l view.Look
	if f.pool != "" {
		p := &v1alpha1.NodePool{}
		err := f.Get(ctx, client.ObjectKey{Name: f.pool}, p)
		if err == nil && (f.poolUID == "" || p.UID == f.poolUID) {
			l.Pool = p
		} else if err != nil && !apierrors.IsNotFound(err) {
			return l, apiError(err, "cannot follow "+f.pool)
		}
	}
	if f.task != "" {
		t := &v1alpha1.ClusterTask{}
		err := f.Get(ctx, client.ObjectKey{Name: f.task}, t)
		if err == nil {
			l.Task = t
		} else if !apierrors.IsNotFound(err) {
			return l, apiError(err, "cannot follow task "+f.task)
		}
	}
	return l, nil
}

// verdict decides whether the request has ended, and how.
func (f *follow) verdict(ctx context.Context) (bool, error) {
	p, t := f.look.Pool, f.look.Task
	if p == nil && f.pool != "" && (f.deleting || t == nil || !view.TaskEnded(t.Status.State)) {
		return f.gone()
	}
	if f.deleting && (t == nil || t.Status.State != v1alpha1.TaskFailed) {
		return f.deletionBlocked(p)
	}
	if t != nil && view.TaskEnded(t.Status.State) {
		return f.taskEnded(ctx, t)
	}
	if f.generation > 0 && t == nil && p.Status.ObservedGeneration > f.generation {
		return f.toNewest(ctx)
	}
	if p != nil && t == nil {
		return f.poolAlone(p)
	}
	if p != nil && f.generation > 0 {
		return f.heldUp(p)
	}
	return false, nil
}

// gone decides when the pool is no more.
func (f *follow) gone() (bool, error) {
	if f.deleting {
		return true, nil
	}
	return true, &Error{Code: ExitFailed, What: f.pool + " was deleted meanwhile", Cause: "the node pool is no longer there", Next: []string{"`poolkeeper pool list`"}}
}

// deletionBlocked ends a wait for a deletion that something forbids.
func (f *follow) deletionBlocked(p *v1alpha1.NodePool) (bool, error) {
	c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionDeletionBlocked)
	if c == nil || c.Status != metav1.ConditionTrue {
		return false, nil
	}
	return true, &Error{Code: ExitNotAllowed, What: f.pool + " is not deleted", Cause: c.Message, Next: []string{fmt.Sprintf("`poolkeeper why %s`", f.pool)}}
}

// poolAlone decides by the pool where it has no task: as wished is the end.
func (f *follow) poolAlone(p *v1alpha1.NodePool) (bool, error) {
	if p.Status.ObservedGeneration < f.generation {
		return false, nil
	}
	if view.Complete(p) {
		return true, f.otherNumber(p)
	}
	return f.heldUp(p)
}

// heldUp ends a wait at once where the pool is held or frozen: nothing more
// comes of it soon.
func (f *follow) heldUp(p *v1alpha1.NodePool) (bool, error) {
	if p.Status.ObservedGeneration < f.generation || p.Status.ObservedGeneration < p.Generation {
		return false, nil
	}
	short := p.Status.Counts.InService < p.Spec.ExpectedNodes
	over := p.Status.Counts.Instances > p.Spec.ExpectedNodes || p.Status.Counts.Removing > 0
	held, frozen := view.IsHeld(p) && short, view.IsFrozen(p) && over
	if !held && !frozen {
		return false, nil
	}
	e := &Error{Code: ExitFailed, What: fmt.Sprintf("%s has %d of %d nodes and is held", p.Name, p.Status.Counts.InService, p.Spec.ExpectedNodes)}
	e.Cause = view.PoolSentence(p, f.Now())
	e.Next = []string{fmt.Sprintf("`poolkeeper why %s`", p.Name), fmt.Sprintf("when it is mended: `poolkeeper pool resume %s`", p.Name)}
	if frozen {
		e.What = p.Name + " is frozen: nothing is released"
		e.Next = e.Next[:1]
	}
	if w := p.Status.Why; w != nil {
		e.Fault = w.Code
		if w.Solution != "" {
			e.Next = append([]string{w.Solution}, e.Next...)
		}
	}
	return true, e
}

// taskEnded says how a task ended.
func (f *follow) taskEnded(ctx context.Context, t *v1alpha1.ClusterTask) (bool, error) {
	switch t.Status.State {
	case v1alpha1.TaskSuccess:
		return f.succeeded(ctx)
	case v1alpha1.TaskCanceled:
		p := f.look.Pool
		if !t.Spec.Cancel && f.generation > 0 && p != nil && p.DeletionTimestamp.IsZero() {
			return f.toNewest(ctx)
		}
		e := &Error{Code: ExitFailed, What: t.Spec.Title + ": the task was canceled", Cause: "somebody asked for it", Next: []string{fmt.Sprintf("`poolkeeper task get %s`", t.Name)}}
		if t.Status.Error != nil {
			e.Cause = t.Status.Error.Message
		}
		return true, e
	}
	return true, taskFailed(t, f.look.Pool)
}

// succeeded reads the pool once more: the status that made the task a success
// is written, and may be newer than the one read before the task.
func (f *follow) succeeded(ctx context.Context) (bool, error) {
	if f.generation == 0 { // it may have changed the pool's number: the status is to speak of that, if it does so soon
		p, end := f.look.Pool, f.look.Task.Status.EndTime
		return p == nil || p.Status.ObservedGeneration >= p.Generation || end == nil || f.Now().Sub(end.Time) > 5*time.Second, nil
	}
	now, err := f.read(ctx)
	if err != nil || now.Pool == nil {
		return err == nil, err
	}
	before := f.look
	f.look.Pool = now.Pool
	f.show.change(f, before)
	return true, f.otherNumber(now.Pool)
}

// taskFailed makes an Error of a task that failed.
func taskFailed(t *v1alpha1.ClusterTask, p *v1alpha1.NodePool) *Error {
	e := &Error{Code: ExitFailed, What: t.Spec.Title + ": the task failed"}
	if p != nil && t.Spec.Type == v1alpha1.TaskScale {
		e.What = fmt.Sprintf("%s has %d of %d. The task ended; the pool goes on trying", p.Name, p.Status.Counts.InService, p.Spec.ExpectedNodes)
	}
	if t.Status.Error != nil {
		e.Fault, e.Cause = t.Status.Error.Code, t.Status.Error.Message
	}
	for _, c := range t.Status.Causes {
		if e.RequestID == "" {
			e.RequestID = c.RequestID
		}
		if c.Solution != "" {
			e.Next = append(e.Next, c.Solution)
		}
	}
	e.Next = append(e.Next, fmt.Sprintf("`poolkeeper task get %s --cause`", t.Name))
	return e
}

// otherNumber is the end of a wait whose pool was asked for another number
// meanwhile; nil where the number is the one asked for.
func (f *follow) otherNumber(p *v1alpha1.NodePool) error {
	if !f.replaced || p.Spec.ExpectedNodes == f.wanted {
		return nil
	}
	return &Error{
		Code: ExitConflict, What: fmt.Sprintf("%s expects %s now, not %d", p.Name, plural(int(p.Spec.ExpectedNodes), "node"), f.wanted),
		Cause: "a newer request replaced this one", Next: []string{fmt.Sprintf("`poolkeeper task list --pool %s`", p.Name)},
	}
}

// toNewest goes on with the newest scale task of the pool, after this one was
// replaced.
func (f *follow) toNewest(ctx context.Context) (bool, error) {
	var list v1alpha1.ClusterTaskList
	if err := f.List(ctx, &list); err != nil {
		return false, apiError(err, "cannot list tasks")
	}
	var newest *v1alpha1.ClusterTask
	for i := range list.Items {
		t := &list.Items[i]
		mine := t.Spec.Type == v1alpha1.TaskScale && t.Spec.Pool == f.pool && t.Name != f.task
		if mine && t.Spec.PoolGeneration > f.generation && (newest == nil || t.Spec.PoolGeneration > newest.Spec.PoolGeneration) {
			newest = t
		}
	}
	if newest == nil {
		f.show.note(f, "A newer request replaced this one before it was begun.")
		f.replaced, f.generation, f.task = true, f.look.Pool.Generation, ""
		return f.poolAlone(f.look.Pool)
	}
	f.show.note(f, view.ReplacedText(newest, f.clock))
	f.replaced, f.task, f.generation = true, newest.Name, newest.Spec.PoolGeneration
	f.look.Task = newest
	return f.verdict(ctx)
}

// cut ends a wait from outside: its time is over, or Ctrl-C.
func (f *follow) cut(cause error) error {
	f.show.stop(f)
	later := fmt.Sprintf("`poolkeeper pool watch %s`", f.pool)
	if f.task != "" {
		later = fmt.Sprintf("`poolkeeper task watch %s`", f.task)
	}
	if errors.Is(cause, errTimeout) {
		e := &Error{Code: ExitTimeout, What: fmt.Sprintf("not done after %s; the work goes on", f.timeout), Next: []string{"later: " + later}}
		if f.away {
			e.Cause = "the API server does not answer"
		} else if p := f.look.Pool; p != nil {
			e.Cause = view.PoolSentence(p, f.Now())
			if p.Status.Why != nil {
				e.Fault = p.Status.Why.Code
			}
		}
		return e
	}
	return &Error{Code: ExitInterrupted, What: "stopped watching; the work goes on", Cause: "Ctrl-C", Next: []string{"later: " + later}, Err: cause}
}
