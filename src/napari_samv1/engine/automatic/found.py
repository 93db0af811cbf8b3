"""Found: the objects of an automatic run, as crops, as a label image and as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.masks.packed import PackedCrop
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.place import Region
from napari_samv1.records.prompts import Prompts

if TYPE_CHECKING:
    import pandas as pd

MOST_PIXELS = 1 << 30
"""Pixels that a label image may have: 2 GB at 16 bits."""

COLUMNS = (
    "label",
    "area",
    "first_row",
    "first_column",
    "last_row",
    "last_column",
    "centroid_row",
    "centroid_column",
    "predicted_iou",
    "stability",
    "point_row",
    "point_column",
)


@dataclass(frozen=True, eq=False)
class FoundObject:
    """One object in full-resolution image pixels.

    ``box`` is (y0, x0, y1, x1), the first and the last pixel on each axis. ``iou`` is the predicted IoU.
    ``prompts`` gave the object, ``candidate`` is the index of its mask among the four, and ``region`` the
    encoded part of the image.
    """

    packed: PackedCrop = field(repr=False)
    area: int
    iou: float
    stability: float
    prompts: Prompts = field(repr=False)
    candidate: int
    region: Region

    @property
    def is_proposed(self) -> bool:
        """True if the mask is the proposed region in the prompts itself, and not an answer to it."""
        area = self.prompts.area
        return area is not None and self.crop == MaskCrop(area.origin_yx, area.mask)

    @property
    def crop(self) -> MaskCrop:
        """The mask, unpacked at each call."""
        return self.packed.crop()

    @property
    def box(self) -> tuple[int, int, int, int]:
        (top, left), (height, width) = self.packed.origin_yx, self.packed.size_hw
        # a mask without pixels has the box (0, 0, 0, 0), as in the published generator
        return top, left, top + max(height - 1, 0), left + max(width - 1, 0)

    @property
    def point_yx(self) -> tuple[float, float]:
        """First point of the prompts, or else the middle of their first box."""
        if len(self.prompts.points_yx):
            y, x = self.prompts.points_yx[0]
        else:
            y0, x0, y1, x1 = self.prompts.boxes_yx[0]
            y, x = (y0 + y1) / 2, (x0 + x1) / 2
        return float(y), float(x)


@dataclass(frozen=True, eq=False)
class Found:
    """Objects found by ``segment_everything``. ``complete`` is False if it was cancelled.

    ``mode`` is the mode used: "seeds", "grid", or "prompts" for a user's prompts. ``ids`` are the objects'
    labels, by default 1, 2, ... in their order.
    """

    objects: tuple[FoundObject, ...]
    image_hw: tuple[int, int]
    settings: AutomaticSettings
    mode: str
    complete: bool = True
    ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.ids:
            object.__setattr__(self, "ids", tuple(range(1, len(self.objects) + 1)))
        if len(self.ids) != len(self.objects):
            raise ValueError(f"{len(self.objects)} objects need as many ids, got {len(self.ids)}")

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the label image: uint16, or uint32 for labels above 65,535."""
        return np.dtype(np.uint16 if max(self.ids, default=0) <= np.iinfo(np.uint16).max else np.uint32)

    def labels(self, window_yxhw: tuple[int, int, int, int] | None = None) -> NDArray[Any]:
        """Label image (H, W), or of a window (row, column, height, width), in ``dtype``.

        Where objects overlap, the smaller one is on top.

        Raises
        ------
        ValueError
            If the image is too large to be held at once; ask for it window by window.
        """
        top, left, height, width = (0, 0, *self.image_hw) if window_yxhw is None else window_yxhw
        if height * width > MOST_PIXELS:
            raise ValueError(
                f"a label image of {height} x {width} pixels is too large to hold: ask for its "
                f"windows by labels(window_yxhw), or take each object's crop"
            )
        shown = np.zeros((height, width), dtype=self.dtype)
        # of equally large ones the earlier, better one is on top
        for index in sorted(range(len(self.objects)), key=lambda i: (-self.objects[i].area, -i)):
            one = self.objects[index]
            y0, x0, y1, x1 = one.box
            rows = slice(max(y0, top), min(y1 + 1, top + height))
            columns = slice(max(x0, left), min(x1 + 1, left + width))
            if one.area == 0 or rows.start >= rows.stop or columns.start >= columns.stop:
                continue
            part = shown[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
            part[one.crop.within((rows, columns))] = self.ids[index]
        return shown

    def table(self) -> pd.DataFrame:
        """A row for each object; rows and columns of the image at pixel centres."""
        import pandas as pd

        rows = []
        for index, one in enumerate(self.objects):
            y, x = np.nonzero(one.crop.mask)
            y0, x0, y1, x1 = one.box
            centroid = (y0 + y.mean(), x0 + x.mean()) if one.area else (np.nan, np.nan)
            rows.append(
                (self.ids[index], one.area, y0, x0, y1, x1, *centroid, one.iou, one.stability, *one.point_yx)
            )
        return pd.DataFrame(rows, columns=list(COLUMNS))
