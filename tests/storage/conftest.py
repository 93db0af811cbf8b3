"""Records of sessions, made without a network: masks are blobs, and every field holds something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_samv1.annotation.pieces import CandidateScores, Piece, Request, paint_over
from napari_samv1.engine.embedding import EmbeddingKey
from napari_samv1.masks.clean import CleanUp
from napari_samv1.records.computation import Computation, Environment
from napari_samv1.records.drawn import DrawnShape
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import EMPTY, MaskCrop
from napari_samv1.records.preparation import MEDSAM, Preparation
from napari_samv1.records.prompts import Prompts
from napari_samv1.records.settings import KEEP, OVERWRITE, ObjectSettings, Rule
from napari_samv1.storage.session.record import PlaneRecord, PlaneSource, SessionRecord, World

SHAPE = (60, 80)
ENVIRONMENT = Environment("0.1.0", "3.11.9", "2.0.0", "2.10.0", "Linux-6", "AVX2", 2)
TINY = Computation("tiny", "tiny", ENVIRONMENT)


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


def one_object(
    object_id: int,
    derived: MaskCrop = EMPTY,
    prompts: Prompts | None = None,
    settings: ObjectSettings | None = None,
    painted_in: MaskCrop = EMPTY,
    painted_out: MaskCrop = EMPTY,
    embedding_key: EmbeddingKey | None = None,
    **changes: object,
) -> Piece:
    prompts = Prompts([(10.25, 20.1 + object_id)], [1]) if prompts is None else prompts
    values: dict[str, object] = {
        "answered": Request(prompts, embedding_key or key()),
        "batch": (0, 1),
        "reason": "",
        "chosen": 2,
        "scores": CandidateScores((0.1, 0.2, 1 / 3, 0.4), (0.5, 0.6, 0.7, 0.8)),
    }
    return Piece(
        id=object_id,
        prompts=prompts,
        settings=settings or ObjectSettings(),
        derived=derived,
        painted_in=painted_in,
        painted_out=painted_out,
        mask=paint_over(derived, painted_in, painted_out),
        **{**values, **changes},  # type: ignore[arg-type]
    )


def source(**changes: object) -> PlaneSource:
    values: dict[str, object] = {"name": "cells", "image_shape": SHAPE, "dtype": "uint8"}
    return PlaneSource(**{**values, **changes})  # type: ignore[arg-type]


def rich_objects() -> tuple[Piece, ...]:
    """Every kind of prompt, setting, answer and stroke that there is."""
    asked_before = Prompts([(3, 4)], [1])
    return (
        one_object(
            1,
            crop(slice(5, 30), slice(10, 40), holes=True),
            Prompts([(10.25, 20.1), (1 / 3, 7)], [1, 0], [(2, 3, 40.5, 50.125), (0, 0, 9, 9)], candidate=3),
            ObjectSettings("auto", 0.1, CleanUp(True, 5, True, 1.5, -2), Rule("inside", 7)),
            painted_in=crop(slice(40, 45), slice(60, 80)),
            painted_out=crop(slice(5, 9), slice(10, 15)),
            batch=(3, 5),
        ),
        one_object(
            7,
            crop(slice(0, 60), slice(0, 80)),
            settings=ObjectSettings(3, -8.0, None, OVERWRITE),
            embedding_key=key(intensity=(0.5, 1000.0), gamma=0.7, preparation=MEDSAM),
            chosen=3,
        ),
        # edited since the answer came
        one_object(40000, crop(slice(50, 60), slice(70, 80)), answered=Request(asked_before, key())),
        # painted by hand only
        one_object(
            12,
            prompts=Prompts(),
            painted_in=crop(slice(2, 4), slice(2, 4)),
            answered=None,
            chosen=None,
            scores=None,
            reason="This object has no prompts.",
        ),
        one_object(
            13,
            prompts=Prompts([], [], [(1, 2, 3, 4)]),
            embedding_key=key(intensity=("percentile", 1.0, 99.0)),
        ),
        one_object(14, settings=ObjectSettings(rule=KEEP), embedding_key=key(intensity="minmax")),
    )


def rich_plane() -> PlaneRecord:
    beneath = np.zeros(SHAPE, dtype=np.uint16)
    beneath[30:50, 30:60] = 7
    beneath[55:, :5] = 65535
    beneath.flags.writeable = False
    objects = rich_objects()
    return PlaneRecord(
        source(
            name="zellen µ.tif",
            image_shape=(9, *SHAPE),
            index=(4, None, None),
            path=str(Path("images").absolute() / "zellen µ.tif"),
            pixels="xxh3-128:" + "1" * 32,
            world=World(((0.5, 0, 3), (0, 0.25, -1)), ("micrometer", "micrometer")),
        ),
        SHAPE,
        objects,
        (7, 1, 40000, 14, 13, 12),
        {one.id: TINY for one in objects if one.answered is not None},
        beneath,
        {1: (DrawnShape("polygon", np.array([(2.0, 3.0), (40.5, 3.0), (40.5, 50.125)]), True),)},
    )


@pytest.fixture
def rich_record() -> SessionRecord:
    """A session with everything in it."""
    return SessionRecord((rich_plane(),), "2026-01-02T03:04:05Z")


def small_plane(*objects: Piece, **changes: object) -> PlaneRecord:
    values: dict[str, object] = {
        "source": source(),
        "shape_yx": SHAPE,
        "objects": objects,
        "stack": tuple(one.id for one in objects),
        "computations": {one.id: TINY for one in objects},
    }
    return PlaneRecord(**{**values, **changes})  # type: ignore[arg-type]


def assert_same_record(opened: SessionRecord, saved: SessionRecord) -> None:
    """Equal in every value that a session has."""
    assert len(opened.planes) == len(saved.planes)
    for here, there in zip(opened.planes, saved.planes, strict=True):
        assert here.source == there.source
        assert here.shape_yx == there.shape_yx
        assert here.objects == there.objects
        assert here.stack == there.stack
        assert here.computations == there.computations
        assert (here.beneath is None) == (there.beneath is None)
        if here.beneath is not None and there.beneath is not None:
            np.testing.assert_array_equal(here.beneath, there.beneath)
            assert here.beneath.dtype == there.beneath.dtype
        assert here.drawn.keys() == there.drawn.keys()
        for object_id, shapes in here.drawn.items():
            for mine, other in zip(shapes, there.drawn[object_id], strict=True):
                assert (mine.kind, mine.positive) == (other.kind, other.positive)
                np.testing.assert_array_equal(mine.vertices_yx, other.vertices_yx)
