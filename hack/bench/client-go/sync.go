package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

const (
	workers = 2
	last    = "bench-last"
	stamp   = "bench/sent"
	byNode  = "node"
)

type syncFigures struct {
	SyncSeconds   float64   `json:"sync_seconds"`
	RSSBytes      int64     `json:"rss_bytes"`
	PeakBytes     int64     `json:"peak_bytes"`
	EventsSeconds float64   `json:"events_seconds"`
	Updates       int64     `json:"updates"`
	Handled       int64     `json:"handled"`
	LatencyMillis []float64 `json:"latency_ms"`
}

// consumer is what a controller does around its reconciler: keys into a queue, keys to workers, objects from the cache.
type consumer struct {
	store   cache.Store
	queue   workqueue.TypedRateLimitingInterface[string]
	objects int64
	updates atomic.Int64
	handled atomic.Int64
	synced  chan struct{}
	ended   chan struct{}
	lock    sync.Mutex
	latency []float64
}

func measureSync(chosen options) (any, error) {
	registerMetrics()
	informer, err := informerFor(chosen)
	if err != nil {
		return nil, err
	}
	it := &consumer{
		store:   informer.GetStore(),
		queue:   newQueue(),
		objects: int64(chosen.objects),
		synced:  make(chan struct{}),
		ended:   make(chan struct{}),
	}
	if _, err := informer.AddEventHandler(it.handler()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	figures := syncFigures{}
	started := time.Now()
	for range workers {
		go it.work()
	}
	go informer.Run(ctx.Done())
	if err := await(it.synced, "the list"); err != nil {
		return nil, err
	}
	figures.SyncSeconds = time.Since(started).Seconds()
	time.Sleep(500 * time.Millisecond)
	figures.RSSBytes, figures.PeakBytes = memory("VmRSS"), memory("VmHWM")
	if chosen.events > 0 {
		if figures.EventsSeconds, err = it.events(chosen); err != nil {
			return nil, err
		}
	}
	figures.Updates, figures.Handled, figures.LatencyMillis = it.updates.Load(), it.handled.Load(), it.latency
	return figures, nil
}

func informerFor(chosen options) (cache.SharedIndexInformer, error) {
	var informer cache.SharedIndexInformer
	if chosen.kind == "pods" {
		client, err := kubernetes.NewForConfig(config(chosen.server))
		if err != nil {
			return nil, err
		}
		informer = informers.NewSharedInformerFactory(client, 0).Core().V1().Pods().Informer()
	} else {
		client, err := dynamic.NewForConfig(config(chosen.server))
		if err != nil {
			return nil, err
		}
		widgets := schema.GroupVersionResource{Group: "bench.example", Version: "v1", Resource: chosen.kind}
		informer = dynamicinformer.NewDynamicSharedInformerFactory(client, 0).ForResource(widgets).Informer()
	}
	return informer, informer.AddIndexers(cache.Indexers{byNode: nodeOf})
}

// nodeOf is the second index; the informer has the one by namespace already.
func nodeOf(obj any) ([]string, error) {
	if pod, ok := obj.(*corev1.Pod); ok {
		return []string{pod.Spec.NodeName}, nil
	}
	found, err := meta.Accessor(obj)
	if err != nil {
		return nil, err
	}
	return []string{found.GetLabels()[byNode]}, nil
}

func (it *consumer) handler() cache.ResourceEventHandler {
	add := func(obj any) {
		if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj); err == nil {
			it.queue.Add(key)
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    add,
		UpdateFunc: func(_, obj any) { it.updates.Add(1); add(obj) },
		DeleteFunc: add,
	}
}

func (it *consumer) work() {
	for {
		key, shutdown := it.queue.Get()
		if shutdown {
			return
		}
		it.reconcile(key)
		it.queue.Forget(key)
		it.queue.Done(key)
	}
}

func (it *consumer) reconcile(key string) {
	obj, exists, err := it.store.GetByKey(key)
	if err != nil || !exists {
		return
	}
	found, err := meta.Accessor(obj)
	if err != nil {
		return
	}
	if sent := found.GetAnnotations()[stamp]; sent != "" {
		it.took(sent)
	}
	if it.handled.Add(1) == it.objects {
		close(it.synced)
	}
	if strings.HasSuffix(key, last) {
		close(it.ended)
	}
}

func (it *consumer) took(sent string) {
	var nanoseconds int64
	now := time.Now().UnixNano()
	if _, err := fmt.Sscan(sent, &nanoseconds); err == nil && nanoseconds > 0 {
		it.lock.Lock()
		it.latency = append(it.latency, float64(now-nanoseconds)/1e6)
		it.lock.Unlock()
	}
}

// events lets the server send and waits until a worker has the last one.
func (it *consumer) events(chosen options) (float64, error) {
	started := time.Now()
	answer, err := http.Get(fmt.Sprintf("%s/go?count=%d&interval_us=%d", chosen.server, chosen.events, chosen.interval))
	if err != nil {
		return 0, err
	}
	_ = answer.Body.Close()
	err = await(it.ended, "the last event")
	return time.Since(started).Seconds(), err
}

func await(done <-chan struct{}, what string) error {
	select {
	case <-done:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%s did not come in %s", what, patience)
	}
}

func memory(field string) int64 {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if rest, found := strings.CutPrefix(line, field+":"); found {
			var kib int64
			_, _ = fmt.Sscan(rest, &kib)
			return kib * 1024
		}
	}
	return 0
}
