"""Records of finished outputs: the files made of an image, and all that they were made from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_samv1.batch.inside import is_inside
from napari_samv1.disk.atomic import write_file
from napari_samv1.storage.errors import SessionError

RECORDS = ".napari-samv1"
"""Folder in the output folder for the records, one for each image."""


def is_finished(folder: Path, stem: str, made_from: dict[str, Any]) -> list[Path] | None:
    """Outputs of an image if all exist and were made from ``made_from``, or else None."""
    record = _read(_record(folder, stem))
    paths = _outputs(record, folder)
    return paths if paths and record["made_from"] == made_from and all(map(Path.exists, paths)) else None


def unfinish(folder: Path, stem: str) -> list[Path]:
    """Remove the record before outputs are replaced, so that interrupted ones do not count as finished.

    Returns the outputs that it listed.
    """
    path = _record(folder, stem)
    listed = _outputs(_read(path), folder)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise SessionError(f"{path} could not be removed: {error}") from error
    return listed


def finish(folder: Path, stem: str, made_from: dict[str, Any], outputs: Sequence[Path]) -> None:
    """Record that an image's outputs are complete, with their inputs."""
    path = _record(folder, stem)
    content = {
        "made_from": made_from,
        "outputs": [one.relative_to(folder).as_posix() for one in outputs],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, json.dumps(content, indent=1).encode("utf-8"))
    except OSError as error:
        raise SessionError(f"{path} could not be written: {error}") from error


def recorded(folder: Path) -> frozenset[Path]:
    """All outputs that the records of an output folder list."""
    return frozenset(
        path for record in (folder / RECORDS).rglob("*.json") for path in _outputs(_read(record), folder)
    )


def _record(folder: Path, stem: str) -> Path:
    return folder / RECORDS / f"{stem}.json"


def _read(path: Path) -> dict[str, Any]:
    """A record; empty if there is none, or a damaged one."""
    with suppress(OSError, ValueError):
        record = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(record, dict) and "made_from" in record:
            return record
    return {}


def _outputs(record: dict[str, Any], folder: Path) -> list[Path]:
    """Outputs that a record lists; paths that lead out of the folder are left out."""
    names = record.get("outputs")
    return [folder / name for name in names if is_inside(name)] if isinstance(names, list) else []
