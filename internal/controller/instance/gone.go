package instance

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
)

// end ends the record of an instance, and says of one that nobody of ours
// released what became of it.
func (p *pass) end(ctx context.Context, c *aCase, s lifecycle.Step) error {
	c.over = true
	if err := p.dropRecord(ctx, c.i); err != nil {
		return err
	}
	c.m.ended = true
	metrics.RecordsEnded.WithLabelValues(c.i.Spec.Pool, string(s.Gone)).Inc()
	i := c.i
	switch s.Gone {
	case lifecycle.GoneNoStock:
		p.Events.Eventf(p.group, corev1.EventTypeWarning, "InstanceNeverRan", "%s vanished before it ran: no stock of %s in %s", i.Name, i.Spec.Placement.InstanceType, i.Spec.Placement.Zone)
	case lifecycle.GoneExpired:
		p.Events.Eventf(p.group, corev1.EventTypeWarning, "InstanceExpired", "%s was a subscription that ran out; a replacement is created", i.Name)
	case lifecycle.GoneVanished:
		p.Events.Eventf(p.group, corev1.EventTypeWarning, "InstanceGone",
			"%s was released outside poolkeeper; a replacement is created. To remove a node and lower the number, use: poolkeeper node remove %s", i.Name, i.Name)
	case lifecycle.GoneTakenOut:
		p.Events.Eventf(p.group, corev1.EventTypeWarning, "InstanceTakenOut",
			"%s was taken out of the group by someone else: it is left alone and replaced; to take a node out and lower the number, use: poolkeeper node remove %s", i.Name, i.Name)
	}
	return nil
}

// dropRecord deletes the very record that was read, and takes its finalizer
// off. A crash in between leaves one in Terminating, which the next look ends.
func (p *pass) dropRecord(ctx context.Context, i *api.Instance) error {
	uid := i.UID
	if i.DeletionTimestamp == nil {
		err := p.Cache.Delete(ctx, &api.Instance{ObjectMeta: metav1.ObjectMeta{Name: i.Name}}, client.Preconditions{UID: &uid})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("delete record of %s: %w", i.Name, err)
		}
	}
	patch := fmt.Sprintf(`[{"op":"test","path":"/metadata/uid","value":%q},{"op":"test","path":"/metadata/finalizers/0","value":%q},{"op":"remove","path":"/metadata/finalizers/0"}]`, uid, api.Finalizer)
	err := p.Cache.Patch(ctx, answerOf(i.Name), client.RawPatch(types.JSONPatchType, []byte(patch)))
	if apierrors.IsNotFound(err) || apierrors.IsInvalid(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("let record of %s go: %w", i.Name, err)
	}
	return nil
}
