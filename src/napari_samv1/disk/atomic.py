"""Whole files or none: what was there stays until the new content is safely on the disk."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

PREFIX, SUFFIX = ".napari-samv1-", ".part"
IS_WINDOWS = os.name == "nt"
ATTEMPTS, PAUSE_SECONDS = 20, 0.05


def write_file(path: Path, content: bytes | Callable[[BinaryIO], None]) -> None:
    """Put a file in place of what was there, in one step that nothing can interrupt halfway.

    ``content`` is written to a temporary file in the same folder first.
    """
    part = path.parent / f"{PREFIX}{os.urandom(8).hex()}{SUFFIX}"
    try:
        with part.open("xb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                content(file)
            file.flush()
            os.fsync(file.fileno())
        replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def replace(source: Path, target: Path) -> None:
    """``os.replace``, patient with Windows, where a virus scanner or indexer may hold the target open."""
    for attempt in range(ATTEMPTS):
        try:
            source.replace(target)
            return
        except PermissionError:
            if not IS_WINDOWS or attempt == ATTEMPTS - 1:
                raise
            time.sleep(PAUSE_SECONDS)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed process left; only their own process may be writing here."""
    for part in folder.glob(f"{PREFIX}*{SUFFIX}"):
        part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a renaming last through a power cut, where folders can be opened for it."""
    if IS_WINDOWS:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
