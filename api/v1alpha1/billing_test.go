package v1alpha1

import "testing"

// Another way of billing leaves nothing behind that the API server refuses
// beside it.
func TestBillingLeavesNothingOfAnotherWayBehind(t *testing.T) {
	for _, to := range []ChargeType{ChargePayAsYouGo, ChargeSubscription, ChargeSpot} {
		b := Billing{Spot: &Spot{}, Subscription: &Subscription{Period: 1}}
		b.Turn(to)
		if b.ChargeType != to || (b.Spot != nil) != (to == ChargeSpot) || (b.Subscription != nil) != (to == ChargeSubscription) {
			t.Errorf("to %s: %+v", to, b)
		}
	}
}
