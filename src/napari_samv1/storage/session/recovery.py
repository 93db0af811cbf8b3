"""Sessions that autosave left when a process ended without closing them."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import Timeout

from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.autosave import (
    LOCK_SUFFIX,
    autosave_root,
    lock_of,
    remove_folder,
    remove_lock_file,
)
from napari_samv1.storage.session.folder import SESSION_FILE, open_session

if TYPE_CHECKING:
    from napari_samv1.storage.session.record import SessionRecord

logger = logging.getLogger(__name__)

SECONDS_TO_BEGIN = 3600


@dataclass(frozen=True, eq=False)
class Recoverable:
    """A session whose process ended without closing it.

    ``problem`` is the reason why it cannot be opened, or "".
    """

    folder: Path
    record: SessionRecord | None
    problem: str = ""

    @property
    def title(self) -> str:
        """Title by which a person recognises the session."""
        if self.record is None:
            return f"a damaged session ({self.folder.name})"
        names = ", ".join(dict.fromkeys(plane.source.name for plane in self.record.planes)) or "no image"
        count = self.record.object_count
        return f"{names}: {count} object{'' if count == 1 else 's'}, last saved {self.record.saved}"

    def discard(self) -> bool:
        """Remove the session from disk; False if another process holds it.

        Call it when the user discards the session, or once a new autosave has written the opened one.
        """
        try:
            with lock_of(self.folder):
                remove_folder(self.folder)
        except Timeout:
            return False
        except (OSError, NotImplementedError):
            remove_folder(self.folder)
        remove_lock_file(self.folder)
        return not self.folder.exists()


def recoverable(root: Path | None = None) -> list[Recoverable]:
    """Sessions whose process ended without closing them, newest first.

    Also removes the leftovers of processes that were killed before their first save or while closing.
    """
    place = root or autosave_root()
    found = [session for folder in _abandoned(place) if (session := _read(folder)) is not None]
    _remove_stray_locks(place)
    return sorted(found, key=lambda session: session.folder.name, reverse=True)


def _abandoned(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return [entry for entry in root.iterdir() if _is_folder(entry) and not _is_held(entry)]


def _is_folder(entry: Path) -> bool:
    try:
        return entry.is_dir() and not entry.is_symlink()
    except OSError:
        return False


def _is_held(folder: Path) -> bool:
    """True if the process that saves into a folder is alive: on any system its lock ends with it."""
    try:
        with lock_of(folder):
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False


def _read(folder: Path) -> Recoverable | None:
    # catches all, so that one broken folder does not hide the others
    try:
        if not os.path.lexists(folder / SESSION_FILE):
            # raises for an unreadable folder, which may hold a session and must stay
            next(folder.iterdir(), None)
            remove_folder(folder)
            remove_lock_file(folder)
            return None
        return Recoverable(folder, open_session(folder))
    except SessionError as error:
        return Recoverable(folder, None, str(error))
    except OSError as error:
        return Recoverable(folder, None, f"{folder} cannot be read: {error.strerror or error}")
    except Exception as error:
        logger.exception("%s could not be opened", folder)
        return Recoverable(folder, None, f"{folder} cannot be opened: {error or type(error).__name__}")


def _remove_stray_locks(root: Path) -> None:
    for lock_file in root.glob(f"*{LOCK_SUFFIX}"):
        folder = lock_file.with_name(lock_file.name.removesuffix(LOCK_SUFFIX))
        with suppress(OSError):  # its process removes it, or access is denied
            # young locks stay, because a process takes its lock before it makes its folder
            is_old = time.time() - lock_file.stat().st_mtime > SECONDS_TO_BEGIN
            if is_old and not os.path.lexists(folder) and not _is_held(folder):
                remove_lock_file(folder)
