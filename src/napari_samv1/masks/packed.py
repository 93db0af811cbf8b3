"""Masks kept by the thousand: the bits of a crop, compressed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np

from napari_samv1.records.mask_crop import MaskCrop

FAST = 1


@dataclass(frozen=True)
class PackedCrop:
    """A mask's crop in a few bytes; that of a megapixel takes kilobytes, unpacked in a millisecond."""

    origin_yx: tuple[int, int]
    size_hw: tuple[int, int]
    data: bytes = field(repr=False)

    @classmethod
    def of(cls, crop: MaskCrop) -> PackedCrop:
        height, width = crop.mask.shape
        return cls(crop.origin_yx, (height, width), zlib.compress(np.packbits(crop.mask).tobytes(), FAST))

    def crop(self) -> MaskCrop:
        height, width = self.size_hw
        bits = np.unpackbits(np.frombuffer(zlib.decompress(self.data), dtype=np.uint8), count=height * width)
        return MaskCrop(self.origin_yx, bits.view(bool).reshape(height, width))
