"""Folders that may not be read, also for root."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest


def lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to list a folder and to look at what is in it, as the system does with another user's."""
    scandir, stat = os.scandir, os.stat

    def refuse(path: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))

    def scandir_or_refuse(path: Any = ".") -> Any:
        if not isinstance(path, int) and folder in (Path(path), *Path(path).parents):
            refuse(path)
        return scandir(path)

    def stat_or_refuse(path: Any, *args: Any, **named: Any) -> Any:
        if isinstance(path, str | Path) and folder in Path(path).parents:
            refuse(path)
        return stat(path, *args, **named)

    monkeypatch.setattr(os, "scandir", scandir_or_refuse)
    monkeypatch.setattr(os, "stat", stat_or_refuse)
