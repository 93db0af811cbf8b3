"""Export as COCO JSON: run lengths, so that holes and several pieces survive."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any

from napari_samv1.annotation.pieces import Piece
from napari_samv1.disk.atomic import write_file
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.storage.session.composite import shown_objects
from napari_samv1.storage.session.record import SessionRecord, now
from napari_samv1.storage.session.runs import run_lengths, to_text
from napari_samv1.storage.utf8 import utf8

CATEGORY = {"id": 1, "name": "object", "supercategory": ""}


@dataclass(frozen=True)
class CocoImage:
    """An image, and its objects as (id, mask, predicted IoU or None)."""

    name: str
    size_hw: tuple[int, int]
    objects: Sequence[tuple[int, MaskCrop, float | None]]


def export_coco(path: str | os.PathLike[str], record: SessionRecord) -> Path:
    """Write all objects, as the label image shows them, to a COCO JSON file.

    An annotation's ``score`` is the predicted IoU, and ``object`` its id in the session.
    """
    images = []
    for plane in record.planes:
        objects = [(piece.id, mask, _predicted_iou(piece)) for piece, mask in shown_objects(plane)]
        # without the folder, so that the data set can be used elsewhere
        name = PurePath(plane.source.path.replace("\\", "/")).name or plane.source.name
        images.append(CocoImage(name, plane.shape_yx, objects))
    return write_coco(path, images)


def _predicted_iou(piece: Piece) -> float | None:
    return None if piece.scores is None or piece.chosen is None else piece.scores.iou[piece.chosen]


def write_coco(path: str | os.PathLike[str], images: Sequence[CocoImage]) -> Path:
    """Write a COCO JSON file; run lengths are compressed, as pycocotools writes them."""
    annotations: list[dict[str, Any]] = []
    for image_id, image in enumerate(images, start=1):
        for object_id, mask, score in image.objects:
            annotations.append(
                _annotation(len(annotations) + 1, image_id, image.size_hw, object_id, mask, score)
            )
    content = {
        "info": {
            "description": f"annotated with napari-samv1 {version('napari-samv1')}",
            "date_created": now(),
        },
        "licenses": [],
        "images": [
            {"id": number, "file_name": image.name, "height": image.size_hw[0], "width": image.size_hw[1]}
            for number, image in enumerate(images, start=1)
        ],
        "categories": [CATEGORY],
        "annotations": annotations,
    }
    target = Path(path)
    write_file(target, utf8(json.dumps(content, ensure_ascii=False)))
    return target


def _annotation(
    number: int, image_id: int, size_hw: tuple[int, int], object_id: int, mask: MaskCrop, score: float | None
) -> dict[str, Any]:
    (top, left), (height, width) = mask.origin_yx, mask.mask.shape
    annotation: dict[str, Any] = {
        "id": number,
        "image_id": image_id,
        "category_id": CATEGORY["id"],
        "segmentation": {"size": list(size_hw), "counts": to_text(run_lengths(mask, size_hw))},
        "area": mask.area,
        "bbox": [left, top, width, height],
        "iscrowd": 0,
        "object": object_id,
    }
    if score is not None and math.isfinite(score):
        annotation["score"] = score
    return annotation
