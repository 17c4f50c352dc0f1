"""Refuse files over 400 lines and functions over 40, without an exceptions list.

A file holds one idea and a function does one thing; the stop makes the talk about splitting happen before the
file is a monster.
"""

from __future__ import annotations

import ast
import pathlib
import sys

FILE_LINES_STOP = 400
FUNCTION_LINES_STOP = 40
ROOTS = ("pkg", "cmd", "hack", "test")


def oversized(path: pathlib.Path) -> list[str]:
    """Returns one line per breach in a Python file."""
    text = path.read_text()
    found = []
    lines = text.count("\n")
    if lines > FILE_LINES_STOP:
        found.append(f"{path}: {lines} lines, the stop is {FILE_LINES_STOP}")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_STOP:
                found.append(f"{path}:{node.lineno}: {node.name} has {length} lines, the stop is {FUNCTION_LINES_STOP}")
    return found


def main() -> int:
    """Prints every breach; returns the exit code."""
    root = pathlib.Path(__file__).resolve().parent.parent
    files = [path for name in ROOTS for path in sorted((root / name).rglob("*.py"))]
    found = [line for path in files for line in oversized(path)]
    print("\n".join(found) if found else f"sizes: {len(files)} files within the stops")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
