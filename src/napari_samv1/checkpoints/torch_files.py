"""The two formats of ``torch.save``: a zip archive, and before torch 1.6 a row of pickles."""

from __future__ import annotations

import io
import mmap
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.file_kinds import WANTED
from napari_samv1.checkpoints.pickled import Mentioned, read_pickle
from napari_samv1.checkpoints.stored import (
    MOST_TABLE_BYTES,
    DamageError,
    OpenedFile,
    Storage,
    map_file,
    require_apart,
)

LOCAL_HEADER = 30
BLOCK_BYTES = 1 << 20


def open_zip(path: Path, mentioned: Mentioned, *, is_known: bool) -> OpenedFile:
    """Open a zip archive; checksums are verified, those of weights only if they are not ``is_known``."""
    mapped = map_file(path)
    parts, folder = _parts(path, mapped)
    table = _required(parts, f"{folder}data.pkl")
    if table.file_size > MOST_TABLE_BYTES:
        raise DamageError(
            f"its table of tensors takes {table.file_size / 1e6:.0f} MB, more than any network's"
        )
    order = parts.get(f"{folder}byteorder")
    for part in filter(None, (table, order)):
        _require_sum(mapped, part)
    if order is not None and _bytes(mapped, order) != b"little":
        raise CheckpointError(f"{path} was written by a big-endian computer; save it again on another one")
    content = read_pickle(io.BytesIO(_bytes(mapped, table)), mentioned)

    def place(storage: Storage) -> int:
        part = _required(parts, f"{folder}data/{storage.key}")
        if part.file_size != storage.nbytes:
            raise DamageError(f"{part.file_size} bytes are stored where {storage.nbytes} belong")
        if not is_known:
            _require_sum(mapped, part)
        return _start(mapped, part)

    return OpenedFile(content, mapped, place)


def open_pickles(path: Path, mentioned: Mentioned) -> OpenedFile:
    """Open a file in the old format: three pickles of facts, the table, the order of storages.

    Each storage follows as its count and its numbers. The format has no checksums.
    """
    mapped = map_file(path)
    head = io.BytesIO(mapped[:MOST_TABLE_BYTES])
    _magic, _protocol, system = (read_pickle(head, mentioned) for _ in range(3))
    if isinstance(system, dict) and system.get("little_endian") is False:
        raise CheckpointError(f"{path} was written by a big-endian computer; save it again on another one")
    content = read_pickle(head, mentioned)
    order = read_pickle(head, mentioned)
    if not isinstance(order, list):
        raise DamageError("the order of its parts is missing")
    starts = _following(mapped, order, mentioned.storages, head.tell())

    def place(storage: Storage) -> int:
        if storage.key not in starts:
            raise DamageError("its numbers are missing")
        return starts[storage.key]

    return OpenedFile(content, mapped, place)


def _parts(path: Path, mapped: mmap.mmap) -> tuple[dict[str, zipfile.ZipInfo], str]:
    """Parts of the archive by name, and the folder in it that holds them, with its slash."""
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise CheckpointError(
            f"{path} is cut off: its end, which lists its parts, is missing; download or copy it again"
        ) from error
    ends = [one.filename.rpartition("/")[2] for one in listed]
    if "constants.pkl" in ends:
        raise CheckpointError(f"{path} is a TorchScript program, not weights; {WANTED}")
    tables = [one.filename for one in listed if one.filename.rpartition("/")[2] == "data.pkl"]
    if not tables:
        raise CheckpointError(f"{path} is a zip archive without weights in it; {WANTED}, or unpack it first")
    if len(tables) > 1 or max(Counter(one.filename for one in listed).values()) > 1:
        raise DamageError("it holds two parts of one name")
    if any(one.compress_type != zipfile.ZIP_STORED or one.flag_bits & 1 for one in listed):
        raise CheckpointError(
            f"{path} was packed again, with compression, which torch does not do; use the file as it was "
            f"downloaded or saved"
        )
    require_apart(
        ((one.header_offset, one.header_offset + LOCAL_HEADER + one.file_size) for one in listed), len(mapped)
    )
    return {one.filename: one for one in listed}, tables[0].removesuffix("data.pkl")


def _required(parts: dict[str, zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    if name not in parts:
        raise DamageError(f"its part {name} is missing")
    return parts[name]


def _start(mapped: mmap.mmap, part: zipfile.ZipInfo) -> int:
    """Return the first byte of a part, after its header of any length."""
    header = mapped[part.header_offset : part.header_offset + LOCAL_HEADER]
    if header[:4] != b"PK\x03\x04":
        raise DamageError(f"its part {part.filename} is not where it should be")
    name, extra = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    start = part.header_offset + LOCAL_HEADER + name + extra
    if start + part.file_size > len(mapped):
        raise DamageError(f"its part {part.filename} reaches beyond its end")
    return start


def _bytes(mapped: mmap.mmap, part: zipfile.ZipInfo) -> bytes:
    start = _start(mapped, part)
    return mapped[start : start + part.file_size]


def _require_sum(mapped: mmap.mmap, part: zipfile.ZipInfo) -> None:
    start, total = _start(mapped, part), 0
    with memoryview(mapped) as view:
        for place in range(start, start + part.file_size, BLOCK_BYTES):
            total = zlib.crc32(view[place : min(place + BLOCK_BYTES, start + part.file_size)], total)
    if total != part.CRC:
        raise DamageError(f"the bytes of its part {part.filename} are not those that were saved")


def _following(mapped: mmap.mmap, order: list[Any], storages: dict[str, Storage], at: int) -> dict[str, int]:
    """Return the start of each storage by its key, one after the other from ``at``."""
    starts = {}
    for key in order:
        storage = storages.get(key) if isinstance(key, str) else None
        if storage is None or storage.dtype is None:
            raise DamageError("it holds numbers of an unknown kind")
        count, start = int.from_bytes(mapped[at : at + 8], "little"), at + 8
        at = start + storage.nbytes
        if count != storage.count or at > len(mapped):
            raise DamageError(f"{count} numbers are stored where {storage.count} belong")
        starts[storage.key] = start
    return starts
