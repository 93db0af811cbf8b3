"""Prompts for a batch: a table of points or boxes, a saved session, or labels to refine."""

from __future__ import annotations

import csv
from collections.abc import Mapping
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

BOX = ("y0", "x0", "y1", "x1")
POINT = ("y", "x")


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
    recorded = {plane.source.index: plane for plane in record.planes}
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
    reader = csv.DictReader(text.splitlines(), delimiter="\t" if file.suffix.lower() == ".tsv" else ",")
    columns = _columns(reader.fieldnames or (), file)
    gathered: list[dict[int, tuple[list[Any], list[int], list[Any]]]] = [{} for _ in place.planes]
    for number, row in enumerate(reader, start=1):
        try:
            if "image" in row and row["image"] not in place.names:
                continue
            objects = gathered[_plane_number(row, columns, place)]
            points, labels, boxes = objects.setdefault(int(float(row.get("object") or number)), ([], [], []))
            if _filled(row, BOX):
                boxes.append([float(row[name]) for name in BOX])
            if _filled(row, columns["point"]):
                points.append([float(row[name]) for name in columns["point"]])
                labels.append(_label(row.get("label") or row.get("polarity") or "1"))
        except (ValueError, TypeError, LookupError) as error:
            raise ReadError(f"{file}, row {number}: {error}") from error
    return [
        {identity: Prompts(points, labels, boxes) for identity, (points, labels, boxes) in plane.items()}
        for plane in gathered
    ]


def _columns(names: Any, file: Path) -> dict[str, tuple[str, ...]]:
    axes = tuple(sorted(name for name in names if name.startswith("axis-")))
    if len(axes) >= 2:  # as napari writes its points
        return {"point": axes[-2:], "plane": axes[:-2]}
    if not (set(POINT) <= set(names) or set(BOX) <= set(names)):
        raise ReadError(
            f"{file} needs the columns {', '.join(POINT)} for points or {', '.join(BOX)} for boxes, and may "
            f"have image, plane, object and label; it has {', '.join(names) or 'none'}"
        )
    return {"point": POINT, "plane": ("plane",) if "plane" in names else ()}


def _filled(row: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    return all(row.get(name) not in (None, "") for name in names)


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
        number = int(row["plane"] or 0)
        if not 0 <= number < len(place.planes):
            raise ValueError(f"there is no plane {number} among {len(place.planes)}")
        return number
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
