"""Frame: the map from the pixels of an image to the model's input, token grid and logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_samv1.records.preparation import Sizing

LOGITS_PER_TOKEN = 4  # the mask generator upscales the token grid twice by two


@dataclass(frozen=True)
class Frame:
    """The part of an image that was encoded, its scale, and the padding around it.

    ``window_yxhw`` (first row, first column, height, width) is resized to ``resized_hw``, each axis with its
    own scale, and lies in the upper left corner of an input of ``input_hw`` pixels. Integer image
    coordinates are pixel centres: the model coordinate of ``c`` is ``(c + 0.5 - window origin) * scale``.
    """

    image_hw: tuple[int, int]
    window_yxhw: tuple[int, int, int, int]
    resized_hw: tuple[int, int]
    input_hw: tuple[int, int]
    patch: int

    def __post_init__(self) -> None:
        for name, length in (("image_hw", 2), ("window_yxhw", 4), ("resized_hw", 2), ("input_hw", 2)):
            numbers = tuple(int(value) for value in getattr(self, name))
            if len(numbers) != length:
                raise ValueError(f"{name} must hold {length} whole numbers, got {getattr(self, name)}")
            object.__setattr__(self, name, numbers)
        if min(self.image_hw) < 1:
            raise ValueError(f"an image needs at least one row and one column, got image_hw {self.image_hw}")
        top, left, height, width = self.window_yxhw
        fits = top + height <= self.image_hw[0] and left + width <= self.image_hw[1]
        if min(top, left) < 0 or min(height, width) < 1 or not fits:
            raise ValueError(
                f"window_yxhw (row, column, height, width) must lie inside the image of {self.image_hw} "
                f"(height, width), got {self.window_yxhw}"
            )
        if self.patch < 1 or any(size < 1 or size % self.patch for size in self.input_hw):
            raise ValueError(
                f"input_hw must be positive multiples of the patch size {self.patch}, got {self.input_hw}"
            )
        if any(not 1 <= size <= room for size, room in zip(self.resized_hw, self.input_hw, strict=True)):
            raise ValueError(f"resized_hw {self.resized_hw} must fit into input_hw {self.input_hw}")

    @classmethod
    def plan(
        cls,
        image_hw: tuple[int, int],
        *,
        side: int,
        patch: int,
        sizing: Sizing = "native",
        window_yxhw: tuple[int, int, int, int] | None = None,
    ) -> Frame:
        """Arrange an image, or a window of it, for a model with tokens of ``patch`` pixels.

        ``"native"`` brings the longer side to ``side`` and rounds each side to the nearest positive multiple
        of ``patch``: nothing is padded. ``"padded"`` (published) brings the longer side to ``side`` and pads
        to a square. ``"stretched"`` fills the square without keeping the aspect.

        Raises
        ------
        ValueError
            If ``side`` is smaller than ``patch``, or is no multiple of it where the input is a square; if
            the window leaves the image; if ``sizing`` is unknown.
        """
        if side < patch:
            raise ValueError(f"side must be at least one patch of {patch} pixels, got {side}")
        window = window_yxhw if window_yxhw is not None else (0, 0, *image_hw)
        height, width = window[2:]
        if min(height, width) < 1:
            raise ValueError(f"an image needs at least one row and one column, got {(height, width)}")
        scale = side / max(height, width)
        if sizing == "native":
            resized = tuple(max(1, int(size * scale / patch + 0.5)) * patch for size in (height, width))
            return cls(image_hw, window, (resized[0], resized[1]), (resized[0], resized[1]), patch)
        if sizing not in ("padded", "stretched"):
            raise ValueError(f'sizing must be "native", "padded" or "stretched", got {sizing!r}')
        if side % patch:
            raise ValueError(
                f'side must be a multiple of the patch size {patch} for "{sizing}" sizing, got {side}; '
                f"take {round(side / patch) * patch}"
            )
        if sizing == "stretched":
            return cls(image_hw, window, (side, side), (side, side), patch)
        # an image of 1 x 5000 would round to no rows at all
        resized_h, resized_w = (max(1, int(size * scale + 0.5)) for size in (height, width))
        return cls(image_hw, window, (resized_h, resized_w), (side, side), patch)

    @property
    def is_whole(self) -> bool:
        """True if the window is the whole image."""
        return tuple(self.window_yxhw) == (0, 0, *self.image_hw)

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Tokens per side."""
        return self.input_hw[0] // self.patch, self.input_hw[1] // self.patch

    @property
    def logits_hw(self) -> tuple[int, int]:
        """Size of the decoder's logits, padding included; a mask hint has the same."""
        return LOGITS_PER_TOKEN * self.grid_hw[0], LOGITS_PER_TOKEN * self.grid_hw[1]

    @property
    def logits_valid_hw(self) -> tuple[int, int]:
        """Rows and columns of the logits that show the image; the rest is padding."""
        rows, columns = (math.ceil(size * LOGITS_PER_TOKEN / self.patch) for size in self.resized_hw)
        return rows, columns

    @property
    def scale_yx(self) -> tuple[float, float]:
        """Model pixels per image pixel, rows and columns apart."""
        return self.resized_hw[0] / self.window_yxhw[2], self.resized_hw[1] / self.window_yxhw[3]

    @property
    def downsampling(self) -> float:
        """Image pixels per model pixel, along the axis that loses more; below 1 the image is enlarged."""
        return 1 / min(self.scale_yx)

    @property
    def window_slices(self) -> tuple[slice, slice]:
        """Slices that cut the window out of the image's first two axes."""
        top, left, height, width = self.window_yxhw
        return slice(top, top + height), slice(left, left + width)

    def to_model_xy01(self, points_yx: ArrayLike) -> NDArray[np.float32]:
        """Image points (N, 2) row, column -> (N, 2) x, y in 0..1 of the model's input."""
        points = np.asarray(points_yx, dtype=np.float64).reshape(-1, 2)
        model_yx = (points + 0.5 - self.window_yxhw[:2]) * self.scale_yx
        return np.ascontiguousarray((model_yx / self.input_hw)[:, ::-1], dtype=np.float32)

    def boxes_to_model_xy01(self, boxes_yx: ArrayLike) -> NDArray[np.float32]:
        """Image boxes (M, 4) y0, x0, y1, x1 -> (M, 2, 2): two corners x, y in 0..1 of the model's input."""
        return self.to_model_xy01(np.asarray(boxes_yx, dtype=np.float64).reshape(-1, 2)).reshape(-1, 2, 2)

    def from_model_xy01(self, points_xy01: ArrayLike) -> NDArray[np.float64]:
        """Points (N, 2) x, y in 0..1 of the model's input -> image points (N, 2) row, column."""
        model_yx = np.asarray(points_xy01, dtype=np.float64).reshape(-1, 2)[:, ::-1] * self.input_hw
        image_yx: NDArray[np.float64] = model_yx / self.scale_yx - 0.5 + self.window_yxhw[:2]
        return image_yx

    def from_logits_yx(self, pixels_yx: ArrayLike) -> NDArray[np.float64]:
        """Pixel centres (N, 2) of the logits, row, column -> image points (N, 2) row, column."""
        pixels = np.asarray(pixels_yx, dtype=np.float64).reshape(-1, 2)
        return self.from_model_xy01(((pixels + 0.5) / self.logits_hw)[:, ::-1])

    def to_logits_yx(self, points_yx: ArrayLike) -> NDArray[np.float64]:
        """Image points (N, 2) row, column -> the logits' pixel coordinates, integers at pixel centres."""
        points = np.asarray(points_yx, dtype=np.float64).reshape(-1, 2)
        model_yx = (points + 0.5 - self.window_yxhw[:2]) * self.scale_yx
        logits_yx: NDArray[np.float64] = model_yx / self.input_hw * self.logits_hw - 0.5
        return logits_yx

    def contains(self, points_yx: ArrayLike) -> NDArray[np.bool_]:
        """Return True for each of the image points (N, 2) on a pixel of the window."""
        points = np.asarray(points_yx, dtype=np.float64).reshape(-1, 2)
        first = np.array(self.window_yxhw[:2]) - 0.5
        beyond = first + self.window_yxhw[2:]
        inside: NDArray[np.bool_] = np.all((points >= first) & (points < beyond), axis=1)
        return inside

    def tokens_within(self, within: Sequence[float]) -> tuple[int, int, int, int] | None:
        """Bounds (y0, x0, y1, x1) of image pixels -> first row and column, height and width in tokens.

        Bounds are rounded to tokens. None if they are the whole grid, or lie outside.
        """
        corners = (self.to_logits_yx(within) + 0.5) / LOGITS_PER_TOKEN
        (top, left), (bottom, right) = np.clip(np.rint(corners).astype(int), 0, self.grid_hw)
        if top == bottom or left == right or (bottom - top, right - left) == self.grid_hw:
            return None
        return int(top), int(left), int(bottom - top), int(right - left)

    def bounds_of(self, tokens_yxhw: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
        """Tokens -> the bounds (y0, x0, y1, x1) of their image pixels."""
        top, left, height, width = tokens_yxhw
        corners = np.array([(top, left), (top + height, left + width)])
        y0, x0, y1, x1 = self.from_logits_yx(LOGITS_PER_TOKEN * corners - 0.5).ravel()
        return float(y0), float(x0), float(y1), float(x1)
