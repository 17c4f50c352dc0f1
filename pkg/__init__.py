"""Ark: backup of Kubernetes clusters, objects into object storage and pod volumes with restic."""

__version__ = "0.9.100"
