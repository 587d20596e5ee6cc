// Package hooks decides what is written where a person answers a lifecycle
// hook. In come an instance and what was typed; out come the answers that its
// record is to hold, or why there is nothing to answer. It reads and writes
// nothing.
package hooks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/near"
	"github.com/poolkeeper/poolkeeper/internal/cli/reply"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// Results are what --result takes.
var Results = []string{"continue", "abandon", "rollback"}

// Result is a result that was typed.
func Result(typed string) (v1alpha1.HookResult, error) {
	for _, r := range []v1alpha1.HookResult{v1alpha1.HookContinue, v1alpha1.HookAbandon, v1alpha1.HookRollback} {
		if strings.EqualFold(typed, string(r)) {
			return r, nil
		}
	}
	cause := "no --result was given"
	if typed != "" {
		cause = fmt.Sprintf("--result %s is not known", typed)
	}
	return "", reply.BadInput("nothing was completed", cause, "it is one of "+strings.Join(Results, ", "))
}

// Complete are the answers of an instance once a hook is completed. Done is true
// where the hook ended so already, and nothing is to be written.
func Complete(i *v1alpha1.Instance, hook string, r v1alpha1.HookResult) (list []v1alpha1.HookAnswer, done bool, err error) {
	for _, h := range i.Status.Hooks {
		if h.Name == hook && h.Result == r {
			return nil, true, nil
		}
	}
	h, err := held(i, hook)
	if err != nil {
		return nil, false, err
	}
	if cause, next := mayNot(i, h, r); cause != "" {
		return nil, false, &reply.Error{Code: reply.ExitNotAllowed, What: "nothing was completed", Cause: cause, Next: next}
	}
	return write(i, h, func(a *v1alpha1.HookAnswer) { a.Result = r }), false, nil
}

// Heartbeat are the answers of an instance once a hook was asked to begin its
// time anew, and how often that was asked.
func Heartbeat(i *v1alpha1.Instance, hook string) (list []v1alpha1.HookAnswer, n int32, err error) {
	h, err := held(i, hook)
	if err != nil {
		return nil, 0, err
	}
	list = write(i, h, func(a *v1alpha1.HookAnswer) {
		a.Heartbeats = max(a.Heartbeats, h.Heartbeats) + 1
		n = a.Heartbeats
	})
	return list, n, nil
}

// write changes one answer. Those to waits that are over are dropped.
func write(i *v1alpha1.Instance, h v1alpha1.HookStatus, change func(*v1alpha1.HookAnswer)) []v1alpha1.HookAnswer {
	list := slices.DeleteFunc(slices.Clone(i.Spec.HookAnswers), func(a v1alpha1.HookAnswer) bool {
		return !slices.ContainsFunc(i.Status.Hooks, func(s v1alpha1.HookStatus) bool { return s.Name == a.Hook && s.Wait == a.Wait })
	})
	n := slices.IndexFunc(list, func(a v1alpha1.HookAnswer) bool { return a.Hook == h.Name })
	if n < 0 {
		list = append(list, v1alpha1.HookAnswer{Hook: h.Name, Wait: h.Wait})
		n = len(list) - 1
	}
	change(&list[n])
	return list
}

// held is the hook of a name that holds an instance, or why there is none.
func held(i *v1alpha1.Instance, hook string) (v1alpha1.HookStatus, error) {
	list := view.Held(i)
	var names []string
	for _, h := range list {
		if h.Name == hook {
			return h, nil
		}
		names = append(names, h.Name)
	}
	e := &reply.Error{Code: reply.ExitNotFound, What: fmt.Sprintf("no lifecycle hook %q holds %s", hook, i.Name)}
	switch meant := near.To(hook, names); {
	case hook == view.BuiltInHook:
		e.Code, e.What = reply.ExitInput, "nothing was completed"
		e.Cause = "the drain is the built-in hook: it ends when no pod is left, or at its limit"
		e.Next = []string{"`poolkeeper why " + i.Name + "` says what it waits for"}
		return v1alpha1.HookStatus{}, e
	case meant != "":
		e.Next = []string{"did you mean " + meant + "?"}
	}
	e.Cause = ended(i, hook)
	if len(names) > 0 && e.Cause == "" {
		e.Cause = "held by: " + strings.Join(names, ", ")
	} else if e.Cause == "" {
		e.Cause = "it is " + strings.ToLower(view.InstanceWord(i)) + ", and no hook holds it"
	}
	e.Next = append(e.Next, "`poolkeeper hook list` shows all that wait")
	return v1alpha1.HookStatus{}, e
}

// ended says how a hook of an instance ended; empty where it did not.
func ended(i *v1alpha1.Instance, hook string) string {
	for _, h := range view.HooksOf(i) {
		if h.Name == hook && h.Result != "" {
			return "it ended already: " + h.State
		}
	}
	return ""
}

// mayNot says why a hook cannot end so; empty where it can.
func mayNot(i *v1alpha1.Instance, h v1alpha1.HookStatus, r v1alpha1.HookResult) (cause string, next []string) {
	m := i.Spec.Release
	switch {
	case r != v1alpha1.HookRollback:
		return "", nil
	case h.Transition == v1alpha1.WayIn || m == nil:
		return "rollback keeps what is on its way out, and " + i.Name + " is on its way in", []string{"to give it up: `" + view.HookAct(i.Name, h.Name, "abandon") + "`"}
	case m.Emptying:
		return i.Name + " goes with its pool, which is being deleted", nil
	case m.Task != "":
		return i.Name + " was named by a task, which takes it out", []string{"`poolkeeper task list --pool " + i.Spec.Pool + "`, then `poolkeeper task cancel TASK` keeps it"}
	}
	return "", nil
}
