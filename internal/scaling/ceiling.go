package scaling

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Ceiling is what a person allows at most, for one pool or for the whole
// installation, and what of it is used. It bounds what is created, and nothing
// else: nothing is released for it.
type Ceiling struct {
	// Whole is true where it holds for all pools together.
	Whole bool
	// Nodes that may be counted or coming. Unit: instances; 0: no ceiling.
	Nodes int
	// Creations that may begin within any hour. Unit: instances; 0: no ceiling.
	Creations int
	// Spend is what all instances may cost together per hour. Unit: millionths
	// of the currency; 0: no ceiling.
	Spend int64
	Used  Used
}

// Used is what instances and activities use of a ceiling.
type Used struct {
	// Nodes are counted or may be coming.
	Nodes int
	// Created is what creations began within the last hour, in any order.
	Created []Creation
	// PerHour is what everything that exists or may be coming costs. Unit:
	// millionths of the currency per hour.
	PerHour int64
	// Unpriced are those of them that have no known price, and Dearest the
	// highest price known: each of them is reckoned at it.
	Unpriced int
	Dearest  int64
}

// Creation is how many creations began at a time.
type Creation struct {
	At time.Time
	N  int
}

// CeilingCheck is what one ceiling says of what a decision wants to create.
type CeilingCheck struct {
	// Code that stands for it in the catalogue.
	Code fault.Code
	// Ceiling in words: "60.00/h".
	Ceiling string
	// Of is how many were to be created, Stops how many of them it stops.
	Of, Stops int
}

// Spend is what is used up of a ceiling on spend: what has no known price is
// reckoned at the dearest one.
func (u Used) Spend() int64 { return u.PerHour + int64(u.Unpriced)*u.Dearest }

// Add adds what others use of the same ceiling.
func (u *Used) Add(o Used) {
	u.Nodes += o.Nodes
	u.Created = append(u.Created, o.Created...)
	u.PerHour += o.PerHour
	u.Unpriced += o.Unpriced
	u.Dearest = max(u.Dearest, o.Dearest)
}

// Cost adds n instances at one price; 0 is not known.
func (u *Used) Cost(price int64, n int) {
	u.Dearest = max(u.Dearest, price)
	if price <= 0 {
		u.Unpriced += n
		return
	}
	u.PerHour += price * int64(n)
}

// recent is how many creations began within the last hour, and when so many of
// them are older that n more may begin; zero where they may now, or never all at
// once.
func (c Ceiling) recent(now time.Time, n int) (count int, until time.Time) {
	list := slices.DeleteFunc(slices.Clone(c.Used.Created), func(x Creation) bool { return now.Sub(x.At) >= time.Hour })
	slices.SortFunc(list, func(a, b Creation) int { return a.At.Compare(b.At) })
	for _, x := range list {
		count += x.N
	}
	left := count
	for _, x := range list {
		if left+n <= c.Creations {
			break
		}
		left -= x.N
		until = x.At.Add(time.Hour)
	}
	return count, until
}

// within bounds what is created by every ceiling: how many of n, and the
// resource pools of which each may be any of those. Where not even one may be,
// it says why.
func (p *plan) within(n int, usable []ResourcePool) (int, []ResourcePool) {
	for _, c := range p.s.Ceilings {
		for _, f := range []func(*plan, Ceiling, int, []ResourcePool) (int, []ResourcePool, Reason){(*plan).nodes, (*plan).creations, (*plan).spend} {
			if n == 0 || len(usable) == 0 {
				return 0, usable
			}
			may, rest, why := f(p, c, n, usable)
			if why.Code == "" {
				continue
			}
			if c.Whole {
				why.Ceiling += " of the installation"
			}
			p.d.Checks = append(p.d.Checks, CeilingCheck{Code: why.Code, Ceiling: why.Ceiling, Of: n, Stops: n - may})
			if may < n {
				p.block(why)
				if sooner(why.Until, p.d.Wake) {
					p.d.Wake = why.Until
				}
			}
			n, usable = may, rest
		}
	}
	return n, usable
}

// whose is the beginning of each sentence about a ceiling.
func (c Ceiling) whose() string {
	if c.Whole {
		return "the installation's ceiling of "
	}
	return "the pool's ceiling of "
}

// raise is the smallest edit that lets everything be created that is missing.
func (c Ceiling) raise(what, to string) string {
	if c.Whole {
		return "to let all of it be created, start the controller with --ceiling-" + what + " " + to
	}
	return "to let all of it be created: poolkeeper pool edit POOL --max-" + what + " " + to
}

func (p *plan) nodes(c Ceiling, n int, usable []ResourcePool) (int, []ResourcePool, Reason) {
	if c.Nodes == 0 {
		return n, usable, Reason{}
	}
	r := Reason{Code: fault.CeilingNodes, Ceiling: some(c.Nodes, "node"), Edit: c.raise("nodes", fmt.Sprint(c.Used.Nodes+n))}
	r.Text = fmt.Sprintf("%s%s: %d are there or on their way", c.whose(), r.Ceiling, c.Used.Nodes)
	return min(n, max(c.Nodes-c.Used.Nodes, 0)), usable, r
}

func (p *plan) creations(c Ceiling, n int, usable []ResourcePool) (int, []ResourcePool, Reason) {
	if c.Creations == 0 {
		return n, usable, Reason{}
	}
	count, _ := c.recent(p.s.Now, n)
	may := min(n, max(c.Creations-count, 0))
	_, until := c.recent(p.s.Now, may+1)
	r := Reason{Code: fault.CeilingCreations, Ceiling: some(c.Creations, "creation") + " per hour", Until: until,
		Edit: "wait, or " + c.raise("creations-per-hour", fmt.Sprint(count+n))}
	r.Text = fmt.Sprintf("%s%s: %d began in the last hour", c.whose(), r.Ceiling, count)
	return may, usable, r
}

// spend leaves out the resource pools whose price is not known or of which not
// even one can be paid, asks for as many as can be paid of the one that comes
// first, and leaves out those that are too dear for so many: whichever of the
// rest gives, the ceiling holds. Where zones are balanced the dearest counts, so
// that no zone is left out for a small difference.
func (p *plan) spend(c Ceiling, n int, usable []ResourcePool) (int, []ResourcePool, Reason) {
	if c.Spend == 0 {
		return n, usable, Reason{}
	}
	left := c.Spend - c.Used.Spend()
	asked := candidates(p, usable, n)
	priced := slices.DeleteFunc(slices.Clone(usable), func(x ResourcePool) bool {
		return x.Price <= 0 || !slices.ContainsFunc(asked, func(c Candidate) bool { return c.place() == x.place() })
	})
	if len(asked) == 0 {
		return n, usable, Reason{}
	}
	if len(priced) == 0 {
		return 0, nil, Reason{Code: fault.CeilingPriceUnknown, Ceiling: perHour(c.Spend), Text: fmt.Sprintf(
			"%s%s: no price is known of what would be created", c.whose(), perHour(c.Spend))}
	}
	cheapest := slices.MinFunc(priced, func(a, b ResourcePool) int { return int(min(max(a.Price-b.Price, -1), 1)) }).Price
	r := Reason{Code: fault.CeilingSpend, Ceiling: perHour(c.Spend), Edit: c.raise("spend-per-hour", money(c.Used.Spend()+p.basis(priced, n)*int64(n)))}
	r.Text = fmt.Sprintf("%s%s: what there is costs %s, and one more %s or more%s",
		c.whose(), r.Ceiling, perHour(c.Used.Spend()), perHour(cheapest), c.Used.reckoned())
	one := slices.DeleteFunc(priced, func(x ResourcePool) bool { return x.Price > left })
	if len(one) == 0 {
		return 0, nil, r
	}
	may := n
	if price := p.basis(one, n); price > 0 {
		may = int(min(int64(n), left/price))
	}
	rest := slices.DeleteFunc(one, func(x ResourcePool) bool { return x.Price > left/int64(may) })
	if len(candidates(p, rest, may)) == 0 { // on demand and spot are asked by how many are created
		return 0, nil, r
	}
	return may, rest, r
}

// basis is the price that n instances of these resource pools are reckoned at:
// that of the one that is asked first, or the dearest where zones are balanced.
func (p *plan) basis(pools []ResourcePool, n int) int64 {
	list := candidates(p, pools, n)
	if len(list) == 0 {
		return 0
	}
	price := list[0].Price
	if p.s.Settings.Policy == DistributionBalancing {
		for _, c := range list {
			price = max(price, c.Price)
		}
	}
	return price
}

// reckoned says how those without a known price are reckoned.
func (u Used) reckoned() string {
	if u.Unpriced == 0 {
		return ""
	}
	return fmt.Sprintf("; %d without a known price are reckoned at %s each", u.Unpriced, perHour(u.Dearest))
}

func perHour(micros int64) string { return money(micros) + "/h" }

// money writes millionths with at least two decimals.
func money(micros int64) string {
	s := fmt.Sprintf("%d.%06d", micros/1e6, micros%1e6)
	return s[:len(s)-4] + strings.TrimRight(s[len(s)-4:], "0")
}
