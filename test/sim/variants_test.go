package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/controller"
)

// otherBytes sends a piece with other bytes each time (rule 2).
type otherBytes struct {
	controller.Provider
	sends int
}

func (c *otherBytes) Create(ctx context.Context, r cloud.Request) ([]string, error) {
	c.sends++
	r.UserData = append(slices.Clone(r.UserData), fmt.Sprintf("# %d\n", c.sends)...)
	return c.Provider.Create(ctx, r)
}

// untold creates without the tags that name activity and piece (rule 1).
type untold struct{ controller.Provider }

func (c *untold) Create(ctx context.Context, r cloud.Request) ([]string, error) {
	r.Tags = nil
	return c.Provider.Create(ctx, r)
}

// anyTime puts a request on the wire however late it is (rule 5).
type anyTime struct{ controller.Provider }

func (c *anyTime) Create(ctx context.Context, r cloud.Request) ([]string, error) {
	return c.Provider.Create(context.WithoutCancel(ctx), r)
}

// alwaysOurs takes a look by id for one that shows our tags (rule 11).
type alwaysOurs struct{ controller.Provider }

func (c *alwaysOurs) Find(ctx context.Context, ids ...string) ([]cloud.Instance, error) {
	list, err := c.Provider.Find(ctx, ids...)
	for n := range list {
		tags := map[string]string{cloud.TagCluster: clusterID}
		for k, v := range list[n].Tags {
			if k != cloud.TagCluster {
				tags[k] = v
			}
		}
		list[n].Tags = tags
	}
	return list, err
}

// readers changes what lists show, those of the cache and live ones.
func readers(change func(client.ObjectList)) Breaks {
	return Breaks{
		Client: func(c client.Client) client.Client { return &listsChanged{c, change} },
		Live:   func(live client.Reader, _ client.Client) client.Reader { return &liveChanged{live, change} },
	}
}

type listsChanged struct {
	client.Client
	change func(client.ObjectList)
}

func (c *listsChanged) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	err := c.Client.List(ctx, list, opts...)
	if err == nil {
		c.change(list)
	}
	return err
}

type liveChanged struct {
	client.Reader
	change func(client.ObjectList)
}

func (c *liveChanged) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	err := c.Reader.List(ctx, list, opts...)
	if err == nil {
		c.change(list)
	}
	return err
}

// nothingComes shows uncertain pieces as if they had made nothing (rule 8).
func nothingComes(list client.ObjectList) {
	activities, ok := list.(*api.ScalingActivityList)
	if !ok {
		return
	}
	for n := range activities.Items {
		pieces := slices.Clone(activities.Items[n].Status.Pieces)
		for k := range pieces {
			if pieces[k].State == api.PieceUncertain {
				pieces[k].State = api.PieceResolved
			}
		}
		activities.Items[n].Status.Pieces = pieces
	}
}

// allDone shows every activity as one that sends no more (rule 2).
func allDone(list client.ObjectList) {
	if activities, ok := list.(*api.ScalingActivityList); ok {
		for n := range activities.Items {
			activities.Items[n].Status.Done = true
		}
	}
}

// nothingSent shows instances as if no release call were about to be made
// (rule 10).
func nothingSent(list client.ObjectList) {
	if instances, ok := list.(*api.InstanceList); ok {
		for n := range instances.Items {
			instances.Items[n].Status.ReleaseSentTime = nil
		}
	}
}

// tagsSure shows what was brought in as one whose tags are sure (rule 17).
func tagsSure(list client.ObjectList) {
	if instances, ok := list.(*api.InstanceList); ok {
		for n := range instances.Items {
			instances.Items[n].Status.TagsSure = true
		}
	}
}

// refusalProves takes a refusal for a proof that no send before did anything
// (rule 6).
type refusalProves struct{ client.Client }

func (c *refusalProves) Status() client.SubResourceWriter {
	return &statusOf{SubResourceWriter: c.Client.Status(), update: func(o client.Object) bool {
		if a, ok := o.(*api.ScalingActivity); ok {
			for n := range a.Status.Pieces {
				if p := &a.Status.Pieces[n]; p.State == api.PieceUncertain {
					p.State = api.PieceResolved
				}
			}
		}
		return false
	}}
}

// shifted shows another first send of each piece than is written, and writes
// what it was.
type shifted struct {
	client.Client
	show  func(*api.Piece)
	first map[string]api.Piece
}

func shift(show func(*api.Piece)) func(client.Client) client.Client {
	return func(c client.Client) client.Client { return &shifted{c, show, map[string]api.Piece{}} }
}

func (c *shifted) Get(ctx context.Context, k types.NamespacedName, o client.Object, opts ...client.GetOption) error {
	err := c.Client.Get(ctx, k, o, opts...)
	if a, ok := o.(*api.ScalingActivity); ok && err == nil {
		c.shown(a)
	}
	return err
}

func (c *shifted) shown(a *api.ScalingActivity) {
	a.Status.Pieces = slices.Clone(a.Status.Pieces)
	for n := range a.Status.Pieces {
		p := &a.Status.Pieces[n]
		if p.FirstSendTime == nil {
			continue
		}
		c.first[fmt.Sprint(a.UID, n)] = *p
		c.show(p)
	}
}

func (c *shifted) Status() client.SubResourceWriter {
	return &shiftedStatus{c.Client.Status(), c}
}

type shiftedStatus struct {
	client.SubResourceWriter
	c *shifted
}

func (s *shiftedStatus) Update(ctx context.Context, o client.Object, opts ...client.SubResourceUpdateOption) error {
	a, ok := o.(*api.ScalingActivity)
	if !ok {
		return s.SubResourceWriter.Update(ctx, o, opts...)
	}
	for n := range a.Status.Pieces {
		if first, known := s.c.first[fmt.Sprint(a.UID, n)]; known {
			a.Status.Pieces[n].FirstSendTime = first.FirstSendTime
		}
	}
	err := s.SubResourceWriter.Update(ctx, o, opts...)
	if err == nil {
		s.c.shown(a)
	}
	return err
}

// unheld takes instances out without holding them (rule 13).
type unheld struct{ client.Client }

func (c *unheld) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	if i, ok := o.(*api.Instance); ok && i.Spec.HeldBy != "" {
		return nil
	}
	return c.Client.Patch(ctx, o, p, opts...)
}

// apart writes the number of a pool and its entries one after the other
// (rule 13).
type apart struct{ client.Client }

func (c *apart) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	pool, ok := o.(*api.NodePool)
	if !ok {
		return c.Client.Patch(ctx, o, p, opts...)
	}
	entries := pool.DeepCopy()
	there := &api.NodePool{}
	if err := c.Get(ctx, client.ObjectKeyFromObject(o), there); err != nil {
		return err
	}
	entries.Spec.ExpectedNodes = there.Spec.ExpectedNodes
	if err := c.Client.Update(ctx, entries); err != nil {
		return err
	}
	pool.ResourceVersion = entries.ResourceVersion
	return c.Client.Update(ctx, pool)
}

// entryAlone takes the entry of one that stays after all back, and not its
// share of the number (rule 13).
type entryAlone struct{ client.Client }

func (c *entryAlone) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	there := &api.NodePool{}
	if pool, ok := o.(*api.NodePool); ok && c.Get(ctx, client.ObjectKeyFromObject(o), there) == nil && len(pool.Spec.Transfers) < len(there.Spec.Transfers) {
		pool.Spec.ExpectedNodes = there.Spec.ExpectedNodes
	}
	return c.Client.Patch(ctx, o, p, opts...)
}

// marksStand leaves a mark on an instance that is kept after all (rule 11).
type marksStand struct{ client.Client }

func (c *marksStand) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	there := &api.Instance{}
	if i, ok := o.(*api.Instance); ok && i.Spec.Release == nil && c.Get(ctx, client.ObjectKeyFromObject(o), there) == nil && there.Spec.Release != nil {
		return nil
	}
	return c.Client.Patch(ctx, o, p, opts...)
}

// allOurs records whatever carries our tags as ours to release (rule 18).
type allOurs struct{ client.Client }

func (c *allOurs) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	if i, ok := o.(*api.Instance); ok && i.Spec.CreationType == api.CreatedUnknown {
		i.Spec.CreationType = api.CreatedByUs
	}
	return c.Client.Create(ctx, o, opts...)
}

// collects releases what carries our tags and has no record (rule 18).
type collects struct{ provider controller.Provider }

func collector() Breaks {
	c := &collects{}
	return Breaks{
		Cloud:  func(p controller.Provider) controller.Provider { c.provider = p; return p },
		Client: func(k client.Client) client.Client { return &collecting{k, c.provider} },
	}
}

type collecting struct {
	client.Client
	provider controller.Provider
}

func (c *collecting) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	if i, ok := o.(*api.Instance); ok && i.Spec.Placement.PricePerHour == "" && !strings.HasPrefix(string(i.Spec.CreationType), string(api.CreatedAttached)) {
		return c.provider.Release(ctx, i.Name)
	}
	return c.Client.Create(ctx, o, opts...)
}
