"""Format 1 of the session file, read only: a list of planes, each with separate objects.

Equal numbers on several planes of one image become one object with several pieces.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.annotation.pieces import Answer, CandidateScores, Object, Piece, Request, paint_over
from napari_samv1.masks.clean import CleanUp
from napari_samv1.masks.drawn import PATHS, prompts_of
from napari_samv1.records.computation import Computation, Environment
from napari_samv1.records.drawn import DrawnShape, drawn_box, drawn_point
from napari_samv1.records.embedding_key import EmbeddingKey
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import EMPTY, MaskCrop, box_around
from napari_samv1.records.place import Plane
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.prompts import Prompts, points_along
from napari_samv1.records.settings import CHOICES, Choice, ObjectSettings, Rule
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.limits import Room
from napari_samv1.storage.session.parts import coordinates, short
from napari_samv1.storage.session.record import ImageRecord, PlaneRecord, PlaneSource, SessionRecord, World
from napari_samv1.storage.session.runs import from_run_lengths, from_text

Json = Any
Beneath = Mapping[str, NDArray[Any]]


@cache
def schema() -> Json:
    """The JSON schema of format 1."""
    return json.loads((files("napari_samv1.storage.session") / "format_1.schema.json").read_text("utf-8"))


def to_record(content: Json, beneath: Beneath) -> SessionRecord:
    """Make the record of a checked content; ``beneath`` are the label images by their hashes.

    Raises
    ------
    SessionError
        If values do not fit together; the message says where.
    """
    encodings = _each(content, "encodings", _encoding)
    computations = _each(content, "computations", _computation)
    room = Room()
    planes = [
        _plane(plane, f"planes[{number}]", encodings, computations, beneath, room)
        for number, plane in enumerate(content["planes"])
    ]
    images = tuple(ImageRecord(_objects(group), tuple(group)) for group in by_image(planes))
    return SessionRecord(images, content["created"], content["saved"])


def by_image(planes: Iterable[PlaneRecord]) -> list[list[PlaneRecord]]:
    """Planes grouped by image, in the order of the images.

    Format 1 does not group them: planes of one file and shape are of one image, unless one occurs twice, as
    then the image was opened twice.
    """
    images: dict[tuple[object, ...], list[PlaneRecord]] = {}
    times: Counter[tuple[object, ...]] = Counter()
    for plane in planes:
        source = plane.source
        image = source.path, source.sample, source.name, source.image_shape
        times[*image, source.index] += 1
        images.setdefault((*image, times[*image, source.index]), []).append(plane)
    return list(images.values())


def _objects(planes: Iterable[PlaneRecord]) -> tuple[Object, ...]:
    """Objects of an image's pieces, each with the settings of its first piece."""
    objects: dict[int, Object] = {}
    for plane in planes:
        for piece in plane.pieces:
            objects.setdefault(piece.id, Object(piece.id, piece.settings))
    return tuple(objects.values())


def _each(content: Json, table: str, convert: Any) -> dict[str, Any]:
    return {name: _at(f"{table}.{name}", convert, value) for name, value in content[table].items()}


def _at(place: str, convert: Any, *values: Any) -> Any:
    """Convert a value; an error names its place in the file."""
    try:
        return convert(*values)
    except (ValueError, OverflowError) as error:
        raise SessionError(f"{place}: {short(str(error))}") from error


def _encoding(value: Json) -> EmbeddingKey:
    frame, intensity = value["frame"], value["intensity"]
    preparation: dict[str, Any] = {
        name: tuple(one) if isinstance(one, list) else one for name, one in value["preparation"].items()
    }
    return EmbeddingKey(
        pixels=value["pixels"],
        weights=value["weights"],
        preparation=Preparation(**preparation),
        frame=Frame(**frame),
        intensity=tuple(intensity) if isinstance(intensity, list) else intensity,
        gamma=value["gamma"],
        dtype=value["dtype"],
        device=value["device"],
    )


def _computation(value: Json) -> Computation:
    return Computation(value["model"], value["source"], Environment(**value["environment"]))


def _plane(
    plane: Json,
    place: str,
    encodings: Mapping[str, EmbeddingKey],
    computations: Mapping[str, Computation],
    beneath: Beneath,
    room: Room,
) -> PlaneRecord:
    shape = int(plane["shape_yx"][0]), int(plane["shape_yx"][1])
    source = _at(f"{place}.source", _source, plane["source"])
    pieces = [
        _piece(value, f"{place}.objects[{number}]", Plane(source.index), shape, encodings, computations, room)
        for number, value in enumerate(plane["objects"])
    ]
    ids, stack = [piece.id for piece in pieces], tuple(plane["stack"])
    if len(set(ids)) != len(ids) or sorted(stack) != sorted(ids):
        raise SessionError(f"{place}: stack must name each object once, and ids must differ")
    labels = None if plane["beneath"] is None else beneath[plane["beneath"]]
    if labels is not None and labels.shape != shape:
        raise SessionError(f"{place}: the labels beneath are {labels.shape}, the plane is {shape}")
    return PlaneRecord(source, shape, tuple(pieces), stack, labels)


def _source(value: Json) -> PlaneSource:
    index, world = tuple(value["index"]), value["world"]
    if index.count(None) != 2 or len(index) != len(value["image_shape"]):
        raise ValueError("index must have an entry for each axis of the image, and null for two of them")
    return PlaneSource(
        **{
            **value,
            "image_shape": tuple(value["image_shape"]),
            "index": index,
            "factors_yx": tuple(value["factors_yx"]),
            "world": World(tuple(tuple(row) for row in world["matrix"]), tuple(world["units"])),  # type: ignore[arg-type]
        }
    )


def _piece(
    value: Json,
    place: str,
    plane: Plane,
    shape_yx: tuple[int, int],
    encodings: Mapping[str, EmbeddingKey],
    computations: Mapping[str, Computation],
    room: Room,
) -> Piece:
    prompts = _at(f"{place}.prompts", _prompts, value["prompts"], shape_yx)
    derived, painted_in, painted_out = (
        _at(f"{place}.{name}", _mask, value[name], shape_yx)
        for name in ("derived", "painted_in", "painted_out")
    )
    refined = _at(f"{place}.refined", _mask, value.get("refined"), shape_yx)
    settings = _at(f"{place}.settings", _settings, value["settings"])
    answer, recorded = None, value["answer"]
    if recorded is not None:
        asked = recorded["prompts"]
        asked_prompts = (
            prompts if asked is None else _at(f"{place}.answer.prompts", _prompts, asked, shape_yx)
        )
        scores = value["scores"]
        answer = Answer(
            request=Request(asked_prompts, _named(encodings, recorded["encoding"], place)),
            settings=settings,
            mask=derived,
            chosen=None if value["chosen"] is None else int(value["chosen"]),
            scores=None if scores is None else _at(f"{place}.scores", _scores, scores),
            batch=_at(f"{place}.answer.batch", _batch, recorded["batch"]),
            made_by=_named(computations, recorded["computation"], place),
        )
    shapes = [_at(f"{place}.prompts.drawn", _drawn, one) for one in value["prompts"]["drawn"]]
    _at(f"{place}.prompts.drawn", room.take, shapes, shape_yx)
    drawn = _drawn_rows(prompts, refined, shapes, shape_yx)
    return Piece(
        id=value["id"],
        plane=plane,
        pointed=prompts_of(drawn, shape_yx),
        prompts=prompts,
        drawn=drawn,
        settings=settings,
        derived=derived,
        answer=answer,
        painted_in=painted_in,
        painted_out=painted_out,
        refined=refined,
        mask=paint_over(derived, painted_in, painted_out),
        origin="pointed" if len(prompts) else "adopted",
        reason=value["reason"],
    )


def _drawn_rows(
    prompts: Prompts, refined: MaskCrop, drawn: list[DrawnShape], shape_yx: tuple[int, int]
) -> tuple[DrawnShape, ...]:
    """All prompts as they were drawn, from the network's prompts and the recorded shapes."""
    sampled = [points_along(shape.vertices_yx) for shape in drawn if shape.kind in PATHS]
    rows = []
    for point, label in zip(prompts.points_yx, prompts.labels, strict=True):
        if not any(np.abs(path - point).max(axis=1).min() <= 1e-6 for path in sampled):
            rows.append(drawn_point(point, bool(label)))
    # without the box of a mask to refine, which is added with the mask again
    added = None if refined.empty else np.array(box_around(refined))
    boxes = [box for box in prompts.boxes_yx if added is None or not np.array_equal(box, added)]
    # shapes go where their boxes are, as the same prompts need boxes in the same order
    for shape in drawn:
        if shape.kind not in PATHS:
            clipped = _clipped(shape, shape_yx)
            matches = [place for place, box in enumerate(boxes) if np.allclose(clipped, box, atol=1e-6)]
            if matches:
                rows += map(drawn_box, boxes[: matches[0]])
                del boxes[: matches[0] + 1]
        rows.append(shape)
    return (*rows, *map(drawn_box, boxes))


def _clipped(shape: DrawnShape, shape_yx: tuple[int, int]) -> NDArray[np.float64]:
    edge = np.asarray(shape_yx) - 0.5
    return np.clip(shape.bounds_yx.reshape(2, 2), -0.5, edge).ravel()


def _prompts(value: Json, shape_yx: tuple[int, int]) -> Prompts:
    area = None if value.get("area") is None else _mask(value["area"], shape_yx)
    candidate = value.get("candidate")
    points, boxes = coordinates(value["points_yx"]), coordinates(value["boxes_yx"], 4)
    return Prompts(points, value["labels"], boxes, area, candidate)


def _drawn(value: Json) -> DrawnShape:
    return DrawnShape(value["kind"], coordinates(value["vertices_yx"]), value["positive"])


def _settings(value: Json) -> ObjectSettings:
    cleanup = None if value["cleanup"] is None else CleanUp(**value["cleanup"])
    # 1 for 1.0, which the schema accepts too
    choice: Choice = value["choice"] if value["choice"] == "auto" else CHOICES[1 + int(value["choice"])]
    return ObjectSettings(choice, float(value["threshold"]), cleanup, Rule(**value["rule"]))


def _mask(value: Json, shape_yx: tuple[int, int]) -> MaskCrop:
    if value is None:
        return EMPTY
    (top, left), (height, width) = value["origin_yx"], value["size_hw"]
    if top + height > shape_yx[0] or left + width > shape_yx[1]:
        raise ValueError(f"a mask of {height} x {width} at {top}, {left} lies outside of {shape_yx}")
    return from_run_lengths(from_text(value["counts"]), (height, width), (top, left))


def _batch(value: Json) -> tuple[int, int]:
    place, size = value
    if not place < size:
        raise ValueError(f"place {place} does not exist in a batch of {size}")
    return place, size


def _scores(value: Json) -> CandidateScores:
    iou, stability = (
        tuple(math.nan if score is None else float(score) for score in value[name])
        for name in ("iou", "stability")
    )
    return CandidateScores(iou, stability)


def _named(table: Mapping[str, Any], name: str, place: str) -> Any:
    if name not in table:
        raise SessionError(f"{place}: it refers to {short(name)}, which the file does not hold")
    return table[name]
