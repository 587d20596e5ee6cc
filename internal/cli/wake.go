package cli

import (
	"context"

	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/wake"
)

// watch wakes whenever pool or tasks may have changed, and every LookAnyway
// besides: the clock on a screen goes on.
func (f *follow) watch(ctx context.Context) <-chan struct{} {
	on := make(chan struct{}, 1)
	if f.pool != "" {
		wake.By(ctx, f, f.LookAnyway, on, func() client.ObjectList { return &v1alpha1.NodePoolList{} }, named(f.pool)...)
	}
	wake.By(ctx, f, f.LookAnyway, on, func() client.ObjectList { return &v1alpha1.ClusterTaskList{} }, named(f.task)...)
	wake.Every(ctx, f.LookAnyway, on)
	return on
}

// named selects one object by its name; all where the name is empty.
func named(name string) []client.ListOption {
	if name == "" {
		return nil
	}
	return []client.ListOption{client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", name)}}
}
