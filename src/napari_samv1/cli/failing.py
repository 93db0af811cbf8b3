"""Errors as one line on stderr and an exit status."""

from __future__ import annotations

import sys


def fail(sentence: str) -> int:
    """Print on stderr why a command failed; return its exit status."""
    print(f"napari-samv1: {sentence}", file=sys.stderr)
    return 1
