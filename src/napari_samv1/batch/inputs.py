"""Inputs named on a command line, and the paths of their outputs."""

from __future__ import annotations

import glob
import os
import stat
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from errno import EINVAL, ENOENT, ENOTDIR
from functools import lru_cache
from pathlib import Path
from typing import Literal

from napari_samv1.batch.finished import recorded
from napari_samv1.batch.plates import images_in_zarr
from napari_samv1.images.files import TIFF_SUFFIXES
from napari_samv1.images.source import ReadError

SUFFIXES = TIFF_SUFFIXES | {".png", ".jpg", ".jpeg", ".npy", ".zarr"}
"""Suffixes searched for in a folder; a file on the command line may have any suffix."""

ZARR_FILES = ("zarr.json", ".zgroup", ".zarray")
"""Files that make a folder one of zarr, whatever its name."""


@dataclass(frozen=True)
class Input:
    """An image, and the path of its outputs below the output folder, without their suffix."""

    path: Path
    stem: str


def inputs(words: Sequence[str], output: Path | None = None) -> list[Input]:
    """Files, folders (searched through) and globs as images, in the order of their names.

    Outputs are named by the path below the folder, or below the part of a glob without wildcards; where two
    names would be the same, both keep their suffix. Of an OME-Zarr plate each field is an image. Outputs of
    earlier runs are no inputs, unless named one by one: files that a record lists, and all files of the
    ``output`` folder if it lies in a searched one. A file or folder that cannot be read is an input, so that
    it fails as one; pipes and devices are, if named one by one.

    Raises
    ------
    ReadError
        If one does not exist or matches nothing, or two outputs would still have the same name.
    """
    named: dict[Path, str] = {}
    for word in words:
        for path, relative in _expanded(word, output):
            for image in images_in_zarr(path):
                inside = image.relative_to(path).as_posix()
                named.setdefault(image, relative if image == path else f"{without_suffix(relative)}/{inside}")
    plain = {path: without_suffix(relative) for path, relative in named.items()}
    counts = Counter(_folded(stem) for stem in plain.values())
    stems = {path: stem if counts[_folded(stem)] == 1 else named[path] for path, stem in plain.items()}
    again = Counter(_folded(stem) for stem in stems.values())
    for stem in stems.values():
        if again[_folded(stem)] > 1:
            same = [str(path) for path, other in stems.items() if _folded(other) == _folded(stem)]
            raise ReadError(
                f"{' and '.join(same[:2])} would both be written to {stem}: give their common folder, or "
                f"run them separately"
            )
    return [Input(path, stem) for path, stem in sorted(stems.items(), key=lambda one: one[1])]


def refuse_replaced(sources: Iterable[Path], targets: Sequence[Path]) -> None:
    """Check that no output takes the place of an input, or lies in one.

    Raises
    ------
    ReadError
        If one does; the message names it.
    """
    named = {identity: path for path in sources if (identity := _identity(path)) is not None}
    for target in targets:
        identity = _identity(target)
        if identity is not None and identity in named:
            raise ReadError(
                f"{named[identity]} would be replaced by its own output: give another --output folder"
            )
    # each folder once, as many outputs share it
    for folder in sorted({folder for target in targets for folder in target.parents}):
        if _identity(folder) in named:
            raise ReadError(f"the outputs would lie in the input {folder}: give another --output folder")


def _identity(path: Path) -> tuple[int, int] | None:
    """Identity of a file or folder; None if there is none, or none that can be read."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _expanded(word: str, output: Path | None) -> list[tuple[Path, str]]:
    path = Path(word).expanduser()
    kind = _kind(path)
    if kind in ("image", "special"):
        return [(path.absolute(), path.name)]
    if kind == "folder":
        found = _without_outputs(sorted(_images_in(path)), path, output)
        if not found:
            raise ReadError(f"there is no image in folder {word}, apart from outputs of earlier runs")
        return [(one.absolute(), one.relative_to(path).as_posix()) for one in found]
    if glob.has_magic(str(path)):
        base = _fixed_part(path)
        matches = sorted(base.glob(str(path.relative_to(base))))
        whole = [
            one
            for one in matches
            if not one.name.startswith(".")
            and _kind(one) == "image"
            and not any(_is_image_folder(folder) for folder in one.parents)
        ]
        inside = _without_outputs(whole, base, output)
        if not inside:
            raise ReadError(f"nothing matches {word}, apart from outputs of earlier runs")
        return [(one.absolute(), one.relative_to(base).as_posix()) for one in inside]
    raise ReadError(f"there is no file or folder {word}")


def _images_in(folder: Path) -> list[Path]:
    found = []
    for place, folders, files in os.walk(folder):
        here = Path(place)
        seen = [name for name in folders if not name.startswith(".")]
        images = {name for name in seen if _kind(here / name) == "image"}
        found += [here / name for name in images]
        folders[:] = [name for name in seen if name not in images]
        found += [
            here / name
            for name in files
            if Path(name).suffix.lower() in SUFFIXES
            and not name.startswith(".")
            and _kind(here / name) != "special"
        ]
    return found


def _kind(path: Path) -> Literal["image", "folder", "special", "missing"]:
    """Kind of a path. One that cannot be read is an image, whose task then says why."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISDIR(mode):
            return "image" if stat.S_ISREG(mode) else "special"
        os.scandir(path).close()
        return "image" if _is_image_folder(path) else "folder"
    except OSError as error:
        # a pattern is an invalid argument on Windows
        return "missing" if error.errno in (ENOENT, ENOTDIR, EINVAL) else "image"


def _without_outputs(found: Sequence[Path], base: Path, output: Path | None) -> list[Path]:
    """The images that are no output of this or an earlier run below ``base``."""
    made = lru_cache(maxsize=None)(recorded)
    top, out = base.resolve(), None if output is None else output.resolve()
    kept = []
    for one in found:
        place = top / one.relative_to(base)
        folders = [folder for folder in place.parents if folder == top or top in folder.parents]
        is_made = out in folders[:-1] or any(place in made(folder) for folder in folders)
        if not is_made:
            kept.append(one)
    return kept


def _is_image_folder(path: Path) -> bool:
    try:
        is_zarr = path.suffix.lower() == ".zarr" or any((path / name).is_file() for name in ZARR_FILES)
        return is_zarr and path.is_dir()
    except OSError:
        return False


def _fixed_part(pattern: Path) -> Path:
    parts: list[str] = []
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts) if parts else Path()


def without_suffix(relative: str) -> str:
    """A path without its suffix, and without ".ome" before that."""
    path = Path(relative)
    suffix = "".join(path.suffixes[-2:]) if path.suffixes[-2:-1] == [".ome"] else path.suffix
    return relative.removesuffix(suffix)


def _folded(stem: str) -> str:
    # file systems of macOS and Windows do not tell a.tif from A.tif
    return stem.casefold()
