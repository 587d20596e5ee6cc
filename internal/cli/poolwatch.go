package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/screen"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

func (a *app) poolWatch() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "watch POOL", Short: "Show a pool and its running task as they change", Args: oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		Long:    "Show a pool and its running task as they change, until Ctrl-C, on a terminal\nalso until q. There they are redrawn in place; elsewhere each change is one line, with\n-o json one object per line.",
		Example: "  poolkeeper pool watch demo\n  poolkeeper pool watch demo -o json",
		RunE: a.run(func(c *call, args []string) error {
			p, err := c.getPool(args[0])
			if err != nil {
				return err
			}
			f := follow{call: c, pool: p.Name, poolUID: p.UID, timeout: timeout}
			return f.stay()
		}),
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 24*time.Hour, "how long to watch")
	return cmd
}

// stay shows a pool with whatever task it has, and ends only from outside or
// with the pool.
func (f *follow) stay() error {
	ctx, cancel := context.WithTimeoutCause(f.ctx, f.timeout, errTimeout)
	defer cancel()
	f.began, f.show = f.Now(), f.newShower()
	if p, ok := f.show.(*objectShower); ok {
		p.poolOnly = true
	}
	quit, end := f.quit()
	defer end()
	wake := f.watch(ctx)
	for {
		now, err := f.read(ctx)
		lost := f.outOfReach(err)
		if ctx.Err() == nil && err != nil && !lost {
			return err
		}
		if ctx.Err() == nil && !lost && now.Pool == nil {
			_, err := f.gone()
			f.show.end(f, err)
			return err
		}
		if ctx.Err() == nil && !lost {
			f.inReach()
			f.showPool(ctx, now)
		}
		select {
		case <-wake:
		case <-quit:
			f.show.stop(f)
			return nil
		case <-ctx.Done():
			return f.cut(context.Cause(ctx))
		}
	}
}

// quit names the pool on a screen and hears the key that leaves it; nil where
// nobody can type one.
func (f *follow) quit() (quit <-chan struct{}, end func()) {
	s, ok := f.show.(*liveShower)
	if ok {
		s.head = f.pool
	}
	if !ok || !f.Terminal(f.In) {
		return nil, func() {}
	}
	s.leave = "q or Ctrl-C"
	return screen.Quit(f.In)
}

// showPool shows one look, with the pool's newest task beside it.
func (f *follow) showPool(ctx context.Context, now view.Look) {
	if task := now.Pool.Status.Task; task != "" && task != f.task {
		f.task = task
		f.look.Task = nil
		if again, err := f.read(ctx); err == nil && again.Pool != nil {
			now = again
		}
	}
	before := f.look
	f.look = now
	if before.Pool == nil {
		f.firstLine(now.Pool)
		before = now
	}
	f.show.change(f, before)
}

// firstLine says how the pool was when watching began, where lines are written.
func (f *follow) firstLine(p *v1alpha1.NodePool) {
	if s, ok := f.show.(plainShower); ok {
		s.line(f, view.Change{Word: "pool", Pairs: []view.Pair{
			{Key: "name", Value: p.Name}, {Key: "status", Value: view.PoolWord(&p.Spec, &p.Status)},
			{Key: "expected", Value: fmt.Sprint(p.Spec.ExpectedNodes)}, {Key: "inService", Value: fmt.Sprint(p.Status.Counts.InService)},
		}})
	}
}
