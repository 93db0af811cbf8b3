"""The copies beside a session: at every moment those that are there are of the session that is there.

A folder cannot change several files in one step. So the new ones are written under temporary names, the old
ones step aside, ``session.json`` is replaced, and the new ones take their names. A save that is interrupted
may leave copies out, which the next opening puts back, and never leaves those of another state.
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
    """Copies that are written and wait for the session file that names them.

    ``hashes`` is what it says of them: their sha256 by name.
    """

    folder: Path
    hashes: dict[str, str]
    _changed: dict[str, Path] = field(default_factory=dict)
    _aside: list[tuple[Path, Path]] = field(default_factory=list)

    @classmethod
    def prepared(cls, folder: Path, copies: Mapping[str, bytes]) -> CopySwap:
        """Write those copies under temporary names that are not there as they should be."""
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
        """Move copies that are replaced or ``outdated`` out of the way.

        Raises
        ------
        SessionError
            If another program does not let go of one.
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
        """Give the new copies their names, and remove the old ones: the session file is the new one now."""
        for name, part in self._changed.items():
            _take_name(part, self.folder / name)
        if self._changed:
            sync_folder(self.folder)
        for aside, _ in self._aside:
            remove_if_possible(aside)


def put_back(folder: Path, hashes: Mapping[str, str]) -> None:
    """Give those copies of a session their names that an interrupted save left under temporary ones."""
    for name, digest in hashes.items():
        # names come from a file that anybody may have written
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
        # somebody who opened the session in this moment has done it already
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
