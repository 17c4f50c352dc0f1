package main

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/util/workqueue"
)

// provider makes the queue's metrics as component-base does, on the same Prometheus library.
type provider struct{ registry *prometheus.Registry }

var register sync.Once

func registerMetrics() {
	register.Do(func() { workqueue.SetProvider(provider{prometheus.NewRegistry()}) })
}

func newQueue() workqueue.TypedRateLimitingInterface[string] {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[string](5*time.Millisecond, 1000*time.Second)
	named := workqueue.TypedRateLimitingQueueConfig[string]{Name: "bench"}
	return workqueue.NewTypedRateLimitingQueueWithConfig(limiter, named)
}

func (it provider) gauge(name, metric string) prometheus.Gauge {
	vector := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "workqueue_" + metric}, []string{"name"})
	_ = it.registry.Register(vector)
	return vector.WithLabelValues(name)
}

func (it provider) counter(name, metric string) prometheus.Counter {
	vector := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "workqueue_" + metric}, []string{"name"})
	_ = it.registry.Register(vector)
	return vector.WithLabelValues(name)
}

func (it provider) histogram(name, metric string) prometheus.Observer {
	options := prometheus.HistogramOpts{Name: "workqueue_" + metric, Buckets: prometheus.ExponentialBuckets(10e-9, 10, 12)}
	vector := prometheus.NewHistogramVec(options, []string{"name"})
	_ = it.registry.Register(vector)
	return vector.WithLabelValues(name)
}

func (it provider) NewDepthMetric(name string) workqueue.GaugeMetric { return it.gauge(name, "depth") }
func (it provider) NewAddsMetric(name string) workqueue.CounterMetric {
	return it.counter(name, "adds_total")
}
func (it provider) NewLatencyMetric(name string) workqueue.HistogramMetric {
	return it.histogram(name, "queue_duration_seconds")
}
func (it provider) NewWorkDurationMetric(name string) workqueue.HistogramMetric {
	return it.histogram(name, "work_duration_seconds")
}
func (it provider) NewUnfinishedWorkSecondsMetric(name string) workqueue.SettableGaugeMetric {
	return it.gauge(name, "unfinished_work_seconds")
}
func (it provider) NewLongestRunningProcessorSecondsMetric(name string) workqueue.SettableGaugeMetric {
	return it.gauge(name, "longest_running_processor_seconds")
}
func (it provider) NewRetriesMetric(name string) workqueue.CounterMetric {
	return it.counter(name, "retries_total")
}

type queueFigures struct {
	PerSecond float64 `json:"per_second"`
}

// measureQueue adds, takes and ends one key after the other in one thread.
func measureQueue(chosen options) (any, error) {
	registerMetrics()
	queue := newQueue()
	keys := make([]string, 1000)
	for number := range keys {
		keys[number] = "namespace/" + strconv.Itoa(number)
	}
	started := time.Now()
	for number := range chosen.count {
		queue.Add(keys[number%len(keys)])
		key, _ := queue.Get()
		queue.Done(key)
	}
	return queueFigures{float64(chosen.count) / time.Since(started).Seconds()}, nil
}
