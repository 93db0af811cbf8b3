"""Records of sessions, made without a network: masks are blobs, and every field holds something."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_samv1.annotation.pieces import Answer, CandidateScores, Object, Piece, Request, paint_over
from napari_samv1.engine.embedding import EmbeddingKey
from napari_samv1.masks.clean import CleanUp
from napari_samv1.masks.drawn import prompts_of
from napari_samv1.records.computation import Computation, Environment
from napari_samv1.records.drawn import DrawnShape, drawn_box, drawn_point
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import EMPTY, MaskCrop
from napari_samv1.records.place import Plane
from napari_samv1.records.preparation import MEDSAM, Preparation
from napari_samv1.records.prompts import Prompts
from napari_samv1.records.settings import KEEP, OVERWRITE, ObjectSettings, Rule
from napari_samv1.storage.session.record import ImageRecord, PlaneRecord, PlaneSource, SessionRecord, World

SHAPE = (60, 80)
ENVIRONMENT = Environment("0.1.0", "3.11.9", "2.0.0", "2.10.0", "Linux-6", "AVX2", 2)
TINY = Computation("tiny", "tiny", ENVIRONMENT)
OTHER = Computation(
    "mine.pth", "/models/mine.pth", Environment("0.2.0", "3.12", "2", "2", "Windows", "none", 8)
)

SCORES = CandidateScores((0.1, 0.2, 1 / 3, 0.4), (0.5, 0.6, 0.7, 0.8))


def crop(rows: slice, columns: slice, shape: tuple[int, int] = SHAPE, holes: bool = False) -> MaskCrop:
    mask = np.zeros(shape, dtype=bool)
    mask[rows, columns] = True
    if holes:
        mask[rows, columns][3:-3:4, 3:-3:4] = False
    return MaskCrop.from_mask(mask)


def key(**changes: object) -> EmbeddingKey:
    values: dict[str, object] = {
        "pixels": "0" * 32,
        "weights": "a" * 64,
        "preparation": Preparation(side=64, minmax=True, percentiles=(0.1, 99.9)),
        "frame": Frame.plan(SHAPE, side=64, patch=8),
        "intensity": None,
        "gamma": 1.0,
        "dtype": "float32",
        "device": "cpu",
    }
    return EmbeddingKey(**{**values, **changes})  # type: ignore[arg-type]


def drawn_rows(prompts: Prompts) -> tuple[DrawnShape, ...]:
    """Clicks and rectangles that make these prompts."""
    points = [
        drawn_point(point, bool(label))
        for point, label in zip(prompts.points_yx, prompts.labels, strict=True)
    ]
    return (*points, *map(drawn_box, prompts.boxes_yx))


def one_object(
    object_id: int,
    derived: MaskCrop = EMPTY,
    prompts: Prompts | None = None,
    settings: ObjectSettings | None = None,
    painted_in: MaskCrop = EMPTY,
    painted_out: MaskCrop = EMPTY,
    embedding_key: EmbeddingKey | None = None,
    *,
    plane: Plane | None = None,
    drawn: tuple[DrawnShape, ...] | None = None,
    answered: bool = True,
    asked: Prompts | None = None,
    answered_settings: ObjectSettings | None = None,
    batch: tuple[int, int] = (0, 1),
    chosen: int | None = 2,
    scores: CandidateScores | None = SCORES,
    made_by: Computation | None = TINY,
    **changes: Any,
) -> Piece:
    """A piece with an answer to its prompts, or to others that were ``asked`` before."""
    if prompts is None:
        prompts = Prompts([(10.25, 20.1 + object_id)], [1]) if drawn is None else prompts_of(drawn, SHAPE)
    drawn = drawn_rows(prompts) if drawn is None else drawn
    settings = settings or ObjectSettings()
    request = Request(prompts if asked is None else asked, embedding_key or key())
    answer = Answer(request, answered_settings or settings, derived, chosen, scores, batch, made_by)
    values: dict[str, Any] = {"reason": "", **changes}
    return Piece(
        id=object_id,
        plane=plane or Plane(),
        pointed=prompts_of(drawn, SHAPE),
        prompts=prompts,
        drawn=drawn,
        settings=settings,
        derived=derived,
        answer=answer if answered else None,
        painted_in=painted_in,
        painted_out=painted_out,
        mask=paint_over(derived, painted_in, painted_out),
        **values,
    )


def source(**changes: object) -> PlaneSource:
    values: dict[str, object] = {"name": "cells", "image_shape": SHAPE, "dtype": "uint8"}
    return PlaneSource(**{**values, **changes})  # type: ignore[arg-type]


def rich_pieces(plane: Plane) -> tuple[Piece, ...]:
    """Every kind of prompt, setting, answer, stroke and origin that there is."""
    area = crop(slice(20, 40), slice(30, 60), holes=True)
    path = np.array([(2.0, 3.0), (2.0, 30.0), (20.0, 30.0)])
    return (
        one_object(
            1,
            crop(slice(5, 30), slice(10, 40), holes=True),
            Prompts([(10.25, 20.1), (1 / 3, 7)], [1, 0], [(2, 3, 40.5, 50.125), (0, 0, 9, 9)], candidate=3),
            ObjectSettings("auto", 0.1, CleanUp(True, 5, True, 1.5, -2), Rule("inside", 7), True),
            painted_in=crop(slice(40, 45), slice(60, 80)),
            painted_out=crop(slice(5, 9), slice(10, 15)),
            batch=(3, 5),
            plane=plane,
            drawn=(
                drawn_point((10.25, 20.1)),
                drawn_point((1 / 3, 7), positive=False),
                DrawnShape("polygon", np.array([(2.0, 3), (40.5, 3), (40.5, 50.125), (2, 50.125)])),
                drawn_box((0, 0, 9, 9)),
            ),
        ),
        one_object(
            7,
            crop(slice(0, 60), slice(0, 80)),
            settings=ObjectSettings(3, -8.0, None, OVERWRITE),
            embedding_key=key(intensity=(0.5, 1000.0), gamma=0.7, preparation=MEDSAM),
            chosen=3,
            made_by=OTHER,
            plane=plane,
            origin="automatic",
        ),
        # edited since the answer came
        one_object(
            40000,
            crop(slice(50, 60), slice(70, 80)),
            asked=Prompts([(3, 4)], [1]),
            answered_settings=ObjectSettings(1, 0.5, CleanUp(grow=2)),
            plane=plane,
        ),
        # painted by hand only
        one_object(
            12,
            prompts=Prompts(),
            painted_in=crop(slice(2, 4), slice(2, 4)),
            answered=False,
            reason="This object has no prompts.",
            plane=plane,
            origin="adopted",
        ),
        one_object(
            13,
            prompts=Prompts([], [], [(1, 2, 3, 4)]),
            embedding_key=key(intensity=("percentile", 1.0, 99.0)),
            plane=plane,
            ask_again=True,
            origin="carried",
        ),
        # decoding failed
        one_object(
            14,
            settings=ObjectSettings(rule=KEEP),
            embedding_key=key(intensity="minmax"),
            chosen=None,
            scores=None,
            made_by=None,
            reason="The mask could not be made: out of memory",
            plane=plane,
            origin="learned",
        ),
        # an earlier mask is refined, and shapes of all kinds are drawn
        one_object(
            15,
            prompts=Prompts([(30, 40)], [1], [(20, 30, 39, 59)], area),
            refined=area,
            drawn=(
                drawn_point((30, 40)),
                DrawnShape("path", path, positive=False),
                DrawnShape("line", path[:2]),
                DrawnShape("polygon", path),
                DrawnShape("ellipse", np.array([(20.0, 30), (20, 60), (40, 60), (40, 30)])),
            ),
            scores=CandidateScores((0.5, float("nan"), 0.25, 1.0), (1.0, 0.0, 0.125, float("nan"))),
            plane=plane,
        ),
    )


def rich_plane() -> PlaneRecord:
    beneath = np.zeros(SHAPE, dtype=np.uint16)
    beneath[30:50, 30:60] = 7
    beneath[55:, :5] = 65535
    beneath.flags.writeable = False
    index = (4, None, None)
    return PlaneRecord(
        source(
            name="zellen µ.tif",
            image_shape=(9, *SHAPE),
            index=index,
            path=str(Path("images").absolute() / "zellen µ.tif"),
            pixels="xxh3-128:" + "1" * 32,
            world=World(((0.5, 0, 3), (0, 0.25, -1)), ("micrometer", "micrometer")),
        ),
        SHAPE,
        rich_pieces(Plane(index)),
        (7, 1, 40000, 15, 14, 13, 12),
        beneath,
    )


@pytest.fixture
def rich_record() -> SessionRecord:
    """A session with everything in it."""
    plane = rich_plane()
    objects = tuple(Object(piece.id, piece.settings) for piece in plane.pieces)
    # settings of the next piece, an object that another was divided from, and one that has no piece any more
    others = (Object(8, ObjectSettings(2, 1.5)), Object(9, parent=7))
    return SessionRecord((ImageRecord((*objects, *others), (plane,)),), "2026-01-02T03:04:05Z")


def small_plane(*pieces: Piece, **changes: object) -> PlaneRecord:
    values: dict[str, object] = {
        "source": source(),
        "shape_yx": SHAPE,
        "pieces": pieces,
        "order": tuple(piece.id for piece in pieces),
    }
    return PlaneRecord(**{**values, **changes})  # type: ignore[arg-type]


def image_of(*planes: PlaneRecord) -> ImageRecord:
    """An image with these planes, and an object for each number on them."""
    objects = {piece.id: Object(piece.id, piece.settings) for plane in planes for piece in plane.pieces}
    return ImageRecord(tuple(objects.values()), planes)


def session_of(*planes: PlaneRecord) -> SessionRecord:
    """A session of images with one plane each."""
    return SessionRecord(tuple(image_of(plane) for plane in planes))


def assert_same_record(opened: SessionRecord, saved: SessionRecord) -> None:
    """Equal in every value that a session has, down to the last field of the last record."""
    assert differences(opened.images, saved.images) == []


def differences(first: Any, second: Any, place: str = "images") -> list[str]:
    """Places at which two records, or what they hold, are not the same."""
    numbers = int, float
    if type(first) is not type(second) and not (type(first) in numbers and type(second) in numbers):
        return [f"{place}: {first!r} is no {type(second).__name__}"]
    if is_dataclass(first):
        pairs: Iterable[tuple[str, Any, Any]] = (
            (f".{own.name}", getattr(first, own.name), getattr(second, own.name)) for own in fields(first)
        )
    elif isinstance(first, tuple):
        if len(first) != len(second):
            return [f"{place}: {len(first)} for {len(second)}"]
        pairs = ((f"[{index}]", *pair) for index, pair in enumerate(zip(first, second, strict=True)))
    elif isinstance(first, np.ndarray):
        same = first.dtype == second.dtype and np.array_equal(first, second)
        return [] if same else [f"{place}: {first} for {second}"]
    else:
        same = first == second or (first != first and second != second)
        return [] if same else [f"{place}: {first!r} for {second!r}"]
    return [found for name, one, other in pairs for found in differences(one, other, place + name)]
