package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/watch"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

const (
	// busyFor is how long the sweep stays at its short interval after a change,
	// with a margin: rest begins after it.
	busyFor = 65 * time.Second
	// restFor is how long rest is looked at.
	restFor, quickRestFor = time.Minute, 30 * time.Second
)

// singles asks for one more node, again and again, each time from rest.
func (s *subject) singles(ctx context.Context, n int) error {
	s.b.say("single nodes: %d", n)
	var totals []float64
	took := map[string][]float64{}
	for i := range n + 1 {
		began := time.Now()
		if err := s.scale(ctx, s.at+1); err != nil {
			return err
		}
		last, err := s.nodes.await(ctx, s.at, func(int, int) { s.b.say("single: not Ready yet") })
		if err != nil {
			return err
		}
		if err := s.settled(ctx); err != nil {
			return err
		}
		if i == 0 {
			continue // the first warms everything up
		}
		totals = append(totals, milliseconds(last.Sub(began)))
		if err := s.breakDown(took, began, last); err != nil {
			return err
		}
	}
	s.b.rep.Single = map[string]float64{}
	for step, v := range took {
		s.b.rep.Single[step] = median(v)
	}
	s.b.rep.add(figure{Name: "a single node Ready, median", Unit: "ms", Value: median(totals), Target: 500})
	s.b.say("single: median %.0f ms", median(totals))
	if err := s.scale(ctx, 0); err != nil {
		return err
	}
	if _, err := s.nodes.await(ctx, 0, func(int, int) {}); err != nil {
		return err
	}
	if err := s.recordsGone(ctx); err != nil {
		return err
	}
	return s.settled(ctx)
}

// breakDown says how long each step of one node took.
func (s *subject) breakDown(took map[string][]float64, began, ready time.Time) error {
	all, err := readAudit(s.region.dir, began, ready)
	if err != nil {
		return err
	}
	times := stepTimes(all, began)
	at := 0.0
	for _, step := range steps {
		if t := times[step]; len(t) > 0 {
			took[step] = append(took[step], (t[0]-at)*1000)
			at = t[0]
		}
	}
	took[stepReady] = append(took[stepReady], (ready.Sub(began).Seconds()-at)*1000)
	return nil
}

// rest looks at the region while nothing happens.
func (s *subject) rest(ctx context.Context) error {
	window := restFor
	if s.b.quick {
		window = quickRestFor
	}
	s.b.say("rest: waiting %s for it, then looking for %s", busyFor, window)
	if err := sleep(ctx, busyFor); err != nil {
		return err
	}
	before, err := s.look(ctx)
	if err != nil {
		return err
	}
	if err := sleep(ctx, window); err != nil {
		return err
	}
	d, err := s.since(ctx, before)
	if err != nil {
		return err
	}
	phase := fmt.Sprintf("at rest with %d", s.at)
	_, writes, by := controllerCalls(d.requests)
	perMinute := time.Minute.Seconds() / d.span.Seconds()
	share := func(name string) float64 { return d.cpu[name] / milliseconds(d.span) * 100 }
	calls := d.metrics.by("poolkeeper_cloud_calls_total", "operation")
	s.b.rep.Requests[phase], s.b.rep.CloudCalls[phase] = by, calls
	total := d.metrics.total("poolkeeper_cloud_calls_total")
	s.b.rep.add(
		figure{Name: phase + ", controller", Unit: "% of a core", Value: share(controllerProcess), Target: 1},
		figure{Name: phase + ", control plane", Unit: "% of a core", Value: share(planeProcess)},
		figure{Name: phase + ", local cloud", Unit: "% of a core", Value: share(cloudProcess)},
		figure{Name: phase + ", controller writes", Unit: "requests", Value: float64(writes), Zero: true},
		figure{Name: phase + ", controller requests", Unit: "per minute", Value: d.metrics.total("rest_client_requests_total") * perMinute},
		figure{Name: phase + ", cloud calls other than pages", Unit: "per minute", Value: (total - calls["DescribeInstances"]) * perMinute},
		// A page holds 100 instances and a sweep is due every 30 s.
		figure{Name: phase + ", pages of instances", Unit: "per minute", Value: calls["DescribeInstances"] * perMinute, Target: float64(2*(s.at+99)/100 + 2)})
	return nil
}

// restart kills the controller, asks for one more node, and measures until the
// next controller has decided.
func (s *subject) restart(ctx context.Context) error {
	s.b.say("restart: killing the controller at %d nodes", s.at)
	at := s.at
	w, err := s.client.Watch(ctx, &api.ScalingActivityList{})
	if err != nil {
		return fmt.Errorf("watch scaling activities: %w", err)
	}
	defer w.Stop()
	began := time.Now()
	if err := syscall.Kill(s.pids[controllerProcess], syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill the controller: %w", err)
	}
	if err := s.scale(ctx, s.at+1); err != nil {
		return err
	}
	if err := decidedAfter(ctx, w, began); err != nil {
		return err
	}
	acts := time.Since(began).Seconds()
	last, err := s.nodes.await(ctx, s.at, func(int, int) { s.b.say("restart: not Ready yet") })
	if err != nil {
		return err
	}
	s.b.say("restart: it decided after %.2f s", acts)
	s.b.rep.add(figure{Name: fmt.Sprintf("a killed controller acts again with %d nodes", at), Unit: "s", Value: acts, Target: 3},
		figure{Name: fmt.Sprintf("a killed controller's next node Ready with %d nodes", at), Unit: "s", Value: last.Sub(began).Seconds()})
	if err := s.settled(ctx); err != nil {
		return err
	}
	return until(ctx, "the restarted region is known", func() (bool, error) {
		pids, err := s.region.processes(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // it says so while it is not ready
		}
		s.pids = pids
		return true, nil
	})
}

// decidedAfter waits for a scaling activity that was not there before.
func decidedAfter(ctx context.Context, w watch.Interface, began time.Time) error {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		select {
		case e, ok := <-w.ResultChan():
			if !ok {
				return fmt.Errorf("the watch of scaling activities ended")
			}
			a, is := e.Object.(*api.ScalingActivity)
			if is && e.Type == watch.Added && !a.CreationTimestamp.Time.Before(began.Truncate(time.Second)) {
				return nil
			}
		case <-limit.C:
			return fmt.Errorf("wait for a decision: none within %s", patience)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// profile starts a CPU profile of the controller where that is asked for. What
// it returns waits for the profile and takes one of the heap.
func (b *bench) profile(ctx context.Context) func() error {
	if b.pprof == "" {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() {
		done <- download(ctx, "http://"+b.pprof+"/debug/pprof/profile?seconds=20", "controller-cpu.prof")
	}()
	return func() error {
		if err := <-done; err != nil {
			return err
		}
		return download(ctx, "http://"+b.pprof+"/debug/pprof/heap", "controller-heap.prof")
	}
}

func download(ctx context.Context, url, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("read profile: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("read profile: %s %s %w", resp.Status, strings.TrimSpace(string(b[:min(len(b), 200)])), err)
	}
	return os.WriteFile(file, b, 0o600)
}
