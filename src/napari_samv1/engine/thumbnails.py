"""The four candidate masks as small pictures, all of the same part of the image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from napari_samv1.images.intensity import Intensity, to_rgb8
from napari_samv1.masks.threshold import areas_above

if TYPE_CHECKING:
    from napari_samv1.engine.prediction import Prediction

Places = NDArray[np.float64]
Glimpse = Callable[[NDArray[np.intp], NDArray[np.intp]], "NDArray[Any] | None"]

MARGIN = 0.2  # around the masks, of their longer side
SMALLEST_WINDOW = 16.0  # image pixels
LARGEST_WINDOW = 3.0  # times the chosen mask's longer side: an overflowing candidate must not hide the others
GREY, DIMMED, TINT = 90, 0.6, 0.5
HARDLY_DIFFERENT = 0.95  # intersection over union


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """Pictures uint8 (4, side, side, 3), and the area of each mask in image pixels before clean-up.

    ``like`` holds for each mask the index of the mask shown for it: its own, or that of a nearly equal one.
    """

    pictures: NDArray[np.uint8] = field(repr=False)
    areas: tuple[int, ...]
    like: tuple[int, ...]


def thumbnails(
    prediction: Prediction,
    *,
    chosen: int,
    threshold: float = 0.0,
    side: int = 64,
    colour: tuple[int, int, int] = (58, 142, 230),
    glimpse: Glimpse | None = None,
    intensity: Intensity = None,
    gamma: float = 1.0,
) -> Thumbnails:
    """Pictures of the part of the image around the masks, each with one of the four in a colour.

    ``glimpse`` returns the image's pixels at some rows and columns, (R, C) or (R, C, 3), or None where
    reading is slow: then the background is grey. Only side x side pixels and logits are read, besides one
    pass over the logits for the areas.
    """
    frame = prediction.frame
    (top, left), extent = _window(prediction, chosen, threshold)
    steps: Places = (np.arange(side, dtype=np.float64) + 0.5) * (extent / side) - 0.5
    rows, columns = top + steps, left + steps
    at = frame.to_logits_yx(np.stack([rows, columns], axis=1))
    values = _bilinear(prediction.logits, at[:, 0], at[:, 1])
    inside = _on(rows, frame.image_hw[0])[:, None] & _on(columns, frame.image_hw[1])
    masks = (values > threshold) & inside
    ground = _ground(glimpse, rows, columns, frame.image_hw, intensity, gamma) * inside[..., None]
    tinted = (1 - TINT) * ground + TINT * np.asarray(colour, dtype=np.float32)
    pictures = np.where(masks[..., None], tinted, DIMMED * ground)
    pictures[_outline(masks)] = colour
    areas = tuple(areas_above(one, prediction.frame, [threshold])[0] for one in prediction.logits)
    return Thumbnails(pictures.astype(np.uint8), areas, _like(prediction, chosen, threshold))


def _like(prediction: Prediction, chosen: int, threshold: float) -> tuple[int, ...]:
    """Index of the mask shown for each: of nearly equal ones the chosen one, or else the first."""
    rows, columns = prediction.frame.logits_valid_hw
    masks = prediction.logits[:, :rows, :columns] > threshold
    like = list(range(len(masks)))
    distinct: list[int] = []
    for index in (chosen, *(index for index in like if index != chosen)):
        same = (one for one in distinct if _overlap(masks[index], masks[one]) >= HARDLY_DIFFERENT)
        like[index] = next(same, index)
        if like[index] == index:
            distinct.append(index)
    return tuple(like)


def _overlap(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Intersection over union; two empty masks are the same."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def _window(prediction: Prediction, chosen: int, threshold: float) -> tuple[tuple[float, float], float]:
    """First pixel and side of a square of the image around the masks' largest piece.

    Islands are left out: far ones would make the square too large to tell the masks apart.
    """
    frame = prediction.frame
    rows, columns = frame.logits_valid_hw
    above = prediction.logits[:, :rows, :columns] > threshold
    every = _box(_largest_piece(above.max(axis=0)))
    if every is None:
        every = (0, 0, rows - 1, columns - 1)
    corners = frame.from_logits_yx([(every[0] - 0.5, every[1] - 0.5), (every[2] + 0.5, every[3] + 0.5)])
    chosen_box = _box(_largest_piece(above[chosen]))
    extent = float((corners[1] - corners[0]).max())
    centre = corners.mean(axis=0)
    if chosen_box is not None:
        y0, x0, y1, x1 = chosen_box
        chosen_corners = frame.from_logits_yx([(y0 - 0.5, x0 - 0.5), (y1 + 0.5, x1 + 0.5)])
        limit = LARGEST_WINDOW * float((chosen_corners[1] - chosen_corners[0]).max())
        if extent > limit:
            extent, centre = limit, chosen_corners.mean(axis=0)
    extent = max(SMALLEST_WINDOW, extent * (1 + 2 * MARGIN))
    first = centre - extent / 2
    # the square stays inside the image if that is large enough
    first = np.clip(first, -0.5, np.maximum(np.asarray(frame.image_hw) - 0.5 - extent, -0.5))
    return (float(first[0]) + 0.5, float(first[1]) + 0.5), extent


def _largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pieces, count = label(mask)
    if count < 2:
        return mask
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    largest: NDArray[np.bool_] = pieces == areas.argmax()
    return largest


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(rows[0]), int(columns[0]), int(rows[-1]), int(columns[-1])


def _bilinear(maps: NDArray[np.float32], rows: Places, columns: Places) -> NDArray[np.float32]:
    """Values of maps (N, h, w), interpolated at every row and column: (N, R, C)."""
    row, row_part = _between(rows, maps.shape[1])
    column, column_part = _between(columns, maps.shape[2])
    next_row, next_column = (
        np.minimum(first + 1, size - 1) for first, size in zip((row, column), maps.shape[1:], strict=True)
    )
    part = row_part[:, None]
    lines = maps[:, row] * (1 - part) + maps[:, next_row] * part
    values = lines[:, :, column] * (1 - column_part) + lines[:, :, next_column] * column_part
    return np.asarray(values, dtype=np.float32)


def _between(at: Places, size: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    clipped = np.clip(at, 0, size - 1)
    first = clipped.astype(np.intp)
    return first, (clipped - first).astype(np.float32)


def _on(at: Places, size: int) -> NDArray[np.bool_]:
    return (at >= -0.5) & (at < size - 0.5)


def _ground(
    glimpse: Glimpse | None,
    rows: Places,
    columns: Places,
    image_hw: tuple[int, int],
    intensity: Intensity,
    gamma: float,
) -> NDArray[np.float32]:
    nearest = [
        np.clip(np.floor(at + 0.5), 0, size - 1).astype(np.intp)
        for at, size in zip((rows, columns), image_hw, strict=True)
    ]
    pixels = None if glimpse is None else glimpse(nearest[0], nearest[1])
    if pixels is None:
        return np.full((len(rows), len(columns), 3), GREY, dtype=np.float32)
    if pixels.dtype.kind == "f":
        pixels = np.nan_to_num(pixels)
    return to_rgb8(pixels, intensity, gamma).astype(np.float32)


def _outline(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of masks (N, h, w) with a neighbour outside the mask; the picture's edge is no outline."""
    padded = np.pad(masks, ((0, 0), (1, 1), (1, 1)), mode="edge")
    core = padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1] & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:]
    outline: NDArray[np.bool_] = masks & ~core
    return outline
