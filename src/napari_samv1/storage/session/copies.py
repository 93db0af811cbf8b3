"""Copies beside a session, which agree with it at every moment.

Several files of a folder cannot be replaced in one step. So new copies are written under temporary names, old
copies are renamed, ``session.json`` is replaced, and the new copies take their names. An interrupted save may
leave copies missing, which the next opening puts back, but never copies of another state.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_samv1.disk.atomic import part_of, remove_if_possible, replace, sync_folder, write_file
from napari_samv1.storage.errors import SessionError

COPY = re.compile(r"(labels(-\d+)?\.tif|(points|shapes)(-\d+)?\.csv|objects\.csv)")


@dataclass
class CopySwap:
    """New copies under temporary names, until the session file that lists them is in place.

    ``hashes`` are their sha256 by name.
    """

    folder: Path
    hashes: dict[str, str]
    _changed: dict[str, Path] = field(default_factory=dict)
    _aside: list[tuple[Path, Path]] = field(default_factory=list)

    @classmethod
    def prepared(cls, folder: Path, copies: Mapping[str, bytes]) -> CopySwap:
        """Write missing and changed copies under temporary names."""
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in copies.items()}
        swap = cls(folder, hashes)
        try:
            for name, content in copies.items():
                if not _holds(folder / name, hashes[name]):
                    swap._changed[name] = _part(folder, name, hashes[name])
                    write_file(swap._changed[name], content)
        except OSError:
            swap.give_up()
            raise
        return swap

    def step_aside(self, outdated: Sequence[str]) -> None:
        """Move replaced and ``outdated`` copies out of the way.

        Raises
        ------
        SessionError
            If another program holds one open.
        """
        for name in (*self._changed, *outdated):
            file = self.folder / name
            if not file.is_file():
                continue
            aside = _part(self.folder, name, _sha256(file))
            try:
                replace(file, aside)
            except OSError as error:
                raise SessionError(
                    f"{file} cannot be replaced ({error.strerror or error}): close it in other programs, "
                    f"then save again"
                ) from error
            self._aside.append((aside, file))
        if self._aside:
            sync_folder(self.folder)

    def give_up(self) -> None:
        """Put the old copies back, and remove the new ones."""
        for aside, file in self._aside:
            replace(aside, file)
        for part in self._changed.values():
            remove_if_possible(part)

    def finish(self) -> None:
        """Give the new copies their names, and remove the old ones, once the session file is replaced."""
        for name, part in self._changed.items():
            _take_name(part, self.folder / name)
        if self._changed:
            sync_folder(self.folder)
        for aside, _ in self._aside:
            remove_if_possible(aside)


def put_back(folder: Path, hashes: Mapping[str, str]) -> None:
    """Give copies their names that an interrupted save left under temporary ones."""
    for name, digest in hashes.items():
        # a session file from elsewhere may list any name
        if not COPY.fullmatch(name) or (folder / name).exists():
            continue
        part = _part(folder, name, digest)
        if _holds(part, digest):
            _take_name(part, folder / name)


def _part(folder: Path, name: str, digest: str) -> Path:
    return part_of(folder, f"{name}-{digest[:32]}")


def _take_name(part: Path, file: Path) -> None:
    try:
        replace(part, file)
    except FileNotFoundError:
        # another process that opened the session may have renamed it first
        if not file.exists():
            raise


def _holds(file: Path, digest: str) -> bool:
    try:
        return file.is_file() and _sha256(file) == digest
    except OSError:
        return False


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
