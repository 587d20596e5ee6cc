package apiserver

import (
	"context"
	"sort"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// Cache is one process's picture of some kinds, as old as what it was given of
// the server's log. Other kinds are read from the server.
type Cache struct {
	// Client writes, and reads what is not cached.
	*Client
	// Transform makes smaller what is kept; nil keeps all.
	Transform func(client.Object) (client.Object, error)
	kinds     map[schema.GroupVersionKind]*picture
}

// picture is what a cache knows of one kind.
type picture struct {
	shelf   *shelf
	next    int // of the log
	objects map[key]client.Object
	version int64
}

var _ client.Client = &Cache{}

// NewCache returns a cache of some kinds that has seen nothing yet.
func NewCache(c *Client, kinds ...schema.GroupVersionKind) *Cache {
	out := &Cache{Client: c, kinds: map[schema.GroupVersionKind]*picture{}}
	for _, k := range kinds {
		out.kinds[k] = &picture{shelf: c.Server.kinds[k], objects: map[key]client.Object{}}
	}
	return out
}

// Behind is how many changes of a kind the cache has not seen, and Next the
// oldest of them.
func (c *Cache) Behind(gvk schema.GroupVersionKind) int {
	p := c.kinds[gvk]
	return len(p.shelf.log) - p.next
}

// Next is the change that the cache sees next.
func (c *Cache) Next(gvk schema.GroupVersionKind) Event {
	p := c.kinds[gvk]
	return p.shelf.log[p.next]
}

// Step takes in the next change of a kind, as the cache itself sees it: Old is
// what it had.
func (c *Cache) Step(gvk schema.GroupVersionKind) (Event, error) {
	p := c.kinds[gvk]
	e := p.shelf.log[p.next]
	p.next++
	p.version = e.Version
	at := p.shelf.key(e.New.GetNamespace(), e.New.GetName())
	e.Old = p.objects[at]
	if c.Transform != nil {
		var err error
		if e.New, err = c.Transform(e.New); err != nil {
			return e, err
		}
	}
	if e.Deleted {
		delete(p.objects, at)
	} else {
		p.objects[at] = e.New
	}
	return e, nil
}

// Skip takes in all but the newest changes of every kind, as a first list does
// that comes from a moment ago.
func (c *Cache) Skip(leave int) error {
	for gvk, p := range c.kinds {
		for p.next < len(p.shelf.log)-leave {
			if _, err := c.Step(gvk); err != nil {
				return err
			}
		}
	}
	return nil
}

// Objects are all objects of a kind that the cache has, in order.
func (c *Cache) Objects(gvk schema.GroupVersionKind) []client.Object { return c.kinds[gvk].sorted() }

func (p *picture) sorted() []client.Object {
	out := make([]client.Object, 0, len(p.objects))
	for _, o := range p.objects {
		out = append(out, o)
	}
	sortByName(out)
	return out
}

// Kinds are the cached kinds, in order.
func (c *Cache) Kinds() []schema.GroupVersionKind {
	out := make([]schema.GroupVersionKind, 0, len(c.kinds))
	for k := range c.kinds {
		out = append(out, k)
	}
	sort.Slice(out, func(a, b int) bool { return out[a].String() < out[b].String() })
	return out
}

// Get reads a cached object from the cache.
func (c *Cache) Get(ctx context.Context, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	gvk, err := apiutil.GVKForObject(o, c.Server.Scheme)
	if err != nil {
		return err
	}
	p := c.kinds[gvk]
	if p == nil {
		return c.Client.Get(ctx, k, o, opts...)
	}
	found := p.objects[p.shelf.key(k.Namespace, k.Name)]
	if found == nil {
		return p.shelf.notFound(k.Name)
	}
	return answer(o, &stored{object: found})
}

// List reads cached objects from the cache.
func (c *Cache) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	sh, err := c.Server.listed(list)
	if err != nil {
		return err
	}
	p := c.kinds[sh.gvk]
	if p == nil {
		return c.Client.List(ctx, list, opts...)
	}
	return fill(list, p.sorted(), p.version, opts)
}
