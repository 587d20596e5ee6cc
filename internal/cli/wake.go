package cli

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// watch wakes whenever pool or tasks may have changed, and every LookAnyway
// besides: a watch can die without saying so, and the clock on a screen goes
// on. The first watches are open when it returns, so that nothing that
// changes after the next read is missed.
func (f *follow) watch(ctx context.Context) <-chan struct{} {
	wake := make(chan struct{}, 1)
	if f.pool != "" {
		f.wakeBy(ctx, wake, func() client.ObjectList { return &v1alpha1.NodePoolList{} }, named(f.pool))
	}
	f.wakeBy(ctx, wake, func() client.ObjectList { return &v1alpha1.ClusterTaskList{} }, named(f.task))
	f.tick(ctx, wake)
	return wake
}

// tick wakes every LookAnyway.
func (f *follow) tick(ctx context.Context, wake chan<- struct{}) {
	go func() {
		tick := time.NewTicker(f.LookAnyway)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				signal1(wake)
			case <-ctx.Done():
				return
			}
		}
	}()
}

// named selects one object by its name; all where the name is empty.
func named(name string) []client.ListOption {
	if name == "" {
		return nil
	}
	return []client.ListOption{client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", name)}}
}

// wakeBy watches one list. Where that is not allowed, the regular look has to
// do.
func (f *follow) wakeBy(ctx context.Context, wake chan<- struct{}, list func() client.ObjectList, opts []client.ListOption) {
	w, err := f.Watch(ctx, list(), opts...)
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
			case <-time.After(f.LookAnyway):
			}
			if w, err = f.Watch(ctx, list(), opts...); err != nil {
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
			signal1(wake)
		case <-ctx.Done():
			return
		}
	}
}

// signal1 wakes once; a wake that nobody has taken yet is enough.
func signal1(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
