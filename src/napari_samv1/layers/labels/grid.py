"""Placement of a plane's masks in a Labels layer, whose pixels may differ from the image's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_samv1.layers.affine import AffineMap, Coordinates, between_layers
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.labels.make import LabelsError
from napari_samv1.records.mask_crop import MaskCrop, union

# in pixels, over the whole plane: too small to show in nearest-neighbour sampling
TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class LabelGrid:
    """One plane of a Labels layer and its place on the image's plane.

    ``index`` cuts the plane out of the layer's data. ``to_plane`` maps its pixels (N, 2) to the image
    plane's; ``same`` is True if both grids are equal.
    """

    index: tuple[int | slice, ...]
    shape_yx: tuple[int, int]
    to_plane: AffineMap
    same: bool

    def sample(self, crop: MaskCrop) -> MaskCrop:
        """A mask of the image's plane on this grid: the value at each label pixel's centre."""
        if self.same or crop.empty:
            return crop
        (top, left), (height, width) = crop.origin_yx, crop.mask.shape
        edges = np.array([(y, x) for y in (top, top + height) for x in (left, left + width)]) - 0.5
        corners = np.linalg.solve(self.to_plane.matrix, (edges - self.to_plane.offset).T).T
        low = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
        high = np.minimum(np.ceil(corners.max(axis=0)) + 1, self.shape_yx).astype(int)
        if (high <= low).any():
            return MaskCrop.from_mask(np.zeros((0, 0), dtype=bool))
        return MaskCrop.from_mask(self._sampled(crop, low, high), (int(low[0]), int(low[1])))

    def plane_pixels(self, crop: MaskCrop, plane_shape_yx: tuple[int, int]) -> MaskCrop:
        """Pixels of the image plane that a mask on this grid touches: the inverse of ``sample``.

        A pixel counts if its centre lies in the mask, or if it holds the centre of a mask pixel, so that no
        pixel of a finer grid is lost between centres.
        """
        if self.same or crop.empty:
            return crop
        size = np.asarray(plane_shape_yx)
        on_grid = np.argwhere(crop.mask) + crop.origin_yx
        marked = np.floor(self.to_plane(on_grid.astype(np.float64)) + 0.5).astype(int)
        inverse: Coordinates = np.asarray(np.linalg.inv(self.to_plane.matrix), dtype=np.float64)
        backward = LabelGrid((), plane_shape_yx, AffineMap(inverse, -inverse @ self.to_plane.offset), False)
        sampled = backward.sample(crop)
        marked = marked[((marked >= 0) & (marked < size)).all(axis=1)]
        if not len(marked):
            return sampled
        first = marked.min(axis=0)
        mask = np.zeros(marked.max(axis=0) - first + 1, dtype=bool)
        mask[tuple((marked - first).T)] = True
        return union(sampled, MaskCrop.from_mask(mask, (int(first[0]), int(first[1]))))

    def _sampled(self, crop: MaskCrop, low: NDArray[np.int_], high: NDArray[np.int_]) -> NDArray[np.bool_]:
        rows, columns = (np.arange(start, stop) for start, stop in zip(low, high, strict=True))
        (a, b), (c, d) = self.to_plane.matrix
        y = a * rows[:, None] + b * columns[None, :] + self.to_plane.offset[0]
        x = c * rows[:, None] + d * columns[None, :] + self.to_plane.offset[1]
        crop_y = np.floor(y + 0.5).astype(int) - crop.origin_yx[0]
        crop_x = np.floor(x + 0.5).astype(int) - crop.origin_yx[1]
        height, width = crop.mask.shape
        inside = (crop_y >= 0) & (crop_y < height) & (crop_x >= 0) & (crop_x < width)
        sampled = np.zeros(inside.shape, dtype=bool)
        sampled[inside] = crop.mask[crop_y[inside], crop_x[inside]]
        return sampled


def label_grid(labels: Labels, image: Image, plane: DisplayedPlane) -> LabelGrid:
    """Find the plane of a Labels layer that lies on the image's displayed plane.

    Raises
    ------
    LabelsError
        If there is none: other dimensions, a tilted grid, another place.
    """
    name = f"Labels layer “{labels.name}”"
    remedy = "make a new one for this image, or choose another"
    if labels.ndim != image.ndim:
        raise LabelsError(
            f"{name} has {labels.ndim} dimensions and image “{image.name}” {image.ndim}: {remedy}."
        )
    rows, columns = plane.axes
    forward = between_layers(image, labels)
    height, width = plane.shape_yx
    corners = np.array([(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)], dtype=np.float64)
    mapped = forward(plane.to_layer(corners))
    index: list[int | slice] = []
    for axis, size in enumerate(labels.data.shape):
        if axis in plane.axes:
            index.append(slice(None))
            continue
        if np.ptp(mapped[:, axis]) > 0.5:
            raise LabelsError(f"{name} is tilted against image “{image.name}”: {remedy}.")
        position = float(mapped[:, axis].mean())
        if not -0.5 <= position < size - 0.5:
            raise LabelsError(f"{name} does not reach the displayed slice of “{image.name}”: {remedy}.")
        index.append(int(np.floor(position + 0.5)))
    shape_yx = int(labels.data.shape[rows]), int(labels.data.shape[columns])
    to_labels = _in_plane(forward, plane)
    if abs(np.linalg.det(to_labels.matrix)) < 1e-12:
        raise LabelsError(f"{name} is flattened by its transform onto a line: {remedy}.")
    inverse: Coordinates = np.asarray(np.linalg.inv(to_labels.matrix), dtype=np.float64)
    same = shape_yx == plane.shape_yx and bool(np.abs(to_labels(corners) - corners).max() < TOLERANCE)
    if not same and not _meet(to_labels(corners), shape_yx):
        raise LabelsError(f"{name} lies beside image “{image.name}”: {remedy}.")
    return LabelGrid(tuple(index), shape_yx, AffineMap(inverse, -inverse @ to_labels.offset), same)


def _in_plane(forward: AffineMap, plane: DisplayedPlane) -> AffineMap:
    """The map between layers, restricted to rows and columns of the two planes."""
    axes = list(plane.axes)
    points = np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
    origin, row, column = forward(plane.to_layer(points))[:, axes]
    return AffineMap(np.stack([row - origin, column - origin], axis=1), origin)


def _meet(corners: Coordinates, shape_yx: tuple[int, int]) -> bool:
    low, high = corners.min(axis=0), corners.max(axis=0)
    return bool((high > -0.5).all() and (low < np.asarray(shape_yx) - 0.5).all())
