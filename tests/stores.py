"""Arrays in files that people bring, made by the packages that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorstore
from numpy.typing import NDArray


def tensor_store(path: Path, values: NDArray[Any], chunk: int = 64) -> Any:
    """A zarr 3 array of these values, opened by tensorstore."""
    store = tensorstore.open(
        {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)}},
        create=True,
        dtype=np.dtype(values.dtype).name,
        shape=values.shape,
        chunk_layout=tensorstore.ChunkLayout(chunk_shape=(chunk, chunk)),
    ).result()
    store[...] = values
    return store
