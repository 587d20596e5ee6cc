package activity

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/sweep"
)

// uncertain is how many pieces are uncertain.
func (w *run) uncertain() int {
	n := 0
	for _, p := range w.a.Status.Pieces {
		if p.Unsure() {
			n++
		}
	}
	return n
}

// settle looks for what uncertain pieces may have made, by their tags (rule
// 8). What a sweep shows is recorded at once; fewer than asked for is believed
// only when nothing can still land and enough sweeps agree. It returns when to
// look again.
func (w *run) settle(ctx context.Context) (time.Duration, error) {
	picture := w.Sweeper.Latest()
	if picture == nil {
		return w.Waits.SweepBusy, nil
	}
	changed, again := false, w.Waits.Sweep
	for i := range w.a.Status.Pieces {
		p := &w.a.Status.Pieces[i]
		if !p.Unsure() {
			continue
		}
		if p.FirstSendTime == nil { // it was never sent (rule 5), whatever another version meant by its state
			w.resolve(p, nil, nil)
			changed = true
			continue
		}
		ids := w.shown(picture, i)
		if err := w.record(ctx, p, ids); err != nil {
			return 0, err
		}
		more, err := w.look(ctx, p, i, scaling.Shown{Began: picture.Began, Found: len(ids), Empty: picture.Ours == 0}, ids)
		if err != nil {
			return 0, err
		}
		changed = more || changed
		if w.Now().Before(p.FirstSendTime.Add(w.Waits.BusyAfter)) { // most answers are lost with all that they told of made
			again = min(again, w.Waits.SweepBusy)
		}
	}
	if !changed {
		return again, nil
	}
	if w.uncertain() == 0 {
		w.a.Status.State = outcome(w.a)
		again = 0
	}
	return again, w.write(ctx)
}

// shown are the instances of one piece in a sweep, sorted.
func (w *run) shown(picture *sweep.Picture, piece int) []string {
	var ids []string
	for id, c := range picture.Instances {
		if c.Tags[cloud.TagCluster] == w.ClusterID && c.Tags[cloud.TagActivity] == string(w.a.UID) && c.Tags[cloud.TagPiece] == strconv.Itoa(piece) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// look adds what one sweep showed, and resolves the piece when that is enough.
func (w *run) look(ctx context.Context, p *api.Piece, index int, newest scaling.Shown, ids []string) (changed bool, err error) {
	u := scaling.Unsettled{Amount: int(p.Amount), FirstSend: p.FirstSendTime.Time}
	for _, l := range p.Looks {
		u.Looks = append(u.Looks, scaling.Shown{Began: l.Time.Time, Found: int(l.Found), Empty: l.Empty})
	}
	before := last(u.Looks)
	if u = u.With(newest, w.Waits); !last(u.Looks).Equal(before) {
		changed, p.Looks = true, nil
		for _, s := range u.Looks {
			p.Looks = append(p.Looks, api.PieceLook{Time: metav1.NewMicroTime(s.Began), Found: int32(s.Found), Empty: s.Empty})
		}
	}
	if _, done, _ := scaling.Settle(u, newest, w.Waits); !done {
		return changed, nil
	}
	if ids, err = w.known(ctx, index, ids); err != nil {
		return false, err
	}
	w.resolve(p, ids[:min(len(ids), int(p.Amount))], nil)
	p.Looks = nil
	return true, nil
}

func last(looks []scaling.Shown) time.Time {
	if len(looks) == 0 {
		return time.Time{}
	}
	return looks[len(looks)-1].Began
}

// known are the instances of one piece: those that a sweep showed, and those
// that have a record, sorted.
func (w *run) known(ctx context.Context, piece int, shown []string) ([]string, error) {
	var list api.InstanceList
	if err := w.Cache.List(ctx, &list, client.MatchingLabels{api.LabelActivity: w.a.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list instances of %s: %w", w.a.Name, err)
	}
	ids := slices.Clone(shown)
	for i := range list.Items {
		if s := &list.Items[i].Spec; s.ActivityUID == string(w.a.UID) && int(s.Piece) == piece {
			ids = append(ids, list.Items[i].Name)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
