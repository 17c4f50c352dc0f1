#!/usr/bin/env python3
"""Launcher of hack/toolchain_cli.py that runs from anywhere, with any Python from 3.11 on and nothing installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hack.toolchain_cli import main

if __name__ == "__main__":
    sys.exit(main())
