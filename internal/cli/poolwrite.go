package cli

import (
	"errors"
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/reply"
)

// writeNumber writes the expected number on the pool that was read; where a
// person may only scale, through the scale subresource.
func (c *call) writeNumber(p *v1alpha1.NodePool, to int32, dry bool, still func(*v1alpha1.NodePool) error) (*v1alpha1.NodePool, error) {
	opts := []client.PatchOption{fieldOwner}
	if dry {
		opts = append(opts, client.DryRunAll)
	}
	changed, err := c.patchPool(p, func(p *v1alpha1.NodePool) { p.Spec.ExpectedNodes = to }, still, opts...)
	if apierrors.IsForbidden(err) && reply.Forbidden(&Error{Cause: reply.Text(err)}).Next != nil {
		return c.writeScale(p, to, dry, err)
	}
	if err != nil {
		return nil, apiError(err, fmt.Sprintf("%s stays at %s: %d was not accepted", p.Name, plural(int(p.Spec.ExpectedNodes), "node"), to))
	}
	return changed, nil
}

// writeScale writes the number through the scale subresource, then reads the
// pool to learn the generation of the change.
func (c *call) writeScale(p *v1alpha1.NodePool, to int32, dry bool, first error) (*v1alpha1.NodePool, error) {
	body := fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"spec":{"replicas":%d}}`, p.ResourceVersion, to)
	opts := []client.SubResourcePatchOption{client.WithSubResourceBody(&autoscalingv1.Scale{}), fieldOwner}
	if dry {
		opts = append(opts, client.DryRunAll)
	}
	err := c.SubResource("scale").Patch(c.ctx, p.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(body)), opts...)
	if err != nil {
		if apierrors.IsForbidden(err) {
			err = errors.Join(err, first)
		}
		return nil, apiError(err, "you may not scale "+p.Name)
	}
	if dry {
		return p, nil
	}
	return c.getPool(p.Name)
}

// patchPool changes a pool as it was read. If only its status moved meanwhile,
// it is read again and the change repeated, unless still says that it is no
// longer wished; if its spec did, nothing is sent.
func (c *call) patchPool(p *v1alpha1.NodePool, change func(*v1alpha1.NodePool), still func(*v1alpha1.NodePool) error, opts ...client.PatchOption) (*v1alpha1.NodePool, error) {
	base := p
	for range 10 {
		next := base.DeepCopy()
		change(next)
		err := c.Patch(c.ctx, next, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}), opts...)
		if err == nil || !apierrors.IsConflict(err) {
			return next, err
		}
		if base, err = c.getPool(p.Name); err != nil {
			return nil, err
		}
		if base.Generation != p.Generation || base.UID != p.UID {
			return nil, &Error{
				Code: ExitConflict, What: "nothing was sent: " + p.Name + " was changed meanwhile",
				Cause: "it expects " + plural(int(base.Spec.ExpectedNodes), "node") + " now",
				Next:  []string{fmt.Sprintf("look again: `poolkeeper pool get %s`", p.Name)},
			}
		}
		if still != nil {
			if err := still(base); err != nil {
				return nil, err
			}
		}
	}
	return nil, &Error{Code: ExitConflict, What: "nothing was sent: " + p.Name + " changes too fast", Cause: "ten tries met ten newer versions", Next: []string{"try again in a moment"}}
}
