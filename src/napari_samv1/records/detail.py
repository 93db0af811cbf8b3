"""Detail: model pixels per image pixel."""

from __future__ import annotations

import math
from typing import Literal

Detail = float | Literal["auto", "whole"]
"""Model pixels per image pixel (1.0 native, 0.5 half, 2.0 twice), the whole image at once, or automatic."""

NATIVE = 1.0


def checked_detail(detail: Detail) -> float | Literal["whole"]:
    """Detail as a number or ``"whole"``; ``"auto"`` becomes native.

    Raises
    ------
    ValueError
        If the detail is neither one of these words nor a positive number.
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
    """Detail as a ratio: 1:1, 2:1 (enlarged), 1:4 (a quarter), or "the whole image's size"."""
    if detail == "whole":
        return "the whole image's size"
    return f"{detail:.3g}:1" if detail >= 1 else f"1:{1 / detail:.3g}"
