package activity

import (
	"context"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/sweep"
)

// uncertain is how many pieces are uncertain.
func (w *run) uncertain() int {
	n := 0
	for _, p := range w.a.Status.Pieces {
		if p.State == api.PieceUncertain {
			n++
		}
	}
	return n
}

// settle looks for what uncertain pieces may have made, by their tags (rule
// 8). What a sweep shows is recorded at once; fewer than asked for is believed
// only when nothing can still land and enough sweeps agree.
func (w *run) settle(ctx context.Context) error {
	picture := w.Sweeper.Latest()
	if picture == nil {
		return nil
	}
	changed := false
	for i := range w.a.Status.Pieces {
		p := &w.a.Status.Pieces[i]
		if p.State != api.PieceUncertain {
			continue
		}
		ids := w.shown(picture, i)
		if err := w.record(ctx, p, ids); err != nil {
			return err
		}
		changed = w.look(p, picture, ids) || changed
	}
	if !changed {
		return nil
	}
	if w.uncertain() == 0 {
		w.a.Status.State = outcome(w.a)
	}
	return w.write(ctx)
}

// shown are the instances of one piece in a sweep.
func (w *run) shown(picture *sweep.Picture, piece int) []string {
	var ids []string
	for id, c := range picture.Instances {
		if c.Tags[cloud.TagActivity] == string(w.a.UID) && c.Tags[cloud.TagPiece] == strconv.Itoa(piece) {
			ids = append(ids, id)
		}
	}
	return sorted(ids)
}

// look adds what one sweep showed, and resolves the piece when that is enough.
func (w *run) look(p *api.Piece, picture *sweep.Picture, ids []string) (changed bool) {
	if len(ids) >= int(p.Amount) {
		w.resolve(p, ids[:p.Amount], nil)
		return true
	}
	sure := p.LastSendTime.Add(w.Waits.SendWindow + w.Waits.SignatureLife + 2*w.Waits.Visibility)
	if picture.Began.Before(sure) {
		return false
	}
	if n := len(p.Looks); n > 0 {
		last := p.Looks[n-1]
		if picture.Began.Sub(last.Time.Time) < w.Waits.Sweep {
			return false
		}
		if int(last.Found) != len(ids) {
			p.Looks = nil
		}
	}
	p.Looks = append(p.Looks, api.PieceLook{Time: metav1.NewMicroTime(picture.Began), Found: int32(len(ids)), Empty: len(picture.Instances) == 0})
	need := 3
	if p.Looks[0].Empty || p.Looks[len(p.Looks)-1].Empty {
		need = 10
	}
	if len(p.Looks) >= need {
		w.resolve(p, ids, nil)
		p.Looks = nil
	}
	return true
}
