package apiserver

import (
	"context"
	"fmt"
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// Call is one call of a client.
type Call struct {
	// Verb is get, list, create, update, patch or delete; Part is a subresource.
	Verb, Part string
	Kind       schema.GroupVersionKind
	Namespace  string
	// Name is empty for lists and generated names.
	Name string
}

// String is a call in words.
func (c Call) String() string {
	s := c.Verb + " " + c.Kind.Kind
	if c.Name != "" {
		s += " " + c.Name
	}
	if c.Part != "" {
		s += " (" + c.Part + ")"
	}
	return s
}

// Writes says whether a call changes something.
func (c Call) Writes() bool { return c.Verb != "get" && c.Verb != "list" }

// Wire is what lies between a client and the server. It carries a call, by
// running do once, several times or not at all, and returns what the client
// gets to know of it.
type Wire func(c Call, do func() error) error

// Direct is a wire without trouble.
func Direct(_ Call, do func() error) error { return do() }

// Client asks the server over a wire. All reads are live.
type Client struct {
	Server *Server
	Wire   Wire
}

var _ client.Client = &Client{}

// Scheme is the server's.
func (c *Client) Scheme() *runtime.Scheme { return c.Server.Scheme }

// RESTMapper is not modelled.
func (c *Client) RESTMapper() meta.RESTMapper { return nil }

// GroupVersionKindFor is the kind of an object.
func (c *Client) GroupVersionKindFor(o runtime.Object) (schema.GroupVersionKind, error) {
	return apiutil.GVKForObject(o, c.Server.Scheme)
}

// IsObjectNamespaced says whether objects of a kind have a namespace.
func (c *Client) IsObjectNamespaced(o runtime.Object) (bool, error) {
	gvk, err := c.GroupVersionKindFor(o)
	if err != nil {
		return false, err
	}
	sh, err := c.Server.shelfOf(gvk)
	return err == nil && sh.Namespaced, err
}

// carry sends one call about one object.
func (c *Client) carry(verb, part string, o client.Object, do func(*shelf) error) error {
	gvk, err := c.GroupVersionKindFor(o)
	if err != nil {
		return err
	}
	sh, err := c.Server.shelfOf(gvk)
	if err != nil {
		return err
	}
	return c.Wire(Call{Verb: verb, Part: part, Kind: gvk, Namespace: o.GetNamespace(), Name: o.GetName()}, func() error { return do(sh) })
}

// answer puts what is stored into what the caller holds.
func answer(to client.Object, from *stored) error {
	if m, ok := to.(*metav1.PartialObjectMetadata); ok {
		m.ObjectMeta = *metadata(from.object)
		return nil
	}
	return copyInto(to, from.object)
}

// metadata copies the metadata of an object.
func metadata(o client.Object) *metav1.ObjectMeta {
	if holder, ok := o.DeepCopyObject().(metav1.ObjectMetaAccessor); ok {
		if m, ok := holder.GetObjectMeta().(*metav1.ObjectMeta); ok {
			return m
		}
	}
	return &metav1.ObjectMeta{}
}

// Get reads one object.
func (c *Client) Get(_ context.Context, k client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	gvk, err := c.GroupVersionKindFor(o)
	if err != nil {
		return err
	}
	sh, err := c.Server.shelfOf(gvk)
	if err != nil {
		return err
	}
	return c.Wire(Call{Verb: "get", Kind: gvk, Namespace: k.Namespace, Name: k.Name}, func() error {
		found, err := sh.find(k.Namespace, k.Name)
		if err != nil {
			return err
		}
		return answer(o, found)
	})
}

// List reads all objects that the options ask for, in the order of their names.
func (c *Client) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	sh, err := c.Server.listed(list)
	if err != nil {
		return err
	}
	return c.Wire(Call{Verb: "list", Kind: sh.gvk}, func() error {
		return fill(list, sh.sorted(), c.Server.version, opts)
	})
}

// Create stores a new object.
func (c *Client) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	return c.carry("create", "", o, func(sh *shelf) error {
		return c.write(o, func(raw map[string]any) (*stored, error) { return c.Server.create(sh, raw) })
	})
}

// Update stores all of an object but its status.
func (c *Client) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	return c.carry("update", "", o, func(sh *shelf) error {
		return c.write(o, func(raw map[string]any) (*stored, error) { return c.Server.update(sh, raw, wholeObject) })
	})
}

func (c *Client) write(o client.Object, do func(raw map[string]any) (*stored, error)) error {
	raw, err := encode(o)
	if err != nil {
		return err
	}
	next, err := do(raw)
	if err != nil {
		return err
	}
	return answer(o, next)
}

// Patch applies a patch to all of an object but its status.
func (c *Client) Patch(_ context.Context, o client.Object, p client.Patch, _ ...client.PatchOption) error {
	return c.patch(o, p, wholeObject)
}

func (c *Client) patch(o client.Object, p client.Patch, part string) error {
	data, err := p.Data(o)
	if err != nil {
		return err
	}
	return c.carry("patch", part, o, func(sh *shelf) error {
		next, err := c.Server.patch(sh, o.GetNamespace(), o.GetName(), p.Type(), data, part)
		if err != nil {
			return err
		}
		return answer(o, next)
	})
}

// Delete deletes an object.
func (c *Client) Delete(_ context.Context, o client.Object, opts ...client.DeleteOption) error {
	options := (&client.DeleteOptions{}).ApplyOptions(opts)
	return c.carry("delete", "", o, func(sh *shelf) error {
		return c.Server.remove(sh, o.GetNamespace(), o.GetName(), options.Preconditions)
	})
}

// DeleteAllOf is not modelled.
func (c *Client) DeleteAllOf(context.Context, client.Object, ...client.DeleteAllOfOption) error {
	return notModelled("deletecollection")
}

// Apply is not modelled: nothing of ours applies.
func (c *Client) Apply(context.Context, runtime.ApplyConfiguration, ...client.ApplyOption) error {
	return notModelled("apply")
}

func notModelled(what string) error {
	return apierrors.NewGenericServerResponse(http.StatusMethodNotAllowed, what, schema.GroupResource{}, "", what+" is not modelled", 0, true)
}

// Status writes the status of objects.
func (c *Client) Status() client.SubResourceWriter { return c.SubResource(statusOnly) }

// SubResource writes a part of objects: status, the tokens of a service account,
// or the approval of a certificate request.
func (c *Client) SubResource(name string) client.SubResourceClient { return &part{c, name} }

// part is one subresource.
type part struct {
	*Client
	name string
}

// Get is not modelled.
func (p *part) Get(context.Context, client.Object, client.Object, ...client.SubResourceGetOption) error {
	return notModelled("get " + p.name)
}

// Create mints a token that says whose it is, which object it dies with, and when
// it dies at the latest.
func (p *part) Create(_ context.Context, o, sub client.Object, _ ...client.SubResourceCreateOption) error {
	t, ok := sub.(*authenticationv1.TokenRequest)
	if !ok || p.name != "token" {
		return notModelled("create " + p.name)
	}
	return p.carry("create", p.name, o, func(sh *shelf) error {
		if _, err := sh.find(o.GetNamespace(), o.GetName()); err != nil {
			return err
		}
		bound, err := p.boundTo(o.GetNamespace(), t.Spec.BoundObjectRef)
		if err != nil {
			return err
		}
		until := metav1.NewTime(p.Server.Now())
		if s := t.Spec.ExpirationSeconds; s != nil {
			until.Time = until.Add(secondsOf(*s))
		}
		t.Status.Token, t.Status.ExpirationTimestamp = fmt.Sprintf("token-of-%s-with-%s-until-%d", o.GetName(), bound, until.Unix()), until
		return nil
	})
}

// boundTo is the UID of the Secret that a token dies with; one that was made anew
// meanwhile is another.
func (p *part) boundTo(namespace string, ref *authenticationv1.BoundObjectReference) (types.UID, error) {
	if ref == nil {
		return "nothing", nil
	}
	sh, err := p.Server.shelfOf(corev1.SchemeGroupVersion.WithKind(ref.Kind))
	if err != nil {
		return "", err
	}
	there, err := sh.find(namespace, ref.Name)
	if err != nil {
		return "", err
	}
	if uid := there.object.GetUID(); uid != ref.UID {
		return "", apierrors.NewConflict(schema.GroupResource{Resource: ref.Kind}, ref.Name,
			fmt.Errorf("the UID in the bound object reference (%s) does not match the UID in record (%s)", ref.UID, uid))
	}
	return ref.UID, nil
}

// Update stores the status of an object, or whether a certificate request is
// approved.
func (p *part) Update(_ context.Context, o client.Object, _ ...client.SubResourceUpdateOption) error {
	if _, request := o.(*certificatesv1.CertificateSigningRequest); p.name != statusOnly && (p.name != approvalOnly || !request) {
		return notModelled("update " + p.name)
	}
	return p.carry("update", p.name, o, func(sh *shelf) error {
		return p.write(o, func(raw map[string]any) (*stored, error) { return p.Server.update(sh, raw, p.name) })
	})
}

// Patch applies a patch to the status of an object.
func (p *part) Patch(_ context.Context, o client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
	if p.name != statusOnly {
		return notModelled("patch " + p.name)
	}
	return p.patch(o, patch, statusOnly)
}

// Apply is not modelled.
func (p *part) Apply(context.Context, runtime.ApplyConfiguration, ...client.SubResourceApplyOption) error {
	return notModelled("apply " + p.name)
}
