package metrics

import "github.com/prometheus/client_golang/prometheus"

// Pool is one pool as its metrics tell it.
type Pool struct {
	Name     string
	Expected int32
	// Nodes by what they are: in service, joining, failed, offline, removing.
	Nodes map[string]int32
	// Code of what keeps it from its number; empty where nothing does.
	Code string
	// Held, Frozen and Complete are as its status says.
	Held, Frozen, Complete bool
}

// ofPools are the metrics of pools. They are read from the pools when somebody
// asks, so that a pool that is gone is gone here too.
var ofPools = []described{
	{"poolkeeper_pool_expected_nodes", "How many nodes a pool expects.", "gauge", []string{"pool"}},
	{"poolkeeper_pool_nodes", "The nodes of a pool by what they are: inService, joining, failed, offline, removing.", "gauge", []string{"pool", "state"}},
	{"poolkeeper_pool_complete", "1 while a pool is wholly as wished.", "gauge", []string{"pool"}},
	{"poolkeeper_pool_held", "1 while the same cause of a pool is only tried now and then.", "gauge", []string{"pool"}},
	{"poolkeeper_pool_frozen", "1 while nothing of a pool is released or replaced.", "gauge", []string{"pool"}},
	{"poolkeeper_pool_why", "1 for the fault code of what keeps a pool from its wish; no series where nothing does.", "gauge", []string{"pool", "code"}},
}

var poolDescs = descs(ofPools)

func descs(list []described) []*prometheus.Desc {
	var out []*prometheus.Desc
	for _, d := range list {
		out = append(out, prometheus.NewDesc(d.name, d.help, d.labels, nil))
	}
	return out
}

// poolCollector tells of the pools that there are.
type poolCollector struct{ pools func() []Pool }

// Describe tells which metrics there are.
func (c poolCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range poolDescs {
		to <- d
	}
}

// Collect tells of every pool.
func (c poolCollector) Collect(to chan<- prometheus.Metric) {
	gauge := func(n int, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(poolDescs[n], prometheus.GaugeValue, value, labels...)
	}
	for _, p := range c.pools() {
		gauge(0, float64(p.Expected), p.Name)
		for state, n := range p.Nodes {
			gauge(1, float64(n), p.Name, state)
		}
		gauge(2, number(p.Complete), p.Name)
		gauge(3, number(p.Held), p.Name)
		gauge(4, number(p.Frozen), p.Name)
		if p.Code != "" {
			gauge(5, 1, p.Name, p.Code)
		}
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
