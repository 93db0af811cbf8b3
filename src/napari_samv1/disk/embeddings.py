"""A folder of embeddings, one file each, shared by processes; docs/any-size.md describes the files."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import xxhash
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from napari_samv1.disk.atomic import PREFIX, SUFFIX, write_file
from napari_samv1.disk.megabytes import bytes_asked_for
from napari_samv1.records.requests import EncodingRequest

FORMAT = "napari-samv1 embedding 1"
VARIABLE = "NAPARI_SAMV1_EMBEDDINGS_DISK_MB"
MOST_BYTES = 10 * 10**9
ROOM = 0.9
"""Share of the bound to which a folder that exceeds it is reduced, so that this is seldom needed."""

NAME = "[0-9a-f]" * 32 + ".safetensors"
TENSOR = "tokens_bchw"
DTYPES: dict[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4")}
LEFT_OVER_SECONDS = 3600
LONGEST_HEADER = 1 << 20


@dataclass(frozen=True, eq=False)
class KeptEmbedding:
    """Tokens, 1 C h w in float16 or float32, and their provenance as plain values for JSON."""

    tokens_bchw: NDArray[Any] = field(repr=False)
    made: dict[str, Any]


@dataclass(frozen=True)
class Occupied:
    """Number of embeddings in a folder, their bytes, and the most bytes that they may take."""

    count: int
    nbytes: int
    most_bytes: int


class EmbeddingFolder:
    """Embeddings on disk by their requests; the least recently used are removed first.

    ``most_bytes`` is 10 GB by default, or the value of ``NAPARI_SAMV1_EMBEDDINGS_DISK_MB``. The folder is
    made with the first embedding. A damaged entry is ignored, and so is one of another version or request.
    After a failed write there is one warning, and nothing more is written: ``failure`` says why, or is "".

    Raises
    ------
    ValueError
        If the folder is a file.
    """

    def __init__(self, folder: str | os.PathLike[str], most_bytes: int | None = None) -> None:
        self.folder = Path(folder).expanduser().absolute()
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"cache must be a folder, and {self.folder} is a file")
        self.most_bytes = bytes_asked_for(VARIABLE, MOST_BYTES) if most_bytes is None else most_bytes
        self._lock = Lock()
        self.failure = ""
        self._seen_bytes: int | None = None

    def path(self, request: EncodingRequest) -> Path:
        """Path of a request's embedding, stored or not."""
        digest = request.digest
        return self.folder / digest[:2] / f"{digest}.safetensors"

    def get(self, request: EncodingRequest) -> KeptEmbedding | None:
        """Embedding of a request; None if there is no intact one."""
        path = self.path(request)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        kept = _read(content, request)
        if kept is not None:
            with suppress(OSError):  # in a read-only folder times of use cannot be kept
                os.utime(path)
        return kept

    def put(self, request: EncodingRequest, kept: KeptEmbedding) -> None:
        """Store or replace an embedding, and remove old ones if space is short."""
        if self.failure:
            return
        path, content = self.path(request), _written(request, kept)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, content)
            self._make_room(len(content))
        except OSError as error:
            self._stop_writing(error)

    def occupied(self) -> Occupied:
        """Number of embeddings in the folder, and their bytes."""
        sizes = [size for _, size, _ in self._entries()]
        return Occupied(len(sizes), sum(sizes), self.most_bytes)

    def clear(self) -> Occupied:
        """Remove all embeddings and no other file; returns the number and bytes before."""
        before = self.occupied()
        for _, _, path in list(self._entries()):
            with suppress(FileNotFoundError):
                path.unlink()
        self._remove_leftovers(0)
        for inner in self.folder.glob("[0-9a-f][0-9a-f]"):
            with suppress(OSError):  # it holds other files
                inner.rmdir()
        self._seen_bytes = None
        return before

    def _make_room(self, written: int) -> None:
        with self._lock:
            if self._seen_bytes is not None:
                self._seen_bytes += written
                if self._seen_bytes <= self.most_bytes:
                    return
            self._seen_bytes = sum(size for _, size, _ in self._entries())
            if self._seen_bytes <= self.most_bytes:
                return
            try:
                with FileLock(self.folder / ".lock", timeout=0):
                    self._seen_bytes = self._remove_oldest()
                    self._remove_leftovers(LEFT_OVER_SECONDS)
            except Timeout:  # another process is removing
                self._seen_bytes = None

    def _remove_oldest(self) -> int:
        entries = sorted(self._entries(), key=lambda entry: entry[0])
        held = sum(size for _, size, _ in entries)
        # without the newest, which is just being stored
        for _, size, path in entries[:-1]:
            if held <= ROOM * self.most_bytes:
                break
            with suppress(OSError):  # removed already, or open elsewhere on Windows
                path.unlink()
                held -= size
        return held

    def _remove_leftovers(self, seconds: float) -> None:
        for part in self.folder.glob(f"[0-9a-f][0-9a-f]/{PREFIX}*{SUFFIX}"):
            with suppress(OSError):
                if time.time() - part.stat().st_mtime >= seconds:
                    part.unlink()

    def _entries(self) -> Iterator[tuple[int, int, Path]]:
        """Time of last use, bytes and path of each embedding."""
        for path in self.folder.glob(f"[0-9a-f][0-9a-f]/{NAME}"):
            with suppress(OSError):
                status = path.stat()
                yield status.st_mtime_ns, status.st_size, path

    def _stop_writing(self, error: OSError) -> None:
        with self._lock:
            if self.failure:
                return
            self.failure = error.strerror or str(error) or type(error).__name__
        warnings.warn(
            f"Embeddings are not written to {self.folder} from now on, and kept in memory only: "
            f"{self.failure}",
            stacklevel=4,
        )


def _written(request: EncodingRequest, kept: KeptEmbedding) -> bytes:
    tokens = kept.tokens_bchw
    name = next((name for name, dtype in DTYPES.items() if dtype == tokens.dtype), None)
    if name is None:
        raise ValueError(f"tokens must be float16 or float32, got {tokens.dtype}")
    payload = np.ascontiguousarray(tokens, dtype=DTYPES[name]).tobytes()
    asked, made = json.dumps(request.to_json(), sort_keys=True), json.dumps(kept.made, sort_keys=True)
    header = {
        "__metadata__": {
            "format": FORMAT,
            "request": asked,
            "made": made,
            "xxh3_128": _checksum(payload, asked, made),
        },
        TENSOR: {"dtype": name, "shape": list(tokens.shape), "data_offsets": [0, len(payload)]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + payload


def _read(content: bytes, request: EncodingRequest) -> KeptEmbedding | None:
    """Embedding in the content of a file; None unless it is intact and of this request."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(LONGEST_HEADER, len(content) - 8):
        return None
    payload = content[8 + length :]
    try:
        header = json.loads(content[8 : 8 + length])
        notes, tensor = header["__metadata__"], header[TENSOR]
        asked, made = notes["request"], notes["made"]
        is_sound = (
            notes["format"] == FORMAT
            and notes["xxh3_128"] == _checksum(payload, asked, made)
            and json.loads(asked) == request.to_json()
        )
        if not is_sound:
            return None
        tokens = np.frombuffer(payload, DTYPES[tensor["dtype"]]).reshape(tensor["shape"])
        return KeptEmbedding(tokens, json.loads(made))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _checksum(payload: bytes, asked: str, made: str) -> str:
    digest = xxhash.xxh3_128(payload)
    digest.update(f"{asked}\n{made}".encode())
    return digest.hexdigest()
