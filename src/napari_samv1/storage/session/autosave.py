"""Autosave: a thread that keeps the newest record of a session on the disk."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from filelock import BaseFileLock, FileLock

from napari_samv1.storage.session.folder import FolderWriter

if TYPE_CHECKING:
    from napari_samv1.storage.session.record import SessionRecord

logger = logging.getLogger(__name__)

SECONDS_BETWEEN = 1.0
VARIABLE = "NAPARI_SAMV1_STATE"
LOCK_SUFFIX = ".lock"


def autosave_root() -> Path:
    """Folder of autosaved sessions, in ``NAPARI_SAMV1_STATE`` or else the platform's folder for state."""
    chosen = os.environ.get(VARIABLE, "").strip()
    if chosen:
        return Path(chosen).expanduser().absolute() / "sessions"
    return Path(platformdirs.user_state_dir("napari-samv1", appauthor=False)) / "sessions"


def lock_of(folder: Path) -> BaseFileLock:
    """Lock that the process saving into a folder holds until its end.

    The lock file lies beside the folder, so that the folder can be removed while the lock is held.
    """
    return FileLock(folder.with_name(folder.name + LOCK_SUFFIX), timeout=0, thread_local=False)


class Autosave:
    """Writes the newest offered record as a whole, at most about once a second.

    All methods but ``offer`` may touch the disk. A failed save raises nothing: ``problem`` holds a sentence,
    and the next record is tried. ``on_saved`` is called on the thread after each attempt.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        seconds_between: float = SECONDS_BETWEEN,
        on_saved: Callable[[], None] = lambda: None,
    ) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        self.folder = (root or autosave_root()) / f"{stamp}-{os.getpid()}-{os.urandom(4).hex()}"
        self.problem = ""
        self.saved_count = 0
        self._seconds_between = seconds_between
        self._on_saved = on_saved
        self._lock: BaseFileLock | None = None
        self._changed = threading.Condition()
        self._offered: SessionRecord | None = None
        self._writing = False
        self._closing = False
        self._closed = False
        # a daemon, so that the end of the interpreter does not wait for a disk
        self._thread = threading.Thread(target=self._run, name="napari-samv1 autosave", daemon=True)
        self._thread.start()

    def offer(self, record: SessionRecord) -> None:
        """Save a record soon, and return at once; a newer record replaces a waiting one."""
        with self._changed:
            self._offered = record
            self._changed.notify_all()

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until the offered record is on disk; False after a timeout or an error."""
        with self._changed:
            saved = self._changed.wait_for(lambda: self._offered is None and not self._writing, timeout)
        return saved and not self.problem

    def close(self, *, clean: bool = True) -> None:
        """End the thread; a clean close removes the session, otherwise the next start offers it back."""
        with self._changed:
            if self._closed:
                return
            self._closed = self._closing = True
            if clean:
                self._offered = None
            self._changed.notify_all()
        self._thread.join()
        if clean:
            remove_folder(self.folder)
        if self._lock is not None:
            self._lock.release()
        if clean:
            remove_lock_file(self.folder)

    def _run(self) -> None:
        writer = FolderWriter(self.folder)
        next_time = 0.0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._offered is not None or self._closing)
                # until its time has come, newer records replace the waiting one
                self._changed.wait_for(lambda: self._closing, max(0.0, next_time - time.monotonic()))
                record, self._offered = self._offered, None
                if record is None:
                    return
                self._writing = True
            next_time = time.monotonic() + self._seconds_between
            problem = self._save(writer, record)
            with self._changed:
                self.problem, self._writing = problem, False
                self.saved_count += not problem
                self._changed.notify_all()
            self._on_saved()

    def _save(self, writer: FolderWriter, record: SessionRecord) -> str:
        try:
            if self._lock is None:
                self.folder.parent.mkdir(parents=True, exist_ok=True)
                self._lock = _locked(self.folder)
            self.folder.mkdir(exist_ok=True)
            writer.write(record)
        # the thread survives any error, because the next record may be saved
        except Exception as error:
            logger.exception("autosave into %s failed", self.folder)
            return f"Autosave failed, save the session yourself: {error or type(error).__name__}"
        return ""


def remove_folder(folder: Path) -> None:
    """Remove an autosaved session, session.json first, so that no partly removed session is offered."""
    file = folder / "session.json"
    try:
        if file.is_symlink() or not file.is_dir():
            file.unlink(missing_ok=True)
    except OSError:
        logger.warning("%s could not be removed", folder, exc_info=True)
        return
    shutil.rmtree(folder, ignore_errors=True)


def remove_lock_file(folder: Path) -> None:
    """Remove the lock file beside a folder that is gone."""
    try:
        folder.with_name(folder.name + LOCK_SUFFIX).unlink(missing_ok=True)
    except OSError:
        # on Windows another process may be trying the lock
        logger.debug("the lock of %s stays", folder, exc_info=True)


def _locked(folder: Path) -> BaseFileLock | None:
    """The held lock; None on a file system without locks, where others may offer this session back."""
    lock = lock_of(folder)
    try:
        lock.acquire()
    except (OSError, NotImplementedError):
        logger.warning("no lock could be taken in %s", folder.parent, exc_info=True)
        return None
    return lock
