package sim

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// person is a client of people, whose tools write what they changed and nothing
// else.
type person struct{ *apiserver.Client }

// Update writes what differs from what is stored.
func (c person) Update(ctx context.Context, o client.Object, _ ...client.UpdateOption) error {
	there, _ := o.DeepCopyObject().(client.Object)
	if err := c.Get(ctx, client.ObjectKeyFromObject(o), there); err != nil {
		return err
	}
	return c.Patch(ctx, o, client.MergeFrom(there))
}

// shared are the kinds whose specs this version and the next both write.
var shared = []schema.GroupVersionKind{apiserver.NodePool, apiserver.Instance, apiserver.ClusterTask}

// ofNextVersion is a value that this version does not know.
const ofNextVersion = "OfTheNextVersion"

// otherVersion is an upgrade that is rolled back: the next version runs for a
// moment and writes what this one does not know into specs and statuses, and
// objects that an older version made lack what this one expects. Every controller
// begins anew.
func (p *people) otherVersion() {
	p.note(true, "the next version runs for a moment, and this one again")
	for _, kind := range shared {
		for _, o := range p.api.Objects(kind) {
			if p.random.IntN(2) == 0 {
				p.writeNewer(kind, o)
			}
		}
	}
	for _, o := range p.api.Objects(apiserver.Instance) {
		i, _ := o.DeepCopyObject().(*api.Instance)
		switch base := i.DeepCopy(); p.random.IntN(6) {
		case 0:
			if i.Spec.CreationType == api.CreatedByUs && i.Spec.Release == nil {
				i.Spec.CreationType = ofNextVersion
				p.told("creation type of "+i.Name+": "+ofNextVersion, p.admin.Patch(background, i, client.MergeFrom(base)))
			}
		case 1:
			i.Spec.JoinDeadlineSeconds = 0
			p.told("join deadline of "+i.Name+": none", p.admin.Patch(background, i, client.MergeFrom(base)))
		case 2:
			i.Status.SeenTime = nil
			p.told("seen time of "+i.Name+": none", p.admin.Status().Patch(background, i, client.MergeFrom(base)))
		}
	}
	for _, of := range p.processes {
		of.crash("for another version", true)
	}
}

// writeNewer writes what this version does not know into an object.
func (p *people) writeNewer(kind schema.GroupVersionKind, o client.Object) {
	p.count++
	word := fmt.Sprintf("word-%d", p.count)
	p.check.newer[kind.Kind+"/"+string(o.GetUID())] = word
	for _, w := range []client.SubResourceWriter{nil, p.admin.Status()} {
		to, _ := o.DeepCopyObject().(client.Object)
		var err error
		if w == nil {
			err = p.admin.Patch(background, to, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{%q:%q}}`, apiserver.NewerField, word)))
		} else {
			err = w.Patch(background, to, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"status":{%q:%q}}`, apiserver.NewerField, word)))
		}
		if err != nil {
			p.violate("people", "%v", err)
		}
	}
}

// versionKnown puts back what only the next version can: values that this one
// does not know.
func (p *people) versionKnown() {
	for _, o := range p.api.Objects(apiserver.Instance) {
		if i, _ := o.DeepCopyObject().(*api.Instance); i.Spec.CreationType == ofNextVersion {
			base := i.DeepCopy()
			i.Spec.CreationType = api.CreatedByUs
			p.told("creation type of "+i.Name+": "+string(api.CreatedByUs), p.admin.Patch(background, i, client.MergeFrom(base)))
		}
	}
}

// newerStays checks that nobody of this version loses what the next one wrote
// into a spec (I13).
func (c *checker) newerStays(e apiserver.Event) {
	at := e.Kind.Kind + "/" + string(e.New.GetUID())
	word, written := c.newer[at]
	if !written || e.Deleted || c.current == nil {
		return
	}
	if got := c.api.Newer(e.Kind, e.New.GetName()); got != word {
		c.violate("I13", "what the next version wrote into the spec of %s %s is lost: %q, not %q", e.Kind.Kind, e.New.GetName(), got, word)
	}
}
