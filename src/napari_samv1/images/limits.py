"""Limits of a plane's values, found once in a fixed sample for all regions of the plane."""

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
FAINT = 0.1  # of the plane's range: a block that spans less shows background alone

Array = NDArray[Any]


def plane_sample(source: Source, plane: Plane) -> list[Array]:
    """Sample of a plane's pixels as pictures (h, w) or (h, w, C), the same for every kind of source.

    Planes of up to a million pixels are taken whole. Of others the sample holds the coarsest level if that is
    as small, which covers the plane but averages peaks away, and blocks of the full resolution, which keep
    peaks but cover little.
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
            aligned(at, size, BLOCK_SIDE) for at, size in zip(place, (height, width), strict=True)
        )
        hw = rows.stop - rows.start, columns.stop - columns.start
        blocks.append(source.read(Region(plane, (rows.start, columns.start, *hw)), hw))
    return [*pictures, np.concatenate(blocks)]


def plane_display(sample: list[Array], intensity: Intensity, gamma: float) -> Display:
    """Display of an intensity's limits for a plane: the widest range of its sample's pictures."""
    seen = [picture for picture in sample if picture.dtype.kind != "f" or np.isfinite(picture).any()]
    limits = [limits_of(picture, intensity) for picture in seen] or [(0.0, 1.0)]
    low, high = min(low for low, _ in limits), max(high for _, high in limits)
    return Display((Channel(low, high, gamma),))


def percentiles_of_plane(
    source: Source, plane: Plane, percentiles: tuple[float, float]
) -> tuple[float, float]:
    """Percentiles of a plane, in its fixed sample."""
    (channel,) = plane_display(plane_sample(source, plane), ("percentile", *percentiles), 1.0).channels
    return channel.low, channel.high


def percentiles_of_stack(
    source: Source, plane: Plane, percentiles: tuple[float, float]
) -> tuple[float, float]:
    """Percentiles of all planes parallel to one, in a fixed sample of at most 8 planes."""
    shape = source.identity.shape
    leading = [axis for axis, at in enumerate(plane.index) if at is not None]
    counts = [shape[axis] for axis in leading]
    total = math.prod(counts)
    if total <= MOST_PLANES:
        places = list(np.ndindex(*counts))
    else:
        # with the first and the last plane, because stacks fade towards their ends
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
    """8-bit values that a preparation stretches to 0 and 1 in all regions; None if it does not stretch.

    The upper limit is the median of the upper limits of full-resolution blocks, without blocks of background:
    the plane's upper limit would follow its brightest object, and leave all others dark.
    """
    shown = [displayed(picture, display) for picture in sample]
    found = [limits for picture in shown if (limits := stretch_limits(picture, preparation)) is not None]
    if not found:
        return None
    low, high = min(low for low, _ in found), max(high for _, high in found)
    by_block = (stretch_limits(block, preparation) for block in _blocks(shown[-1]))
    blocks = [limits for limits in by_block if limits is not None]
    signal = [top for bottom, top in blocks if top - bottom >= FAINT * (high - low)]
    return low, float(np.median(signal)) if signal else high


def _blocks(picture: Array) -> list[Array]:
    """Blocks of the full-resolution part of a sample, without slivers at the far edges."""
    starts = (range(0, max(1, size - BLOCK_SIDE // 2), BLOCK_SIDE) for size in picture.shape[:2])
    return [picture[y : y + BLOCK_SIDE, x : x + BLOCK_SIDE] for y, x in product(*starts)]
