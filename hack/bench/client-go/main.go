// Command client-go is the reference of `make bench SUITE=runtime`: informers, one queue and two workers on
// k8s.io/client-go, used as hack/bench_runtime_ours.py uses Ark's. It prints its figures as one JSON object.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/rest"
)

const patience = time.Minute

type options struct {
	server   string
	kind     string
	objects  int
	events   int
	interval int
	count    int
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: client-go sync|queue|stop|errors [flags]"))
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	chosen := options{}
	flags.StringVar(&chosen.server, "server", "", "address of the API server")
	flags.StringVar(&chosen.kind, "kind", "pods", "pods, or widgets for a custom resource")
	flags.IntVar(&chosen.objects, "objects", 0, "how many objects the list has")
	flags.IntVar(&chosen.events, "events", 0, "how many events to ask for after the list")
	flags.IntVar(&chosen.interval, "interval-us", 0, "time between two events; 0 is as fast as they are read")
	flags.IntVar(&chosen.count, "count", 0, "how many keys, or how many informers")
	_ = flags.Parse(os.Args[2:])
	modes := map[string]func(options) (any, error){
		"sync": measureSync, "queue": measureQueue, "stop": measureStop, "errors": keepTrying,
	}
	run, known := modes[os.Args[1]]
	if !known {
		fail(fmt.Errorf("no mode %q", os.Args[1]))
	}
	figures, err := run(chosen)
	if err != nil {
		fail(err)
	}
	fail(json.NewEncoder(os.Stdout).Encode(figures))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// config has client-go's rate limit off, as controller-runtime has it.
func config(server string) *rest.Config {
	return &rest.Config{Host: server, QPS: -1, UserAgent: "ark-bench"}
}
