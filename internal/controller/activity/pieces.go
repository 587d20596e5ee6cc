package activity

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

// pieces sends the open piece, announces the next one, and so on until the
// activity ends or has to wait.
func (w *run) pieces(ctx context.Context) (time.Duration, error) {
	for {
		open := w.open()
		if open == nil {
			next, ok, err := w.next(ctx)
			if err != nil {
				return 0, err
			}
			if !ok {
				return 0, w.finish(ctx, "")
			}
			w.a.Status.Pieces = append(w.a.Status.Pieces, next)
			open = &w.a.Status.Pieces[len(w.a.Status.Pieces)-1]
		}
		again, err := w.send(ctx, open)
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
// machine has joined (rule 7).
func (w *run) next(ctx context.Context) (api.Piece, bool, error) {
	if w.a.Spec.Create == 0 || w.uncertain() > 0 {
		return api.Piece{}, false, nil
	}
	wanted, err := w.wanted(ctx)
	if err != nil {
		return api.Piece{}, false, err
	}
	p, ok := scaling.NextPiece(asScaling(w.a), wanted)
	if !ok {
		return api.Piece{}, false, nil
	}
	life := w.Waits.SendWindow + time.Duration(w.a.Spec.JoinDeadlineSeconds)*time.Second
	if e := w.a.Spec.CredentialExpiryTime; e != nil && w.Now().Add(life).After(e.Time) {
		w.a.Status.Message = "the join credential in its requests would have died before the machines joined; the group decides again"
		return api.Piece{}, false, nil
	}
	return api.Piece{Candidate: int32(p.Candidate), Amount: int32(p.Amount), State: api.PieceAnnounced}, true, nil
}

// wanted is how many instances the group lacks now, by its live number and by
// the most that may be there: the records, or what stood at the decision and
// what this activity made since.
func (w *run) wanted(ctx context.Context) (int, error) {
	g := w.group
	if err := w.Live.Get(ctx, types.NamespacedName{Name: w.a.Spec.Group}, g); err != nil {
		return 0, fmt.Errorf("read group of %s: %w", w.a.Name, err)
	}
	if g.Spec.Frozen != "" || g.Spec.Emptying || g.DeletionTimestamp != nil {
		return 0, nil
	}
	made := int(created(w.a))
	there := int(w.a.Spec.Before) + made
	var list api.InstanceList
	if err := w.Cache.List(ctx, &list, client.MatchingLabels{api.LabelGroup: g.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return 0, fmt.Errorf("list instances of %s: %w", g.Name, err)
	}
	counted := 0
	for i := range list.Items {
		if Counted(&list.Items[i]) {
			counted++
		}
	}
	there = max(there, counted)
	return min(int(g.Spec.DesiredCapacity)+int(w.a.Spec.Surge)-there, int(w.a.Spec.Create)-made), nil
}

// Counted says whether an instance counts against the desired capacity: it is
// recorded, of known origin, not taken out, and nobody decided to release it
// (rule 3; the entries of transfers are the planner's).
func Counted(i *api.Instance) bool {
	return i.Spec.Release == nil && i.Spec.CreationType != api.CreatedUnknown && i.Status.LifecycleState != api.InstanceRemoved
}

// send announces one more send of a piece, sends it, and records the answer.
func (w *run) send(ctx context.Context, p *api.Piece) (time.Duration, error) {
	now := w.Now()
	if p.FirstSendTime != nil && now.Sub(p.FirstSendTime.Time) >= w.Waits.SendWindow {
		return 0, w.giveUp(ctx, p, "the send window has passed")
	}
	if p.LastSendTime != nil {
		if due := p.LastSendTime.Add(w.Pause(int(p.Sends))); now.Before(due) {
			return due.Sub(now), nil
		}
	}
	request, err := w.request(ctx, p)
	if apierrors.IsNotFound(err) {
		return 0, w.giveUp(ctx, p, "its request is gone")
	}
	if err != nil {
		return 0, err
	}
	stamp := metav1.NewMicroTime(now)
	if p.FirstSendTime == nil {
		p.FirstSendTime = &stamp
	}
	p.LastSendTime = &stamp
	p.Sends++
	index := len(w.a.Status.Pieces) - 1
	if w.a.Status.State == "" {
		w.a.Status.State = api.ActivityInProgress
		w.a.Status.StartTime = &metav1.Time{Time: now}
	}
	if err := w.write(ctx); err != nil {
		return 0, err
	}
	p = &w.a.Status.Pieces[index]
	request.Token = scaling.Token(string(w.a.UID), index)
	request.Amount = int(p.Amount)
	request.Tags = w.origin(index).SendTags()
	deadline := p.FirstSendTime.Add(w.Waits.SendWindow)
	sendCtx, cancel := context.WithDeadline(ctx, deadline)
	ids, err := w.Cloud.Create(sendCtx, request)
	cancel()
	return w.answer(ctx, p, ids, err)
}

// answer records what a send came to (rule 6).
func (w *run) answer(ctx context.Context, p *api.Piece, ids []string, err error) (time.Duration, error) {
	if err == nil {
		if err := w.record(ctx, p, ids); err != nil {
			return 0, err
		}
		w.resolve(p, ids, cloud.Shortfall(cloud.Request{Amount: int(p.Amount)}, ids))
		w.Sweeper.Soon()
		return 0, nil // written with the next announcement, or at the end
	}
	f := fault.Of(err)
	if f == nil {
		f = fault.New(fault.CloudNoAnswer, err.Error())
	}
	outcome := cloud.Classify(err)
	proves := outcome.ProvesNothingDone()
	p.Answers = append(p.Answers, api.PieceAnswer{Send: p.Sends, Code: string(f.Code), ProvesNothing: proves})
	if n := len(p.Answers); n > 20 {
		p.Answers = p.Answers[n-20:]
	}
	switch outcome {
	case cloud.Refused:
		if unanswered(p, p.Sends-1) == 0 {
			w.resolve(p, nil, f)
			return 0, nil
		}
		return 0, w.giveUp(ctx, p, "it was refused after a send whose answer is not known: "+f.Message)
	case cloud.Mismatch:
		return 0, w.giveUp(ctx, p, "the cloud knows its token with other parameters; this is a defect, please report it with the support bundle")
	}
	if err := w.write(ctx); err != nil {
		return 0, err
	}
	return w.Pause(int(p.Sends)), nil
}

// unanswered is how many of the first sends of a piece have no recorded answer
// that proves that nothing was done.
func unanswered(p *api.Piece, sends int32) int32 {
	for _, a := range p.Answers {
		if a.ProvesNothing && a.Send <= sends {
			sends--
		}
	}
	return sends
}

// resolve marks a piece as answered for good.
func (w *run) resolve(p *api.Piece, ids []string, f *fault.Fault) {
	p.State = api.PieceResolved
	p.Instances = ids
	p.ResolvedTime = &metav1.Time{Time: w.Now()}
	if f != nil {
		p.Code, p.Message, p.RequestID = string(f.Code), clip(f.Message, 1000), f.RequestID
	}
}

// giveUp leaves a piece uncertain, or resolved with none where it was never
// sent.
func (w *run) giveUp(ctx context.Context, p *api.Piece, why string) error {
	p.State = api.PieceUncertain
	if p.Sends == 0 {
		p.State = api.PieceResolved
	}
	p.Message = clip(why, 1000)
	return w.write(ctx)
}

// record makes an Instance of each ID; one that is there already is fine.
func (w *run) record(ctx context.Context, p *api.Piece, ids []string) error {
	return w.Each(len(ids), func(i int) error {
		o := w.instance(ids[i], p)
		if err := w.Cache.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("record instance %s: %w", ids[i], err)
		}
		return nil
	})
}

// instance is the record of one instance of a piece.
func (w *run) instance(id string, p *api.Piece) *api.Instance {
	c := w.a.Spec.Candidates[p.Candidate]
	index := int32(0)
	for i := range w.a.Status.Pieces {
		if &w.a.Status.Pieces[i] == p {
			index = int32(i)
		}
	}
	return &api.Instance{
		ObjectMeta: metav1.ObjectMeta{
			Name:       id,
			Finalizers: []string{api.Finalizer},
			Labels:     map[string]string{api.LabelPool: w.a.Spec.Pool, api.LabelGroup: w.a.Spec.Group, api.LabelActivity: w.a.Name},
		},
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

// request reads the exact request of a piece, and checks that the Secret is
// the one that was decided on.
func (w *run) request(ctx context.Context, p *api.Piece) (cloud.Request, error) {
	s := &corev1.Secret{}
	ref := w.a.Spec.Requests
	if err := w.Live.Get(ctx, types.NamespacedName{Namespace: api.SystemNamespace, Name: ref.Secret}, s); err != nil {
		return cloud.Request{}, fmt.Errorf("read requests of %s: %w", w.a.Name, err)
	}
	if scaling.RequestsHash(s.Data) != ref.Hash {
		return cloud.Request{}, apierrors.NewNotFound(corev1.Resource("secrets"), ref.Secret)
	}
	return cloud.Request{Body: s.Data[w.a.Spec.Candidates[p.Candidate].Request], UserData: s.Data[userDataKey]}, nil
}
