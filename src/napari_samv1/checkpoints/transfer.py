"""Download of one file over HTTP into a partial file, which any later transfer can continue."""

from __future__ import annotations

import errno
import http.client
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_samv1.checkpoints.notes import read_json, write_json

OnProgress = Callable[[int, int | None], object]
"""Called as ``on_progress(done, total)`` in bytes, with None if the total is unknown; may raise to cancel."""

BLOCK_BYTES = 1 << 18
TIMEOUT_S = 30.0
PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Pauses before new attempts after a connection without any bytes; then the transfer fails."""
BUSY = frozenset({408, 429, 500, 502, 503, 504})


class TransferError(Exception):
    """The file did not arrive, for the reason in the message; bytes that arrived are kept."""


class _TooLargeError(TransferError):
    """More bytes arrive than the file can have."""


class _DroppedError(Exception):
    """The connection broke, and another attempt may get further."""


@dataclass(frozen=True)
class Part:
    """A partial file, and a note beside it with its URL and its version there."""

    path: Path

    @classmethod
    def of(cls, target: Path) -> Part:
        return cls(target.with_name(f"{target.name}.part"))

    @property
    def size(self) -> int:
        try:
            return self.path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return 0

    @property
    def note_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def note(self, url: str, validator: str) -> None:
        write_json(self.note_path, {"url": url, "validator": validator})

    def continuation(self, url: str) -> dict[str, str]:
        """Headers that ask for the missing bytes, if the server's file is still the same."""
        note = read_json(self.note_path)
        if not self.size or note.get("url", url) != url:
            return {}
        validator = note.get("validator")
        return {"Range": f"bytes={self.size}-"} | ({"If-Range": str(validator)} if validator else {})

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note_path.unlink(missing_ok=True)


def receive(url: str, part: Part, on_progress: OnProgress, most_bytes: int) -> None:
    """Fill the partial file to its end, reconnecting as long as connections bring bytes.

    A file of more than ``most_bytes`` is refused as soon as its size is known, and its part is removed.
    """
    _require_safe(url)
    failures = 0
    while True:
        before = part.size
        try:
            _receive_once(url, part, on_progress, most_bytes)
            return
        except _TooLargeError:
            part.discard()
            raise
        except _DroppedError as error:
            failures = 0 if part.size > before else failures + 1
            if failures > len(PAUSES_S):
                raise TransferError(f"the connection to {_host(url)} keeps breaking ({error})") from error
            on_progress(part.size, None)
            time.sleep(PAUSES_S[max(failures - 1, 0)])


def _receive_once(url: str, part: Part, on_progress: OnProgress, most_bytes: int) -> None:
    response = _connect(url, part)
    if response is None:
        return
    with response:
        have = _resumed_at(response, part)
        length = response.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else None
        if total is not None:
            _require_expected(url, total, most_bytes)
            _require_room(part, total - have)
        etag = response.headers.get("ETag", "")
        # a weak tag does not promise equal bytes
        validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
        with part.path.open("ab" if have else "wb") as file:
            part.note(url, validator)
            on_progress(have, total)
            while block := _read(response):
                have += len(block)
                # a server may give no length, or send more than that
                _require_expected(url, have, most_bytes)
                file.write(block)
                on_progress(have, total)
    if total is not None and have < total:
        raise _DroppedError(f"it ended {total - have} bytes early")


def _connect(url: str, part: Part) -> http.client.HTTPResponse | None:
    """Return the server's response, or None if the part is the whole file."""
    headers = {"User-Agent": "napari-samv1", "Accept-Encoding": "identity"} | part.continuation(url)
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S
        )
        return response
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{part.size}":
            return None
        if error.code == 416:
            part.discard()
            raise _DroppedError("the server's file is shorter than the part on disk") from error
        if error.code in BUSY:
            raise _DroppedError(f"HTTP {error.code} {error.reason}") from error
        raise TransferError(f"{_host(url)} answers HTTP {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if part.size or isinstance(reason, ConnectionResetError | http.client.HTTPException):
            raise _DroppedError(str(reason)) from error
        raise TransferError(f"{_host(url)} cannot be reached ({reason})") from error


def _resumed_at(response: http.client.HTTPResponse, part: Part) -> int:
    """Return the position of the response's first byte: 0 where the server cannot, or must not, resume."""
    if response.status != 206:
        return 0
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if found is None or int(found.group(1)) != part.size:
        part.discard()
        raise _DroppedError("the server resumed at another place than asked")
    return part.size


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(BLOCK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _DroppedError(str(error)) from error


def _require_safe(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    is_local = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"}
    if parts.scheme != "https" and not is_local:
        raise TransferError(f"weights are fetched over https only, not from {url}")


def _require_expected(url: str, size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise _TooLargeError(
            f"{_host(url)} sends {size / 1e6:.1f} MB or more, and the published file has less than "
            f"{most_bytes / 1e6:.1f} MB"
        )


def _require_room(part: Part, missing: int) -> None:
    free = shutil.disk_usage(part.path.parent).free
    if missing > free:
        raise OSError(errno.ENOSPC, f"{missing / 1e6:.0f} MB are missing, {free / 1e6:.0f} MB are free")


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).hostname or url
