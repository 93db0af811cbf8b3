"""Atomic writing: the old file stays until the new content is safely on disk."""

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
    """Write a file, or replace it, in one step that cannot be interrupted halfway.

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
    """Path of a hidden temporary file in a folder, recognisable by its name."""
    return folder / f"{PREFIX}{name}{SUFFIX}"


def replace(source: Path, target: Path) -> None:
    """``os.replace`` with retries, because on Windows a virus scanner may hold the target open."""
    for attempt in range(ATTEMPTS):
        try:
            source.replace(target)
            return
        except PermissionError:
            if not IS_WINDOWS or attempt == ATTEMPTS - 1:
                raise
            time.sleep(PAUSE_SECONDS)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of a killed process; no other process may be writing into the folder."""
    for part in folder.glob(f"{PREFIX}*{SUFFIX}"):
        remove_if_possible(part)


def remove_if_possible(file: Path) -> None:
    """Remove a file if possible; Windows refuses while another program has it open."""
    with suppress(OSError):
        file.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush a folder, so that a renaming survives a power cut; does nothing on Windows."""
    if IS_WINDOWS:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
