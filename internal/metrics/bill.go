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

// ofBills are the metrics of what pools cost.
var ofBills = []described{
	{"poolkeeper_pool_price_per_hour", "What the instances of a pool cost per hour now, by pool, charge type and currency.", "gauge", []string{"pool", "charge_type", "currency"}},
	{"poolkeeper_pool_spent_total", "What the instances of a pool cost since it was created, also those released since, by pool, charge type and currency. The vendor's bill decides.", "counter", []string{"pool", "charge_type", "currency"}},
}

var billDescs = descs(ofBills)

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
	for _, d := range billDescs {
		to <- d
	}
}

// Collect writes them as they are now.
func (b *bills) Collect(to chan<- prometheus.Metric) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for pool, read := range b.pools {
		for _, l := range read() {
			to <- prometheus.MustNewConstMetric(billDescs[0], prometheus.GaugeValue, l.PerHour, pool, l.ChargeType, l.Currency)
			to <- prometheus.MustNewConstMetric(billDescs[1], prometheus.CounterValue, l.Spent, pool, l.ChargeType, l.Currency)
		}
	}
}
