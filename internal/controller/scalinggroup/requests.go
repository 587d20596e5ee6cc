package scalinggroup

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

// The most that the requests of one activity may be (rule 2).
const (
	maxCandidates = 2000
	maxBytes      = 900 << 10
)

// requests writes the exact requests into an immutable Secret of a generated
// name, before the activity that names it. Where nothing is created there are
// none.
func (r *Reconciler) requests(ctx context.Context, g *group, a *api.ScalingActivity, d scaling.Decision) error {
	if d.Create == 0 {
		return nil
	}
	if n := len(d.Candidates); n > maxCandidates {
		return fault.New(fault.RequestInvalid, fmt.Sprintf("%d candidates, more than %d: name fewer vSwitches or instance types", n, maxCandidates))
	}
	data, keys, expiry, err := r.Encoder.Encode(ctx, g.g, d.Candidates)
	if err != nil {
		return fmt.Errorf("encode requests of %s: %w", g.g.Name, err)
	}
	size := 0
	for k, v := range data {
		size += len(k) + len(v)
	}
	if size > maxBytes {
		return fault.New(fault.RequestInvalid, fmt.Sprintf(
			"the requests for %d candidates are %d KiB, more than %d: name fewer vSwitches or instance types, or less user data", len(d.Candidates), size>>10, maxBytes>>10))
	}
	yes := true
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: api.SystemNamespace, GenerateName: a.Name + "-",
			Labels:      map[string]string{api.LabelGroup: g.g.Name, api.LabelActivity: a.Name},
			Annotations: map[string]string{api.AnnotationWrittenTime: g.now.UTC().Format(time.RFC3339Nano)}},
		Immutable: &yes, Data: data,
	}
	if err := r.Cache.Create(ctx, s); err != nil {
		return fmt.Errorf("write requests of %s: %w", a.Name, err)
	}
	a.Spec.Requests = &api.RequestsRef{Secret: s.Name, Hash: scaling.RequestsHash(data)}
	a.Spec.CredentialExpiryTime = nowTime(expiry)
	for n, c := range d.Candidates {
		a.Spec.Candidates = append(a.Spec.Candidates, api.Candidate{
			VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType, ChargeType: api.ChargeType(c.ChargeType),
			PricePerHour: scaling.Decimal(c.Price), Currency: currency(g.g), Share: int32(c.Share), ShareWith: c.ShareWith,
			Disk: c.Disk, Request: keys[n],
		})
	}
	return nil
}

func currency(g *api.ScalingGroup) string {
	for _, p := range g.Status.ResourcePools {
		if p.Currency != "" {
			return p.Currency
		}
	}
	return ""
}

// cannotWrite tells people why requests cannot be written down, and when that
// is tried again. What has no code is no state of the group: it is an error.
func (r *Reconciler) cannotWrite(ctx context.Context, g *group, d scaling.Decision, err error) (ctrl.Result, error) {
	f := fault.Of(err)
	if f == nil {
		return ctrl.Result{}, err
	}
	tries := 1
	if old := g.kept.stuck; old != nil && old.reason.Code == f.Code {
		tries = old.reason.Count + 1
	}
	pause, ok := r.Waits.Faults().Wait(f.Entry().Retry, tries, g.now, jitter(g.g.Name))
	if !ok {
		pause = r.Waits.Held
	}
	text := f.Entry().Cause
	if f.Message != "" {
		text += ": " + f.Message
	}
	g.stop(scaling.Reason{Code: f.Code, Text: clip(text, 900), Edit: f.Entry().Advice(f.Details)}, pause, false)
	logf.FromContext(ctx).Info("could not write requests down", "group", g.g.Name, "fault", string(f.Code), "message", f.Message)
	return r.report(ctx, g, g.pause(d))
}
