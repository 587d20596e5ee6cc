// Package metrics holds every metric of poolkeeper, in base units, with the
// prefix poolkeeper_. Controllers tell it facts; it decides nothing and reads
// nothing.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

var (
	// SweepSeconds is how long complete lists of the cloud took.
	SweepSeconds = histogram(prometheus.HistogramOpts{
		Name: "poolkeeper_sweep_duration_seconds", Help: "How long one complete list of the cloud took.",
		Buckets: []float64{0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30},
	})
	// SweepErrors counts lists that failed or were incomplete.
	SweepErrors = counter(prometheus.CounterOpts{
		Name: "poolkeeper_sweep_errors_total", Help: "Lists of the cloud that failed; they change nothing.",
	})
	// CloudCalls counts calls to the cloud by operation and outcome code.
	CloudCalls = counters(prometheus.CounterOpts{
		Name: "poolkeeper_cloud_calls_total", Help: "Calls to the cloud by operation and fault code (empty: success).",
	}, []string{"operation", "code"})
	// ForgedRequests counts certificate requests that proved nothing.
	ForgedRequests = counters(prometheus.CounterOpts{
		Name: "poolkeeper_forged_join_requests_total", Help: "Certificate requests under a pool's join credential that proved nothing, by pool.",
	}, []string{"pool"})
	// InstancesCreated counts instances recorded, by pool and resource pool.
	InstancesCreated = counters(prometheus.CounterOpts{
		Name: "poolkeeper_instances_created_total", Help: "Instances that the cloud created for us, by pool, vSwitch and instance type.",
	}, []string{"pool", "vswitch", "instance_type"})
	// InstancesReleased counts releases that the cloud accepted.
	InstancesReleased = counters(prometheus.CounterOpts{
		Name: "poolkeeper_instances_released_total", Help: "Instances whose release the cloud accepted, by pool.",
	}, []string{"pool"})
	// JoinSeconds is how long machines took from running to Node Ready.
	JoinSeconds = histograms(prometheus.HistogramOpts{
		Name: "poolkeeper_join_duration_seconds", Help: "How long machines took from running to Node Ready, by pool.",
		Buckets: []float64{1, 5, 15, 30, 60, 120, 300, 900, 2400},
	}, []string{"pool"})
	// JoinFailures counts machines that were given up.
	JoinFailures = counters(prometheus.CounterOpts{
		Name: "poolkeeper_join_failures_total", Help: "Machines that did not start, did not join in time, or were given up by a lifecycle hook, by pool and fault code.",
	}, []string{"pool", "code"})
	// RecordsEnded counts records that ended.
	RecordsEnded = counters(prometheus.CounterOpts{
		Name: "poolkeeper_instance_records_ended_total", Help: "Records of instances that ended, by pool and why: released, vanished, no stock, expired, taken back, taken out.",
	}, []string{"pool", "reason"})
	// APIServerTrouble is 1 while the API server does not serve us as it should.
	APIServerTrouble = gauges(prometheus.GaugeOpts{
		Name: "poolkeeper_apiserver_trouble", Help: "1 while the API server cannot be reached or fails, or asks for fewer requests, by fault code.",
	}, []string{"code"})
	// APIServerTroubleSeconds is how long that lasted in all.
	APIServerTroubleSeconds = counters(prometheus.CounterOpts{
		Name: "poolkeeper_apiserver_trouble_seconds_total", Help: "How long the troubles of the API server that have ended lasted, by fault code.",
	}, []string{"code"})
	// TokenMismatches counts pieces whose token the cloud knew with other
	// parameters.
	TokenMismatches = counters(prometheus.CounterOpts{
		Name: "poolkeeper_token_mismatches_total", Help: "Requests whose token the cloud knew with other parameters, by pool. Each is a defect of poolkeeper.",
	}, []string{"pool"})
)

// Register adds every metric of this package to a registry, those of the pools
// as a function tells them at each reading. It panics where one is there
// already.
func Register(r prometheus.Registerer, pools func() []Pool) {
	r.MustRegister(collectors...)
	r.MustRegister(poolCollector{pools})
	r.MustRegister(Bills)
}
