"""Full resolution for planes that were annotated at a coarse level of a multiscale image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_samv1.annotation.pieces import Answer, Piece
from napari_samv1.records.drawn import DrawnShape
from napari_samv1.records.mask_crop import EMPTY, MaskCrop
from napari_samv1.records.prompts import Prompts
from napari_samv1.storage.session.composite import label_objects
from napari_samv1.storage.session.record import PlaneRecord, PlaneSource, World

MOST_PIXELS = 1 << 28

Factors = tuple[float, float]
"""Full-resolution pixels for each pixel of the level, rows and columns."""


def at_full_resolution(plane: PlaneRecord) -> PlaneRecord:
    """The same annotation in full-resolution pixels; unchanged if it has them already.

    A pixel of the level becomes all full-resolution pixels whose centres lie in it. Answers lose their
    computation, because they were made at the level and cannot be repeated. Labels beneath stay in the
    level's pixels where an array of the plane's size would be too large.
    """
    factors = plane.source.factors_yx
    if factors == (1.0, 1.0):
        return plane
    axes = [axis for axis, at in enumerate(plane.source.index) if at is None]
    shape_yx = plane.source.image_shape[axes[0]], plane.source.image_shape[axes[1]]
    pieces = tuple(_piece(one, factors, shape_yx) for one in plane.pieces)
    beneath = plane.beneath
    if beneath is not None and shape_yx[0] * shape_yx[1] <= MOST_PIXELS:
        rows, columns = (
            _places(slice(0, length), factor, size)[1]
            for length, factor, size in zip(beneath.shape, factors, shape_yx, strict=True)
        )
        beneath = beneath[np.ix_(rows, columns)]
    return replace(plane, source=_source(plane.source), shape_yx=shape_yx, pieces=pieces, beneath=beneath)


def coarse_labels(plane: PlaneRecord) -> Iterator[tuple[int, MaskCrop]]:
    """The labels beneath a plane that are still in a coarse level's pixels, each in the plane's pixels.

    Their boxes have at most 268 million pixels; those of larger ones are empty.
    """
    if plane.beneath is None or plane.beneath.shape == plane.shape_yx:
        return
    (height, width), (coarse_height, coarse_width) = plane.shape_yx, plane.beneath.shape
    factors = height / coarse_height, width / coarse_width
    for label, crop in label_objects(plane.beneath):
        is_large = crop.mask.size * factors[0] * factors[1] > MOST_PIXELS
        yield label, EMPTY if is_large else _crop(crop, factors, plane.shape_yx)


def _source(source: PlaneSource) -> PlaneSource:
    factors = np.asarray(source.factors_yx)
    matrix = np.asarray(source.world.matrix, dtype=np.float64)
    # the centre of the level's first pixel lies (factor - 1) / 2 pixels from that of the first full one
    linear = matrix[:, :2] / factors
    offset = matrix[:, 2] - linear @ ((factors - 1) / 2)
    (a, b), (c, d) = linear.tolist()
    world = World(((a, b, float(offset[0])), (c, d, float(offset[1]))), source.world.units)
    return replace(source, level=0, factors_yx=(1.0, 1.0), pixels="", world=world)


def _piece(piece: Piece, factors: Factors, shape_yx: tuple[int, int]) -> Piece:
    prompts = _prompts(piece.prompts, factors, shape_yx)
    answer = piece.answer
    if answer is not None:
        answer = _answer(answer, prompts, factors, shape_yx)
    return replace(
        piece,
        pointed=_prompts(piece.pointed, factors, shape_yx),
        prompts=prompts,
        drawn=tuple(
            DrawnShape(one.kind, _points(one.vertices_yx, factors), one.positive) for one in piece.drawn
        ),
        answer=answer,
        derived=_crop(piece.derived, factors, shape_yx),
        painted_in=_crop(piece.painted_in, factors, shape_yx),
        painted_out=_crop(piece.painted_out, factors, shape_yx),
        refined=_crop(piece.refined, factors, shape_yx),
        mask=_crop(piece.mask, factors, shape_yx),
    )


def _answer(answer: Answer, prompts: Prompts, factors: Factors, shape_yx: tuple[int, int]) -> Answer:
    request = replace(answer.request, prompts=prompts)
    mask = _crop(answer.mask, factors, shape_yx)
    return replace(answer, request=request, mask=mask, made_by=None)


def _points(points_yx: NDArray[np.float64], factors: Factors) -> NDArray[np.float64]:
    moved: NDArray[np.float64] = (np.asarray(points_yx, dtype=np.float64) + 0.5) * factors - 0.5
    return moved


def _prompts(prompts: Prompts, factors: Factors, shape_yx: tuple[int, int]) -> Prompts:
    boxes = _points(prompts.boxes_yx.reshape(-1, 2), factors).reshape(-1, 4)
    area = prompts.area
    if area is not None:
        area = _crop(MaskCrop(area.origin_yx, area.mask), factors, shape_yx)
    points = _points(prompts.points_yx, factors)
    within = prompts.within and tuple(_points(np.reshape(prompts.within, (2, 2)), factors).ravel())
    return Prompts(points, prompts.labels, boxes, area, candidate=prompts.candidate, within=within)


def _crop(crop: MaskCrop, factors: Factors, shape_yx: tuple[int, int]) -> MaskCrop:
    if crop.empty:
        return crop
    rows, columns = (
        _places(side, factor, size) for side, factor, size in zip(crop.region, factors, shape_yx, strict=True)
    )
    if not len(rows[1]) or not len(columns[1]):
        return MaskCrop.from_mask(np.zeros((0, 0), dtype=bool))
    return MaskCrop.from_mask(crop.mask[np.ix_(rows[1], columns[1])], (rows[0], columns[0]))


def _places(side: slice, factor: float, size: int) -> tuple[int, Sequence[int]]:
    """First full-resolution pixel of a side of a crop, and the place in the crop of each."""
    full = np.arange(int(np.floor(side.start * factor)), min(size, int(np.ceil(side.stop * factor)) + 1))
    level = np.floor((full + 0.5) / factor).astype(int)
    inside = (level >= side.start) & (level < side.stop)
    full, level = full[inside], level[inside]
    return (int(full[0]) if len(full) else 0), (level - side.start).tolist()
