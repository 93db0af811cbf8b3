"""Sentences for the errors that end a job."""

from __future__ import annotations

from napari_samv1.engine.lost_card import is_card_lost

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


def lost_card(error: BaseException) -> str:
    """Sentence for a graphics card that failed for good; "" for any other error."""
    if not is_card_lost(error):
        return ""
    return (
        f"The graphics card failed ({str(error).splitlines()[0]}): the model is loaded on the CPU, which is "
        f"slower. Start napari again to use the card."
    )
