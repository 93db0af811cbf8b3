"""Hashes of a file's content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import xxhash

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Digests:
    """Hexadecimal hashes, of which models are published with one or the other."""

    sha256: str
    xxh128: str

    @classmethod
    def of_file(cls, path: Path, on_block: Callable[[], object] = lambda: None) -> Digests:
        """Read the file once; ``on_block`` is called after each block and may raise to stop."""
        sha256, xxh128 = hashlib.sha256(), xxhash.xxh3_128()
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                sha256.update(block)
                xxh128.update(block)
                on_block()
        return cls(sha256.hexdigest(), xxh128.hexdigest())

    def tagged(self, algorithm: str) -> str:
        """One hash as ``algorithm:hexadecimal``."""
        return f"{algorithm}:{getattr(self, algorithm)}"

    def match(self, expected: str) -> bool:
        """Return True if the content has the digest published as ``algorithm:hexadecimal``."""
        return self.tagged(expected.partition(":")[0]) == expected
