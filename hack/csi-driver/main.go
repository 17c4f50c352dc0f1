// Command ark-csi-driver is the CSI driver of the test cluster: a volume is a directory below -volumes, and publishing
// it is a bind mount.
//
// The tests need what a real driver gives them and nothing else: a PersistentVolume whose data is a mount point at
// pods/<uid>/volumes/kubernetes.io~csi/<pv>/mount. Everything a call does can be done again, because the kubelet and
// the provisioner repeat calls after their own restart; a driver that was killed needs no repair.
package main

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

func main() {
	name := flag.String("name", "csi.ark.test", "driver name, as in the CSIDriver object")
	node := flag.String("node", "", "name of the node this driver runs on")
	volumes := flag.String("volumes", "", "directory that holds one directory per volume")
	endpoint := flag.String("endpoint", "", "path of the CSI socket")
	register := flag.String("register", "", "path of the registration socket under plugins_registry")
	flag.Parse()
	if *node == "" || *volumes == "" || *endpoint == "" || *register == "" {
		log.Fatal("-node, -volumes, -endpoint and -register are needed")
	}
	if err := os.MkdirAll(*volumes, 0o755); err != nil {
		log.Fatal(err)
	}

	driver := grpc.NewServer(grpc.UnaryInterceptor(logged))
	csi.RegisterIdentityServer(driver, identity{name: *name})
	csi.RegisterControllerServer(driver, controller{root: *volumes})
	csi.RegisterNodeServer(driver, publisher{name: *node, root: *volumes})
	registrar := grpc.NewServer(grpc.UnaryInterceptor(logged))
	registration.RegisterRegistrationServer(registrar, registrant{name: *name, endpoint: *endpoint})

	// The kubelet calls the driver the moment it sees the registration socket, so that one is opened last.
	failed := make(chan error, 2)
	go func() { failed <- driver.Serve(listen(*endpoint)) }()
	go func() { failed <- registrar.Serve(listen(*register)) }()

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case err := <-failed:
		log.Fatal(err)
	case <-stop:
		registrar.Stop()
		driver.GracefulStop()
	}
}

// listen opens a unix socket after removing the one that a killed predecessor left.
func listen(path string) net.Listener {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Fatal(err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		log.Fatal(err)
	}
	return listener
}

func logged(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	reply, err := handle(ctx, request)
	if err != nil {
		log.Printf("%s failed: %v (request %v)", info.FullMethod, err, request)
	}
	return reply, err
}
