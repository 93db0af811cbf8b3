"""Words for sessions in the panel."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_samv1.storage.session.record import SessionRecord


MOST_CHARACTERS = 80


def short(name: str) -> str:
    """A name on one line, cut where it is long."""
    name = " ".join(name.split())
    return name if len(name) <= MOST_CHARACTERS else f"{name[: MOST_CHARACTERS - 1]}…"


def objects_in(record: SessionRecord) -> str:
    """Count a session's objects in words: "2 objects"."""
    return f"{record.object_count} object{'' if record.object_count == 1 else 's'}"


def images_in(record: SessionRecord) -> str:
    """The names of a session's images, at most three of them."""
    names = list(dict.fromkeys(plane.source.name for plane in record.planes))
    shown = ", ".join(f"“{short(name)}”" for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def when(saved: str) -> str:
    """The local time of an autosave: "today 14:03", or with the date."""
    try:
        moment = datetime.fromisoformat(saved).astimezone()
    except ValueError:
        return "time unknown"
    if moment.date() == datetime.now().astimezone().date():
        return f"today {moment:%H:%M}"
    return f"{moment:%Y-%m-%d %H:%M}"
