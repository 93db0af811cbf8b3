"""Sentences for the errors that end a job."""

from __future__ import annotations

OUT_OF_MEMORY = (
    "Memory ran out: close other programs that use the graphics card, choose a smaller model, or choose the "
    "device cpu, which is slower."
)


def sentence_of(error: BaseException) -> str:
    """Message of an error; the remedy instead, where memory ran out."""
    # by name, as importing torch for this would take seconds
    is_torchs = type(error).__name__ == "OutOfMemoryError" or (
        isinstance(error, RuntimeError)
        and any(words in str(error) for words in ("out of memory", "not enough memory"))
    )
    says_nothing = isinstance(error, MemoryError) and not str(error)
    return OUT_OF_MEMORY if is_torchs or says_nothing else str(error) or type(error).__name__
