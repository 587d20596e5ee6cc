package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/screen"
	"github.com/poolkeeper/poolkeeper/internal/cli/wake"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

func (a *app) activityWatch() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "watch ACTIVITY", Short: "Follow one scaling activity until it ends", Args: oneArg("activity"), ValidArgsFunction: a.complete(activities, 1),
		Long:    "Follow one scaling activity until it ends: exit 0 when it was successful, 5 when it was\nso in part or failed. On a terminal it is redrawn in place; elsewhere each change is one\nline, with -o json one object per line. Ctrl-C stops watching, not the work.",
		Example: "  poolkeeper activity watch demo-a7\n  poolkeeper activity watch demo-a7 -o json",
		RunE: a.run(func(c *call, args []string) error {
			o := &v1alpha1.ScalingActivity{}
			if err := c.get(activities, args[0], o); err != nil {
				return err
			}
			w := activityWatcher{follow: &follow{call: c, timeout: timeout}, name: o.Name}
			return w.run()
		}),
	}
	cmd.Flags().DurationVar(&timeout, "timeout", time.Hour, "how long to watch; the work goes on after it")
	return cmd
}

// activityWatcher shows one activity until it is over. Of a follower it uses
// the watches and what is said about a silent server.
type activityWatcher struct {
	*follow
	name   string
	last   string // version shown last
	screen screen.Screen
}

func (w *activityWatcher) run() error {
	ctx, cancel := context.WithTimeoutCause(w.ctx, w.timeout, errTimeout)
	defer cancel()
	w.began, w.show, w.screen = w.Now(), w.newShower(), screen.Screen{Out: w.Out}
	on := w.wakes(ctx)
	for {
		o := &v1alpha1.ScalingActivity{}
		err := w.Get(ctx, client.ObjectKey{Name: w.name}, o)
		switch {
		case ctx.Err() != nil:
			return w.cut(context.Cause(ctx))
		case apierrors.IsNotFound(err):
			return &Error{Code: ExitNotFound, What: w.name + " is gone", Cause: "history of activities is cut after a while", Next: []string{"`poolkeeper activity list`"}}
		case err != nil:
			if e := apiError(err, "cannot follow "+w.name); !w.outOfReach(e) {
				return e
			}
		default:
			w.inReach()
			w.change(o)
			if o.Status.Done {
				return activityEnd(o)
			}
		}
		select {
		case <-on:
		case <-ctx.Done():
			return w.cut(context.Cause(ctx))
		}
	}
}

func (w *activityWatcher) wakes(ctx context.Context) <-chan struct{} {
	on := make(chan struct{}, 1)
	wake.By(ctx, w, w.LookAnyway, on, func() client.ObjectList { return &v1alpha1.ScalingActivityList{} }, named(w.name)...)
	wake.Every(ctx, w.LookAnyway, on)
	return on
}

// change shows what is new.
func (w *activityWatcher) change(o *v1alpha1.ScalingActivity) {
	clock := w.clock
	clock.Now = w.Now()
	v := view.NewActivity(o, clock.Now)
	live := w.Terminal(w.Out) && !w.machine()
	if o.ResourceVersion == w.last && (!live || o.Status.Done) {
		return
	}
	w.last = o.ResourceVersion
	switch {
	case w.flags.output == "name":
	case w.machine():
		_ = writeJSON(w.Out, v, "")
	case live:
		w.screen.Draw(strings.Split(strings.TrimRight(w.activityText(v), "\n"), "\n"))
	default:
		plainShower{}.line(w.follow, view.ActivityChange(v))
	}
}

// cut ends the watching from outside.
func (w *activityWatcher) cut(cause error) error {
	e := &Error{Code: ExitInterrupted, What: "stopped watching; the work goes on", Cause: "Ctrl-C", Err: cause}
	if cause == errTimeout {
		e = &Error{Code: ExitTimeout, What: fmt.Sprintf("not done after %s; the work goes on", view.Duration(w.timeout)), Err: cause}
	}
	e.Next = []string{fmt.Sprintf("later: `poolkeeper activity watch %s`", w.name)}
	return e
}

// activityEnd says how an activity ended.
func activityEnd(o *v1alpha1.ScalingActivity) error {
	switch o.Status.State {
	case v1alpha1.ActivityWarning, v1alpha1.ActivityFailed, v1alpha1.ActivityRejected:
	default:
		return nil
	}
	e := &Error{Code: ExitFailed, What: o.Name + ": " + strings.ToLower(view.ActivityWord(o.Status.State)), Cause: cmp.Or(o.Status.Message, o.Status.Summary), Fault: o.Status.Code}
	e.Next = []string{fmt.Sprintf("`poolkeeper why %s`", o.Spec.Pool)}
	return e
}
