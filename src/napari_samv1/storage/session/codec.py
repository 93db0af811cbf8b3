"""The session file, format 2: one table of fields from which writing, reading and the schema follow.

docs/session-format.md describes the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from itertools import islice
from operator import attrgetter
from typing import Any, get_args

import jsonschema
import numpy as np
import xxhash
from numpy.typing import NDArray

from napari_samv1.annotation.pieces import (
    ORIGINS,
    Answer,
    CandidateScores,
    Object,
    Piece,
    Request,
    paint_over,
)
from napari_samv1.masks.clean import CleanUp
from napari_samv1.masks.drawn import prompts_of
from napari_samv1.records.computation import Computation, Environment
from napari_samv1.records.display import Blending, Channel, Display, Paint, Projection, ProjectionMode, Slab
from napari_samv1.records.drawn import DrawnShape
from napari_samv1.records.embedding_key import EmbeddingKey
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import EMPTY, MaskCrop
from napari_samv1.records.place import Plane
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.prompts import Prompts
from napari_samv1.records.settings import CHOICES, ObjectSettings, Rule
from napari_samv1.records.sight import AS_DISPLAYED, LimitRule, SeenChannels, Sight
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.limits import (
    MOST_COUNTS,
    MOST_IN_LIST,
    Room,
    require_few_prompts,
    require_sizes,
    require_text_size,
)
from napari_samv1.storage.session.parts import coordinates, short
from napari_samv1.storage.session.record import (
    ImageRecord,
    PlaneRecord,
    PlaneSource,
    SessionRecord,
    World,
    now,
)
from napari_samv1.storage.session.runs import from_run_lengths, from_text, run_lengths, to_text
from napari_samv1.storage.utf8 import utf8

FORMAT = "napari-samv1 session"
VERSION = 2
MOST_ERRORS = 20
MOST_CHANNELS, MOST_COLOURS, MOST_AXES = 64, 1024, 64

Json = Any
Beneath = Mapping[str, NDArray[Any]]


# Kinds of values: writing, reading, schema


class Shared:
    """Values that many objects share, written once under a name that is their hash."""

    def __init__(self) -> None:
        self.written: dict[str, Json] = {}
        self._names: dict[int, tuple[Any, str]] = {}

    def name(self, value: Any, write: Callable[[Any], Json]) -> str:
        """Name of a value, under which a new value is written."""
        kept = self._names.get(id(value))
        if kept is None:
            written = write(value)
            name = xxhash.xxh3_64_hexdigest(utf8(dump(written)))
            self.written[name] = written
            kept = self._names[id(value)] = value, name
        return kept[1]

    def keep(self, values: Iterable[Any]) -> dict[str, Json]:
        """Table of these values by name; the entries of others are dropped."""
        self._names = {id(value): self._names[id(value)] for value in values}
        self.written = {name: self.written[name] for _, name in self._names.values()}
        return self.written


@dataclass
class Context:
    """Tables that the values of one file refer to."""

    encodings: Shared = field(default_factory=Shared)
    computations: Shared = field(default_factory=Shared)
    read: dict[str, dict[str, Any]] = field(default_factory=dict)
    shape_yx: tuple[int, int] = (0, 0)  # of the plane that is read
    room: Room = field(default_factory=Room)


@dataclass(frozen=True)
class Kind:
    """A kind of value: its JSON schema, and its conversion to and from JSON."""

    schema: Json
    write: Callable[[Any, Context], Json] = lambda value, _: value
    read: Callable[[Json, Context], Any] = lambda value, _: value


@dataclass(frozen=True)
class Member:
    """A field of a record: its name in the file, its kind, and its getter, by default the attribute's.

    A value equal to ``default`` is left out of the file.
    """

    name: str
    kind: Kind
    get: Callable[[Any], Any] | None = None
    default: Any = ...


def record(build: Callable[..., Any], *members: Member, description: str = "") -> Kind:
    """Kind of a record: an object with an entry for each member, and no others."""
    getters = [(one, one.get or attrgetter(one.name)) for one in members]

    def write(value: Any, context: Context) -> Json:
        written = {}
        for one, get in getters:
            inner = get(value)
            if inner is not one.default and (one.default is ... or inner != one.default):
                written[one.name] = one.kind.write(inner, context)
        return written

    def read(value: Json, context: Context) -> Any:
        values = {}
        for one in members:
            if one.name in value or one.default is ...:
                values[one.name] = _at(one.name, one.kind.read, value[one.name], context)
            else:
                values[one.name] = one.default
        return build(**values)

    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": [one.name for one in members if one.default is ...],
        "properties": {one.name: one.kind.schema for one in members},
    }
    return Kind({"description": description, **schema} if description else schema, write, read)


def listed(kind: Kind, least: int = 0, most: int | None = None) -> Kind:
    """A tuple of values of one kind."""
    schema = {"type": "array", "items": kind.schema, "minItems": least}
    if most is not None:
        schema["maxItems"] = most
    return Kind(
        schema,
        lambda values, context: [kind.write(value, context) for value in values],
        lambda values, context: tuple(
            _at(f"[{index}]", kind.read, value, context) for index, value in enumerate(values)
        ),
    )


def optional(kind: Kind) -> Kind:
    """A value, or null for None."""
    return Kind(
        {"oneOf": [{"type": "null"}, kind.schema]},
        lambda value, context: None if value is None else kind.write(value, context),
        lambda value, context: None if value is None else kind.read(value, context),
    )


def one_of(*values: Any) -> Kind:
    """One of these values."""
    # 1 for 1.0, which the schema accepts too
    return Kind({"enum": list(values)}, read=lambda value, _: values[values.index(value)])


def described(kind: Kind, description: str) -> Kind:
    """The same kind, described in the schema."""
    return Kind({**kind.schema, "description": description}, kind.write, kind.read)


def _at(place: str, read: Callable[..., Any], *values: Any) -> Any:
    """Read a value; an error names its place in the file."""
    try:
        return read(*values)
    except SessionError as error:
        raise SessionError(f"{place}.{error}".replace(".[", "[")) from error
    except (ValueError, OverflowError, KeyError, TypeError) as error:
        raise SessionError(f"{place}: {short(str(error))}") from error


TEXT = Kind({"type": "string"})
TIME = Kind({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$"})
SHA256 = Kind({"type": "string", "pattern": "^[0-9a-f]{64}$"})
TRUTH = Kind({"type": "boolean"})
NUMBER = Kind({"type": "number"}, lambda value, _: float(value), lambda value, _: float(value))
ABOVE_ZERO = Kind({"type": "number", "exclusiveMinimum": 0}, NUMBER.write, NUMBER.read)
NATURAL = Kind({"type": "integer", "minimum": 0, "maximum": 2**31 - 1}, lambda value, _: int(value))
WHOLE = Kind({"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}, lambda value, _: int(value))
POSITIVE = Kind({"type": "integer", "minimum": 1, "maximum": 2**31 - 1}, lambda value, _: int(value))
ID = Kind({"type": "integer", "minimum": 1, "maximum": 2**63 - 1}, lambda value, _: int(value))
SIZE = listed(POSITIVE, 2, 2)
PAIR = listed(NUMBER, 2, 2)
COLOUR = listed(NUMBER, 3, 3)
UNIT = Kind({"type": "number", "minimum": 0, "maximum": 1}, NUMBER.write, NUMBER.read)


def _rows(width: int) -> Kind:
    return Kind(
        {
            "type": "array",
            "items": {"type": "array", "items": {"type": "number"}, "minItems": width, "maxItems": width},
            "maxItems": MOST_IN_LIST,
        },
        lambda rows, _: np.asarray(rows).tolist(),
        lambda rows, _: coordinates(rows, width),
    )


def _read_mask(value: Json, context: Context) -> MaskCrop:
    if value is None:
        return EMPTY
    (top, left), (height, width) = value["origin_yx"], value["size_hw"]
    shape = context.shape_yx
    if top + height > shape[0] or left + width > shape[1]:
        raise ValueError(f"a mask of {height} x {width} at {top}, {left} lies outside of {shape}")
    return from_run_lengths(from_text(value["counts"]), (height, width), (top, left))


def _write_mask(crop: MaskCrop, _: Context) -> Json:
    if crop.empty:
        return None
    counts = to_text(run_lengths(crop))
    return {"origin_yx": list(crop.origin_yx), "size_hw": list(crop.mask.shape), "counts": counts}


MASK = Kind(
    {
        "description": "A mask in its bounding box; counts are COCO's compressed run lengths of that box, "
        "down the columns. null is empty.",
        "oneOf": [
            {"type": "null"},
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["origin_yx", "size_hw", "counts"],
                "properties": {
                    "origin_yx": {"type": "array", "items": NATURAL.schema, "minItems": 2, "maxItems": 2},
                    "size_hw": SIZE.schema,
                    "counts": {"type": "string", "maxLength": MOST_COUNTS},
                },
            },
        ],
    },
    _write_mask,
    _read_mask,
)
SCORES = Kind(
    {"type": "array", "items": {"type": ["number", "null"]}, "minItems": 4, "maxItems": 4},
    lambda values, _: [float(value) if math.isfinite(value) else None for value in values],
    lambda values, _: tuple(math.nan if value is None else float(value) for value in values),
)


def _shared(table: str, kind: Callable[[], Kind]) -> Kind:
    def write(value: Any, context: Context) -> Json:
        return getattr(context, table).name(value, lambda shared: kind().write(shared, context))

    def read(name: Json, context: Context) -> Any:
        if name not in context.read[table]:
            raise ValueError(f"it refers to {short(name)}, which the file does not hold")
        return context.read[table][name]

    return Kind({"type": "string"}, write, read)


# Records: the table


PREPARATION = record(
    Preparation,
    Member("side", POSITIVE),
    Member("sizing", one_of("native", "padded", "stretched")),
    Member("mean", COLOUR),
    Member("std", COLOUR),
    Member("resampling", one_of("bilinear", "bicubic")),
    Member("minmax", TRUTH),
    Member("percentiles", described(PAIR, "Percentiles between which minmax stretches.")),
    Member("box_only", TRUTH),
)
FRAME = record(
    Frame,
    Member("image_hw", SIZE),
    Member("window_yxhw", listed(NATURAL, 4, 4)),
    Member("resized_hw", SIZE),
    Member("input_hw", SIZE),
    Member("patch", POSITIVE),
    description="The encoded window of the plane, the size it was resized to, the size with padding.",
)
INTENSITY = Kind(
    {
        "description": "Limits [black, white], or the rule that found them; null: 8 bits as they are, "
        "others by percentiles 0.1 and 99.9.",
        "oneOf": [
            {"type": "null"},
            {"enum": ["dtype", "minmax"]},
            PAIR.schema,
            {
                "type": "array",
                "prefixItems": [{"const": "percentile"}, {"type": "number"}, {"type": "number"}],
                "minItems": 3,
                "maxItems": 3,
            },
        ],
    },
    lambda value, _: list(value) if isinstance(value, tuple) else value,
    lambda value, _: tuple(value) if isinstance(value, list) else value,
)
PAINT = record(
    Paint,
    Member(
        "colours",
        described(
            listed(listed(UNIT, 4, 4), 2, MOST_COLOURS),
            "Red, green, blue, opacity: evenly spaced from the lower limit to the upper one.",
        ),
    ),
    Member("blending", one_of(*get_args(Blending))),
    Member("opacity", UNIT),
)
SLAB = record(Slab, Member("axis", NATURAL), Member("start", WHOLE), Member("stop", WHOLE))
PROJECTION = record(
    Projection,
    Member("mode", one_of(*get_args(ProjectionMode))),
    Member("slabs", listed(SLAB, 1, MOST_AXES)),
    description="Slices that were seen as one: along an axis, from start to before stop, counted from the "
    "annotated one.",
)
CHANNEL = record(
    Channel,
    Member("low", NUMBER),
    Member("high", NUMBER),
    Member("gamma", ABOVE_ZERO),
    Member("paint", PAINT),
    Member("rgb", TRUTH),
    Member(
        "pixels",
        described(TEXT, "Hash of the channel's plane, which the plane's channels name; empty: the plane's."),
    ),
    Member("projection", optional(PROJECTION), default=None),
)
DISPLAY = record(
    Display,
    Member("channels", listed(CHANNEL, 1, MOST_CHANNELS)),
    description="Channels that were composed, lowest first; they take the place of intensity and gamma.",
)
SIGHT = record(
    Sight,
    Member("channels", one_of(*get_args(SeenChannels))),
    Member("limits", one_of(*get_args(LimitRule))),
    Member("percentiles", PAIR),
    Member("fixed", PAIR),
    description="Channels and limits for the model when the session was saved; channels are the annotated "
    "layer alone or all visible ones.",
)
ENCODING = record(
    EmbeddingKey,
    Member("pixels", described(TEXT, "XXH3-128 of the prepared input of the network, float32.")),
    Member("weights", described(TEXT, "sha256 of the weight file.")),
    Member("preparation", PREPARATION),
    Member("frame", FRAME),
    Member("intensity", INTENSITY),
    Member("gamma", ABOVE_ZERO),
    Member("dtype", TEXT),
    Member("device", TEXT),
    Member(
        "limits",
        described(
            optional(PAIR),
            "8-bit values between which a region's pixels were stretched; null where they were found in the "
            "pixels themselves.",
        ),
        default=None,
    ),
    Member("display", optional(DISPLAY), default=None),
)
ENVIRONMENT = record(
    Environment,
    *(Member(name, TEXT) for name in ("package", "python", "numpy", "torch", "platform", "processor")),
    Member("threads", Kind({"type": "integer", "minimum": 1, "maximum": 4096})),
)
COMPUTATION = record(
    Computation,
    Member("model", TEXT),
    Member("source", described(TEXT, "The known model's name or the weight file's path.")),
    Member("environment", ENVIRONMENT),
    Member(
        "decoder",
        described(
            one_of("float32", "float16"), "Precision of the mask decoder; float32 where it is not said."
        ),
        default="float32",
    ),
)
CLEANUP = record(
    CleanUp,
    Member("fill_holes", TRUTH),
    Member("drop_islands", NATURAL),
    Member("keep_largest", TRUTH),
    Member("smooth", Kind({"type": "number", "minimum": 0, "maximum": 1000}, NUMBER.write, NUMBER.read)),
    Member("grow", Kind({"type": "integer", "minimum": -10_000, "maximum": 10_000})),
)
RULE = record(
    Rule,
    Member("kind", one_of("keep", "overwrite", "inside")),
    Member("label", Kind({"type": "integer", "minimum": 0, "maximum": 2**63 - 1})),
)
DETAIL = Kind(
    {
        "description": "Requested model pixels per pixel of the plane, or the whole plane in one encoding.",
        "oneOf": [{"enum": ["auto", "whole"]}, ABOVE_ZERO.schema],
    },
    lambda value, context: value if isinstance(value, str) else ABOVE_ZERO.write(value, context),
    lambda value, context: value if isinstance(value, str) else ABOVE_ZERO.read(value, context),
)
SETTINGS = record(
    ObjectSettings,
    Member("choice", one_of(*CHOICES)),
    Member("threshold", NUMBER),
    Member("cleanup", optional(CLEANUP)),
    Member("rule", RULE),
    Member("clicked_piece", TRUTH),
    Member("detail", DETAIL, default="whole"),
)
VERTICES = {"point": 1, "line": 2, "rectangle": 4, "ellipse": 4}


def _drawn(kind: Any, vertices_yx: NDArray[np.float64], positive: bool) -> DrawnShape:
    count, exact = len(vertices_yx), VERTICES.get(kind)
    if count < 2 if exact is None else count != exact:
        raise ValueError(f"the {kind} has {exact or 'two or more'} vertices, not {count}")
    return DrawnShape(kind, vertices_yx, positive)


DRAWN = record(
    _drawn,
    Member("kind", one_of("point", "rectangle", "ellipse", "polygon", "path", "line")),
    Member("vertices_yx", _rows(2)),
    Member("positive", TRUTH),
)


def _area(prompts: Prompts) -> MaskCrop:
    return EMPTY if prompts.area is None else MaskCrop(prompts.area.origin_yx, prompts.area.mask)


def _prompts(
    points_yx: Any,
    labels: Any,
    boxes_yx: Any,
    area: MaskCrop,
    candidate: int | None,
    within: tuple[float, ...] | None,
) -> Prompts:
    return Prompts(points_yx, labels, boxes_yx, None if area.empty else area, candidate, within)


PROMPTS = record(
    _prompts,
    Member("points_yx", _rows(2)),
    Member("labels", listed(one_of(0, 1)), lambda prompts: prompts.labels.tolist()),
    Member("boxes_yx", _rows(4)),
    Member("area", MASK, _area, EMPTY),
    Member("candidate", one_of(0, 1, 2, 3), default=None),
    Member("within", listed(NUMBER, 4, 4), default=None),
    description="Prompts for the network: points with 1 for foreground and 0 for background, boxes as first "
    "row, first column, last row, last column, the mask hint, the index of the first answer's mask that is "
    "corrected, and the part of the image that the decoder attends to, as first row, first column, last row, "
    "last column.",
)


def _batch(place: int, size: int) -> tuple[int, int]:
    if not place < size:
        raise ValueError(f"place {place} does not exist in a batch of {size}")
    return place, size


@dataclass(frozen=True)
class _WrittenAnswer:
    """An answer as written: ``prompts`` and ``settings`` are None where they equal the piece's."""

    encoding: Any
    computation: Computation | None
    prompts: Prompts | None
    settings: ObjectSettings | None
    chosen: int | None
    iou: tuple[float, ...] | None
    stability: tuple[float, ...] | None
    batch: tuple[int, int]

    def of(self, piece: _WrittenPiece) -> Answer:
        """Make the answer of a piece."""
        prompts = piece.prompts if self.prompts is None else self.prompts
        settings = piece.settings if self.settings is None else self.settings
        mask = EMPTY if self.chosen is None else piece.derived
        scores = (
            None if self.iou is None or self.stability is None else CandidateScores(self.iou, self.stability)
        )
        request = Request(prompts, self.encoding)
        return Answer(request, settings, mask, self.chosen, scores, self.batch, self.computation)


BATCH = record(
    _batch, Member("place", NATURAL, lambda one: one[0]), Member("size", POSITIVE, lambda one: one[1])
)
ANSWER = record(
    _WrittenAnswer,
    Member("encoding", _shared("encodings", lambda: ENCODING)),
    Member("computation", optional(_shared("computations", lambda: COMPUTATION))),
    Member("prompts", PROMPTS, default=None),
    Member("settings", SETTINGS, default=None),
    Member("chosen", optional(one_of(0, 1, 2, 3))),
    Member("iou", optional(SCORES)),
    Member("stability", optional(SCORES)),
    Member("batch", BATCH),
    description="The network's last answer, with its prompts, its settings and its computation. Prompts and "
    "settings that are left out are those of the piece.",
)


@dataclass(frozen=True)
class _WrittenPiece:
    """A piece as written, without its plane and derived fields."""

    id: int
    drawn: tuple[DrawnShape, ...]
    prompts: Prompts
    settings: ObjectSettings
    answer: _WrittenAnswer | None
    ask_again: bool
    derived: MaskCrop
    painted_in: MaskCrop
    painted_out: MaskCrop
    refined: MaskCrop
    origin: Any
    reason: str

    def on(self, plane: Plane, shape_yx: tuple[int, int], room: Room) -> Piece:
        """Make the piece on its plane."""
        room.take(self.drawn, shape_yx)
        return Piece(
            **{**vars(self), "answer": None if self.answer is None else self.answer.of(self)},
            plane=plane,
            pointed=prompts_of(self.drawn, shape_yx),
            mask=paint_over(self.derived, self.painted_in, self.painted_out),
        )


def _answer_of_mask(piece: Piece) -> Answer | None:
    """Answer that a piece's mask comes from; None where another mask took the place of the answer's."""
    answer = piece.answer
    if answer is None or answer.chosen is None or answer.mask is piece.derived:
        return answer
    return answer if answer.mask == piece.derived else None


def _written_answer(piece: Piece) -> _WrittenAnswer | None:
    answer = _answer_of_mask(piece)
    if answer is None:
        return None
    prompts, settings, scores = answer.request.prompts, answer.settings, answer.scores
    return _WrittenAnswer(
        answer.request.embedding_key,
        answer.made_by,
        None if prompts is piece.prompts or prompts == piece.prompts else prompts,
        None if settings == piece.settings else settings,
        answer.chosen,
        None if scores is None else scores.iou,
        None if scores is None else scores.stability,
        answer.batch,
    )


PIECE = record(
    _WrittenPiece,
    Member("id", ID),
    Member("drawn", described(listed(DRAWN), "The prompts as they were drawn, points before shapes.")),
    Member("prompts", PROMPTS),
    Member("settings", SETTINGS),
    Member("answer", optional(ANSWER), _written_answer),
    Member("ask_again", TRUTH, default=False),
    Member("derived", described(MASK, "The mask before strokes.")),
    Member("painted_in", MASK, default=EMPTY),
    Member("painted_out", MASK, default=EMPTY),
    Member(
        "refined",
        described(MASK, "An earlier mask that the network refines, part of the prompts."),
        default=EMPTY,
    ),
    Member("origin", one_of(*ORIGINS)),
    Member("reason", TEXT, default=""),
)
OBJECT = record(
    Object, Member("id", ID), Member("settings", SETTINGS), Member("parent", optional(ID), default=None)
)


def _source(**values: Any) -> PlaneSource:
    index = values["index"]
    if index.count(None) != 2 or len(index) != len(values["image_shape"]):
        raise ValueError("index must have an entry for each axis of the image, and null for two of them")
    return PlaneSource(**values)


WORLD = record(
    World,
    Member("matrix", described(listed(COLOUR, 2, 2), "Maps (row, column, 1) to the world.")),
    Member("units", listed(TEXT, 2, 2)),
)
SOURCE = record(
    _source,
    Member("name", TEXT),
    Member("image_shape", listed(POSITIVE, 2)),
    Member("dtype", TEXT),
    Member("rgb", TRUTH),
    Member("index", listed(optional(NATURAL), 2)),
    Member("level", NATURAL),
    Member("factors_yx", listed(ABOVE_ZERO, 2, 2)),
    Member("pixels", described(TEXT, "method:hash of shape, dtype and pixels; empty where unknown.")),
    Member("path", TEXT),
    Member("sample", TEXT),
    Member("world", WORLD),
    description="The annotated pixels: the plane at index of an image (null on its rows and columns).",
)
CHANNELS = listed(SOURCE, 0, MOST_CHANNELS)
PLANE_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["source", "shape_yx", "order", "beneath", "pieces"],
    "properties": {
        "source": SOURCE.schema,
        "shape_yx": SIZE.schema,
        "order": {
            "description": "Ids in the order in which pieces are laid into the label image, lowest first.",
            "type": "array",
            "items": ID.schema,
            "uniqueItems": True,
        },
        "beneath": {
            "description": "Labels that belong to no object: the sha256 in their file's name, "
            "beneath-<sha256>.tif, and of its content; or null.",
            **optional(SHA256).schema,
        },
        "pieces": {"type": "array", "items": PIECE.schema},
        "channels": {
            "description": "Planes of other images in the encodings of this plane.",
            **CHANNELS.schema,
        },
    },
}


def schema() -> Json:
    """The JSON schema of the file, made from the table."""
    shared = {"type": "object"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"An annotation session of napari-samv1, version {VERSION}",
        "description": "session.json. Coordinates are (row, column) in pixels of the plane; whole numbers "
        "are pixel centres.",
        "type": "object",
        "additionalProperties": False,
        "required": [
            "format",
            "version",
            "software",
            "created",
            "saved",
            "encodings",
            "computations",
            "files",
            "images",
        ],
        "properties": {
            "format": {"const": FORMAT},
            "version": {"const": VERSION},
            "software": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "version"],
                "properties": {"name": {"type": "string"}, "version": {"type": "string"}},
            },
            "created": TIME.schema,
            "saved": TIME.schema,
            "sight": SIGHT.schema,
            "encodings": {**shared, "additionalProperties": ENCODING.schema},
            "computations": {**shared, "additionalProperties": COMPUTATION.schema},
            "files": {
                "description": "Copies beside this file for other programs, with the sha256 of each when the "
                "session was saved. They are not read back.",
                **shared,
                "additionalProperties": SHA256.schema,
            },
            "images": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["objects", "planes"],
                    "properties": {
                        "objects": {"type": "array", "items": OBJECT.schema},
                        "planes": {"type": "array", "items": PLANE_SCHEMA},
                    },
                },
            },
        },
    }


# Writing


class SessionWriter:
    """Writes the text of a session file; unchanged objects and pieces are reused from the last time."""

    def __init__(self) -> None:
        self._context = Context()
        self._objects: dict[int, tuple[Object, str]] = {}  # by id(), unique while the object is held
        self._lines: dict[Piece, str] = {}

    def text(self, session: SessionRecord, beneath: tuple[str, ...], files: dict[str, str]) -> bytes:
        """Text of a session file.

        ``beneath`` are the hashes of the planes' labels beneath, or ""; ``files`` those of the copies.

        Raises
        ------
        SessionError
            If a piece has more prompts than could be opened.
        """
        hashes = iter(beneath)
        lines: dict[Piece, str] = {}
        images = []
        for image in session.images:
            planes = [self._plane(plane, next(hashes), lines) for plane in image.planes]
            objects = ",\n".join([self._object(one) for one in image.objects])
            images.append('{"objects": [' + objects + '],\n"planes": [' + ",\n".join(planes) + "]}")
        self._lines = lines
        self._objects = {id(one): self._objects[id(one)] for image in session.images for one in image.objects}
        # only encodings and computations that answers still refer to
        answers = [answer for answer in map(_answer_of_mask, lines) if answer is not None]
        encodings = self._context.encodings.keep(answer.request.embedding_key for answer in answers)
        made_by = (answer.made_by for answer in answers if answer.made_by is not None)
        computations = self._context.computations.keep(made_by)
        saved = now()
        head = {
            "format": FORMAT,
            "version": VERSION,
            "software": {"name": "napari-samv1", "version": version("napari-samv1")},
            "created": session.created or saved,
            "saved": saved,
            **({} if session.sight == AS_DISPLAYED else {"sight": SIGHT.write(session.sight, self._context)}),
            "encodings": encodings,
            "computations": computations,
            "files": files,
        }
        # one piece a line, so that the file is readable and a diff shows the changed pieces
        parts = [f"{json.dumps(name)}: {dump(value)}" for name, value in head.items()]
        return utf8("{\n" + ",\n".join([*parts, '"images": [' + ",\n".join(images) + "]"]) + "\n}\n")

    def _object(self, one: Object) -> str:
        kept = self._objects.get(id(one))
        if kept is None:
            kept = self._objects[id(one)] = one, dump(OBJECT.write(one, self._context))
        return kept[1]

    def _plane(self, plane: PlaneRecord, beneath: str, lines: dict[Piece, str]) -> str:
        for piece in plane.pieces:
            line = self._lines.get(piece)
            if line is None:
                require_few_prompts(piece)
                line = dump(PIECE.write(piece, self._context))
            lines[piece] = line
        head = {
            "source": SOURCE.write(plane.source, self._context),
            "shape_yx": list(plane.shape_yx),
            "order": list(plane.order),
            "beneath": beneath or None,
        }
        if plane.channels:
            head["channels"] = CHANNELS.write(plane.channels, self._context)
        parts = [f"{json.dumps(name)}: {dump(value)}" for name, value in head.items()]
        pieces = '"pieces": [' + ",".join(f"\n{lines[piece]}" for piece in plane.pieces) + "]"
        return "{\n" + ",\n".join([*parts, pieces]) + "\n}"


def dump(value: Json) -> str:
    """JSON on one line."""
    return _ENCODER.encode(value)


def _plain(value: Any) -> Any:
    """Convert a number of numpy to one of Python."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written to a session file")


_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False, default=_plain)


# Reading


def parse(text: bytes) -> Json:
    """Checked content of a session file, of this format or of format 1.

    Raises
    ------
    SessionError
        If it is not a session, is damaged, or is of a newer version.
    """
    require_text_size(text)
    try:
        content = json.loads(text.decode("utf-8"), parse_constant=_no_constant, parse_float=_number)
    except UnicodeDecodeError as error:
        raise SessionError("the file is damaged or not text") from error
    except (ValueError, RecursionError) as error:
        raise SessionError(f"the file is damaged or not JSON ({short(str(error))})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise SessionError("the file is JSON, but not a napari-samv1 session")
    number = content.get("version")
    if isinstance(number, int) and number > VERSION:
        raise SessionError(
            f"the session was written by a newer napari-samv1 (format {number}; this one reads up to "
            f"{VERSION}): update napari-samv1 to open it"
        )
    require_sizes(content)
    from napari_samv1.storage.session.format_1 import schema as schema_1

    # not True, which equals 1
    check(content, schema_1() if _is_whole(None, number) and number == 1 else schema())
    return content


def check(content: Json, against: Json) -> None:
    """Check a content against a schema.

    Raises
    ------
    SessionError
        If it does not fit; the message says where.
    """
    # the first few, as a wrong file may have millions
    errors = islice(_validator(dump(against)).iter_errors(content), MOST_ERRORS)
    wrong = jsonschema.exceptions.best_match(errors)
    if wrong is not None:
        raise SessionError(f"{_place(wrong.absolute_path)}: {short(wrong.message)}")


@cache
def _validator(text: str) -> Any:
    # JSON schema accepts 1.0 as an integer, but arrays cannot be indexed with it
    checker = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole)
    return jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=checker)(
        json.loads(text)
    )


def beneath_shapes(content: Json) -> dict[str, tuple[int, int]]:
    """Hashes of the label files of a checked content, with the shapes of their planes."""
    planes: Iterable[Json] = (
        content["planes"]
        if content["version"] == 1
        else (plane for image in content["images"] for plane in image["planes"])
    )
    return {
        plane["beneath"]: (int(plane["shape_yx"][0]), int(plane["shape_yx"][1]))
        for plane in planes
        if plane["beneath"] is not None
    }


def to_record(content: Json, beneath: Beneath) -> SessionRecord:
    """Make the record of a checked content; ``beneath`` are the label images by their hashes.

    Raises
    ------
    SessionError
        If values do not fit together; the message says where.
    """
    if content["version"] == 1:
        from napari_samv1.storage.session.format_1 import to_record as from_format_1

        return from_format_1(content, beneath)
    context = Context()
    for table, kind in (("encodings", ENCODING), ("computations", COMPUTATION)):
        context.read[table] = {
            name: _at(f"{table}.{name}", kind.read, value, context) for name, value in content[table].items()
        }
    images = []
    for number, image in enumerate(content["images"]):
        place = f"images[{number}]"
        objects = tuple(
            _at(f"{place}.objects[{index}]", OBJECT.read, value, context)
            for index, value in enumerate(image["objects"])
        )
        ids = {one.id for one in objects}
        if len(ids) != len(objects):
            raise SessionError(f"{place}: two objects share an id")
        planes = tuple(
            _read_plane(value, f"{place}.planes[{index}]", ids, context, beneath)
            for index, value in enumerate(image["planes"])
        )
        if len({plane.source.index for plane in planes}) != len(planes):
            raise SessionError(f"{place}: two planes share an index")
        images.append(ImageRecord(objects, planes))
    sight = _at("sight", SIGHT.read, content["sight"], context) if "sight" in content else AS_DISPLAYED
    return SessionRecord(tuple(images), content["created"], content["saved"], sight)


def _read_plane(
    plane: Json, place: str, object_ids: set[int], context: Context, beneath: Beneath
) -> PlaneRecord:
    shape = int(plane["shape_yx"][0]), int(plane["shape_yx"][1])
    context.shape_yx = shape
    source = _at(f"{place}.source", SOURCE.read, plane["source"], context)
    on_plane = Plane(source.index)

    def read_piece(value: Json) -> Piece:
        written: _WrittenPiece = PIECE.read(value, context)
        return written.on(on_plane, shape, context.room)

    pieces = tuple(
        _at(f"{place}.pieces[{index}]", read_piece, value) for index, value in enumerate(plane["pieces"])
    )
    ids, order = [piece.id for piece in pieces], tuple(plane["order"])
    if len(set(ids)) != len(ids):
        raise SessionError(f"{place}: two pieces share an object")
    if not object_ids.issuperset(ids):
        raise SessionError(f"{place}: a piece names an object that the image does not have")
    if sorted(order) != sorted(ids):
        raise SessionError(f"{place}: order must name each piece's object once")
    labels = None if plane["beneath"] is None else beneath[plane["beneath"]]
    if labels is not None and labels.shape != shape:
        raise SessionError(f"{place}: the labels beneath are {labels.shape}, the plane is {shape}")
    channels = _at(f"{place}.channels", CHANNELS.read, plane.get("channels", []), context)
    return PlaneRecord(source, shape, pieces, order, labels, channels)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


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
