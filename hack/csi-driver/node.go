package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// publisher puts volumes where the kubelet wants them.
type publisher struct {
	csi.UnimplementedNodeServer
	name, root string
}

func (p publisher) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: p.name}, nil
}

func (publisher) NodeGetCapabilities(
	context.Context, *csi.NodeGetCapabilitiesRequest,
) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

func (p publisher) NodePublishVolume(
	_ context.Context, request *csi.NodePublishVolumeRequest,
) (*csi.NodePublishVolumeResponse, error) {
	source, err := volumePath(p.root, request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	if request.GetVolumeCapability().GetBlock() != nil {
		return nil, status.Error(codes.InvalidArgument, "raw block volumes are not offered")
	}
	if _, err := os.Stat(source); err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	if err := bind(source, request.GetTargetPath(), request.GetReadonly()); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (publisher) NodeUnpublishVolume(
	_ context.Context, request *csi.NodeUnpublishVolumeRequest,
) (*csi.NodeUnpublishVolumeResponse, error) {
	target := request.GetTargetPath()
	// EBUSY is passed on, never circumvented by a lazy unmount: it is what a real driver answers while some process has
	// a file open in the volume, and the tests look at exactly that.
	err := syscall.Unmount(target, 0)
	if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOENT) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// bind mounts source on target unless it is mounted there already.
func bind(source, target string, readonly bool) error {
	if err := os.MkdirAll(target, 0o750); err != nil {
		return err
	}
	mounted, err := sameDirectory(source, target)
	if err != nil {
		return err
	}
	if !mounted {
		if err := syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
			return err
		}
	}
	if readonly {
		return syscall.Mount("", target, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, "")
	}
	return nil
}

// sameDirectory tells whether target shows source: a bind mount has its source's device and inode.
func sameDirectory(source, target string) (bool, error) {
	want, err := os.Stat(source)
	if err != nil {
		return false, err
	}
	got, err := os.Stat(filepath.Clean(target))
	if err != nil {
		return false, err
	}
	return os.SameFile(want, got), nil
}
