"""Export as GeoJSON in pixels, as QuPath reads it: polygons with holes, several pieces as one object."""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from napari_samv1.disk.atomic import write_file
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.exports.outlines import Polygon, polygons
from napari_samv1.storage.session.composite import shown_objects
from napari_samv1.storage.session.record import PlaneRecord, SessionRecord

ORANGE = [230, 159, 0]


def export_geojson(path: str | os.PathLike[str], record: SessionRecord) -> Path:
    """Write the objects of one plane, as the label image shows them.

    Raises
    ------
    SessionError
        If the session has several planes: a GeoJSON file is about one image.
    """
    if len(record.planes) != 1:
        raise SessionError(
            f"GeoJSON holds the objects of one plane, and this session has {len(record.planes)}: export the "
            f"planes one by one"
        )
    return export_plane_geojson(path, record.planes[0])


def export_plane_geojson(path: str | os.PathLike[str], plane: PlaneRecord) -> Path:
    """Write the objects of a plane, as the label image shows them."""
    objects = []
    for piece, mask in shown_objects(plane):
        measurements: dict[str, float] = {"Area px": mask.area}
        if piece.scores is not None and piece.chosen is not None:
            iou, stability = piece.scores.iou[piece.chosen], piece.scores.stability[piece.chosen]
            # JSON has no NaN and no infinity
            measurements |= {"Predicted IoU": iou} if math.isfinite(iou) else {}
            measurements |= {"Stability": stability} if math.isfinite(stability) else {}
        objects.append((piece.id, mask, measurements))
    return write_geojson(path, objects)


def write_geojson(
    path: str | os.PathLike[str], objects: Iterable[tuple[int, MaskCrop, Mapping[str, float]]]
) -> Path:
    """Write objects as (id, mask, measurements). x goes right, y down, from the corner of the first pixel."""
    content = {"type": "FeatureCollection", "features": [_feature(*one) for one in objects]}
    target = Path(path)
    write_file(target, json.dumps(content, allow_nan=False).encode("utf-8"))
    return target


def _feature(object_id: int, mask: MaskCrop, measurements: Mapping[str, float]) -> dict[str, Any]:
    pieces = [_rings(piece) for piece in polygons(mask)]
    several = len(pieces) != 1
    return {
        "type": "Feature",
        "id": str(uuid.uuid4()),
        "geometry": {
            "type": "MultiPolygon" if several else "Polygon",
            "coordinates": pieces if several else pieces[0],
        },
        "properties": {
            "objectType": "annotation",
            "name": f"Object {object_id}",
            "classification": {"name": "object", "color": ORANGE},
            "isLocked": False,
            "measurements": dict(measurements),
        },
    }


def _rings(piece: Polygon) -> list[list[list[int]]]:
    """Outline and then holes, in the directions of RFC 7946 for a y axis that goes up."""
    return [[[x, y] for x, y in ring] for ring in (piece.outer, *piece.holes)]
