"""Clean-up of one object's mask: holes, islands, ragged outlines, width."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes
from skimage.filters import gaussian
from skimage.measure import label
from skimage.morphology import isotropic_dilation, isotropic_erosion

from napari_samv1.records.mask_crop import MaskCrop

_GAUSSIAN_REACH = 4.0  # standard deviations after which the filter is cut off


@dataclass(frozen=True)
class CleanUp:
    """Clean-up of a mask, in this order; the defaults leave it as it is.

    ``fill_holes`` fills enclosed background. ``drop_islands`` drops pieces of fewer pixels, ``keep_largest``
    all pieces but the largest. ``smooth`` is the standard deviation in pixels of a Gaussian that rounds the
    outline. ``grow`` widens the mask by so many pixels, a negative number narrows it. After smoothing and
    growing the first three are applied again, so that they hold for the result.

    Pieces that touch at a corner are one piece; holes are closed by corners. The image's edge is not an
    outline: a mask that reaches it is neither narrowed nor rounded there.
    """

    fill_holes: bool = False
    drop_islands: int = 0
    keep_largest: bool = False
    smooth: float = 0.0
    grow: int = 0

    def __post_init__(self) -> None:
        if self.drop_islands < 0:
            raise ValueError(f"drop_islands must be an area of 0 pixels or more, got {self.drop_islands}")
        if not 0 <= self.smooth < np.inf:
            raise ValueError(f"smooth must be 0 pixels or more, got {self.smooth}")

    def apply(self, crop: MaskCrop, image_hw: tuple[int, int]) -> MaskCrop:
        """The cleaned mask; works on the crop and a margin for growing alone."""
        if self == CleanUp() or crop.empty:
            return crop
        # one more pixel, so that the background around the object is one piece
        margin = 1 + max(self.grow, 0) + int(np.ceil(_GAUSSIAN_REACH * self.smooth))
        rows, columns = (
            slice(max(0, extent.start - margin), min(size, extent.stop + margin))
            for extent, size in zip(crop.region, image_hw, strict=True)
        )
        mask = self._pieces(crop.within((rows, columns)))
        if self.smooth or self.grow:
            mask = self._pieces(self._outline(mask))
        return MaskCrop.from_mask(mask, (rows.start, columns.start))

    def _pieces(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if self.fill_holes:
            mask = binary_fill_holes(mask)
        if self.drop_islands <= 1 and not self.keep_largest:
            return mask
        pieces = label(mask, connectivity=2)
        areas = np.bincount(pieces.ravel())
        areas[0] = 0
        kept = areas >= max(self.drop_islands, 1)
        if self.keep_largest:
            kept &= np.arange(len(areas)) == areas.argmax()
        return kept[pieces]

    def _outline(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if self.smooth:
            blurred = gaussian(
                mask.astype(np.float32), sigma=self.smooth, mode="nearest", truncate=_GAUSSIAN_REACH
            )
            mask = blurred > 0.5
        if self.grow > 0:
            return np.asarray(isotropic_dilation(mask, self.grow), dtype=bool)
        # without any background the distance to it has no meaning
        if self.grow < 0 and not mask.all():
            return np.asarray(isotropic_erosion(mask, -self.grow), dtype=bool)
        return mask
