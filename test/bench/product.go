package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

const (
	poolName = "bench"
	// pollTick is how often what is not watched is looked at.
	pollTick = 100 * time.Millisecond
)

// subject is a region with the pool that is measured.
type subject struct {
	b      *bench
	region *region
	client client.WithWatch
	nodes  *nodeCount
	pids   map[string]int
	at     int // expected nodes now
}

// sizes are the scale-outs of this run.
func (b *bench) sizes() []int {
	var n []int
	if b.has("small") {
		n = append(n, b.small)
	}
	if b.wide() || len(n) == 0 {
		n = append(n, b.large)
	}
	return n
}

// wide says whether something is measured with the pool at its largest.
func (b *bench) wide() bool {
	return slices.ContainsFunc([]string{"large", "rest", "restart", "churn"}, b.has)
}

// product measures poolkeeper itself.
func (b *bench) product(ctx context.Context) (err error) {
	r, err := b.startRegion(ctx, "region")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &subject{b: b, region: r}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if b.has("single") {
		if err := s.singles(ctx, b.singles); err != nil {
			return err
		}
	}
	if b.has("small") {
		if err := s.upAndDown(ctx, b.small, nil); err != nil {
			return err
		}
	}
	if b.wide() {
		return s.upAndDown(ctx, b.large, s.atTheTop)
	}
	return nil
}

// atTheTop is what is measured while the pool is at its largest.
func (s *subject) atTheTop(ctx context.Context) error {
	if s.b.has("rest") {
		if err := s.rest(ctx); err != nil {
			return err
		}
	}
	if s.b.has("restart") {
		if err := s.restart(ctx); err != nil {
			return err
		}
	}
	if s.b.has("churn") {
		return s.churn(ctx)
	}
	return nil
}

// prepare makes the pool and lets the region come to rest.
func (s *subject) prepare(ctx context.Context) error {
	c, err := s.region.admin()
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := api.AddToScheme(scheme); err != nil {
		return err
	}
	if s.client, err = client.NewWithWatch(c, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("connect to the region: %w", err)
	}
	if s.nodes, err = followNodes(ctx, c, poolName); err != nil {
		return err
	}
	if s.pids, err = s.region.processes(ctx); err != nil {
		return err
	}
	unprotected := false
	p := &api.NodePool{ObjectMeta: v1.ObjectMeta{Name: poolName}}
	p.Spec.MaxNodes, p.Spec.DeletionProtection = int32(s.b.maxNodes()), &unprotected
	p.Spec.VSwitches, p.Spec.InstanceTypes = []string{"vsw-a", "vsw-b", "vsw-c"}, []string{"ecs.g7.xlarge", "ecs.c7.xlarge"}
	p.Spec.ImageID, p.Spec.SecurityGroups = "aliyun_3_x64_20G_local.vhd", []string{"sg-local"}
	if err := s.client.Create(ctx, p); err != nil {
		return fmt.Errorf("create pool: %w", err)
	}
	if err := s.settled(ctx); err != nil {
		return err
	}
	return quiet(ctx, s.pids[planeProcess], s.pids[controllerProcess])
}

// scale writes the wish.
func (s *subject) scale(ctx context.Context, n int) error {
	p := &api.NodePool{ObjectMeta: v1.ObjectMeta{Name: poolName}}
	body := fmt.Sprintf(`{"spec":{"expectedNodes":%d}}`, n)
	if err := s.client.Patch(ctx, p, client.RawPatch(types.MergePatchType, []byte(body))); err != nil {
		return fmt.Errorf("scale pool: %w", err)
	}
	s.at = n
	return nil
}

// until looks again and again until something is so.
func until(ctx context.Context, what string, is func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t := time.NewTicker(pollTick)
	defer t.Stop()
	for {
		ok, err := is()
		if ok || err != nil {
			return err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, ctx.Err())
		}
	}
}

// settled waits until the pool says that it is as wished.
func (s *subject) settled(ctx context.Context) error {
	return until(ctx, "the pool is as wished", func() (bool, error) {
		p := &api.NodePool{}
		if err := s.client.Get(ctx, types.NamespacedName{Name: poolName}, p); err != nil {
			return false, fmt.Errorf("read pool: %w", err)
		}
		c := p.Status.Counts
		return p.Status.ObservedGeneration == p.Generation && p.Status.State == api.PoolActive &&
			c.InService == int32(s.at) && c.Instances == int32(s.at) && c.Removing == 0, nil
	})
}

// recordsGone waits until no Instance of the pool is left.
func (s *subject) recordsGone(ctx context.Context) error {
	return until(ctx, "all records are gone", func() (bool, error) {
		list := &v1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(api.GroupVersion.WithKind("InstanceList"))
		err := s.client.List(ctx, list, client.Limit(1))
		return len(list.Items) == 0, err
	})
}

// snapshot is what processes and counters say at one moment.
type snapshot struct {
	at      time.Time
	metrics series
	cpu     map[string]time.Duration
}

func (s *subject) look(ctx context.Context) (snapshot, error) {
	now := snapshot{at: time.Now(), cpu: map[string]time.Duration{}}
	var err error
	if now.metrics, err = readMetrics(ctx, s.region.metricsURL()); err != nil {
		return now, err
	}
	for name, pid := range s.pids {
		if now.cpu[name], err = cpuTime(pid); err != nil {
			return now, err
		}
	}
	return now, nil
}

// between is what happened between two moments.
type between struct {
	metrics  series
	cpu      map[string]float64 // ms
	span     time.Duration
	requests []request
}

// since compares now with an earlier moment.
func (s *subject) since(ctx context.Context, before snapshot) (between, error) {
	now, err := s.look(ctx)
	if err != nil {
		return between{}, err
	}
	d := between{metrics: now.metrics.minus(before.metrics), cpu: map[string]float64{}, span: now.at.Sub(before.at)}
	for name, t := range now.cpu {
		d.cpu[name] = milliseconds(t - before.cpu[name])
	}
	d.requests, err = readAudit(s.region.dir, before.at, now.at)
	return d, err
}

// quiet waits until processes use little CPU, but not for ever: others may
// keep the machine busy.
func quiet(ctx context.Context, pids ...int) error {
	const window, most, tries = time.Second, 150 * time.Millisecond, 30
	for range tries {
		before, err := cpuOf(pids)
		if err != nil {
			return err
		}
		if err := sleep(ctx, window); err != nil {
			return err
		}
		after, err := cpuOf(pids)
		if err != nil || after-before < most {
			return err
		}
	}
	return nil
}

func cpuOf(pids []int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		t, err := cpuTime(pid)
		if err != nil {
			return 0, err
		}
		sum += t
	}
	return sum, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
