"""Planes that older versions annotated at a coarser level, in full-resolution pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.annotation.pieces import Answer, Piece, Request, paint_over
from napari_samv1.masks.drawn import prompts_of
from napari_samv1.records.drawn import DrawnShape
from napari_samv1.records.mask_crop import EMPTY, MaskCrop
from napari_samv1.records.prompts import Prompts
from napari_samv1.records.scaled import Factors, scaled_crop, scaled_points, scaled_prompts
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.record import PlaneRecord, SessionRecord, World

MOST_LABELS = 1 << 30
"""Pixels up to which labels of other tools are enlarged: they are no objects, and need an array."""


def at_full_resolution(record: SessionRecord) -> SessionRecord:
    """A session with each plane in full-resolution pixels; most are already.

    Raises
    ------
    SessionError
        If labels of other tools would fill the memory.
    """
    images = []
    for image in record.images:
        planes = tuple(map(_plane, image.planes))
        same = all(new is old for new, old in zip(planes, image.planes, strict=True))
        images.append(image if same else replace(image, planes=planes))
    return replace(record, images=tuple(images))


def _plane(plane: PlaneRecord) -> PlaneRecord:
    source = plane.source
    shape_yx = source.shape_yx
    # a level in the file, and a plane that is as large as the image: written since
    if source.level == 0 or plane.shape_yx == shape_yx:
        return plane
    factors = source.factors_yx

    def enlarged(crop: MaskCrop) -> MaskCrop:
        return scaled_crop(crop, factors, shape_yx)

    def asked(prompts: Prompts) -> Prompts:
        return scaled_prompts(prompts, factors, shape_yx)

    world = replace(source.world, matrix=_matrix(source.world, factors))
    return replace(
        plane,
        source=replace(source, world=world),
        shape_yx=shape_yx,
        pieces=tuple(_piece(piece, factors, shape_yx, enlarged, asked) for piece in plane.pieces),
        beneath=None if plane.beneath is None else _labels(plane.beneath, factors, shape_yx),
    )


def _matrix(world: World, factors: Factors) -> Any:
    """Where full-resolution pixels lie in the world; the first coarse one has its centre at (f - 1) / 2."""
    matrix = np.asarray(world.matrix, dtype=np.float64)
    steps = matrix[:, :2] / factors
    origin = matrix[:, 2] - steps @ ((np.asarray(factors) - 1) / 2)
    return tuple(tuple(map(float, row)) for row in np.column_stack([steps, origin]))


def _piece(
    piece: Piece,
    factors: Factors,
    shape_yx: tuple[int, int],
    enlarged: Callable[[MaskCrop], MaskCrop],
    asked: Callable[[Prompts], Prompts],
) -> Piece:
    drawn = tuple(
        DrawnShape(shape.kind, scaled_points(shape.vertices_yx, factors), shape.positive)
        for shape in piece.drawn
    )
    derived, painted_in, painted_out, refined = map(
        enlarged, (piece.derived, piece.painted_in, piece.painted_out, piece.refined)
    )
    answer: Answer | None = piece.answer
    if answer is not None:
        mask = EMPTY if answer.mask.empty else derived if answer.mask == piece.derived else None
        request = Request(asked(answer.request.prompts), answer.request.embedding_key)
        answer = replace(answer, request=request, mask=enlarged(answer.mask) if mask is None else mask)
    return replace(
        piece,
        drawn=drawn,
        pointed=prompts_of(drawn, shape_yx),
        prompts=asked(piece.prompts),
        answer=answer,
        derived=derived,
        painted_in=painted_in,
        painted_out=painted_out,
        refined=refined,
        mask=paint_over(derived, painted_in, painted_out),
    )


def _labels(labels: NDArray[Any], factors: Factors, shape_yx: tuple[int, int]) -> NDArray[Any]:
    if shape_yx[0] * shape_yx[1] > MOST_LABELS:
        raise SessionError(
            f"it holds labels of other tools on a plane of {shape_yx[0]} x {shape_yx[1]} pixels, which are "
            f"too many to lay them out: open it with an older version, and remove that Labels layer"
        )
    rows, columns = (
        np.minimum(((np.arange(size) + 0.5) / factor).astype(int), count - 1)
        for size, factor, count in zip(shape_yx, factors, labels.shape, strict=True)
    )
    return labels[np.ix_(rows, columns)]
