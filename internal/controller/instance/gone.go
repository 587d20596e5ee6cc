package instance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
	"github.com/poolkeeper/poolkeeper/internal/node"
)

// end ends the record of an instance, and says of one that nobody of ours
// released what became of it.
func (p *pass) end(ctx context.Context, c *aCase, s lifecycle.Step) error {
	c.over = true
	if s.Gone != lifecycle.GoneTakenOut {
		if err := p.lastNode(ctx, c); err != nil {
			return err
		}
	}
	if err := p.dropRecord(ctx, c.i); err != nil {
		return err
	}
	c.m.ended = true
	metrics.RecordsEnded.WithLabelValues(c.i.Spec.Pool, string(s.Gone)).Inc()
	p.tellGone(c.i, s.Gone)
	return nil
}

// lastNode deletes the Node of an instance that is gone where the cache does not
// show it: one that had a key may have registered while the cache was behind, and
// with the record the last that knows of it would go (I3).
func (p *pass) lastNode(ctx context.Context, c *aCase) error {
	if c.m.gone != "" || c.facts.Node.Foreign || c.i.Spec.JoinKey == "" && c.i.Status.JoinedTime == nil {
		return nil
	}
	n, there, err := p.Nodes.Look(ctx, c.i.Name, c.m.provider)
	if errors.Is(err, node.ErrForeign) || err == nil && !there {
		return nil
	}
	if err != nil {
		return err
	}
	return p.Nodes.Delete(ctx, n)
}

// tellGone says of an instance that left by nobody of ours what became of it:
// in an event, and as the cause of its replacement.
func (p *pass) tellGone(i *api.Instance, gone lifecycle.Gone) {
	name, place := i.Name, &i.Spec.Placement
	cost := "a replacement is created"
	if place.PricePerHour != "" {
		cost += ", which costs " + strings.TrimSpace(place.Currency+" "+place.PricePerHour) + " an hour"
	}
	event := func(reason, text, cause string) {
		p.Events.Event(p.group, corev1.EventTypeWarning, reason, text)
		p.lost.add(p.group.Name, Lost{At: p.now, Name: name, Text: cause})
	}
	better := "; to remove a node and lower the number, use: poolkeeper node remove " + name
	switch gone {
	case lifecycle.GoneNoStock:
		p.Events.Eventf(p.group, corev1.EventTypeWarning, "InstanceNeverRan", "%s vanished before it ran: no stock of %s in %s", name, place.InstanceType, place.Zone)
	case lifecycle.GoneExpired:
		event("InstanceExpired", name+" was a subscription that ran out; "+cost, "subscription of "+name+" ended")
	case lifecycle.GoneTakenBack:
		event("SpotInterrupted", name+" was taken back by the cloud (spot interruption); "+cost, name+" was taken back by the cloud (spot interruption)")
	case lifecycle.GoneVanished:
		event("InstanceGone", name+" was released outside poolkeeper; "+cost+better, name+" was released outside poolkeeper")
	case lifecycle.GoneTakenOut:
		event("InstanceTakenOut", name+" was taken out of the group by someone else: it is left alone, and "+cost+better,
			name+" was taken out of the group by someone else")
	}
}

// Lost is one instance that left by nobody of ours, and what became of it.
type Lost struct {
	At   time.Time
	Name string
	// Text says it, with the name in it.
	Text string
}

// lost keeps the newest that each group lost. It may be forgotten at a restart:
// the numbers then speak for themselves. The zero value is ready.
type lost struct {
	mu   sync.Mutex
	list map[string][]Lost
}

// maxLost is how many are kept of a group.
const maxLost = 100

func (l *lost) add(group string, one Lost) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.list == nil {
		l.list = map[string][]Lost{}
	}
	all := append(l.list[group], one)
	l.list[group] = slices.Clone(all[max(0, len(all)-maxLost):])
}

// LostOf are the instances that a group lost by nobody of ours, newest last.
func (r *Reconciler) LostOf(group string) []Lost {
	r.lost.mu.Lock()
	defer r.lost.mu.Unlock()
	return r.lost.list[group]
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
