"""The text of ``session.json`` as a record; nothing in it is believed before it is checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
import numpy as np
from numpy.typing import NDArray

from napari_samv1.engine.embedding import EmbeddingKey
from napari_samv1.engine.objects import (
    CHOICES,
    EMPTY,
    AnnotatedObject,
    CandidateScores,
    Choice,
    ObjectSettings,
    Request,
    paint_over,
)
from napari_samv1.masks.clean import CleanUp
from napari_samv1.masks.paint import Rule
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.prompts import Prompts
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.json_codec import FORMAT, VERSION
from napari_samv1.storage.session.record import (
    Computation,
    DrawnShape,
    Environment,
    PlaneRecord,
    PlaneSource,
    SessionRecord,
    World,
)
from napari_samv1.storage.session.runs import from_run_lengths, from_text

MOST_MASK_PIXELS = 1 << 30
SHOWN_CHARACTERS = 200

Json = Any
Beneath = Mapping[str, NDArray[Any]]


def parse(text: str) -> Json:
    """The checked content of a session file.

    Raises
    ------
    SessionError
        If it is no session, is damaged, or is of a newer version.
    """
    try:
        content = json.loads(text, parse_constant=_no_constant, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise SessionError(f"the file is damaged or no JSON ({_short(str(error))})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise SessionError("the file is JSON, but no napari-samv1 session")
    version = content.get("version")
    if isinstance(version, int) and version > VERSION:
        raise SessionError(
            f"the session was written by a newer napari-samv1 (format {version}; this one reads up to "
            f"{VERSION}): update napari-samv1 to open it"
        )
    wrong = jsonschema.exceptions.best_match(_validator().iter_errors(content))
    if wrong is not None:
        raise SessionError(f"{_place(wrong.absolute_path)}: {_short(wrong.message)}")
    return content


def beneath_hashes(content: Json) -> set[str]:
    """The hashes of the label files that belong to a checked content."""
    return {plane["beneath"] for plane in content["planes"] if plane["beneath"] is not None}


def to_record(content: Json, beneath: Beneath) -> SessionRecord:
    """The record of a checked content; ``beneath`` are the label images by their hashes.

    Raises
    ------
    SessionError
        If values do not fit together; the message says where.
    """
    encodings = _each(content, "encodings", _encoding)
    computations = _each(content, "computations", _computation)
    planes = []
    for number, plane in enumerate(content["planes"]):
        planes.append(_plane(plane, f"planes[{number}]", encodings, computations, beneath))
    return SessionRecord(tuple(planes), content["created"], content["saved"])


@cache
def _validator() -> Any:
    schema = json.loads((files("napari_samv1.storage.session") / "session.schema.json").read_text("utf-8"))
    # JSON schema takes 1.0 for a whole number, which no array can be indexed with
    checker = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole)
    return jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=checker)(schema)


def _each(content: Json, table: str, convert: Any) -> dict[str, Any]:
    return {name: _at(f"{table}.{name}", convert, value) for name, value in content[table].items()}


def _at(place: str, convert: Any, *values: Any) -> Any:
    """A converted value, or an error that says where in the file it stands."""
    try:
        return convert(*values)
    except (ValueError, OverflowError) as error:
        raise SessionError(f"{place}: {_short(str(error))}") from error


def _encoding(value: Json) -> EmbeddingKey:
    frame, intensity = value["frame"], value["intensity"]
    preparation: dict[str, Any] = {
        name: tuple(given) if isinstance(given, list) else given
        for name, given in value["preparation"].items()
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
) -> PlaneRecord:
    shape = int(plane["shape_yx"][0]), int(plane["shape_yx"][1])
    objects, own_computations, drawn = [], {}, {}
    for number, value in enumerate(plane["objects"]):
        own = f"{place}.objects[{number}]"
        known = _object(value, own, shape, encodings)
        objects.append(known)
        if value["answer"] is not None:
            own_computations[known.id] = _named(computations, value["answer"]["computation"], own)
        if value["prompts"]["drawn"]:
            drawn[known.id] = tuple(_drawn(one) for one in value["prompts"]["drawn"])
    ids, stack = [known.id for known in objects], tuple(plane["stack"])
    if len(set(ids)) != len(ids) or sorted(stack) != sorted(ids):
        raise SessionError(f"{place}: stack must name each object once, and no two objects share an id")
    labels = None if plane["beneath"] is None else beneath[plane["beneath"]]
    if labels is not None and labels.shape != shape:
        raise SessionError(f"{place}: the labels beneath are {labels.shape}, the plane is {shape}")
    source = _at(f"{place}.source", _source, plane["source"])
    return PlaneRecord(source, shape, tuple(objects), stack, own_computations, labels, drawn)


def _source(value: Json) -> PlaneSource:
    index, world = tuple(value["index"]), value["world"]
    if index.count(None) != 2 or len(index) != len(value["image_shape"]):
        raise ValueError("index must have a place for each axis of the image, and two without")
    return PlaneSource(
        **{
            **value,
            "image_shape": tuple(value["image_shape"]),
            "index": index,
            "factors_yx": tuple(value["factors_yx"]),
            "world": World(tuple(tuple(row) for row in world["matrix"]), tuple(world["units"])),  # type: ignore[arg-type]
        }
    )


def _object(
    value: Json, place: str, shape_yx: tuple[int, int], encodings: Mapping[str, EmbeddingKey]
) -> AnnotatedObject:
    prompts = _at(f"{place}.prompts", _prompts, value["prompts"], shape_yx)
    derived, painted_in, painted_out = (
        _at(f"{place}.{name}", _mask, value[name], shape_yx)
        for name in ("derived", "painted_in", "painted_out")
    )
    answered, batch, answer = None, (0, 1), value["answer"]
    if answer is not None:
        asked = answer["prompts"]
        asked_prompts = (
            prompts if asked is None else _at(f"{place}.answer.prompts", _prompts, asked, shape_yx)
        )
        answered = Request(asked_prompts, _named(encodings, answer["encoding"], place))
        batch = _at(f"{place}.answer.batch", _batch, answer["batch"])
    scores = value["scores"]
    return AnnotatedObject(
        id=value["id"],
        prompts=prompts,
        settings=_at(f"{place}.settings", _settings, value["settings"]),
        derived=derived,
        painted_in=painted_in,
        painted_out=painted_out,
        refined=_at(f"{place}.refined", _mask, value.get("refined"), shape_yx),
        mask=paint_over(derived, painted_in, painted_out),
        chosen=None if value["chosen"] is None else int(value["chosen"]),
        scores=None if scores is None else _scores(scores),
        answered=answered,
        batch=batch,
        reason=value["reason"],
    )


def _prompts(value: Json, shape_yx: tuple[int, int]) -> Prompts:
    area = None if value.get("area") is None else _mask(value["area"], shape_yx)
    candidate = value.get("candidate")
    return Prompts(value["points_yx"], value["labels"], value["boxes_yx"], area, candidate)


def _drawn(value: Json) -> DrawnShape:
    vertices = np.array(value["vertices_yx"], dtype=np.float64)
    vertices.flags.writeable = False
    return DrawnShape(value["kind"], vertices, value["positive"])


def _settings(value: Json) -> ObjectSettings:
    cleanup = None if value["cleanup"] is None else CleanUp(**value["cleanup"])
    # the schema lets 1.0 through as one of the numbers 0 to 3
    choice: Choice = value["choice"] if value["choice"] == "auto" else CHOICES[1 + int(value["choice"])]
    return ObjectSettings(choice, float(value["threshold"]), cleanup, Rule(**value["rule"]))


def _mask(value: Json, shape_yx: tuple[int, int]) -> MaskCrop:
    if value is None:
        return EMPTY
    (top, left), (height, width) = value["origin_yx"], value["size_hw"]
    if top + height > shape_yx[0] or left + width > shape_yx[1] or height * width > MOST_MASK_PIXELS:
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
        raise SessionError(f"{place}: it refers to {_short(name)}, which the file does not hold")
    return table[name]


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number


def _is_whole(_: Any, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _place(path: Any) -> str:
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return words.lstrip(".") or "session.json"


def _short(message: str) -> str:
    return message if len(message) <= SHOWN_CHARACTERS else message[: SHOWN_CHARACTERS - 2] + " …"
