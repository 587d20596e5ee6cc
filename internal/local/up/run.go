package up

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/poolkeeper/poolkeeper/internal/local/process"
)

// region is one running region.
type region struct {
	Region
	o        Options
	term     *terminal
	began    time.Time
	spawn    process.Starter
	children []*child
	isReady  bool
	trouble  Trouble
	lock     *os.File

	mu sync.Mutex
}

// Run starts a region and watches it until the context ends; it then stops the
// children in order and returns nil. An *Error says why it did not start.
func Run(ctx context.Context, o Options) error {
	r, err := open(o)
	if err != nil {
		return asError("the local region was not started", err)
	}
	defer r.close()
	err = r.start(ctx)
	if err == nil {
		r.ready()
		var g sync.WaitGroup
		g.Go(func() { r.troubles(ctx) })
		r.keep(ctx)
		g.Wait()
	}
	r.stop()
	if ctx.Err() != nil {
		return nil
	}
	return asError("the local region did not start", err)
}

// open checks everything that can be wrong before anything is changed.
func open(o Options) (*region, error) {
	if err := o.absolute(); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := prepareDir(o.Dir); err != nil {
		return nil, err
	}
	lock, err := takeLock(o.Dir, o.Version)
	if err != nil {
		return nil, err
	}
	r := &region{o: o, term: &terminal{out: o.Out}, began: time.Now(), lock: lock, spawn: process.NewStarter()}
	var before Region
	if r.Region, before, err = merge(o); err == nil {
		err = checkPorts(r.Region, before.PortBase != 0, o.Dir)
	}
	if err == nil {
		err = dirErrorOf(o.Dir, r.write(o.Dir))
	}
	if err != nil {
		r.close()
		return nil, err
	}
	r.term.say("local region in %s, at most %d nodes", short(o.Dir), r.MaxNodes)
	if before.Version != "" && before.Version != o.Version {
		r.term.say("  takes over the state of build %s (this is %s)", before.Version, o.Version)
	}
	return r, nil
}

// absolute makes the paths independent of where children run.
func (o *Options) absolute() error {
	for _, p := range []*string{&o.Dir, &o.Scenario} {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return fmt.Errorf("find %s: %w", *p, err)
		}
		*p = abs
	}
	return nil
}

func dirErrorOf(dir string, err error) error {
	if err == nil {
		return nil
	}
	return dirError(dir, err)
}

func (r *region) path(elem ...string) string {
	return filepath.Join(append([]string{r.o.Dir}, elem...)...)
}

// start brings up control plane and local cloud side by side, then what the
// controller needs, then the controller.
func (r *region) start(ctx context.Context) error {
	plane, err := r.add(planeName, "plane", r.planeCommand, probePlane(r.o.Dir, r.Region))
	if err != nil {
		return err
	}
	cloud, err := r.add(cloudName, "cloud", r.cloudCommand, probeCloud(r.Region))
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.Go(func() error {
		if err := r.await(ctx, plane, "https://"+r.apiServer()); err != nil {
			return err
		}
		return r.prepareCluster(ctx)
	})
	g.Go(func() error { return r.await(ctx, cloud, "http://"+r.cloud()) })
	if err := g.Wait(); err != nil {
		return err
	}
	controller, err := r.add(controllerName, "controller", r.controllerCommand, probeController(r.Region))
	if err != nil {
		return err
	}
	g = errgroup.Group{}
	g.Go(func() error { return r.await(ctx, controller, "metrics at http://"+r.metrics()+"/metrics") })
	g.Go(func() error { return r.awaitAdmission(ctx) })
	return g.Wait()
}

// add starts to watch a child.
func (r *region) add(name, log string, command func() ([]string, []string), probe func(context.Context) error) (*child, error) {
	if c, ok := r.o.programs[name]; ok {
		command = c
	}
	l, err := openLog(r.path("logs", log+".log"))
	if err != nil {
		return nil, dirError(r.o.Dir, err)
	}
	c := newChild(name, command, probe)
	c.log, c.spawn, c.say, c.changed = l, r.spawn, r.term.say, r.publish
	r.addChild(c)
	go c.watch()
	return c, nil
}

func (r *region) await(ctx context.Context, c *child, where string) error {
	if err := c.ready(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return &Error{
			Code: CodeDefect, What: "the local region did not start", Cause: err.Error(),
			Next: []string{"see " + c.log.path},
		}
	}
	r.term.say("  %-14s ready after %4.1f s  %s", c.name, time.Since(r.began).Seconds(), where)
	return nil
}

// prepareCluster puts into the cluster what the controller needs.
func (r *region) prepareCluster(ctx context.Context) error {
	if r.o.prepare != nil {
		return r.o.prepare(r)
	}
	a, err := newApplier(r.path("admin.kubeconfig"), r.o.Manifests)
	if err != nil {
		return err
	}
	n, err := a.apply(ctx)
	if err != nil {
		return fmt.Errorf("apply manifests: %w", err)
	}
	r.term.say("  %-14s ready after %4.1f s  %d objects applied", "manifests", time.Since(r.began).Seconds(), n)
	if !r.Sampled {
		if err := a.samples(ctx); err != nil {
			return fmt.Errorf("create sample: %w", err)
		}
		r.Sampled = true
		if err := r.write(r.o.Dir); err != nil {
			return dirError(r.o.Dir, err)
		}
	}
	return r.mint(ctx)
}

// awaitAdmission waits until the cluster takes what people create.
func (r *region) awaitAdmission(ctx context.Context) error {
	if r.o.prepare != nil {
		return nil
	}
	a, err := newApplier(r.path("admin.kubeconfig"), r.o.Manifests)
	if err == nil {
		err = a.accepts(ctx)
	}
	if err != nil {
		return fmt.Errorf("wait for admission: %w", err)
	}
	r.term.say("  %-14s ready after %4.1f s  pools are accepted", "admission", time.Since(r.began).Seconds())
	return nil
}

// ready says what to type next.
func (r *region) ready() {
	r.setReady()
	self := r.o.Self
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, self); err == nil && !strings.HasPrefix(rel, "..") {
			self = rel
		}
	}
	r.term.say("ready after %.1f s. In another terminal:\n", time.Since(r.began).Seconds())
	r.term.say("  eval \"$(%s local env%s)\"", quote(self), dirFlag(r.o.Dir))
	r.term.say("  kubectl get nodepools\n  poolkeeper pool scale demo --expected-nodes 5 --wait\n")
	r.term.say("Ctrl-C or `poolkeeper local down%s` stops it; `local up` finds everything as it was.", dirFlag(r.o.Dir))
	if r.o.Ready != nil {
		r.o.Ready()
	}
}

// keep renews the controller's token until the context ends.
func (r *region) keep(ctx context.Context) {
	for pause := tokenRenew; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = tokenRenew
		if r.o.prepare != nil {
			continue
		}
		if err := r.mint(ctx); err != nil && ctx.Err() == nil {
			r.term.say("the controller's token was not renewed: %v; again in %s", err, tokenRetry)
			pause = tokenRetry
		}
	}
}

// stop ends the children, the last that was started first.
func (r *region) stop() {
	r.term.say("stopping")
	for i := len(r.children) - 1; i >= 0; i-- {
		c := r.children[i]
		c.stop()
		_ = c.log.Close()
	}
	r.term.say("stopped; everything is kept in %s", short(r.o.Dir))
}

func (r *region) close() {
	close(r.spawn)
	_ = errors.Join(os.Remove(statusFile(r.o.Dir)), r.lock.Close())
}

// short writes a path under the home directory with ~.
func short(path string) string {
	home, err := os.UserHomeDir()
	if rel, ok := strings.CutPrefix(path, home+"/"); err == nil && ok {
		return "~/" + rel
	}
	return path
}
