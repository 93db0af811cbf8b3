"""Paths read from files, which must not lead out of their folder."""

from __future__ import annotations

from pathlib import PurePath


def is_inside(path: object) -> bool:
    """True for a relative path, as text, that does not lead out of its folder."""
    if not isinstance(path, str):
        return False
    named = PurePath(path)
    return not named.anchor and ".." not in named.parts
