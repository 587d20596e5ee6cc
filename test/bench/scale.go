package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// upAndDown takes the pool from 0 to n and back, and measures at the top in
// between.
func (s *subject) upAndDown(ctx context.Context, n int, top func(context.Context) error) error {
	up, err := s.up(ctx, n)
	if err != nil {
		return fmt.Errorf("scale out to %d: %w", n, err)
	}
	if top != nil {
		if err := top(ctx); err != nil {
			return err
		}
	}
	if err := s.down(ctx, n, up); err != nil {
		return fmt.Errorf("scale in from %d: %w", n, err)
	}
	return quiet(ctx, s.pids[planeProcess], s.pids[controllerProcess])
}

// up scales out and returns the seconds until the last node was Ready.
func (s *subject) up(ctx context.Context, n int) (float64, error) {
	before, err := s.look(ctx)
	if err != nil {
		return 0, err
	}
	profiled := s.b.profile(ctx)
	began := time.Now()
	if err := s.scale(ctx, n); err != nil {
		return 0, err
	}
	last, err := s.nodes.await(ctx, n, func(_, ready int) { s.b.say("up: %d of %d Ready", ready, n) })
	if err != nil {
		return 0, err
	}
	took := last.Sub(began).Seconds()
	if err := s.settled(ctx); err != nil {
		return 0, err
	}
	s.b.say("up: %d nodes Ready after %.2f s, the pool as wished after %.2f s", n, took, time.Since(began).Seconds())
	settled := time.Since(began).Seconds()
	d, err := s.since(ctx, before)
	if err != nil {
		return 0, err
	}
	phase := fmt.Sprintf("0 to %d", n)
	f := figure{Name: phase + " nodes Ready", Unit: "s", Value: took}
	floor := s.b.rep.best[n]
	f.beside(floor.seconds)
	if f.Floor > 0 {
		f.Target, f.OfRatio = 2, true
	}
	s.b.rep.add(f, figure{Name: phase + " rate", Unit: "nodes/s", Value: float64(n) / took, More: true},
		figure{Name: phase + " until the pool says so", Unit: "s", Value: settled})
	s.costs(d, phase, n, 6, floor.cpu)
	times := stepTimes(d.requests, began)
	times[stepReady] = s.nodes.readyTimes(began)
	s.b.rep.Steps[phase] = progressOf(times)
	s.cloud(d, phase, n)
	return took, errors.Join(s.memoryAt(phase), profiled())
}

// down scales in and measures until the last instance is released and its Node
// gone, then until no record is left.
func (s *subject) down(ctx context.Context, n int, up float64) error {
	const released = "poolkeeper_instances_released_total"
	before, err := s.look(ctx)
	if err != nil {
		return err
	}
	there := s.at
	began := time.Now()
	if err := s.scale(ctx, 0); err != nil {
		return err
	}
	last, err := s.nodes.await(ctx, 0, func(there, _ int) { s.b.say("down: %d nodes left", there) })
	if err != nil {
		return err
	}
	err = until(ctx, "all instances are released", func() (bool, error) {
		m, err := readMetrics(ctx, s.region.metricsURL())
		if done := m.total(released) - before.metrics.total(released); err != nil || int(done) < there {
			last = time.Now()
			return false, err
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	took := last.Sub(began).Seconds()
	s.b.say("down: %d nodes gone after %.2f s", there, took)
	if err := s.recordsGone(ctx); err != nil {
		return err
	}
	records := time.Since(began).Seconds()
	if err := s.settled(ctx); err != nil {
		return err
	}
	d, err := s.since(ctx, before)
	if err != nil {
		return err
	}
	phase := fmt.Sprintf("%d to 0", n)
	s.b.rep.add(figure{Name: phase + " nodes gone", Unit: "s", Value: took, Target: up},
		figure{Name: phase + " until no record is left", Unit: "s", Value: records})
	s.costs(d, phase, there, 8, 0)
	calls := d.metrics.by("poolkeeper_cloud_calls_total", "operation")
	s.b.rep.CloudCalls[phase] = calls
	s.b.rep.add(figure{Name: phase + " DeleteInstances per 100", Unit: "calls", Value: calls["DeleteInstances"] * 100 / float64(there), Target: 5})
	return nil
}

// costs adds requests and CPU per node; floor is the control plane's CPU under
// the bare client, 0 where there is none.
func (s *subject) costs(d between, phase string, n int, most, floor float64) {
	_, _, by := controllerCalls(d.requests)
	s.b.rep.Requests[phase] = by
	per := func(v float64) float64 { return v / float64(n) }
	asked := d.metrics.total("rest_client_requests_total")
	evictions := by["create pods/eviction"].Count
	s.b.rep.add(figure{Name: phase + " controller requests per node", Unit: "requests", Value: per(asked - float64(evictions)), Target: most})
	plane := figure{Name: phase + " control plane CPU per node", Unit: "ms", Value: per(d.cpu[planeProcess])}
	plane.beside(floor)
	s.b.rep.add(figure{Name: phase + " controller CPU per node", Unit: "ms", Value: per(d.cpu[controllerProcess]), Target: 5}, plane,
		figure{Name: phase + " local cloud CPU per node", Unit: "ms", Value: per(d.cpu[cloudProcess])})
}

// inventory are the calls that read what the cloud offers.
var inventory = []string{"DescribeAvailableResource", "DescribeImageSupportInstanceTypes", "DescribeImages", "DescribeInstanceTypes",
	"DescribePrice", "DescribeSpotPriceHistory", "DescribeSecurityGroups", "DescribeSecurityGroupAttribute", "DescribeVSwitches", "DescribeKeyPairs", "GetCallerIdentity", "GetRole"}

// cloud adds cloud calls of a scale-out, in three columns: what creates, what
// lists instances (sweep pages and looks by ID), what reads the offer.
func (s *subject) cloud(d between, phase string, n int) {
	calls := d.metrics.by("poolkeeper_cloud_calls_total", "operation")
	s.b.rep.CloudCalls[phase] = calls
	offer, rest := 0.0, 0.0
	for _, op := range inventory {
		offer += calls[op]
	}
	for _, v := range calls {
		rest += v
	}
	pages := calls["DescribeInstances"]
	per := 100 / float64(n)
	s.b.rep.add(
		figure{Name: phase + " cloud calls per 100 created", Unit: "calls", Value: (rest - offer - pages) * per, Target: 3},
		figure{Name: phase + " pages of instances per 100 created", Unit: "calls", Value: pages * per},
		figure{Name: phase + " inventory calls", Unit: "calls", Value: offer},
		figure{Name: phase + " sweeps", Unit: "sweeps", Value: d.metrics["poolkeeper_sweep_duration_seconds_count"]})
}

// memoryAt adds what the processes hold.
func (s *subject) memoryAt(phase string) error {
	const mega = 1 << 20
	for _, name := range []string{controllerProcess, planeProcess, cloudProcess} {
		now, most, err := memory(s.pids[name])
		if err != nil {
			return err
		}
		f := figure{Name: phase + " " + name + " resident", Unit: "MiB", Value: now / mega}
		if name == cloudProcess {
			f.Target = 4 << 30 / mega
		}
		if name == controllerProcess {
			if s.b.large <= 2000 {
				f.Target = 150e6 / mega
			}
			s.b.rep.add(figure{Name: phase + " " + name + " resident, at most", Unit: "MiB", Value: most / mega})
		}
		s.b.rep.add(f)
	}
	return nil
}
