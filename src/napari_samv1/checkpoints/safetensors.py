"""The format of the library safetensors: a table in JSON, then the numbers.

It is simple enough to be read here, by the same rules as torch's formats: the table is compared with the file
before any number is read.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from napari_samv1.checkpoints.stored import (
    MOST_TABLE_BYTES,
    DamageError,
    OpenedFile,
    Storage,
    StoredTensor,
    map_file,
)

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def open_safetensors(path: Path) -> OpenedFile:
    """Open a file; the format has no checksums. Raises ``DamageError`` where table and file differ."""
    mapped = map_file(path)
    table_bytes = int.from_bytes(mapped[:8], "little")
    begin = 8 + table_bytes
    if table_bytes > MOST_TABLE_BYTES or begin > len(mapped):
        raise DamageError(f"its table of tensors would take {table_bytes} bytes")
    try:
        table = json.loads(mapped[8:begin], object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise DamageError(f"its table of tensors cannot be read ({error})") from error
    if not isinstance(table, dict):
        raise DamageError("its table of tensors is none")
    table.pop("__metadata__", None)
    content, starts, after = {}, {}, begin
    read = {name: _row(name, row) for name, row in table.items()}
    for name, (tensor, first, stop) in sorted(read.items(), key=lambda item: item[1][1:]):
        if begin + first != after or stop - first != tensor.storage.nbytes:
            raise DamageError(f"{name} does not fill its place")
        starts[name], after = after, begin + stop
        content[name] = tensor
    if after != len(mapped):
        raise DamageError(f"its tensors end at byte {after}, the file at {len(mapped)}")
    return OpenedFile(content, mapped, lambda storage: starts[storage.key])


def _row(name: str, row: Any) -> tuple[StoredTensor, int, int]:
    """Return a row's tensor, its first byte, and the byte after its last."""
    try:
        dtype, shape, (first, stop) = row["dtype"], tuple(row["shape"]), row["data_offsets"]
    except (TypeError, ValueError, KeyError) as error:
        raise DamageError(f"{name} is not described whole") from error
    if any(type(number) is not int or number < 0 for number in (*shape, first, stop)):
        raise DamageError(f"{name} is not described by whole numbers")
    torch_dtype = DTYPES.get(dtype) if isinstance(dtype, str) else None
    count = math.prod(shape) if torch_dtype is not None else stop - first
    return StoredTensor.dense(Storage(name, torch_dtype, count), shape), first, stop


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("it names something twice")
    return table
