package nodepool

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// verdict is what is known about the settings of a pool.
type verdict struct {
	state   metav1.ConditionStatus
	reason  string
	message string
	code    string
	// solution is what mends the first that is wrong.
	solution string
	// settings that were looked at, and when to look again.
	settings api.LaunchSettings
	again    time.Time
}

// judge says whether the pool's settings work. The cloud is asked once for
// each change and then by schedule; a restart alone asks nothing anew.
func (r *Reconciler) judge(ctx context.Context, p *passed) verdict {
	now := r.Now()
	var known *verdict
	r.memory.of(p.pool.Name, func(k *remembered) { known = k.checked })
	if known != nil && now.Before(known.again) && equality.Semantic.DeepEqual(known.settings, p.pool.Spec.LaunchSettings) {
		return *known
	}
	if p.mode.emptying || p.mode.frozen != "" {
		return verdict{state: metav1.ConditionUnknown, reason: reasonNotChecked, message: "the settings are not looked at while the pool goes", settings: p.pool.Spec.LaunchSettings, again: now}
	}
	var v verdict
	if known == nil && worksAlready(p) {
		v = verdict{state: metav1.ConditionTrue, again: now.Add(r.Waits.SettingsCheck)}
	} else {
		v = r.ask(ctx, p.pool)
	}
	v.settings = *p.pool.Spec.LaunchSettings.DeepCopy()
	r.memory.of(p.pool.Name, func(k *remembered) { k.checked = &v })
	return v
}

const (
	reasonNotChecked  = "NotChecked"
	reasonUnreachable = "CloudUnreachable"
)

// worksAlready is true where the group has these very settings and the status
// says that they were found valid.
func worksAlready(p *passed) bool {
	return p.group != nil && meta.IsStatusConditionTrue(p.pool.Status.Conditions, api.ConditionValid) &&
		equality.Semantic.DeepEqual(p.group.Spec.LaunchSettings, p.pool.Spec.LaunchSettings)
}

// ask asks the cloud.
func (r *Reconciler) ask(ctx context.Context, pool *api.NodePool) verdict {
	now := r.Now()
	wrong, err := r.Check.Check(ctx, pool.Name, &pool.Spec.LaunchSettings)
	switch {
	case err != nil:
		return verdict{
			state: metav1.ConditionUnknown, reason: reasonUnreachable, again: now.Add(r.Waits.SettingsRetry),
			message: cut("the cloud could not be asked about the settings; asked again soon: "+err.Error(), 1024),
		}
	case len(wrong) > 0:
		return verdict{
			state: metav1.ConditionFalse, reason: ReasonWrongSettings, again: now.Add(r.Waits.SettingsRetry),
			message: cut(sentences(wrong), 1024), code: string(wrong[0].Code), solution: mend(wrong[0], pool),
		}
	}
	return verdict{state: metav1.ConditionTrue, again: now.Add(r.Waits.SettingsCheck)}
}

// mend is what to do where the cloud has not what the spec names. An image is
// not chosen for anyone: which others start the pool's types is not known here.
func mend(w Wrong, pool *api.NodePool) string {
	if w.Code == "" {
		return "name in the spec what the cloud has: poolkeeper pool edit " + pool.Name
	}
	d := fault.Details{fault.DetailPool: pool.Name, fault.DetailVSwitch: w.Value}
	for _, one := range w.Exists {
		if w.Code != fault.ImageNotFound && !slices.Contains(pool.Spec.VSwitches, one) && !slices.Contains(pool.Spec.SecurityGroups, one) {
			d[fault.DetailOther] = one
			break
		}
	}
	return fault.Lookup(w.Code).Advice(d)
}

// ReasonWrongSettings stands in the condition Valid where the cloud has not
// what the spec names.
const ReasonWrongSettings = "WrongSettings"

// sentences tells field, value and what exists instead.
func sentences(wrong []Wrong) string {
	parts := make([]string, 0, len(wrong))
	for _, w := range wrong {
		s := fmt.Sprintf("spec.%s: %q", w.Field, w.Value)
		if w.Code != "" {
			s += " (" + string(w.Code) + ")"
		}
		if n := len(w.Exists); n > 10 {
			s += fmt.Sprintf("; there is %s and %d more", strings.Join(w.Exists[:10], ", "), n-10)
		} else if n > 0 {
			s += "; there is " + strings.Join(w.Exists, ", ")
		} else {
			s += " cannot be used"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ". ")
}

// cut shortens a text to n bytes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("...")
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n] + "..."
}
