"""Check that a known model's file is the published one; its hashes are cached beside the file."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from napari_samv1.checkpoints.digests import Digests
from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.notes import read_json, write_json
from napari_samv1.checkpoints.registry import KnownModel

# A file written this shortly before it was hashed may be written again without its time changing:
# two seconds is the coarsest clock among the usual file systems (FAT).
CLOCK_NS = 2_000_000_000


def verified_sha256(model: KnownModel, *, afresh: bool = False) -> str:
    """The sha256 of a known model's file on disk, which must be the published file.

    Hashing gigabytes takes seconds, so the hashes are cached with the file's size and time; ``afresh`` reads
    the file in any case. Raises ``CheckpointError`` if the content differs.
    """
    path = model.path
    if model.digest is None:
        return Digests.of_file(path).sha256
    # the bundled file is small, and nothing is written into an installation
    remembered = None if afresh or model.is_bundled else recall(path)
    if remembered is not None and remembered.match(model.digest):
        return remembered.sha256
    looked_ns, before = time.time_ns(), path.stat()
    digests = Digests.of_file(path)
    if model.is_bundled and not digests.match(model.digest):
        raise CheckpointError(
            f"{path} is not the file that came with this version of napari-samv1: reinstall the package"
        )
    if not digests.match(model.digest):
        raise CheckpointError(
            f"{path} is not the published {model.name}: expected {model.digest}, "
            f"got {digests.tagged(model.digest.partition(':')[0])}; run `napari-samv1 models download "
            f"{model.name}` to replace it, or keep a file of your own elsewhere and choose it by its path"
        )
    if not model.is_bundled:
        remember(path, digests, before, looked_ns)
    return digests.sha256


def remember(path: Path, digests: Digests, stat: os.stat_result, looked_ns: int) -> None:
    """Write the hashes beside the file; in a read-only folder they are not cached."""
    note = {
        "sha256": digests.sha256,
        "xxh128": digests.xxh128,
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "looked_ns": looked_ns,
    }
    with contextlib.suppress(OSError):
        write_json(note_path(path), note)


def recall(path: Path) -> Digests | None:
    """Return the hashes cached for this file, unless it may have changed since."""
    note = read_json(note_path(path))
    stat = path.stat()
    try:
        is_same = (note["size"], note["mtime_ns"]) == (stat.st_size, stat.st_mtime_ns)
        is_settled = note["mtime_ns"] + CLOCK_NS < note["looked_ns"]
        return Digests(str(note["sha256"]), str(note["xxh128"])) if is_same and is_settled else None
    except (KeyError, TypeError):
        return None


def note_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
