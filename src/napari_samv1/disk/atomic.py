"""Whole files or none: what was there stays until the new content is safely on the disk."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

PREFIX, SUFFIX = ".napari-samv1-", ".part"
IS_WINDOWS = os.name == "nt"
ATTEMPTS, PAUSE_SECONDS = 20, 0.05


def write_file(path: Path, content: bytes | Callable[[BinaryIO], None]) -> None:
    """Put a file in place of what was there, in one step that nothing can interrupt halfway.

    ``content`` is written to a temporary file in the same folder first.
    """
    part = part_of(path.parent, os.urandom(8).hex())
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
    sync_folder(path.parent)


def part_of(folder: Path, name: str) -> Path:
    """A temporary file of ours in a folder, hidden and known by its name."""
    return folder / f"{PREFIX}{name}{SUFFIX}"


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
        remove_if_possible(part)


def remove_if_possible(file: Path) -> None:
    """Remove a file that is not needed; Windows refuses while another program has it open."""
    with suppress(OSError):
        file.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a renaming last through a power cut, where folders can be opened for it."""
    if IS_WINDOWS:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
