"""Rows as CSV text that spreadsheets open as values, never as formulas."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

FORMULA = ("=", "+", "-", "@", "\t", "\n")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|-?inf")
# a slice's place on the axes, rows and columns as hyphens: "- 4 -"
_PLACE = re.compile(r"(-|\d+)( (-|\d+))*")


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV.

    Text that a spreadsheet would run as a formula, as an image's name may be, gets a leading apostrophe,
    which marks it as text.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    # older Pythons leave a lone carriage return unquoted, where it ends the row
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    is_plain = not text.lstrip(" ").startswith(FORMULA) or _NUMBER.fullmatch(text) or _PLACE.fullmatch(text)
    return text if is_plain else f"'{text}"
