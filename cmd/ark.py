"""Launcher for a checkout: `python cmd/ark.py` is `ark`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from pkg.cli.ark import main

main()
