"""Sizes in megabytes from environment variables."""

from __future__ import annotations

import math
import os


def bytes_asked_for(variable: str, default: int) -> int:
    """Bytes that an environment variable gives in megabytes, or ``default`` without it.

    Raises
    ------
    ValueError
        If it is no number from 0 on.
    """
    chosen = os.environ.get(variable, "").strip()
    if not chosen:
        return default
    try:
        megabytes = float(chosen)
    except ValueError:
        megabytes = math.nan
    if not 0 <= megabytes < math.inf:
        raise ValueError(f"{variable} must be a number of megabytes, got {chosen!r}")
    return int(megabytes * 1e6)
