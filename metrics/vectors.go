package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const namespace = "dlrloop"

// The methods in this file each create and register one metric. They panic if it is registered already.

func (m *Metrics) counter(name, help string) prometheus.Counter {
	return register(m, prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}))
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	opts := prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}
	return register(m, prometheus.NewCounterVec(opts, labels))
}

func (m *Metrics) gauge(name, help string) prometheus.Gauge {
	return register(m, prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}))
}

func (m *Metrics) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return register(m, prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels))
}

func (m *Metrics) histogram(name, help string, buckets ...float64) prometheus.Histogram {
	return register(m, prometheus.NewHistogram(histogramOpts(name, help, buckets)))
}

func (m *Metrics) histograms(name, help string, labels []string, buckets ...float64) *prometheus.HistogramVec {
	return register(m, prometheus.NewHistogramVec(histogramOpts(name, help, buckets), labels))
}

// histogramOpts returns the options of a histogram that has native buckets and, in addition, classic buckets with the
// given upper bounds.
func histogramOpts(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}
}

func register[C prometheus.Collector](m *Metrics, c C) C {
	m.registerer.MustRegister(c)
	return c
}
