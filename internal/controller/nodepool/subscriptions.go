package nodepool

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// ending is one subscription that ends soon.
type ending struct {
	instance string
	at       time.Time
}

// ending are the subscriptions that end within the time of the warning, the
// first to end first.
func (t *tally) ending(now time.Time, warning time.Duration) []ending {
	var out []ending
	for name, at := range t.subscriptions {
		if at.Sub(now) <= warning {
			out = append(out, ending{name, at})
		}
	}
	slices.SortFunc(out, func(a, b ending) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return strings.Compare(a.instance, b.instance)
	})
	return out
}

// text says what happens to one, and names both ways out.
func (e ending) text() string {
	return fmt.Sprintf("the subscription of %s ends at %s; then the cloud stops and releases it, and it is replaced. To keep it: poolkeeper instance renew %s --period 1; to have one node less: poolkeeper node remove %s",
		e.instance, e.at.UTC().Format("2006-01-02 15:04 UTC"), e.instance, e.instance)
}

// subscriptionsEnding writes the condition; a renewal takes it off.
func subscriptionsEnding(pool *api.NodePool, soon []ending, now time.Time) {
	if len(soon) == 0 {
		meta.RemoveStatusCondition(&pool.Status.Conditions, api.ConditionSubscriptionsEnding)
		return
	}
	text := soon[0].text()
	if len(soon) > 1 {
		var rest []string
		for _, e := range soon[1:] {
			rest = append(rest, e.instance)
		}
		text += "; after it: " + some(rest)
	}
	meta.SetStatusCondition(&pool.Status.Conditions, metav1.Condition{Type: api.ConditionSubscriptionsEnding, Status: metav1.ConditionTrue,
		Reason: api.ReasonRenewOrRemove, Message: cut(text, 1024), ObservedGeneration: pool.Generation,
		LastTransitionTime: metav1.NewTime(now.Truncate(time.Second))})
}

// warnSubscriptions tells people once of each subscription that ends soon: of
// those that the condition, which a restart does not forget, did not name.
func (r *Reconciler) warnSubscriptions(p *passed, soon []ending) {
	said := ""
	if c := meta.FindStatusCondition(p.pool.Status.Conditions, api.ConditionSubscriptionsEnding); c != nil {
		said = c.Message
	}
	const most = 5 // the condition names as many
	for _, e := range soon[:min(len(soon), most)] {
		if !strings.Contains(said, e.instance) {
			r.Events.Event(p.pool, corev1.EventTypeWarning, "SubscriptionEnding", e.text())
		}
	}
}
