"""Text that nothing takes for HTML."""

from __future__ import annotations

# invisible, and no tag begins with it
_BREAK = "\u200b"


def plain(text: str) -> str:
    """Text for tooltips and notifications, which Qt shows as HTML where it looks like it.

    A name such as ``<img src='/dev/zero'>`` is then shown as it is, and nothing is opened. Labels are told to
    show plain text instead.
    """
    return text.replace("<", f"<{_BREAK}").replace("&lt", f"&{_BREAK}lt")
