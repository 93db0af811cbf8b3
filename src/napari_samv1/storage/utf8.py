"""Text as UTF-8, whatever file names are in it."""

from __future__ import annotations


def utf8(text: str) -> bytes:
    r"""UTF-8, in which halves of surrogate pairs become their escapes, as ``\udce9``.

    Python reads bytes of file names that are no UTF-8 as such halves; JSON reads the escapes back as them.
    """
    return text.encode("utf-8", "backslashreplace")
