"""Detail: how many pixels the model sees for one of the image's."""

from __future__ import annotations

import math
from typing import Literal

Detail = float | Literal["auto", "whole"]
"""Model pixels for each image pixel (1.0 native, 0.5 half, 2.0 twice), the whole image at once, or chosen."""

NATIVE = 1.0


def checked_detail(detail: Detail) -> float | Literal["whole"]:
    """A number or ``"whole"``; ``"auto"`` is native.

    Raises
    ------
    ValueError
        If it is none of these, or no positive number.
    """
    if detail == "whole":
        return "whole"
    if detail == "auto":
        return NATIVE
    number: object = detail
    if isinstance(number, bool) or not (
        isinstance(number, int | float) and math.isfinite(number) and number > 0
    ):
        raise ValueError(
            f'detail must be "auto", "whole" or a positive number of model pixels for each image pixel '
            f"(1.0 is native, 0.5 half), got {detail!r}"
        )
    return float(number)


def detail_in_words(detail: float | Literal["whole"]) -> str:
    """As a ratio: 1:1, 2:1 (enlarged), 1:4 (a quarter), or "the whole image's size"."""
    if detail == "whole":
        return "the whole image's size"
    return f"{detail:g}:1" if detail >= 1 else f"1:{1 / detail:g}"
