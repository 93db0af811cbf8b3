"""Fetch a known model: resumable, verified before it takes its name, cancellable."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from napari_samv1.checkpoints.digests import Digests
from napari_samv1.checkpoints.errors import CheckpointError, DownloadError
from napari_samv1.checkpoints.folders import VARIABLE
from napari_samv1.checkpoints.registry import KnownModel
from napari_samv1.checkpoints.transfer import OnProgress, Part, TransferError, receive
from napari_samv1.checkpoints.verify import remember, verified_sha256

FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


def download(model: KnownModel, on_progress: OnProgress = lambda done, total: None) -> Path:
    """Fetch a known model's file, unless it is there, and return its path.

    Bytes are written to ``<file>.part``, which a later call continues after a cancel (an exception from
    ``on_progress``, which is passed on), a lost connection or a killed process. The published hash is checked
    before the file takes its name. Of several processes one fetches, the others wait for it.

    Raises ``DownloadError``, whose message says where to put the file by hand.
    """
    if model.url is None or model.digest is None:
        return model.path
    try:
        model.path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(model, on_progress):
            if not _is_verified(model):
                _fetch(model, model.url, model.digest, on_progress)
    except TransferError as error:
        raise _failure(model, str(error)) from error
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in FULL:
            raise _failure(model, f"the disk of {model.path.parent} is full: {reason}") from error
        raise _failure(model, f"{model.path.parent} cannot be written: {reason}") from error
    return model.path


def partial_bytes(model: KnownModel) -> int:
    """Return the size of the part that an unfinished download left."""
    return Part.of(model.path).size


def _fetch(model: KnownModel, url: str, digest: str, on_progress: OnProgress) -> None:
    part = Part.of(model.path)
    was_begun = part.size > 0
    receive(url, part, on_progress, model.most_bytes)
    looked_ns, digests = _hash(part, on_progress)
    if not digests.match(digest) and was_begun:
        # the part may be one of another file: once more, from the start
        part.discard()
        receive(url, part, on_progress, model.most_bytes)
        looked_ns, digests = _hash(part, on_progress)
    if not digests.match(digest):
        part.discard()
        got = digests.tagged(digest.partition(":")[0])
        raise _failure(model, f"the received file is not the published one ({got} instead of {digest})")
    part.path.replace(model.path)
    part.discard()
    remember(model.path, digests, model.path.stat(), looked_ns)


def _hash(part: Part, on_progress: OnProgress) -> tuple[int, Digests]:
    looked_ns, size = time.time_ns(), part.size
    return looked_ns, Digests.of_file(part.path, on_block=lambda: on_progress(size, size))


@contextlib.contextmanager
def _alone(model: KnownModel, on_progress: OnProgress) -> Iterator[None]:
    """Wait until no other process fetches this file; the system frees the lock of a process that dies."""
    lock = FileLock(model.path.with_name(f"{model.path.name}.lock"))
    while True:
        try:
            lock.acquire(timeout=0.2)
            break
        except Timeout:
            on_progress(partial_bytes(model), None)
        except NotImplementedError:
            break  # a network drive without locks: the hash still detects a damaged file
    try:
        yield
    finally:
        lock.release()


def _is_verified(model: KnownModel) -> bool:
    if not model.is_on_disk:
        return False
    try:
        verified_sha256(model)
    except CheckpointError:
        return False
    return True


def _failure(model: KnownModel, reason: str) -> DownloadError:
    have = partial_bytes(model)
    again = f"another try continues after {have / 1e6:.1f} MB" if have else "try again later"
    return DownloadError(
        f"{model.name} could not be fetched: {reason}; {again}, or get {model.url} with a browser and save "
        f"it as {model.path} ({VARIABLE} chooses another folder)"
    )
