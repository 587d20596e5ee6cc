package activity

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

// pieces sends the open piece, announces the next one, and so on until the
// activity ends or has to wait.
func (w *run) pieces(ctx context.Context) (time.Duration, error) {
	for {
		if w.open() == nil {
			next, why, err := w.next(ctx)
			if err != nil {
				return 0, err
			}
			if next == nil {
				return 0, w.finish(ctx, "", why)
			}
			w.a.Status.Pieces = append(w.a.Status.Pieces, *next)
		}
		again, err := w.send(ctx)
		if again > 0 || err != nil {
			return again, err
		}
	}
}

// open returns the piece that may still be sent, if there is one. Only the
// last can be.
func (w *run) open() *api.Piece {
	n := len(w.a.Status.Pieces)
	if n == 0 || w.a.Status.Pieces[n-1].State != api.PieceAnnounced {
		return nil
	}
	return &w.a.Status.Pieces[n-1]
}

// next is the piece to announce now: never more than the group still wants at
// this moment (rule 2), never with a credential that would die before the
// machine has joined (rule 7). Nil: there is none, and why, where it is not that
// all is there or nothing more is wanted.
func (w *run) next(ctx context.Context) (p *api.Piece, why string, err error) {
	if w.a.Spec.Create == 0 || w.uncertain() > 0 {
		return nil, "", nil
	}
	wanted, err := w.wanted(ctx)
	if err != nil {
		return nil, "", err
	}
	n, ok := scaling.NextPiece(asScaling(w.a), wanted)
	if !ok {
		return nil, "", nil
	}
	life := w.Waits.SendWindow + time.Duration(w.a.Spec.JoinDeadlineSeconds)*time.Second
	if e := w.a.Spec.CredentialExpiryTime; e != nil && w.Now().Add(life).After(e.Time) {
		return nil, "the join credential in its requests would have died before the machines joined; the group decides again", nil
	}
	p = &api.Piece{Candidate: int32(n.Candidate), Amount: int32(n.Amount), State: api.PieceAnnounced}
	if ok, err := w.hasRequest(ctx, p); err != nil || !ok {
		return nil, requestGone + "; the group decides again", err
	}
	return p, "", nil
}

// wanted is how many instances the group lacks now, by its live number and by
// the most that may be there: the records, or what stood at the decision and
// what this activity made since.
func (w *run) wanted(ctx context.Context) (int, error) {
	g := w.group
	if err := w.Live.Get(ctx, types.NamespacedName{Name: w.a.Spec.Group}, g); err != nil {
		return 0, fmt.Errorf("read group of %s: %w", w.a.Name, err)
	}
	if g.Spec.Frozen != "" || g.Spec.Emptying || g.Edited() || string(g.UID) != w.a.Spec.GroupUID {
		return 0, nil
	}
	made := int(created(w.a))
	var list api.InstanceList
	if err := w.Cache.List(ctx, &list, client.MatchingLabels{api.LabelGroup: g.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return 0, fmt.Errorf("list instances of %s: %w", g.Name, err)
	}
	counted := 0
	for i := range list.Items {
		if Counted(&list.Items[i]) || comesBack(g, &list.Items[i]) {
			counted++
		}
	}
	there := max(int(w.a.Spec.Before)+made, counted)
	return min(int(g.Spec.DesiredCapacity)+int(w.a.Spec.Surge)-there, int(w.a.Spec.Create)-made), nil
}

// comesBack says whether a task had marked an instance and took its entry back
// since: the group takes the mark off, and nothing is made in its place.
func comesBack(g *api.ScalingGroup, i *api.Instance) bool {
	m := i.Spec.Release
	if m == nil || m.Task == "" || i.Status.ReleaseSentTime != nil || i.Status.LifecycleState == api.InstanceRemoved {
		return false
	}
	return !slices.ContainsFunc(g.Spec.Transfers, func(t api.Transfer) bool {
		return t.Instance == i.Name && t.Task == m.Task && t.Direction == api.TransferOut
	})
}
