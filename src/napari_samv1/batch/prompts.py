"""Prompts for a batch: a table of points or boxes, a saved session, or labels to refine."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import find_objects

from napari_samv1.batch.reading import read_labels
from napari_samv1.images.source import ReadError
from napari_samv1.records.place import Plane
from napari_samv1.records.prompts import Prompts
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.folder import open_session
from napari_samv1.storage.session.record import PlaneRecord, SessionRecord

BOX = ("y0", "x0", "y1", "x1")
POINT = ("y", "x")
MOST = np.iinfo(np.uint32).max
"""Highest number of an object."""


@dataclass(frozen=True)
class Place:
    """An image's names in a table of prompts, and its planes in the stack."""

    names: tuple[str, ...]
    planes: tuple[Plane, ...]
    plane_hw: tuple[int, int]


def prompts_for(file: Path, place: Place) -> list[dict[int, Prompts]]:
    """Prompts for each plane of an image, by the ids of their objects.

    ``file`` is a CSV table, the folder of a session, or a label image of the image's size, whose labels
    become boxes.

    Raises
    ------
    ReadError
        If the file cannot be read, or has no prompts for this image.
    """
    if file.is_dir() and file.suffix.lower() != ".zarr":
        found = _from_session(file, place)
    elif file.suffix.lower() in (".csv", ".tsv"):
        found = _from_table(file, place)
    else:
        found = _from_labels(file, place)
    if not any(found):
        raise ReadError(f"{file} holds no prompts for {place.names[0]}")
    return found


def _from_session(folder: Path, place: Place) -> list[dict[int, Prompts]]:
    try:
        record = open_session(folder)
    except SessionError as error:
        raise ReadError(str(error)) from error
    recorded = {plane.source.index: plane for plane in _planes_of(record, folder, place)}
    found = []
    for plane in place.planes:
        saved = recorded.get(plane.index)
        if saved is not None and saved.shape_yx != place.plane_hw:
            raise ReadError(
                f"session {folder} has {saved.shape_yx} pixels, but {place.names[0]} has {place.plane_hw}"
            )
        pieces = () if saved is None else saved.pieces
        found.append({piece.id: piece.prompts for piece in pieces if piece.decodable})
    return found


def _planes_of(record: SessionRecord, folder: Path, place: Place) -> Sequence[PlaneRecord]:
    """A session's planes of an image: the only one's, or those of the path, or else of the name."""
    images = [one for one in record.images if one.planes]
    if len(images) <= 1:
        return record.planes
    sources = [one.planes[0].source for one in images]
    chosen = [one for one, source in zip(images, sources, strict=True) if source.path == place.names[-1]]
    if not chosen:
        chosen = [one for one, source in zip(images, sources, strict=True) if source.name in place.names]
    if len(chosen) != 1:
        names = ", ".join(source.name for source in sources)
        number = "several" if chosen else "none"
        raise ReadError(
            f"session {folder} has prompts for several images ({names}), {number} of the path or name of "
            f"{place.names[-1]}"
        )
    return chosen[0].planes


def _from_labels(file: Path, place: Place) -> list[dict[int, Prompts]]:
    labels = read_labels(file)
    if labels.shape[-2:] != place.plane_hw or labels.size != len(place.planes) * np.prod(place.plane_hw):
        raise ReadError(
            f"{file} has shape {labels.shape}: expected {len(place.planes)} planes of {place.plane_hw}"
        )
    found = []
    for plane in labels.reshape(-1, *place.plane_hw):
        ids, ranks = np.unique(plane, return_inverse=True)
        # ranks, because find_objects needs small numbers from 1 on; the background has one too
        regions = find_objects(ranks.reshape(plane.shape).astype(np.int32) + 1)
        found.append(
            {
                int(number): Prompts(boxes_yx=[(rows.start, columns.start, rows.stop - 1, columns.stop - 1)])
                for number, (rows, columns) in zip(ids, regions, strict=True)
                if number > 0
            }
        )
    return found


def _from_table(file: Path, place: Place) -> list[dict[int, Prompts]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{file} could not be read: {error}") from error
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter, skipinitialspace=True)
    reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
    columns = _columns(reader.fieldnames, file)
    rows = list(enumerate(reader, start=1))
    taken: set[int] = set()
    gathered: list[dict[int, tuple[list[Any], list[int], list[Any]]]] = [{} for _ in place.planes]
    # rows without a number come last, so that theirs are free ones
    for number, row in sorted(rows, key=lambda one: not one[1].get("object")):
        try:
            if "image" in row and row["image"] not in place.names:
                continue
            objects = gathered[_plane_number(row, columns, place)]
            identity = _identity(row["object"]) if row.get("object") else _free(number, taken)
            taken.add(identity)
            points, labels, boxes = objects.setdefault(identity, ([], [], []))
            box, point = (_coordinates(row, names, place) for names in (BOX, columns["point"]))
            if box is None and point is None:
                raise ValueError(f"it has neither a point ({', '.join(columns['point'])}) nor a box")
            if box is not None:
                boxes.append(box)
            if point is not None:
                points.append(point)
                labels.append(_label(row.get("label") or row.get("polarity") or "1"))
        except (ValueError, TypeError, LookupError) as error:
            raise ReadError(f"{file}, row {number}: {error}") from error
    try:
        return [{one: Prompts(*plane[one]) for one in sorted(plane)} for plane in gathered]
    except ValueError as error:
        raise ReadError(f"{file}: {error}") from error


def _identity(text: str) -> int:
    value = float(text)
    if value != int(value) or not 1 <= value <= MOST:
        raise ValueError(f"object must be a whole number from 1 to {MOST}, got {text!r}")
    return int(value)


def _free(number: int, taken: set[int]) -> int:
    """The number of a row, or the first after it that no object has."""
    while number in taken:
        number += 1
    return number


def _coordinates(row: Mapping[str, Any], names: tuple[str, ...], place: Place) -> list[float] | None:
    """A row's point or box; None if all its columns are empty or missing."""
    texts = [row.get(name) for name in names]
    if all(text in (None, "") for text in texts):
        return None
    if any(text in (None, "") for text in texts):
        raise ValueError(f"{', '.join(names)} belong together: got {', '.join(map(repr, texts))}")
    values = [float(str(text)) for text in texts]
    if not np.isfinite(values).all():
        raise ValueError(f"{', '.join(names)} must be finite numbers, got {', '.join(map(repr, texts))}")
    height, width = place.plane_hw
    first, last = values[:2], values[-2:]
    low, high = np.minimum(first, last), np.maximum(first, last)
    if (high < -0.5).any() or (low > np.subtract((height, width), 0.5)).any():
        raise ValueError(f"{', '.join(map(str, texts))} lies outside the image of {height} x {width} pixels")
    return values


def _columns(names: Any, file: Path) -> dict[str, tuple[str, ...]]:
    if "vertex-index" in names:
        raise ReadError(f"{file} holds the vertices of napari's shapes: save the session, or give boxes")
    axes = tuple(sorted(name for name in names if name.startswith("axis-")))
    if len(axes) >= 2:  # as napari writes its points
        return {"point": axes[-2:], "plane": axes[:-2]}
    if not (set(POINT) <= set(names) or set(BOX) <= set(names)):
        raise ReadError(
            f"{file} needs the columns {', '.join(POINT)} for points or {', '.join(BOX)} for boxes, and may "
            f"have image, plane, object and label; it has {', '.join(names) or 'none'}"
        )
    return {"point": POINT, "plane": ("plane",) if "plane" in names else ()}


def _plane_number(row: Mapping[str, Any], columns: Mapping[str, tuple[str, ...]], place: Place) -> int:
    """Number of a row's plane in the stack: from its column, or found by its coordinates."""
    names = columns["plane"]
    if not names:
        if len(place.planes) > 1:
            raise ValueError(
                f"the image has {len(place.planes)} planes: a column plane must give their numbers"
            )
        return 0
    if names == ("plane",):
        number = float(row["plane"] or 0)
        if number != int(number) or not 0 <= number < len(place.planes):
            raise ValueError(f"there is no plane {row['plane']} among {len(place.planes)}, counted from 0")
        return int(number)
    index = tuple(round(float(row[name])) for name in names)
    for number, plane in enumerate(place.planes):
        if tuple(one for one in plane.index if one is not None)[-len(index) :] == index:
            return number
    raise ValueError(f"there is no plane {index}")


def _label(text: str) -> int:
    labels = {"1": 1, "0": 0, "positive": 1, "negative": 0, "1.0": 1, "0.0": 0}
    if text not in labels:
        raise ValueError(f"label must be 1 (in the object) or 0 (not in it), got {text!r}")
    return labels[text]
