package metrics

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// described is one metric as the page tells it.
type described struct {
	name, help, kind string
	labels           []string
}

// Every metric is made by a function below, so that none is registered without
// being on the page.
var (
	collectors []prometheus.Collector
	page       []described
)

func add[C prometheus.Collector](c C, name, help, kind string, labels []string) C {
	collectors = append(collectors, c)
	page = append(page, described{name, help, kind, labels})
	return c
}

func counter(o prometheus.CounterOpts) prometheus.Counter {
	return add(prometheus.NewCounter(o), o.Name, o.Help, "counter", nil)
}

func counters(o prometheus.CounterOpts, labels []string) *prometheus.CounterVec {
	return add(prometheus.NewCounterVec(o, labels), o.Name, o.Help, "counter", labels)
}

func gauges(o prometheus.GaugeOpts, labels []string) *prometheus.GaugeVec {
	return add(prometheus.NewGaugeVec(o, labels), o.Name, o.Help, "gauge", labels)
}

func histogram(o prometheus.HistogramOpts) prometheus.Histogram {
	return add(prometheus.NewHistogram(o), o.Name, o.Help, "histogram", nil)
}

func histograms(o prometheus.HistogramOpts, labels []string) *prometheus.HistogramVec {
	return add(prometheus.NewHistogramVec(o, labels), o.Name, o.Help, "histogram", labels)
}

const pageHead = `# Metrics

<!-- Generated from internal/metrics. Run "make generate" after a change there. -->

The controller serves these at its metrics address (--metrics-bind-address), beside those of Go and of
controller-runtime. Alert rules over them are in config/monitoring/alerts.yaml, and a dashboard for Grafana in
config/monitoring/dashboard.json. Whatever an alert says, ` + "`poolkeeper why POOL`" + ` says it in one sentence, with what
to do about it.
`

// Page is every metric as a page of Markdown, by name.
func Page() string {
	list := slices.Concat(page, ofPools, ofBills)
	slices.SortFunc(list, func(a, b described) int { return strings.Compare(a.name, b.name) })
	var b strings.Builder
	b.WriteString(pageHead)
	for _, d := range list {
		fmt.Fprintf(&b, "\n### `%s`, a %s\n\n%s\n", d.name, d.kind, d.help)
		if len(d.labels) > 0 {
			fmt.Fprintf(&b, "\nLabels: `%s`.\n", strings.Join(d.labels, "`, `"))
		}
	}
	return b.String()
}
