package activity

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

const (
	tooLate     = "its send window has passed"
	requestGone = "the exact requests of this activity are gone or altered"
)

// sendable says whether a piece may still be put on the wire, and for how long
// (rule 7). A clock that stands before the first send cannot tell.
func (w *run) sendable(p *api.Piece) (left time.Duration, ok bool) {
	if p.FirstSendTime == nil {
		return w.Waits.SendWindow, true
	}
	age := w.Now().Sub(p.FirstSendTime.Time)
	return w.Waits.SendWindow - age, age < w.Waits.SendWindow && age > -w.Waits.ClockMargin
}

// send announces one more send of the open piece, sends it, and records the
// answer.
func (w *run) send(ctx context.Context) (time.Duration, error) {
	p, now := w.open(), w.Now()
	if _, ok := w.sendable(p); !ok {
		w.giveUp(p, tooLate)
		return 0, nil
	}
	if due := w.due(p); now.Before(due) {
		return due.Sub(now), nil
	}
	if ok, err := w.hasRequest(ctx, p); err != nil {
		return 0, err
	} else if !ok {
		w.giveUp(p, requestGone)
		return 0, nil
	}
	if err := w.announce(ctx, p, now); err != nil {
		return 0, err
	}
	p = w.open()
	left, ok := w.sendable(p)
	if !ok {
		w.giveUp(p, tooLate)
		return 0, nil
	}
	// The provider signs when it is called: what is not on the wire within the
	// life of that signature, or the window, is not put there.
	sendCtx, cancel := context.WithTimeout(ctx, min(left, w.Waits.SignatureLife))
	ids, err := w.Cloud.Create(sendCtx, w.exact(p))
	cancel()
	if err != nil {
		return w.refused(ctx, p, err)
	}
	return 0, w.arrived(ctx, p, ids)
}

// arrived records what a send came to, and resolves its piece: never before
// (rule 6). That is written with the next announcement, or at the end.
func (w *run) arrived(ctx context.Context, p *api.Piece, ids []string) error {
	if err := w.record(ctx, p, ids); err != nil {
		return err
	}
	c := w.a.Spec.Candidates[p.Candidate]
	metrics.InstancesCreated.WithLabelValues(w.a.Spec.Pool, c.VSwitch, c.InstanceType).Add(float64(len(ids)))
	w.resolve(p, ids, nil)
	w.Sweeper.Soon()
	return nil
}

// due is when the next send may begin. Where nothing was written about the last
// one it was this process that ended, not the cloud that is in trouble: it is
// sent again soon.
func (w *run) due(p *api.Piece) time.Time {
	switch {
	case p.NextSendTime != nil:
		return p.NextSendTime.Time
	case p.LastSendTime != nil:
		return p.LastSendTime.Add(min(w.Pause(int(p.Sends)), w.Waits.Retry/8))
	}
	return time.Time{}
}

// announce writes one more send down, under the resource version that was read
// (rule 5).
func (w *run) announce(ctx context.Context, p *api.Piece, now time.Time) error {
	at := metav1.NewMicroTime(now)
	if p.FirstSendTime == nil {
		p.FirstSendTime = &at
	}
	p.LastSendTime, p.NextSendTime = &at, nil
	p.Sends++
	p.Unanswered++
	w.begin()
	w.a.Status.Code, w.a.Status.Message = "", "" // what held it does so no longer
	return w.write(ctx)
}

// exact is the request of a piece: the bytes that were decided on, its token
// and its tags.
func (w *run) exact(p *api.Piece) cloud.Request {
	index := len(w.a.Status.Pieces) - 1
	return cloud.Request{
		Body: w.requests[w.a.Spec.Candidates[p.Candidate].Request], UserData: w.requests[userDataKey],
		Token: scaling.Token(string(w.a.UID), index), Amount: int(p.Amount), Tags: w.origin(index).SendTags(),
	}
}

// refused records what a send without success came to (rule 6).
func (w *run) refused(ctx context.Context, p *api.Piece, err error) (time.Duration, error) {
	f, outcome := faultOf(err), cloud.Classify(err)
	proves := outcome.ProvesNothingDone()
	if proves {
		p.Unanswered--
	}
	p.Answers = append(p.Answers, api.PieceAnswer{Send: p.Sends, Code: string(f.Code), ProvesNothing: proves})
	if n := len(p.Answers); n > maxAnswers {
		p.Answers = p.Answers[n-maxAnswers:]
	}
	switch {
	case outcome == cloud.Mismatch:
		metrics.TokenMismatches.WithLabelValues(w.a.Spec.Pool).Inc()
		w.giveUp(p, "the cloud knows its token with other parameters; this is a defect: please report it with poolkeeper activity get "+w.a.Name+" -o yaml")
		return 0, nil
	case outcome == cloud.Refused && p.Unanswered <= 0:
		w.resolve(p, nil, f)
		return 0, nil
	case outcome == cloud.Refused:
		w.giveUp(p, "it was refused after a send whose answer is not known: "+f.Message)
		return 0, nil
	}
	p.Code, p.Message, p.RequestID = string(f.Code), clip(f.Message, maxText), clip(f.RequestID, 64)
	pause := w.Pause(int(p.Sends))
	next := metav1.NewMicroTime(w.Now().Add(pause))
	p.NextSendTime = &next
	if err := w.write(ctx); err != nil {
		return 0, err
	}
	return pause, nil
}

// resolve marks a piece as answered for good.
func (w *run) resolve(p *api.Piece, ids []string, f *fault.Fault) {
	p.State, p.Instances, p.ResolvedTime, p.NextSendTime = api.PieceResolved, ids, stamp(w.Now()), nil
	p.Code, p.Message, p.RequestID, p.Permission = "", "", "", ""
	if f != nil {
		p.Code, p.Message, p.RequestID = string(f.Code), clip(f.Message, maxText), clip(f.RequestID, 64)
		p.Permission = clip(f.Details[fault.DetailPermission], 64)
	}
}

// giveUp ends the sending of a piece: it is uncertain, or resolved with none
// where every send was proven to have done nothing. The activity is then
// closed, and written, by its end.
func (w *run) giveUp(p *api.Piece, why string) {
	p.NextSendTime = nil
	if p.Unanswered <= 0 {
		p.State, p.ResolvedTime = api.PieceResolved, stamp(w.Now())
		if p.Message == "" {
			p.Message = clip(why, maxText)
		}
		return
	}
	p.State, p.Code, p.Message = api.PieceUncertain, "", clip(why, maxText)
}

// record makes an Instance of each ID; one that is there already is fine.
func (w *run) record(ctx context.Context, p *api.Piece, ids []string) error {
	index := w.indexOf(p)
	return w.Each(len(ids), func(n int) error {
		err := w.Cache.Get(ctx, types.NamespacedName{Name: ids[n]}, &api.Instance{})
		if !apierrors.IsNotFound(err) {
			return wrap("read instance", ids[n], err)
		}
		if err := w.Cache.Create(ctx, w.made(ids[n], p, index)); !apierrors.IsAlreadyExists(err) {
			return wrap("record instance", ids[n], err)
		}
		return nil
	})
}

func (w *run) indexOf(p *api.Piece) int32 {
	for i := range w.a.Status.Pieces {
		if &w.a.Status.Pieces[i] == p {
			return int32(i)
		}
	}
	return noPiece
}

// made is the record of one instance of a piece.
func (w *run) made(id string, p *api.Piece, index int32) *api.Instance {
	c := w.a.Spec.Candidates[p.Candidate]
	return &api.Instance{
		ObjectMeta: metav1.ObjectMeta{Name: id, Finalizers: []string{api.Finalizer}, Labels: w.labels(nil)},
		Spec: api.InstanceSpec{
			Pool: w.a.Spec.Pool, Group: w.a.Spec.Group, GroupUID: w.a.Spec.GroupUID,
			Activity: w.a.Name, ActivityUID: string(w.a.UID), Piece: index,
			CreationType: api.CreatedByUs,
			Placement: api.Placement{VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType,
				ChargeType: c.ChargeType, PricePerHour: c.PricePerHour, Currency: c.Currency},
			JoinDeadlineSeconds: w.a.Spec.JoinDeadlineSeconds,
		},
	}
}

// origin is what our tags say of what this activity makes.
func (w *run) origin(piece int) cloud.Origin {
	return cloud.Origin{ClusterID: w.ClusterID, Pool: w.a.Spec.Pool, GroupUID: w.a.Spec.GroupUID, ActivityUID: string(w.a.UID), Piece: piece}
}

// userDataKey is the key of the user data that all candidates share.
const userDataKey = "user-data"

// hasRequest reads the exact requests of the activity, once, and says whether
// they are the ones that were decided on and hold that of a piece.
func (w *run) hasRequest(ctx context.Context, p *api.Piece) (bool, error) {
	ref := w.a.Spec.Requests
	if ref == nil || int(p.Candidate) >= len(w.a.Spec.Candidates) {
		return false, nil
	}
	if w.requests == nil {
		s := &corev1.Secret{}
		err := w.Live.Get(ctx, types.NamespacedName{Namespace: api.SystemNamespace, Name: ref.Secret}, s)
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read requests of %s: %w", w.a.Name, err)
		}
		if scaling.RequestsHash(s.Data) != ref.Hash {
			return false, nil
		}
		w.requests = s.Data
	}
	return len(w.requests[w.a.Spec.Candidates[p.Candidate].Request]) > 0, nil
}
