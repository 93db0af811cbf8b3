"""A record as the text of ``session.json``; docs/session-format.md describes it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import xxhash

from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.storage.session.record import Computation, DrawnShape, PlaneRecord, SessionRecord
from napari_samv1.storage.session.recorder import now
from napari_samv1.storage.session.runs import run_lengths, to_text

if TYPE_CHECKING:
    from napari_samv1.engine.embedding import EmbeddingKey
    from napari_samv1.engine.objects import AnnotatedObject
    from napari_samv1.records.mask_crop import MaskCrop
    from napari_samv1.records.prompts import Prompts

FORMAT = "napari-samv1 session"
VERSION = 1

_Place = tuple[str, str] | None
"""The names of the encoding and of the computation that an object's mask comes from."""


@dataclass(frozen=True, eq=False)
class _Fragment:
    """An object's text, and what it was made of: held, so that an id stays that object's."""

    known: AnnotatedObject
    drawn: tuple[DrawnShape, ...]
    place: _Place
    text: str


class SessionWriter:
    """Makes the text; what has not changed since the last time is not worked out again."""

    def __init__(self) -> None:
        self._fragments: dict[int, _Fragment] = {}

    def text(self, record: SessionRecord, beneath: tuple[str, ...], files: dict[str, str]) -> str:
        """``beneath`` are the hashes of the planes' labels beneath, or ""; ``files`` those of the copies."""
        tables = _Tables()
        fragments: dict[int, _Fragment] = {}
        planes = [
            self._plane(plane, own_beneath, tables, fragments)
            for plane, own_beneath in zip(record.planes, beneath, strict=True)
        ]
        self._fragments = fragments
        saved = now()
        head = {
            "format": FORMAT,
            "version": VERSION,
            "software": {"name": "napari-samv1", "version": version("napari-samv1")},
            "created": record.created or saved,
            "saved": saved,
            "encodings": tables.encodings,
            "computations": tables.computations,
            "files": files,
        }
        # one object a line: readable, and a change shows as that line
        lines = [f"{json.dumps(name)}: {_dump(value)}" for name, value in head.items()]
        return "{\n" + ",\n".join([*lines, '"planes": [' + ",\n".join(planes) + "]"]) + "\n}\n"

    def _plane(
        self, plane: PlaneRecord, beneath: str, tables: _Tables, fragments: dict[int, _Fragment]
    ) -> str:
        lines = []
        for known in plane.objects:
            place, drawn = tables.place(known, plane), plane.drawn.get(known.id, ())
            kept = self._fragments.get(id(known))
            if kept is None or kept.place != place or kept.drawn != drawn:
                kept = _Fragment(known, drawn, place, _dump(_object(known, place, drawn)))
            fragments[id(known)] = kept
            lines.append(kept.text)
        source = asdict(plane.source)
        head = {
            "source": source,
            "shape_yx": plane.shape_yx,
            "stack": plane.stack,
            "beneath": beneath or None,
        }
        own = [f"{json.dumps(name)}: {_dump(value)}" for name, value in head.items()]
        objects = '"objects": [' + "".join(f"\n{line}," for line in lines).rstrip(",") + "]"
        return "{\n" + ",\n".join([*own, objects]) + "\n}"


class _Tables:
    """What many objects share is written once, under a name that is its hash."""

    def __init__(self) -> None:
        self.encodings: dict[str, Any] = {}
        self.computations: dict[str, Any] = {}
        self._names: dict[int, str] = {}

    def place(self, known: AnnotatedObject, plane: PlaneRecord) -> _Place:
        """Where an object's mask comes from; None where no network made it."""
        computation = plane.computations.get(known.id)
        if known.answered is None or computation is None:
            return None
        encoding = cast("EmbeddingKey", known.answered.embedding_key)
        return self._entered(self.encodings, encoding), self._entered(self.computations, computation)

    def _entered(self, table: dict[str, Any], shared: EmbeddingKey | Computation) -> str:
        # the record holds them all, so that ids are theirs
        if id(shared) not in self._names:
            value = asdict(shared)
            self._names[id(shared)] = name = xxhash.xxh3_64_hexdigest(_dump(value).encode())
            table[name] = value
        return self._names[id(shared)]


def _object(known: AnnotatedObject, place: _Place, drawn: tuple[DrawnShape, ...]) -> dict[str, Any]:
    settings, scores = known.settings, known.scores
    return {
        "id": known.id,
        "prompts": _prompts(known.prompts, drawn),
        "settings": {
            "choice": settings.choice,
            "threshold": settings.threshold,
            "cleanup": None if settings.cleanup is None else asdict(settings.cleanup),
            "rule": asdict(settings.rule),
        },
        "chosen": known.chosen,
        "scores": None
        if scores is None
        else {"iou": _finite(scores.iou), "stability": _finite(scores.stability)},
        "answer": _answer(known, place),
        "derived": _mask(known.derived),
        "painted_in": _mask(known.painted_in),
        "painted_out": _mask(known.painted_out),
        "reason": known.reason,
        **({} if known.refined.empty else {"refined": _mask(known.refined)}),
    }


def _answer(known: AnnotatedObject, place: _Place) -> dict[str, Any] | None:
    if known.answered is None or place is None:
        return None
    same = known.answered.prompts == known.prompts
    return {
        "encoding": place[0],
        "computation": place[1],
        "batch": known.batch,
        "prompts": None if same else _prompts(known.answered.prompts, ()),
    }


def _prompts(prompts: Prompts, drawn: tuple[DrawnShape, ...]) -> dict[str, Any]:
    area = None if prompts.area is None else MaskCrop(prompts.area.origin_yx, prompts.area.mask)
    return {
        "points_yx": prompts.points_yx.tolist(),
        "labels": prompts.labels.tolist(),
        "boxes_yx": prompts.boxes_yx.tolist(),
        "drawn": [
            {"kind": one.kind, "vertices_yx": one.vertices_yx.tolist(), "positive": one.positive}
            for one in drawn
        ],
        **({} if area is None else {"area": _mask(area)}),
        **({} if prompts.candidate is None else {"candidate": prompts.candidate}),
    }


def _mask(crop: MaskCrop) -> dict[str, Any] | None:
    if crop.empty:
        return None
    counts = to_text(run_lengths(crop))
    return {"origin_yx": crop.origin_yx, "size_hw": crop.mask.shape, "counts": counts}


def _finite(values: tuple[float, ...]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]


def _dump(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    """A number of numpy's as Python's own."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in a session file")
