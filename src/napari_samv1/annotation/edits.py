"""Edits of objects: functions from a document to a step."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from napari_samv1.annotation.document import Document
from napari_samv1.annotation.history import Step
from napari_samv1.annotation.pieces import BrushStroke, Object, Origin, Piece, PieceKey
from napari_samv1.masks.divide import divide, share_a_piece
from napari_samv1.masks.drawn import prompts_of
from napari_samv1.records.detail import Detail
from napari_samv1.records.drawn import DrawnShape, all_close
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.place import Plane
from napari_samv1.records.prompts import Prompts
from napari_samv1.records.settings import KEEP, ObjectSettings

Pointed = Mapping[int, tuple[Prompts, tuple[DrawnShape, ...]]]
"""Prompts by object, and the shapes as they were drawn."""

SETTING_LABELS = {
    "choice": "mask choice",
    "threshold": "threshold",
    "cleanup": "clean-up",
    "rule": "overlap rule",
    "clicked_piece": "clicked piece only",
    "detail": "detail",
}


def point(
    document: Document,
    plane: Plane,
    pointed: Pointed,
    *,
    given_up: Iterable[int] = (),
    detail: Detail = "whole",
    label: str = "prompts",
    gesture: Hashable = None,
) -> Step:
    """Replace the prompts of objects on a plane; other objects keep theirs.

    A piece whose detail is "auto" takes ``detail`` with its first prompt, and keeps it.

    Cached answers are used at once; other pieces are pending until decoded. Masks of the ``given_up`` objects
    come from elsewhere, and the network's answer replaces them.
    """
    edited = []
    given_up = set(given_up)
    for object_id, (prompts, drawn) in pointed.items():
        old = document.piece(plane, object_id)
        if old is None:
            if not len(prompts):
                continue
            old = _new_piece(document, plane, object_id)
        # a reopened session's prompts come back through a layer's transform, rounded
        if prompts == old.pointed or (drawn and all_close(drawn, old.drawn)):
            continue
        if old.settings.detail == "auto":
            old = replace(old, settings=replace(old.settings, detail=detail))
        asked = old.with_prompts(prompts, drawn)
        # background points alone get no answer, so the mask would vanish without a replacement
        if object_id in given_up and asked.decodable:
            asked = asked.given_up()
        answer = document.lookup(asked) if asked.pending else None
        edited.append(asked if answer is None else asked.answered(answer))
    return _step(document, label, edited, gesture)


def set_settings(document: Document, object_id: int, *, gesture: Hashable = None, **changes: Any) -> Step:
    """Change settings of an object, on all its planes; the names are those of ``ObjectSettings``."""
    before = document.objects.get(object_id)
    if before is None:
        return Step("")
    edited = []
    for old in document.pieces_of(object_id):
        new = replace(old, settings=replace(old.settings, **changes))
        if new.settings != old.settings:
            if not new.settings.derives_like(old.settings) and old.answer is not None and new.decodable:
                answer = document.lookup(new)
                new = new if answer is None else new.answered(answer)
            edited.append(new)
    label = " and ".join(SETTING_LABELS[name] for name in changes)
    named = None if gesture is None else (label, object_id, gesture)
    step = _step(document, f"{label} of object {object_id}", edited, named)
    settings = replace(before.settings, **changes)
    objects = {} if settings == before.settings else {object_id: (before, replace(before, settings=settings))}
    return replace(step, objects={**step.objects, **objects})


def paint(document: Document, strokes: Iterable[BrushStroke], *, gesture: Hashable = None) -> Step:
    """Apply brush and eraser strokes to objects; later answers of the network keep them.

    Strokes on several objects and planes are one step.
    """
    edited: dict[PieceKey, Piece] = {}
    label = "eraser"
    for stroke in strokes:
        key = stroke.plane, stroke.object_id
        old = edited.get(key) or document.piece(*key)
        if old is None:
            if stroke.erase:
                continue
            old = _new_piece(document, *key)
        edited[key] = old.with_stroke(stroke.pixels, erase=stroke.erase)
        label = label if stroke.erase else "brush"
    return _step(document, label, edited.values(), gesture)


def refine(document: Document, plane: Plane, object_id: int) -> Step:
    """Give an object's mask on a plane to the network as a hint, which stays with later prompts."""
    old = document.piece(plane, object_id)
    if old is None or old.mask.empty:
        return Step("")
    new = old.refining()
    answer = document.lookup(new)
    return _step(document, f"refine object {object_id}", [new if answer is None else new.answered(answer)])


def split(
    document: Document,
    plane: Plane,
    object_id: int,
    first_free: int,
    *,
    shape_yx: tuple[int, int],
    share_background: bool = True,
) -> Step:
    """Turn each foreground prompt of an object on a plane into an object.

    The first prompt, points before shapes, keeps the number. Background points are copied to every object, or
    each goes to the object whose foreground prompt is nearest. The mask is divided between the objects where
    two prompts lie in one piece of it, or where it did not come from the network: each part is then the
    object's mask and its hint to the network.
    """
    old = document.piece(plane, object_id)
    foreground = [] if old is None else [shape for shape in old.drawn if shape.positive]
    if old is None or len(foreground) < 2:
        return Step("")
    background = [shape for shape in old.drawn if not shape.positive]
    numbers = [object_id, *range(first_free, first_free + len(foreground) - 1)]
    rows: dict[int, list[DrawnShape]] = {
        number: [shape] for number, shape in zip(numbers, foreground, strict=True)
    }
    centres = np.stack([shape.vertices_yx.mean(axis=0) for shape in foreground])
    for shape in background:
        distances = np.linalg.norm(centres - shape.vertices_yx.mean(axis=0), axis=1)
        nearest = numbers[int(distances.argmin())]
        for number in numbers if share_background and shape.kind == "point" else [nearest]:
            rows[number].append(shape)
    pointed = {
        number: (prompts_of(drawn, shape_yx), tuple(sorted(drawn, key=lambda one: one.kind != "point")))
        for number, drawn in rows.items()
    }
    label = f"split object {object_id}"
    if not (old.derived.empty or not old.refined.empty or share_a_piece(old.mask, centres)):
        return point(document, plane, pointed, detail=old.settings.detail, label=label)
    edited = []
    for number, part in zip(numbers, divide(old.mask, centres), strict=True):
        whole = old if number == object_id else _new_piece(document, plane, number)
        whole = replace(whole, settings=replace(whole.settings, detail=old.settings.detail))
        asked = whole.with_part(part).with_prompts(*pointed[number])
        answer = document.lookup(asked)
        edited.append(asked if answer is None else asked.answered(answer))
    return _step(document, label, edited)


def clear(document: Document, plane: Plane, object_id: int) -> Step:
    """Remove prompts, strokes, hint and mask of an object on a plane; its number and settings stay."""
    old = document.piece(plane, object_id)
    if old is None or old.blank:
        return Step("")
    return _step(document, f"clear object {object_id}", [Piece(object_id, plane, settings=old.settings)])


def delete(document: Document, object_ids: Iterable[int]) -> Step:
    """Remove objects, their settings and their pixels, on all planes."""
    pieces: dict[PieceKey, tuple[Piece | None, Piece | None]] = {}
    objects: dict[int, tuple[Object | None, Object | None]] = {}
    for object_id in object_ids:
        if object_id in document.objects:
            objects[object_id] = document.objects[object_id], None
        for piece in document.pieces_of(object_id):
            pieces[piece.key] = piece, None
    numbers = ", ".join(map(str, objects)) if len(objects) <= 3 else f"{len(objects)} objects"
    return Step(f"delete object{'s' if 1 < len(objects) <= 3 else ''} {numbers}", pieces, objects)


def add(document: Document, pieces: Iterable[Piece], *, label: str) -> Step:
    """Add pieces made elsewhere, such as automatic masks, in one step."""
    return _step(document, label, pieces)


def adopted(
    document: Document, plane: Plane, object_id: int, pixels: MaskCrop, origin: Origin = "adopted"
) -> Piece:
    """A label of another tool as a piece, as if painted in."""
    piece = replace(_new_piece(document, plane, object_id), origin=origin)
    # the settings for new objects would drop or hide parts of another tool's outline
    settings = replace(piece.settings, clicked_piece=False, rule=KEEP)
    return replace(piece, settings=settings).with_stroke(pixels, erase=False)


def _new_piece(document: Document, plane: Plane, object_id: int) -> Piece:
    return Piece(object_id, plane, settings=settings_of(document, object_id))


def _step(document: Document, label: str, edited: Iterable[Piece], gesture: Hashable = None) -> Step:
    pieces: dict[PieceKey, tuple[Piece | None, Piece | None]] = {}
    objects: dict[int, tuple[Object | None, Object | None]] = {}
    for new in edited:
        pieces[new.key] = document.piece(*new.key), new
        if new.id not in document.objects:
            objects[new.id] = None, Object(new.id, new.settings)
    return Step(label, pieces, objects, gesture)


def settings_of(document: Document, object_id: int) -> ObjectSettings:
    """Settings of an object; the defaults for a new one."""
    found = document.objects.get(object_id)
    return document.defaults if found is None else found.settings
