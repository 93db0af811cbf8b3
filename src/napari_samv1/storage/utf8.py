"""Text as UTF-8, with any file names in it."""

from __future__ import annotations


def utf8(text: str) -> bytes:
    r"""Encode text as UTF-8, with lone surrogates as escapes such as ``\udce9``.

    Python reads bytes of file names that are not UTF-8 as lone surrogates; JSON reads the escapes back.
    """
    return text.encode("utf-8", "backslashreplace")
