"""Label images as compressed TIFF."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.limits import is_plausible

DEFLATE = (8, 32946)
STRIP_BYTES = 1 << 22


def tiff_bytes(labels: NDArray[Any]) -> bytes:
    """Write a label image (H, W) as the bytes of a TIFF file.

    A large one that is nearly empty is packed less tightly, so that it is not taken for a bomb when opened.
    """
    packed = _written(labels)
    if is_plausible(labels.nbytes, len(packed)):
        return packed
    rows = max(1, STRIP_BYTES // (labels.shape[1] * labels.itemsize))
    strips = (zlib.compress(labels[top : top + rows].tobytes(), 1) for top in range(0, len(labels), rows))
    return _written(strips, shape=labels.shape, dtype=labels.dtype, rowsperstrip=rows)


def _written(labels: NDArray[Any] | Iterator[bytes], **layout: Any) -> bytes:
    buffer = io.BytesIO()
    # deflate is in Python itself; other compressions need a package that readers may lack
    tifffile.imwrite(
        buffer,
        labels,
        compression="zlib",
        photometric="minisblack",
        metadata={"axes": "YX"},
        software=False,
        **layout,
    )
    return buffer.getvalue()


@dataclass(frozen=True)
class LabelTiff:
    """A label image (H, W) as a TIFF file of which only the header has been read."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, int]
    rows_per_strip: int
    strips: tuple[bytes, ...]

    @classmethod
    def opened(cls, content: bytes, name: str) -> LabelTiff:
        """Read the header of a file from ``tiff_bytes``.

        Raises
        ------
        SessionError
            If it is damaged, not a label image, or written in another way.
        """
        try:
            with tifffile.TiffFile(io.BytesIO(content)) as file:
                page = file.pages.first
                if not isinstance(page, tifffile.TiffPage) or page.dtype is None:
                    raise ValueError("its first page holds no pixels")
                dtype, shape = np.dtype(page.dtype).newbyteorder(file.byteorder), tuple(page.shape)
                is_ours = page.compression in DEFLATE and page.predictor == 1 and not page.is_tiled
                segments = zip(page.dataoffsets, page.databytecounts, strict=True)
                strips = tuple(content[start : start + count] for start, count in segments)
                rows = min(int(page.rowsperstrip), shape[0])
        # tifffile raises errors of all kinds for damaged files
        except Exception as error:
            raise SessionError(f"{name} is damaged ({error})") from error
        if len(shape) != 2 or dtype.kind not in "ui" or not is_ours:
            raise SessionError(f"{name} is not a label image of a session: {dtype} {shape}")
        if rows < 1 or len(strips) != -(-shape[0] // rows):
            raise SessionError(f"{name} is damaged ({len(strips)} strips for {shape[0]} rows)")
        return cls(name, dtype, (int(shape[0]), int(shape[1])), rows, strips)

    @property
    def nbytes(self) -> int:
        """Bytes of the unpacked labels."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def read(self) -> NDArray[Any]:
        """Unpack the labels, never more of a strip than its rows hold.

        Raises
        ------
        SessionError
            If they are damaged.
        """
        height, width = self.shape
        labels = np.empty(self.shape, self.dtype.newbyteorder("="))
        for number, strip in enumerate(self.strips):
            first = number * self.rows_per_strip
            rows = min(self.rows_per_strip, height - first)
            size = rows * width * self.dtype.itemsize
            try:
                pixels = zlib.decompressobj().decompress(strip, size)
                labels[first : first + rows] = np.frombuffer(pixels, self.dtype).reshape(rows, width)
            except (zlib.error, ValueError) as error:
                raise SessionError(f"{self.name} is damaged ({error})") from error
        labels.flags.writeable = False
        return labels
