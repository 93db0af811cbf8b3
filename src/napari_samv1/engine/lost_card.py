"""Errors of a graphics card after which nothing can be computed on it by this process."""

from __future__ import annotations


def is_card_lost(error: BaseException) -> bool:
    """Return True if a card failed for good and its memory is lost; False if memory ran out."""
    # torch itself is not to be imported for this
    is_of_the_card = type(error).__name__ == "AcceleratorError" or (
        isinstance(error, RuntimeError) and str(error).startswith(("CUDA error", "HIP error"))
    )
    return is_of_the_card and "out of memory" not in str(error)
