// Package clustertask carries tasks on and writes what came of them. In come
// ClusterTasks, their pools with what those report, records of Instances and,
// through the interface Look, what the cloud shows of named instances; out go
// the tasks' results with causes and solutions, and, for instances taken out
// or brought in by name, holds on their records and updates of the pool. It
// never chooses an instance, never creates or releases one, and reads no Node.
package clustertask

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/change"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// Look says what the cloud shows of instances, by their IDs.
type Look interface {
	// Look returns what is there of the given IDs. One that is not there is
	// absent. An error says nothing about any of them.
	Look(ctx context.Context, ids ...string) (map[string]Seen, error)
}

// Seen is one instance that is there.
type Seen struct {
	// Ours is true where it carries our tags, of this cluster.
	Ours bool
	// Pool is the pool that its tags name; empty without our tags.
	Pool string
}

// Reconciler carries tasks on. All fields must be set.
type Reconciler struct {
	// Client reads from the cache and writes; Live reads from the API server.
	Client client.Client
	Live   client.Reader
	// Now is the clock.
	Now func() time.Time
	// Waits are the times of the specification.
	Waits wait.Settings
	// Events tells people what happened after a task had ended.
	Events record.EventRecorder
	// Look looks at instances in the cloud.
	Look Look
	// Offer makes the join command of a pool for a task: what machines that run
	// already are told to do.
	Offer func(ctx context.Context, pool, task string) error
	// Troubles are those that the API server had lately; it may be left out.
	Troubles func() []Trouble

	memory memory
	pokes  chan event.TypedGenericEvent[string]
}

// Reconcile carries one task on, by one step.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	t := &api.ClusterTask{}
	if err := r.Client.Get(ctx, req.NamespacedName, t); err != nil {
		r.memory.close(req.Name)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	w := &work{Reconciler: r, t: t, was: *t.Status.DeepCopy(), now: r.Now()}
	if ended(t) {
		return w.afterwards(ctx)
	}
	r.memory.open(t.Spec.Pool, t.Name)
	if t.Status.State == "" {
		return w.begin(ctx)
	}
	w.troubled()
	again, err := w.step(ctx)
	if apierrors.IsConflict(err) { // somebody else wrote: look again with what they wrote
		return ctrl.Result{RequeueAfter: r.Waits.Conflict}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: again}, nil
}

// step does what the type of the task asks for. It returns when to look again
// though nothing changed; 0: no need.
func (w *work) step(ctx context.Context) (time.Duration, error) {
	switch w.t.Spec.Type {
	case api.TaskScale:
		return w.scale(ctx)
	case api.TaskDelete:
		return w.deletePool(ctx)
	case api.TaskRemove, api.TaskAttach:
		return w.transfer(ctx)
	case api.TaskResume, api.TaskRebalance, api.TaskThaw:
		return w.count(ctx, asks[w.t.Spec.Type])
	case api.TaskRejoin, api.TaskForget, api.TaskAdopt, api.TaskDisown, api.TaskConvert, api.TaskRenew:
		return w.each(ctx)
	}
	w.end(api.TaskFailed, "", fmt.Sprintf("this version knows no task of the type %s", w.t.Spec.Type))
	return 0, w.write(ctx)
}

// ended is true of a task that does nothing more.
func ended(t *api.ClusterTask) bool {
	s := t.Status.State
	return s == api.TaskSuccess || s == api.TaskFailed || s == api.TaskCanceled
}

// work is one look at one task. The task's status is what will be written.
type work struct {
	*Reconciler
	t   *api.ClusterTask
	was api.ClusterTaskStatus
	now time.Time
}

// holds is true of tasks that leave something behind when they go unasked:
// holds on Instances and entries of the pool.
func (w *work) holds() bool {
	return w.t.Spec.Type == api.TaskRemove || w.t.Spec.Type == api.TaskAttach
}

// begin writes that the task has begun.
func (w *work) begin(ctx context.Context) (ctrl.Result, error) {
	before := w.t.DeepCopy()
	if w.holds() && w.t.DeletionTimestamp.IsZero() && controllerutil.AddFinalizer(w.t, api.Finalizer) {
		if err := w.Client.Patch(ctx, w.t, change.Since(before)); err != nil {
			return w.conflict(err)
		}
	}
	st := &w.t.Status
	st.State, st.StartTime, st.Target = api.TaskRunning, w.stamp(), w.t.Spec.To
	for _, id := range unique(w.t.Spec.Instances) {
		st.Instances = append(st.Instances, api.TaskInstance{Instance: id, State: api.TaskInstanceWaiting})
	}
	if w.t.Spec.Type == api.TaskAttach || w.t.Spec.Type == api.TaskRejoin {
		// It needs none to be brought in, and the next task makes another.
		if err := w.Offer(ctx, w.t.Spec.Pool, w.t.Name); err != nil {
			w.event(string(fault.CodeOf(err)), "the join command was not made: "+err.Error())
		}
	}
	if err := w.write(ctx); err != nil {
		return w.conflict(err)
	}
	return ctrl.Result{RequeueAfter: w.Waits.Conflict}, nil
}

func (w *work) conflict(err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: w.Waits.Conflict}, nil
	}
	return ctrl.Result{}, client.IgnoreNotFound(err)
}

// end writes how the task ends.
func (w *work) end(state api.TaskState, code, message string) {
	st := &w.t.Status
	st.State, st.EndTime = state, w.stamp()
	st.Progress, _, _ = strings.Cut(st.Progress, nextMark) // nothing more is tried for it
	if code != "" || message != "" {
		st.Error = &api.TaskError{Code: cut(code, 128), Message: cut(message, 2048)}
	}
	if w.t.Spec.Type == api.TaskScale { // who joins late is no longer followed
		st.Instances = slices.DeleteFunc(st.Instances, func(i api.TaskInstance) bool { return i.State == api.TaskInstanceRunning })
	}
	if state == api.TaskFailed && code != "" {
		w.ownCause(code, message)
	}
	for i := range st.Stages {
		if st.Stages[i].State == api.TaskRunning {
			st.Stages[i].State, st.Stages[i].EndTime = state, w.stamp()
		}
	}
}

// stamp is the time of this look, as statuses keep it.
func (w *work) stamp() *metav1.Time {
	t := metav1.NewTime(w.now.UTC().Truncate(time.Second))
	return &t
}

// event adds something that happened. The oldest go.
func (w *work) event(code, message string) {
	st := &w.t.Status
	st.Events = append(st.Events, api.TaskEvent{Time: *w.stamp(), Code: code, Message: cut(message, 1024)})
	if n := len(st.Events); n > 50 {
		st.Events = st.Events[n-50:]
	}
}

// stage sets the state of one stage, and its times when it changes.
func (w *work) stage(name string, state api.TaskState) {
	for i := range w.t.Status.Stages {
		s := &w.t.Status.Stages[i]
		if s.Name != name || s.State == state {
			if s.Name == name {
				return
			}
			continue
		}
		s.State = state
		if state != api.TaskRunning {
			s.EndTime = w.stamp()
		} else {
			s.EndTime = nil
		}
		return
	}
	s := api.TaskStage{Name: name, State: state, StartTime: w.stamp()}
	if state != api.TaskRunning {
		s.EndTime = w.stamp()
	}
	w.t.Status.Stages = append(w.t.Status.Stages, s)
}

// write writes the status where it changed.
func (w *work) write(ctx context.Context) error {
	if equality.Semantic.DeepEqual(w.was, w.t.Status) {
		return nil
	}
	if err := w.Client.Status().Update(ctx, w.t); err != nil {
		return fmt.Errorf("write status of task %s: %w", w.t.Name, err)
	}
	if w.was.State != w.t.Status.State {
		logf.FromContext(ctx).Info("task "+string(w.t.Status.State), "task", w.t.Name, "pool", w.t.Spec.Pool, "type", w.t.Spec.Type)
	}
	w.was = *w.t.Status.DeepCopy()
	w.memory.wrote(w.t.Name, w.now)
	return nil
}

// pace writes the status at the pace that summaries are written: at once
// where the last write is long ago or the task ends, otherwise later.
func (w *work) pace(ctx context.Context, again time.Duration) (time.Duration, error) {
	if left := w.memory.untilWrite(w.t.Name, w.now, w.Waits.StatusInterval); left > 0 && !ended(w.t) {
		if equality.Semantic.DeepEqual(w.was, w.t.Status) {
			return again, nil
		}
		return left, nil
	}
	return again, w.write(ctx)
}

// unique leaves out names that came before.
func unique(list []string) []string {
	seen, out := map[string]bool{}, []string{}
	for _, s := range list {
		if s != "" && !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// cut shortens a text to n bytes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("...")
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n] + "..."
}
