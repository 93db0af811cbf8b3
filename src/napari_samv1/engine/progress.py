"""Progress callbacks, and how they end the work."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[int, int], None]
"""Called with how much is done of how much; it may raise ``Cancelled``."""


class Cancelled(Exception):  # noqa: N818 - a wish, not an error
    """Raised by a progress callback to end the work; nothing is left behind."""
