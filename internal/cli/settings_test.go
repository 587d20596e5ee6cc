package cli

import (
	"testing"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// Another way of billing leaves nothing behind that the API server refuses
// beside it.
func TestBillingLeavesNothingOfAnotherWayBehind(t *testing.T) {
	for _, to := range []v1alpha1.ChargeType{v1alpha1.ChargePayAsYouGo, v1alpha1.ChargeSubscription, v1alpha1.ChargeSpot} {
		b := v1alpha1.Billing{Spot: &v1alpha1.Spot{}, Subscription: &v1alpha1.Subscription{Period: 1}}
		bill(&b, to)
		if b.ChargeType != to || (b.Spot != nil) != (to == v1alpha1.ChargeSpot) || (b.Subscription != nil) != (to == v1alpha1.ChargeSubscription) {
			t.Errorf("to %s: %+v", to, b)
		}
	}
}
