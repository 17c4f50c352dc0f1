"""Launcher for a checkout: `python cmd/ark.py` is `ark`."""

from pkg.cli.ark import main

main()
