"""Progress callbacks, and the exception by which they cancel."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[int, int], None]
"""Called as ``on_progress(done, total)``; it may raise ``Cancelled``."""


class Cancelled(Exception):  # noqa: N818 - a wish, not an error
    """Raised by a progress callback to cancel the work; no partial result is kept."""
