package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
)

type stopFigures struct {
	StopSeconds float64 `json:"stop_seconds"`
}

// manyInformers makes informers of as many kinds, all of the same server.
func manyInformers(chosen options) (dynamicinformer.DynamicSharedInformerFactory, error) {
	client, err := dynamic.NewForConfig(config(chosen.server))
	if err != nil {
		return nil, err
	}
	factory := dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	for number := range chosen.count {
		kind := fmt.Sprintf("kinds%d", number)
		factory.ForResource(schema.GroupVersionResource{Group: "bench.example", Version: "v1", Resource: kind})
	}
	return factory, nil
}

// measureStop ends informers whose watches are all quiet.
func measureStop(chosen options) (any, error) {
	factory, err := manyInformers(chosen)
	if err != nil {
		return nil, err
	}
	stop := make(chan struct{})
	factory.Start(stop)
	factory.WaitForCacheSync(stop)
	time.Sleep(time.Second)
	started := time.Now()
	close(stop)
	factory.Shutdown()
	return stopFigures{time.Since(started).Seconds()}, nil
}

// keepTrying runs informers until somebody ends it; the server counts what they ask.
func keepTrying(chosen options) (any, error) {
	factory, err := manyInformers(chosen)
	if err != nil {
		return nil, err
	}
	stop := make(chan struct{})
	factory.Start(stop)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	<-ended
	close(stop)
	return struct{}{}, nil
}
