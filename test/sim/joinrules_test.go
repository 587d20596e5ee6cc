package sim

import (
	"context"
	"regexp"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// Somebody who has the join credential files every forgery in the names of both
// machines.
func forged(w *world) *stage {
	return &stage{
		length: 30 * time.Minute,
		begin: func() {
			w.people.create(newPool(2))
			for n, how := range forgeries {
				w.after(5*time.Minute+time.Duration(n)*time.Minute, func() {
					for _, id := range w.ourNames() {
						w.people.forgeAs(how, id, poolName)
					}
				})
			}
		},
	}
}

// A machine is taken out; then it files again with the key that it was let in
// with, and only a leader looks that has not seen that it was taken out.
func approvedLate(w *world) *stage {
	var id string
	return &stage{
		length: 25 * time.Minute,
		begin: func() {
			w.people.create(newPool(2))
			w.after(5*time.Minute, func() {
				id = w.ourNames()[0]
				b := w.startProcess("b", 0)
				for w.now.Sub(w.began) < 5*time.Minute+time.Second && b.cache.Behind(apiserver.Instance) > 0 {
					b.deliver(apiserver.Instance)
				}
				b.stuck[apiserver.Instance] = w.began.Add(15 * time.Minute)
				w.people.ask(poolName, api.ClusterTaskSpec{Type: api.TaskRemove, Instances: []string{id}, Concurrency: 1})
			})
			w.after(10*time.Minute, func() {
				w.processes[0].paused = w.began.Add(15 * time.Minute)
				k := w.kubelet(id)
				w.file(k.of(w), filing{id: id, hash: hashOf(k.key), pool: poolName})
			})
		},
	}
}

// The write of a key is under way for so long that its machine is to go
// meanwhile.
func keyTooLate(w *world) *stage {
	held := false
	return &stage{
		length: 20 * time.Minute,
		begin: func() {
			w.people.create(newPool(1))
			w.after(2*time.Minute, func() { w.people.setNumber(0) })
		},
		api: func(_ *process, c apiserver.Call) {
			if first := !held && c.Kind == apiserver.Instance && c.Verb == "patch" && strings.Contains(w.current.name, "/join "); first {
				held = true
				for i := w.record(c.Name); i != nil && i.Spec.Release == nil; i = w.record(c.Name) {
					w.current.sleep(50 * time.Millisecond)
				}
			}
		},
	}
}

// anybodysProof does not compare whom the region signed for with who made the
// key: a request that brings another's proof passes for that one.
type anybodysProof struct {
	client.Client
	signed map[string][]byte
}

func (c *anybodysProof) Get(ctx context.Context, k types.NamespacedName, o client.Object, opts ...client.GetOption) error {
	err := c.Client.Get(ctx, k, o, opts...)
	if r, ok := o.(*certificatesv1.CertificateSigningRequest); ok && err == nil {
		proof := r.Annotations[bootstrap.AnnotationSignature]
		if first := c.signed[proof]; first != nil {
			r.Spec.Request = first
		} else if proof != "" {
			c.signed[proof] = r.Spec.Request
		}
	}
	return err
}

// keyOf is the join key that a patch writes; empty: none.
func keyOf(o client.Object, p client.Patch) string {
	data, err := p.Data(o)
	if m := regexp.MustCompile(`"joinKey":"([0-9a-f]{64})"`).FindSubmatch(data); err == nil && m != nil {
		return string(m[1])
	}
	return ""
}

// keyLater writes the key only after the request is approved.
type keyLater struct {
	client.Client
	late func() error
}

func (c *keyLater) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	if keyOf(o, p) == "" {
		return c.Client.Patch(ctx, o, p, opts...)
	}
	c.late = func() error { return c.Client.Patch(ctx, o, p, opts...) }
	return nil
}

func (c *keyLater) SubResource(name string) client.SubResourceClient {
	return &approvesFirst{c.Client.SubResource(name), c}
}

type approvesFirst struct {
	client.SubResourceClient
	c *keyLater
}

func (s *approvesFirst) Update(ctx context.Context, o client.Object, opts ...client.SubResourceUpdateOption) error {
	err := s.SubResourceClient.Update(ctx, o, opts...)
	if late := s.c.late; late != nil && err == nil {
		s.c.late = nil
		return late()
	}
	return err
}

// keyStands writes no key that the cache shows already.
type keyStands struct{ client.Client }

func (c *keyStands) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	i := &api.Instance{}
	if key := keyOf(o, p); key != "" && c.Get(ctx, client.ObjectKeyFromObject(o), i) == nil && i.Spec.JoinKey == key {
		return nil
	}
	return c.Client.Patch(ctx, o, p, opts...)
}

// anyVersion writes a key whatever was judged.
type anyVersion struct{ client.Client }

func (c *anyVersion) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	if key := keyOf(o, p); key != "" {
		p = client.RawPatch(p.Type(), []byte(`{"spec":{"joinKey":"`+key+`"}}`))
	}
	return c.Client.Patch(ctx, o, p, opts...)
}
