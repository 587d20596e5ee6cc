package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Billed is what instances of one pool that are billed in one way cost.
type Billed struct {
	// ChargeType of these instances, and the currency of the prices.
	ChargeType, Currency string
	// PerHour is what they cost per hour now.
	PerHour float64
	// Spent is what they cost until now, with those that were released since
	// the pool was created.
	Spent float64
}

// Bills are what the pools cost, as it was told last.
var Bills = &bills{pools: map[string]func() []Billed{}}

// bills asks each pool's own function when somebody reads the metrics, since
// what was spent grows while nothing happens.
type bills struct {
	mu    sync.Mutex
	pools map[string]func() []Billed
}

var (
	perHourDesc = prometheus.NewDesc("poolkeeper_pool_price_per_hour",
		"What the instances of a pool cost per hour now, by pool, charge type and currency.", []string{"pool", "charge_type", "currency"}, nil)
	spentDesc = prometheus.NewDesc("poolkeeper_pool_spent_total",
		"What the instances of a pool cost since it was created, also those released since, by pool, charge type and currency. The vendor's bill decides.", []string{"pool", "charge_type", "currency"}, nil)
)

// Tell sets what a pool costs. A nil function forgets the pool.
func (b *bills) Tell(pool string, read func() []Billed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if read == nil {
		delete(b.pools, pool)
		return
	}
	b.pools[pool] = read
}

// Describe names the metrics.
func (b *bills) Describe(to chan<- *prometheus.Desc) {
	to <- perHourDesc
	to <- spentDesc
}

// Collect writes them as they are now.
func (b *bills) Collect(to chan<- prometheus.Metric) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for pool, read := range b.pools {
		for _, l := range read() {
			to <- prometheus.MustNewConstMetric(perHourDesc, prometheus.GaugeValue, l.PerHour, pool, l.ChargeType, l.Currency)
			to <- prometheus.MustNewConstMetric(spentDesc, prometheus.CounterValue, l.Spent, pool, l.ChargeType, l.Currency)
		}
	}
}
