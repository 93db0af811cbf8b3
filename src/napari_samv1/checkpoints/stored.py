"""Tensors as a weight file describes them, checked before any of their bytes is read."""

from __future__ import annotations

import math
import mmap
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

MOST_TABLE_BYTES = 4 << 20
"""Largest pickle or header that lists the tensors; the largest published file has a fortieth of it."""

MOST_AXES = 8
FLOATS = frozenset({torch.float64, torch.float32, torch.float16, torch.bfloat16})


class DamageError(ValueError):
    """The bytes of a weight file do not fit together, for the reason in the message."""


@dataclass(frozen=True)
class Storage:
    """A run of ``count`` numbers in a weight file; ``dtype`` is None if it is unknown."""

    key: str
    dtype: torch.dtype | None
    count: int

    @property
    def nbytes(self) -> int:
        return self.count * (self.dtype.itemsize if self.dtype is not None else 1)


@dataclass(frozen=True)
class StoredTensor:
    """A view of a storage: strides and ``offset`` count numbers, as torch's do."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @classmethod
    def dense(cls, storage: Storage, shape: tuple[int, ...]) -> StoredTensor:
        """All of a storage, the last axis fastest."""
        stride = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
        return cls(storage, 0, shape, stride)

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def is_floating_point(self) -> bool:
        return self.storage.dtype in FLOATS

    @property
    def nbytes(self) -> int:
        return self.count * (self.storage.nbytes // max(self.storage.count, 1))

    def require_whole(self) -> None:
        """Raise ``DamageError`` unless the storage holds each number that the shape and the strides name."""
        numbers = (self.offset, *self.shape, *self.stride)
        if any(type(number) is not int or not 0 <= number < 1 << 48 for number in numbers):
            raise DamageError("a tensor's shape is made of something else than whole numbers")
        if len(self.shape) != len(self.stride) or len(self.shape) > MOST_AXES:
            raise DamageError(
                f"a tensor has {len(self.shape)} axes and {len(self.stride)} strides, at most {MOST_AXES} "
                f"of each are read"
            )
        # a stride of 0 repeats one number: no weights are stored so, and a small file could ask for any
        # amount of memory
        last = sum((side - 1) * step for side, step in zip(self.shape, self.stride, strict=True))
        is_within = self.offset + last < self.storage.count and self.count <= self.storage.count
        if self.count and not is_within:
            raise DamageError(
                f"a tensor of shape {self.shape} reaches beyond its {self.storage.count} stored numbers"
            )


@dataclass(frozen=True)
class OpenedFile:
    """A weight file's table of contents, and the place of each storage.

    ``place`` returns a storage's first byte; it raises ``DamageError`` if the storage is incomplete, or its
    bytes are not those that were saved.
    """

    content: Any
    mapped: mmap.mmap
    place: Callable[[Storage], int]

    def tensors(self, stored: dict[str, StoredTensor], *, is_known: bool) -> dict[str, Tensor]:
        """Tensors by their names, mapped from the file; numbers of ``is_known`` content are not checked.

        Raises ``DamageError`` that names a tensor which is not whole or not finite.
        """
        if sum(one.nbytes for one in stored.values()) > len(self.mapped):
            raise DamageError("its tensors are larger than the file")
        starts: dict[Storage, int] = {}
        tensors = {}
        for name, one in stored.items():
            if one.storage not in starts:
                starts[one.storage] = self._start(name, one)
            tensors[name] = tensor = self._view(one, starts[one.storage])
            if not is_known and not _is_finite(tensor):
                raise DamageError(f"{name} holds numbers that are not finite")
        return tensors

    def _start(self, name: str, one: StoredTensor) -> int:
        try:
            return self.place(one.storage)
        except DamageError as error:
            raise DamageError(f"{name}: {error}") from error

    def _view(self, one: StoredTensor, start: int) -> Tensor:
        storage = one.storage
        if not one.count or storage.dtype is None:
            return torch.empty(one.shape, dtype=storage.dtype)
        if start % storage.dtype.itemsize:
            # copied, because not every processor reads unaligned numbers
            aligned = bytearray(self.mapped[start : start + storage.nbytes])
            numbers = torch.frombuffer(aligned, dtype=storage.dtype)
        else:
            numbers = torch.frombuffer(self.mapped, dtype=storage.dtype, count=storage.count, offset=start)
        return numbers.as_strided(one.shape, one.stride, one.offset)


def map_file(path: Path) -> mmap.mmap:
    """Map a regular file's bytes, which are read as needed; writes stay in memory.

    Raises ``OSError`` if it cannot be read, ``DamageError`` if it is a device or a pipe.
    """
    # without blocking, because opening a pipe would wait for a writer
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DamageError("it is no regular file")
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY)
    finally:
        os.close(descriptor)


def require_apart(places: Iterable[tuple[int, int]], end: int) -> None:
    """Raise ``DamageError`` if ranges (start, stop) overlap, or reach beyond ``end``."""
    after = 0
    for start, stop in sorted(places):
        if start < after or stop < start or stop > end:
            raise DamageError("parts of it overlap or reach beyond its end")
        after = stop


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.numel():
        return True
    lowest, highest = torch.aminmax(tensor)
    return bool(lowest.isfinite() and highest.isfinite())
