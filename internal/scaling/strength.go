package scaling

import (
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// The words for the elastic strength of a group.
const (
	Strong = "Strong"
	Medium = "Medium"
	Weak   = "Weak"
)

// Elastic is the outlook of a group, resource pool by resource pool.
type Elastic struct {
	// Word is Strong, Medium or Weak.
	Word string
	// Sum of the scores of the pools that may be asked.
	Sum   int
	Pools []PoolScore
}

// PoolScore is the outlook of one resource pool.
type PoolScore struct {
	Pool ResourcePool
	// Score is 3 with stock, 1 where stock is low or not known, 0 where it
	// gives nothing or does not fit.
	Score int
	// Code is what stands in the way, Until how long; empty where nothing does.
	Code  fault.Code
	Until time.Time
}

// Strength is the word for the outlook of a group: Weak where no resource pool
// gives anything, Strong where pools in two zones or more do, Medium otherwise.
func Strength(s Snapshot) string { return Outlook(s).Word }

// Outlook is the elastic strength of a group with what it is made of.
func Outlook(s Snapshot) Elastic {
	e := Elastic{Word: Medium}
	var zones []string
	for _, pool := range s.Pools {
		score := PoolScore{Pool: pool, Score: pool.Stock.score()}
		if r, blocked := s.obstacle(pool); blocked {
			score.Score, score.Code, score.Until = 0, r.Code, r.Until
		}
		if e.Sum += score.Score; score.Score > 0 && !slices.Contains(zones, pool.Zone) {
			zones = append(zones, pool.Zone)
		}
		e.Pools = append(e.Pools, score)
	}
	switch {
	case e.Sum <= 0:
		e.Word = Weak
	case len(zones) > 1:
		e.Word = Strong
	}
	return e
}

// score of a grade of stock.
func (s Stock) score() int {
	switch s {
	case WithStock:
		return 3
	case WithoutStock, ClosedWithoutStock, NotOffered:
		return 0
	}
	return 1
}

func (p ResourcePool) soldOut() bool { return p.SoldOut || p.Stock.score() == 0 }
