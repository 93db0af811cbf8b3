"""Memory of a training step, kept by the process for the next step."""

from __future__ import annotations

import ctypes
import sys

# from glibc's malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
UNTIL = 2**30


def keep_memory() -> bool:
    """Tell glibc's malloc to keep freed memory; return True if it accepts.

    By default every tensor of some megabytes is a new mapping of zeroed pages, which takes about a tenth of a
    training step. On other systems than Linux with glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    mallopt(M_TRIM_THRESHOLD, UNTIL)
    mallopt(M_TOP_PAD, 2**28)
    # older releases accept only the second size
    return any(mallopt(M_MMAP_THRESHOLD, size) == 1 for size in (UNTIL, 2**25))
