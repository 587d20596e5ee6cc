package scaling

import "time"

// Bill is what instances cost per hour. Unit: millionths of the currency.
type Bill struct {
	// PerHour of all, and Prepaid the part of it that was paid in advance.
	PerHour, Prepaid int64
	// Unpriced is how many have no known price.
	Unpriced int
}

// HourlyPrice is what instances cost per hour as long as they exist: those
// decided to be released cost until they are, those taken out cost on.
func HourlyPrice(list []Instance) Bill {
	var b Bill
	for _, i := range list {
		b.add(i.Price, 1, i.ChargeType == Subscription)
	}
	return b
}

func (b *Bill) add(price int64, n int, prepaid bool) {
	if price <= 0 {
		b.Unpriced += n
		return
	}
	b.PerHour += price * int64(n)
	if prepaid {
		b.Prepaid += price * int64(n)
	}
}

// PriceAfter is what the group costs per hour when a decision was carried out
// and each candidate gave what it is asked for: what is taken out of the group
// is no longer its cost.
func PriceAfter(s Snapshot, d Decision) Bill {
	leaves := map[string]bool{}
	for _, list := range [][]Chosen{d.Release, d.TakeOut} {
		for _, c := range list {
			leaves[c.Name] = true
		}
	}
	for _, name := range d.CallBack {
		leaves[name] = false
	}
	var b Bill
	for _, i := range s.Instances {
		called, decided := leaves[i.Name]
		if called || i.Removed || (!decided && !i.Marked.IsZero()) {
			continue
		}
		b.add(i.Price, 1, i.ChargeType == Subscription)
	}
	for n, amount := range Allocation(d, s.Settings.StrictBalance) {
		c := d.Candidates[n]
		b.add(c.Price, amount, c.ChargeType == Subscription)
	}
	return b
}

// Allocation is how many each candidate of a decision is asked for if all give
// what they are asked for.
func Allocation(d Decision, strict bool) []int {
	out := make([]int, len(d.Candidates))
	a := Activity{Create: d.Create, Candidates: d.Candidates, StrictBalance: strict}
	for {
		p, ok := NextPiece(a, d.Create)
		if !ok {
			return out
		}
		p.Created = p.Amount
		out[p.Candidate] += p.Amount
		a.Pieces = append(a.Pieces, p)
	}
}

// Billed is one instance's time at one price per hour.
type Billed struct {
	// Price per hour. Unit: millionths of the currency.
	Price int64
	// From its creation To its release; To is zero while it exists.
	From, To time.Time
}

// Accrued is what instances cost from creation to a time, by the second. Unit:
// millionths of the currency, rounded down for each.
func Accrued(list []Billed, at time.Time) int64 {
	var sum int64
	for _, b := range list {
		end := at
		if !b.To.IsZero() && b.To.Before(at) {
			end = b.To
		}
		if seconds := int64(end.Sub(b.From) / time.Second); seconds > 0 {
			// hours and rest apart, so that years at high prices do not overflow
			sum += b.Price*(seconds/3600) + b.Price*(seconds%3600)/3600
		}
	}
	return sum
}
