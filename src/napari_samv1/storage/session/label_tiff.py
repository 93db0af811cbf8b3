"""Label images as compressed TIFF."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_samv1.storage.errors import SessionError


def tiff_bytes(labels: NDArray[Any]) -> bytes:
    """A label image (H, W) as the bytes of a TIFF file."""
    buffer = io.BytesIO()
    # deflate is in Python itself; other compressions need a package that readers may lack
    tifffile.imwrite(
        buffer, labels, compression="zlib", photometric="minisblack", metadata={"axes": "YX"}, software=False
    )
    return buffer.getvalue()


def read_tiff(content: bytes, name: str) -> NDArray[Any]:
    """A label image that ``tiff_bytes`` wrote.

    Raises
    ------
    SessionError
        If it is damaged or no label image.
    """
    try:
        labels = np.asarray(tifffile.imread(io.BytesIO(content)))
    # tifffile, zlib and numpy raise what they like at damaged files
    except Exception as error:
        raise SessionError(f"{name} is damaged ({error})") from error
    if labels.ndim != 2 or labels.dtype.kind not in "ui":
        raise SessionError(f"{name} is no label image: {labels.dtype} {labels.shape}")
    labels.flags.writeable = False
    return labels
