package lifecycle

import (
	"fmt"
	"math/big"
	"time"
)

// Terms are how an instance is billed from a time on, until the next terms.
type Terms struct {
	Since time.Time
	// ChargeType as the record says it.
	ChargeType string
	// Price per hour, a decimal number; empty while it is not known.
	Price, Currency string
	// Before is what the instance cost until Since, a decimal number, where
	// earlier terms were added up; empty where they are on record.
	Before string
}

// Billing is how one instance was billed since it was created.
type Billing struct {
	Created Terms
	// Later terms, the newest last: at most MostTerms.
	Later []Terms
}

// MostTerms is how many later terms are kept apart.
const MostTerms = 8

// Today are the newest terms.
func (b Billing) Today() Terms {
	if n := len(b.Later); n > 0 {
		return b.Later[n-1]
	}
	return b.Created
}

// Convert returns the later terms once new ones begin, the oldest added up where
// there would be too many. They begin no earlier than those before.
func (b Billing) Convert(next Terms) []Terms {
	if last := b.Today().Since; next.Since.Before(last) {
		next.Since = last
	}
	later := append(append([]Terms{}, b.Later...), next)
	for len(later) > MostTerms {
		end := later[1].Since
		sum := new(big.Rat)
		for _, s := range b.over(b.Created.Since, end) {
			if s.Cost != nil {
				sum.Add(sum, s.Cost)
			}
		}
		later = later[1:]
		later[0].Before = sum.FloatString(6)
	}
	return later
}

// Stretch is a time that an instance was billed in one way.
type Stretch struct {
	Terms
	Hours *big.Rat
	// Cost of those hours; nil where the price is not known.
	Cost *big.Rat
}

// Over are the stretches of a span of time, to the whole second, the last under
// the terms at its end; a zero since is the creation. None where the instance
// was not there yet. The error is an *UnknownTermsError.
func (b Billing) Over(since, until time.Time) ([]Stretch, error) {
	if since.Before(b.Created.Since) {
		since = b.Created.Since
	}
	if len(b.Later) > 0 && b.Later[0].Before != "" {
		known := b.Later[0].Since
		if within := since.After(b.Created.Since) && since.Before(known); within || !until.Before(b.Created.Since) && until.Before(known) {
			return nil, &UnknownTermsError{Known: known}
		}
	}
	return b.over(since, until), nil
}

func (b Billing) over(since, until time.Time) []Stretch {
	var out []Stretch
	all := append([]Terms{b.Created}, b.Later...)
	for n, t := range all {
		end, last := until, n+1 == len(all)
		if !last && all[n+1].Since.Before(until) {
			end = all[n+1].Since
		}
		from := t.Since
		if from.Before(since) {
			from = since
		}
		holds := !t.Since.After(until) && (last || all[n+1].Since.After(until))
		if !holds && !from.Before(end) {
			continue
		}
		s := Stretch{Terms: t, Hours: big.NewRat(int64(max(end.Sub(from), 0)/time.Second), 3600)}
		if n == 0 && !last && all[1].Before != "" {
			s.Cost, _ = new(big.Rat).SetString(all[1].Before)
			s.Price = ""
		} else if price, ok := new(big.Rat).SetString(t.Price); ok {
			s.Cost = price.Mul(price, s.Hours)
		}
		out = append(out, s)
	}
	return out
}

// Cost is what an instance cost from its creation to a time; ok is false where
// a price is not known.
func (b Billing) Cost(at time.Time) (cost *big.Rat, ok bool) {
	list, err := b.Over(time.Time{}, at)
	if err != nil {
		return nil, false
	}
	cost = new(big.Rat)
	for _, s := range list {
		if s.Cost == nil {
			return nil, false
		}
		cost.Add(cost, s.Cost)
	}
	return cost, true
}

// UnknownTermsError says that a bill would begin or end where terms were added
// up with others.
type UnknownTermsError struct {
	// Known is from when on they are known one by one.
	Known time.Time
}

func (e *UnknownTermsError) Error() string {
	return fmt.Sprintf("before %s only the sum of what was billed is known", e.Known.UTC().Format(time.RFC3339))
}
