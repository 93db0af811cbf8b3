"""Plain text that Qt does not take for HTML."""

from __future__ import annotations

# zero-width space: no tag begins with it
_BREAK = "\u200b"


def plain(text: str) -> str:
    """Escape text for tooltips and notifications, which Qt shows as HTML if it looks like HTML.

    A name such as ``<img src='/dev/zero'>`` is then shown as it is, and no file is opened. Labels
    in Qt's plain text format need no escaping.
    """
    return text.replace("<", f"<{_BREAK}").replace("&lt", f"&{_BREAK}lt")
