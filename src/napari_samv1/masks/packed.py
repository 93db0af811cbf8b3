"""PackedCrop: a mask's crop as compressed bits, so that thousands fit into memory."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np

from napari_samv1.records.mask_crop import MaskCrop, Region

FAST = 1


@dataclass(frozen=True)
class PackedCrop:
    """Compressed crop of a mask: a megapixel takes kilobytes, and a millisecond to unpack."""

    origin_yx: tuple[int, int]
    size_hw: tuple[int, int]
    data: bytes = field(repr=False)

    @classmethod
    def of(cls, crop: MaskCrop) -> PackedCrop:
        height, width = crop.mask.shape
        return cls(crop.origin_yx, (height, width), zlib.compress(np.packbits(crop.mask).tobytes(), FAST))

    @property
    def region(self) -> Region:
        """Slices that cut the crop's box out of the image."""
        (top, left), (height, width) = self.origin_yx, self.size_hw
        return slice(top, top + height), slice(left, left + width)

    def crop(self) -> MaskCrop:
        height, width = self.size_hw
        bits = np.unpackbits(np.frombuffer(zlib.decompress(self.data), dtype=np.uint8), count=height * width)
        return MaskCrop(self.origin_yx, bits.view(bool).reshape(height, width))
