package sim

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// A Node of the name of a machine that has a record and is yet to join says that
// it runs elsewhere, and is Ready.
func namedAlike(w *world) *stage {
	return &stage{
		length: 10 * time.Minute,
		begin:  func() { w.people.create(newPool(1)) },
		api: func(_ *process, c apiserver.Call) {
			if c.Kind == apiserver.Instance && c.Verb == "create" && len(w.people.misnamed) == 0 {
				w.people.misnamed[c.Name] = true
				w.at(w.now, "", func() { w.people.registerAs(c.Name, w.providerOf("i-of-somebody")) })
			}
		},
	}
}

// byNameAlone takes each Node for the one of the instance of its name.
type byNameAlone struct {
	client.Client
}

func (c *byNameAlone) Get(ctx context.Context, k types.NamespacedName, o client.Object, opts ...client.GetOption) error {
	err := c.Client.Get(ctx, k, o, opts...)
	if n, ok := o.(*corev1.Node); ok && err == nil {
		n.Spec.ProviderID = "cn-local." + n.Name
	}
	return err
}
