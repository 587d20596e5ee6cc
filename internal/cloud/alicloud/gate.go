package alicloud

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// defaultLimits bound our own calls, well under what the vendor grants, since
// the grant is shared with everybody who uses the account.
var defaultLimits = map[string]RateLimit{
	"RunInstances":              {10, 20},
	"DeleteInstances":           {10, 20},
	"DescribeInstances":         {20, 40},
	"DescribeAvailableResource": {5, 10},
	"DescribePrice":             {5, 20},
	"DescribeSpotPriceHistory":  {5, 20},
	"GetInstanceConsoleOutput":  {5, 10},
}

var otherLimit = RateLimit{10, 20}

// gate lets the calls of one operation through at its rate. After a throttled
// answer it lets one call a second through until the window ends.
type gate struct {
	now func() time.Time

	mu      sync.Mutex
	free    *rate.Limiter
	slow    *rate.Limiter
	slowEnd time.Time
}

func (p *Provider) gate(action string) *gate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.gates[action]; g != nil {
		return g
	}
	l, ok := p.opts.RateLimits[action]
	if !ok {
		l, ok = defaultLimits[action]
	}
	if !ok {
		l = otherLimit
	}
	g := &gate{now: p.opts.Now, free: rate.NewLimiter(rate.Limit(l.PerSecond), max(l.Burst, 1))}
	p.gates[action] = g
	return g
}

// wait returns when it is this call's turn, or with an error when ctx ends
// before that.
func (g *gate) wait(ctx context.Context, sleep func(context.Context, time.Duration) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r, d := g.reserve()
	if d <= 0 {
		return nil
	}
	if end, ok := ctx.Deadline(); ok && end.Sub(g.now()) < d {
		r.CancelAt(g.now())
		return fmt.Errorf("wait for a turn: %s is longer than the time left", d.Round(time.Millisecond))
	}
	if err := sleep(ctx, d); err != nil {
		r.CancelAt(g.now())
		return err
	}
	return nil
}

func (g *gate) reserve() (*rate.Reservation, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	l := g.free
	if now.Before(g.slowEnd) {
		l = g.slow
	}
	r := l.ReserveN(now, 1)
	return r, r.DelayFrom(now)
}

// throttled slows the gate down until the window that now is in has ended.
func (g *gate) throttled(now time.Time, window time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Before(g.slowEnd) {
		return
	}
	g.slowEnd = now.Truncate(window).Add(window)
	g.slow = rate.NewLimiter(rate.Every(window/60), 1)
	g.slow.AllowN(now, 1)
}
