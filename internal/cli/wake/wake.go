// Package wake wakes whoever follows objects: whenever they may have changed, and
// regularly besides, as a watch can die without saying so. In come lists to
// watch; out come wakes, which tell nothing but that it is time to look. It ends
// with its context.
package wake

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Every wakes at an interval.
func Every(ctx context.Context, interval time.Duration, wake chan<- struct{}) {
	go func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				once(wake)
			case <-ctx.Done():
				return
			}
		}
	}()
}

// By wakes by the events of one list; the first watch is open when it returns,
// so that nothing that changes after the next read is missed. A watch that ended
// is opened again after the interval. Where watching is not allowed, the regular
// look has to do.
func By(ctx context.Context, c client.WithWatch, interval time.Duration, wake chan<- struct{}, list func() client.ObjectList, opts ...client.ListOption) {
	w, err := c.Watch(ctx, list(), opts...)
	if err != nil {
		return
	}
	go func() {
		for {
			if w != nil {
				pass(ctx, w, wake)
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(interval):
			}
			if w, err = c.Watch(ctx, list(), opts...); err != nil {
				w = nil
			}
		}
	}()
}

// pass turns the events of one watch into wakes, until it ends.
func pass(ctx context.Context, w watch.Interface, wake chan<- struct{}) {
	defer w.Stop()
	for {
		select {
		case _, ok := <-w.ResultChan():
			if !ok {
				return
			}
			once(wake)
		case <-ctx.Done():
			return
		}
	}
}

// once wakes; a wake that nobody has taken yet is enough.
func once(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
