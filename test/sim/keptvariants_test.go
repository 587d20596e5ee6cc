package sim

import (
	"context"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/controller"
)

// allSeen shows instances as if each had been shown by a look (rule 3).
func allSeen(list client.ObjectList) {
	if instances, ok := list.(*api.InstanceList); ok {
		for n := range instances.Items {
			if i := &instances.Items[n]; i.Status.SeenTime == nil {
				at := metav1.NewMicroTime(i.CreationTimestamp.Time)
				i.Status.SeenTime = &at
			}
		}
	}
}

// afterStatus lets a variant go on after a status was written; it gets what was
// written, and the patch in words where it was one.
type afterStatus struct {
	client.Client
	then func(ctx context.Context, c client.Client, o client.Object, patch string) error
}

func after(then func(context.Context, client.Client, client.Object, string) error) Breaks {
	return Breaks{Client: func(c client.Client) client.Client { return &afterStatus{c, then} }}
}

func (c *afterStatus) Status() client.SubResourceWriter { return &afterWriter{c.Client.Status(), c} }

type afterWriter struct {
	client.SubResourceWriter
	c *afterStatus
}

func (s *afterWriter) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
	data, err := p.Data(o)
	if err == nil {
		err = s.SubResourceWriter.Patch(ctx, o, p, opts...)
	}
	if err != nil {
		return err
	}
	return s.c.then(ctx, s.c.Client, o, string(data))
}

func (s *afterWriter) Update(ctx context.Context, o client.Object, opts ...client.SubResourceUpdateOption) error {
	if err := s.SubResourceWriter.Update(ctx, o, opts...); err != nil {
		return err
	}
	return s.c.then(ctx, s.c.Client, o, "")
}

// removedGoes deletes the record of one that was taken out (rule 14).
func removedGoes(ctx context.Context, c client.Client, o client.Object, patch string) error {
	if !strings.Contains(patch, `"lifecycleState":"Removed"`) {
		return nil
	}
	return remove(ctx, c, o)
}

// uncertainGoes deletes an activity with an uncertain piece (rule 9).
func uncertainGoes(ctx context.Context, c client.Client, o client.Object, _ string) error {
	a, ok := o.(*api.ScalingActivity)
	if !ok || !slices.ContainsFunc(a.Status.Pieces, func(p api.Piece) bool { return p.State == api.PieceUncertain }) {
		return nil
	}
	return remove(ctx, c, a)
}

func remove(ctx context.Context, c client.Client, o client.Object) error {
	gone, ok := o.DeepCopyObject().(client.Object)
	if !ok {
		return nil
	}
	if err := c.Patch(ctx, gone, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))); err != nil {
		return err
	}
	return client.IgnoreNotFound(c.Delete(ctx, gone))
}

// listsTwice takes one list for two (rule 16).
type listsTwice struct {
	controller.Provider
	list []cloud.Instance
}

func (c *listsTwice) List(ctx context.Context) ([]cloud.Instance, error) {
	if list := c.list; list != nil {
		c.list = nil
		return list, nil
	}
	list, err := c.Provider.List(ctx)
	if err == nil {
		c.list = list
	}
	return list, err
}

// anyAccount compares no credentials (rule 19).
type anyAccount struct{ controller.Provider }

func (c *anyAccount) Allow(context.Context, string) error { return nil }

func (c *anyAccount) Create(ctx context.Context, r cloud.Request) ([]string, error) {
	return c.Provider.Create(cloud.WithAccount(ctx, ""), r)
}
