"""What this program is called: `ark`, or `kubectl ark` when kubectl runs it as its plug-in."""

from __future__ import annotations

import sys
from pathlib import PurePath

import click

OWN_NAME = "ark"
COMPLETION_VARIABLE = "_ARK_COMPLETE"  # by which a completion script asks this program
_PLUGIN_PREFIX = "kubectl-"


def name() -> str:
    """The words that a person types before a command; for hints in messages."""
    context = click.get_current_context(silent=True)
    return (context.find_root().info_name if context else None) or OWN_NAME


def name_by_path(path: str = "") -> str:
    """The name by the file that was started: kubectl finds its plug-ins as `kubectl-NAME` in the PATH."""
    file = PurePath(path or sys.argv[0]).name
    return f"kubectl {OWN_NAME}" if file.startswith(_PLUGIN_PREFIX) else OWN_NAME
