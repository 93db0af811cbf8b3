"""Limits of a plane's values: numbers found once in a fixed sample, the same for all of its regions."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.images.displayed import displayed
from napari_samv1.images.intensity import Intensity, limits_of
from napari_samv1.images.prepare import stretch_limits
from napari_samv1.images.source import OVERVIEW_PIXELS, Source, aligned, spread
from napari_samv1.records.display import Channel, Display
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.preparation import Preparation

BLOCK_SIDE = 128
FEW_BLOCKS, MANY_BLOCKS = 16, 32
MOST_PLANES, VALUES_OF_PLANE = 8, 1 << 17
FAINT = 0.1  # of the plane's range: a block that spans less shows its ground alone

Array = NDArray[Any]


def plane_sample(source: Source, plane: Plane) -> list[Array]:
    """Some of a plane's pixels as pictures (h, w) or (h, w, C), the same whatever holds the image.

    All of a plane of up to a million pixels. Otherwise its coarsest level where that is as small, which sees
    all of it but averages peaks away, and blocks of the full resolution, which see peaks but not everywhere.
    """
    identity = source.identity
    height, width = plane.shape_in(identity.shape)
    coarsest = plane.shape_in(identity.levels[-1]) if identity.levels else (height, width)
    pictures = []
    has_overview = math.prod(coarsest) <= OVERVIEW_PIXELS
    if has_overview:
        pictures.append(source.read(Region(plane, (0, 0, height, width)), coarsest))
    if coarsest == (height, width) and has_overview:
        return pictures
    blocks = []
    for place in spread(FEW_BLOCKS if has_overview else MANY_BLOCKS, 2):
        rows, columns = (
            aligned(own, size, BLOCK_SIDE) for own, size in zip(place, (height, width), strict=True)
        )
        hw = rows.stop - rows.start, columns.stop - columns.start
        blocks.append(source.read(Region(plane, (rows.start, columns.start, *hw)), hw))
    return [*pictures, np.concatenate(blocks)]


def plane_display(sample: list[Array], intensity: Intensity, gamma: float) -> Display:
    """The numbers that an intensity means for a plane: the widest range that its sample's pictures have."""
    seen = [picture for picture in sample if picture.dtype.kind != "f" or np.isfinite(picture).any()]
    limits = [limits_of(picture, intensity) for picture in seen] or [(0.0, 1.0)]
    low, high = min(low for low, _ in limits), max(high for _, high in limits)
    return Display((Channel(low, high, gamma),))


def percentiles_of_plane(
    source: Source, plane: Plane, percentiles: tuple[float, float]
) -> tuple[float, float]:
    """The percentiles of a plane, in its fixed sample."""
    (channel,) = plane_display(plane_sample(source, plane), ("percentile", *percentiles), 1.0).channels
    return channel.low, channel.high


def percentiles_of_stack(
    source: Source, plane: Plane, percentiles: tuple[float, float]
) -> tuple[float, float]:
    """The percentiles of all planes that are parallel to one, in a fixed sample of at most 8 of them."""
    shape = source.identity.shape
    leading = [axis for axis, own in enumerate(plane.index) if own is not None]
    counts = [shape[axis] for axis in leading]
    total = math.prod(counts)
    if total <= MOST_PLANES:
        places = list(np.ndindex(*counts))
    else:
        # the first and the last count as well: stacks fade towards their ends
        numbers = np.linspace(0, total - 1, MOST_PLANES).round().astype(int)
        places = [tuple(map(int, np.unravel_index(number, counts))) for number in numbers]
    values = []
    for place in places:
        index = list(plane.index)
        for axis, at in zip(leading, place, strict=True):
            index[axis] = at
        for picture in plane_sample(source, Plane(tuple(index))):
            step = max(1, math.ceil(math.sqrt(math.prod(picture.shape[:2]) / VALUES_OF_PLANE)))
            values.append(picture[::step, ::step].ravel())
    sample = np.concatenate(values)
    if sample.dtype.kind == "f" and not np.isfinite(sample).any():
        return 0.0, 1.0
    return limits_of(sample[np.newaxis], ("percentile", *percentiles))


def plane_stretch(
    sample: list[Array], display: Display, preparation: Preparation
) -> tuple[float, float] | None:
    """The 8-bit values that a model's preparation stretches to 0 and 1 in all regions; None if in none.

    The upper one is the median over blocks of full resolution, each block's own, without those that show
    nothing: the plane's own would be that of its brightest object, and leave all others dark.
    """
    shown = [displayed(picture, display) for picture in sample]
    known = [own for picture in shown if (own := stretch_limits(picture, preparation)) is not None]
    if not known:
        return None
    low, high = min(low for low, _ in known), max(high for _, high in known)
    blocks = [own for block in _blocks(shown[-1]) if (own := stretch_limits(block, preparation)) is not None]
    signal = [own_high for own_low, own_high in blocks if own_high - own_low >= FAINT * (high - low)]
    return low, float(np.median(signal)) if signal else high


def _blocks(picture: Array) -> list[Array]:
    """The full-resolution part of a sample, cut into its blocks; slivers at the far edges are left out."""
    starts = (range(0, max(1, size - BLOCK_SIDE // 2), BLOCK_SIDE) for size in picture.shape[:2])
    return [picture[y : y + BLOCK_SIDE, x : x + BLOCK_SIDE] for y, x in product(*starts)]
