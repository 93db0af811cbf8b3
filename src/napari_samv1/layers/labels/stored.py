"""Labels that lie in a file: zarr, HDF5, memory maps, tensorstore."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_stored(data: Any) -> bool:
    """Return True if labels lie in a file or a store, not in memory."""
    return isinstance(data, np.memmap) or not isinstance(data, np.ndarray)


def flush(data: Any) -> None:
    """Write buffered labels to the disk now, which memory maps and HDF5 files need.

    Raises
    ------
    OSError
        If writing fails.
    """
    write_out = getattr(data, "flush", None)
    if callable(write_out):
        write_out()
