"""What can keep a daemon from starting.

ManagerError
└── ListenError    the address for health and metrics cannot be listened on
"""

from __future__ import annotations


class ManagerError(Exception):
    """A daemon cannot run."""


class ListenError(ManagerError):
    """The address is in use, is not of this machine, or needs more rights."""
