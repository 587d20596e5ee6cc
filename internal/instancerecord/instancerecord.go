// Package instancerecord tells of the record of an instance what takes more than
// one of its fields. In comes an Instance, out come answers; it reads no clock and
// writes nothing.
package instancerecord

import (
	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
)

// NeverRan says of a status whether the creation failed after all: the instance
// vanished before it ran, and its record ends when that is remembered. One that
// was shown running after that is a machine that failed to join.
func NeverRan(s *api.InstanceStatus) bool {
	return s.FailedTime != nil && s.RunningTime == nil && s.JoinedTime == nil && s.Code == string(fault.NoStock)
}

// Billing is the terms on record of an instance since it was created.
func Billing(i *api.Instance) lifecycle.Billing {
	p := &i.Spec.Placement
	b := lifecycle.Billing{Created: lifecycle.Terms{Since: i.CreationTimestamp.Time, ChargeType: string(p.ChargeType), Price: p.PricePerHour, Currency: p.Currency}}
	for _, t := range i.Status.Terms {
		b.Later = append(b.Later, lifecycle.Terms{Since: t.SinceTime.Time, ChargeType: string(t.ChargeType), Price: t.PricePerHour, Currency: t.Currency, Before: t.SpentBefore})
	}
	return b
}
