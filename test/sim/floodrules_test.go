package sim

import (
	"context"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// Most Nodes are not Ready while a number is lowered, and looks by id at more than
// one are not answered: only then does the freeze last.
func mostDark(w *world) *stage {
	during := w.between(5*time.Minute, 15*time.Minute)
	return &stage{
		length: 30 * time.Minute,
		begin: func() {
			w.people.create(newPool(6))
			w.after(5*time.Minute, func() { w.people.cutOff(w.ourNames()[1:], 20*time.Minute) })
			w.after(7*time.Minute, func() { w.people.setNumber(5) })
		},
		cloud: func(_ *process, c region.Call) cloudFault {
			if c.Action == "DescribeInstances" && strings.Contains(c.Params["InstanceIds"], ",") && during() {
				return cloudFault{kind: unreachable}
			}
			return cloudFault{}
		},
	}
}

// noneDark shows instances as if their Nodes were Ready (I6).
func noneDark(list client.ObjectList) {
	if instances, ok := list.(*api.InstanceList); ok {
		for n := range instances.Items {
			if s := &instances.Items[n].Status; s.NodeState == api.NodeNotReady {
				s.NodeState = api.NodeReady
			}
		}
	}
}

// Somebody floods a pool while the request to create two machines of it is on its
// way, under a token that dies meanwhile: they never join, and are replaced. Calls
// about requests take a while, so that forged ones pile up; a machine of another
// pool is let in within the bound.
func flooded(w *world) *stage {
	other, sent := poolNames[1], false
	return &stage{
		length: 40 * time.Minute,
		begin: func() {
			w.people.create(newPool(2))
			pool := newPool(1)
			pool.Name = other
			w.people.create(pool)
			w.after(5*time.Minute, func() { w.people.setNumber(4); w.people.setNumberOf(other, 2) })
			w.after(5*time.Minute+time.Second, func() {
				w.people.floodOn(poolName, w.joinSecret(poolName), papersFor("i-thief", newKey(), nil, nil), floodMost)
			})
			w.after(6*time.Minute+50*time.Second, func() {
				records := w.check.records()
				for _, id := range sortedKeys(records) {
					if i := records[id]; i.Spec.Pool == other && i.Spec.JoinKey == "" {
						w.violate("S3", "%s of %s is held up by the flood of %s", id, other, poolName)
					}
				}
			})
		},
		api: func(*process, apiserver.Call) {
			if strings.Contains(w.current.name, "/join ") {
				w.current.sleep(300 * time.Millisecond)
			}
		},
		cloud: func(_ *process, c region.Call) cloudFault {
			if c.Action != "RunInstances" || tagsOf(c.Params)[cloud.TagPool] != poolName || w.now.Sub(w.began) < 5*time.Minute || sent {
				return cloudFault{}
			}
			sent = true
			return cloudFault{wait: time.Minute}
		},
	}
}

// neverReplaced keeps every join Secret (S3).
type neverReplaced struct{ client.Client }

func (c *neverReplaced) Delete(ctx context.Context, o client.Object, opts ...client.DeleteOption) error {
	if _, ok := o.(*corev1.Secret); ok && o.GetNamespace() == api.JoinNamespace {
		return nil
	}
	return c.Client.Delete(ctx, o, opts...)
}

// deniesForged answers what proves nothing before it is deleted (S3).
type deniesForged struct{ client.Client }

func (c *deniesForged) Delete(ctx context.Context, o client.Object, opts ...client.DeleteOption) error {
	there := &certificatesv1.CertificateSigningRequest{}
	if r, ok := o.(*certificatesv1.CertificateSigningRequest); ok && c.Get(ctx, types.NamespacedName{Name: r.Name}, there) == nil {
		there.Status.Conditions = append(there.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateDenied, Status: corev1.ConditionTrue, Reason: "ProvesNothing"})
		if err := c.SubResource("approval").Update(ctx, there); err != nil {
			return err
		}
	}
	return c.Client.Delete(ctx, o, opts...)
}
