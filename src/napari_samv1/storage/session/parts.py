"""Parts that all formats of session files share: coordinates, and short messages."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.storage.session.limits import MOST_COORDINATE

SHOWN_CHARACTERS = 200


def coordinates(rows: Any, width: int = 2) -> NDArray[np.float64]:
    """Rows of coordinates as a read-only array.

    Raises
    ------
    ValueError
        If one is so large that no layer could show it.
    """
    array = np.array(rows, dtype=np.float64).reshape(-1, width)
    if array.size and np.abs(array).max() > MOST_COORDINATE:
        raise ValueError(f"coordinates must be at most {MOST_COORDINATE:g}, got {np.abs(array).max():g}")
    array.flags.writeable = False
    return array


def short(message: str) -> str:
    """A message, cut to a readable length."""
    return message if len(message) <= SHOWN_CHARACTERS else message[: SHOWN_CHARACTERS - 2] + " …"
