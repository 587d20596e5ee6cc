package sim

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/controller"
)

// broken are the variants that leave a rule out, each with within how many
// fixed seeds it is caught.
var broken = map[string]struct {
	breaks Breaks
	seeds  uint64
}{
	"a new token for each send (rule 4)":                    {Breaks{Cloud: func(c controller.Provider) controller.Provider { return &anyToken{Provider: c} }}, 5},
	"a send is not written down (rule 5)":                   {Breaks{Client: func(c client.Client) client.Client { return &unannounced{c} }}, 5},
	"an older version may overwrite a newer (rules 5, 10)":  {Breaks{Client: func(c client.Client) client.Client { return &lastWins{c} }}, 50},
	"a piece is over before its instances have records (6)": {Breaks{Client: func(c client.Client) client.Client { return &unrecorded{c} }}, 5},
	"the release call is not written down (rule 11)":        {Breaks{Client: func(c client.Client) client.Client { return &unwritten{c} }}, 5},
	"release before the drain has succeeded (I7)":           {Breaks{NoPods: true}, 30},
	"a piece is sent with other bytes (rule 2)":             {Breaks{Cloud: func(c controller.Provider) controller.Provider { return &otherBytes{Provider: c} }}, 5},
	"created without the tags of its piece (rule 1)":        {Breaks{Cloud: func(c controller.Provider) controller.Provider { return &untold{c} }}, 5},
	"several activities may send (rule 2)":                  {readers(allDone), 5},
	"number and entries in two updates (rule 13)":           {Breaks{Client: func(c client.Client) client.Client { return &apart{c} }}, 25},
	"approved before its key is written (S1)":               {Breaks{Client: func(c client.Client) client.Client { return &keyLater{Client: c} }}, 5},
	"what a newer version wrote is written over (I13)":      {Breaks{Client: func(c client.Client) client.Client { return &whole{c} }}, 50},
}

// Each variant that leaves a rule out is caught within its number of seeds.
func TestEachBrokenVariantIsCaught(t *testing.T) {
	for name, b := range broken {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range b.seeds {
				r := Run(seed, Options{Breaks: &b.breaks})
				if len(r.Violations) > 0 {
					t.Logf("caught by seed %d: %.200s", seed, r.Violations[0])
					return
				}
			}
			t.Errorf("not caught within %d seeds", b.seeds)
		})
	}
}

// The list in the documentation is this one.
func TestEachBrokenVariantIsOnTheList(t *testing.T) {
	text, err := os.ReadFile("../../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range broken {
		if row := fmt.Sprintf("| %s | %d |", name, b.seeds); !strings.Contains(string(text), row) {
			t.Errorf("docs/reliability.md has no row %q", row)
		}
	}
	for name := range directed {
		if row := fmt.Sprintf("| %s | directed |", name); !strings.Contains(string(text), row) {
			t.Errorf("docs/reliability.md has no row %q", row)
		}
	}
}

type anyToken struct {
	controller.Provider
	sends int
}

func (c *anyToken) Create(ctx context.Context, r cloud.Request) ([]string, error) {
	c.sends++
	r.Token = fmt.Sprintf("%.50s-%d", r.Token, c.sends)
	return c.Provider.Create(ctx, r)
}

// noLook takes the newest list for what a look by id finds.
type noLook struct {
	controller.Provider
	list []cloud.Instance
}

func (c *noLook) List(ctx context.Context) ([]cloud.Instance, error) {
	list, err := c.Provider.List(ctx)
	if err == nil {
		c.list = list
	}
	return list, err
}

func (c *noLook) Find(_ context.Context, ids ...string) ([]cloud.Instance, error) {
	var out []cloud.Instance
	for _, i := range c.list {
		for _, id := range ids {
			if i.ID == id {
				out = append(out, i)
			}
		}
	}
	return out, nil
}

// statusOf lets a variant stand before writes of statuses.
type statusOf struct {
	client.SubResourceWriter
	update func(client.Object) bool // true: say that it was done
	patch  func(client.Object, client.Patch) bool
}

func (s *statusOf) Update(ctx context.Context, o client.Object, opts ...client.SubResourceUpdateOption) error {
	if s.update != nil && s.update(o) {
		return nil
	}
	return s.SubResourceWriter.Update(ctx, o, opts...)
}

func (s *statusOf) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
	if s.patch != nil && s.patch(o, p) {
		return nil
	}
	return s.SubResourceWriter.Patch(ctx, o, p, opts...)
}

type unannounced struct{ client.Client }

func (c *unannounced) Status() client.SubResourceWriter {
	return &statusOf{SubResourceWriter: c.Client.Status(), update: func(o client.Object) bool {
		a, ok := o.(*api.ScalingActivity)
		n := 0
		if ok {
			n = len(a.Status.Pieces)
		}
		return n > 0 && a.Status.Pieces[n-1].State == api.PieceAnnounced
	}}
}

type unrecorded struct{ client.Client }

func (c *unrecorded) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	if i, ok := o.(*api.Instance); ok && i.Spec.Placement.PricePerHour != "" {
		return nil
	}
	return c.Client.Create(ctx, o, opts...)
}

// lastWins writes under the newest version, whatever version was read.
type lastWins struct{ client.Client }

func (c *lastWins) newest(ctx context.Context, o client.Object) {
	there, ok := o.DeepCopyObject().(client.Object)
	if ok && c.Client.Get(ctx, types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}, there) == nil {
		o.SetResourceVersion(there.GetResourceVersion())
	}
}

func (c *lastWins) Update(ctx context.Context, o client.Object, opts ...client.UpdateOption) error {
	err := c.Client.Update(ctx, o, opts...)
	for n := 0; apierrors.IsConflict(err) && n < 3; n++ {
		c.newest(ctx, o)
		err = c.Client.Update(ctx, o, opts...)
	}
	return err
}

func (c *lastWins) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	data, err := p.Data(o)
	if err != nil {
		return err
	}
	data = regexp.MustCompile(`"resourceVersion":"[0-9]+"`).ReplaceAll(data, []byte(`"labels":{}`))
	return c.Client.Patch(ctx, o, client.RawPatch(p.Type(), data), opts...)
}

func (c *lastWins) Status() client.SubResourceWriter { return &lastStatus{c.Client.Status(), c} }

type lastStatus struct {
	client.SubResourceWriter
	c *lastWins
}

func (s *lastStatus) Update(ctx context.Context, o client.Object, opts ...client.SubResourceUpdateOption) error {
	err := s.SubResourceWriter.Update(ctx, o, opts...)
	for n := 0; apierrors.IsConflict(err) && n < 3; n++ {
		s.c.newest(ctx, o)
		err = s.SubResourceWriter.Update(ctx, o, opts...)
	}
	return err
}

type unwritten struct{ client.Client }

func (c *unwritten) Status() client.SubResourceWriter {
	return &statusOf{SubResourceWriter: c.Client.Status(), patch: func(o client.Object, p client.Patch) bool {
		data, err := p.Data(o)
		return err == nil && strings.Contains(string(data), "releaseSentTime")
	}}
}

// whole writes all that this version knows of an object, and so nothing else
// (I13).
type whole struct{ client.Client }

func (c *whole) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	switch o.(type) {
	case *api.NodePool, *api.Instance, *api.ClusterTask:
		return c.Client.Update(ctx, o)
	}
	return c.Client.Patch(ctx, o, p, opts...)
}
