"""A session as a folder: ``session.json``, which is the session, and copies for other programs."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samv1.disk.atomic import (
    part_of,
    remove_if_possible,
    remove_leftovers,
    replace,
    sync_folder,
    write_file,
)
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.codec import FORMAT, SessionWriter
from napari_samv1.storage.session.copies import COPY, CopySwap, put_back
from napari_samv1.storage.session.label_tiff import tiff_bytes
from napari_samv1.storage.session.limits import (
    MOST_TEXT_BYTES,
    most_label_bytes,
    require_label_size,
    require_label_sizes,
    require_text_size,
)
from napari_samv1.storage.utf8 import utf8

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_samv1.storage.session.record import SessionRecord

SESSION_FILE = "session.json"
BENEATH = "beneath-{}.tif"
LARGEST_COPY = 1 << 26  # pixels of a plane; the masks of larger ones are in session.json alone

_BENEATH_FILE = re.compile(r"beneath-[0-9a-f]{64}\.tif")


def save_session(folder: str | os.PathLike[str], record: SessionRecord) -> Path:
    """Save a session as a folder for ``open_session`` and other programs.

    Beside ``session.json`` it gets ``labels.tif`` (for each plane up to 8192 x 8192 pixels), ``points.csv``
    and ``shapes.csv`` (for each image, if there are any; napari opens them) and ``objects.csv``. At every
    moment the folder holds a whole session, the old or the new one, and no copies of another.

    Raises
    ------
    SessionError
        If the folder holds something else, or cannot be written to.
    """
    target = Path(folder).expanduser().absolute()
    try:
        _require_ours(target)
        target.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target)
        FolderWriter(target).write(record, _copies(record))
    except OSError as error:
        raise SessionError(f"the session could not be saved in {target}: {_reason(error)}") from error
    return target


def open_session(folder: str | os.PathLike[str]) -> SessionRecord:
    """Open a session by its folder, or by the ``session.json`` in it.

    Raises
    ------
    SessionError
        If there is none, or it is damaged or of a newer version; the message is a sentence.
    """
    from napari_samv1.storage.session.codec import beneath_shapes, parse, to_record

    file = _session_file(Path(folder).expanduser())
    try:
        content = parse(_read(file, MOST_TEXT_BYTES))
        beneath = _labels(file.parent, beneath_shapes(content))
        record = to_record(content, beneath)
        with suppress(OSError):  # the folder may be read-only
            put_back(file.parent, content["files"])
        return record
    except SessionError as error:
        raise SessionError(f"{file}: {error}") from error


class FolderWriter:
    """Writes one folder again and again, unchanged parts only once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer = SessionWriter()
        self._beneath: dict[int, tuple[NDArray[Any], str]] = {}

    def write(self, record: SessionRecord, copies: dict[str, bytes] | None = None) -> None:
        """Write label files and copies, then ``session.json``, and remove outdated files afterwards."""
        beneath = tuple(self._write_beneath(plane.beneath) for plane in record.planes)
        self._beneath = {
            id(plane.beneath): (plane.beneath, digest)
            for plane, digest in zip(record.planes, beneath, strict=True)
            if plane.beneath is not None
        }
        outdated = _beneath_files(self.folder) - {BENEATH.format(digest) for digest in beneath}
        swap = CopySwap.prepared(self.folder, copies or {})
        written = part_of(self.folder, SESSION_FILE)
        try:
            text = self._writer.text(record, beneath, swap.hashes)
            require_text_size(text)
            write_file(written, text)
            # an autosaved folder has no copies, so session.json need not be read for their names
            swap.step_aside(() if copies is None else sorted(_owned_copies(self.folder) - copies.keys()))
            replace(written, self.folder / SESSION_FILE)
        except (OSError, ValueError, SessionError):
            swap.give_up()
            remove_if_possible(written)
            raise
        sync_folder(self.folder)
        swap.finish()
        for name in outdated:
            remove_if_possible(self.folder / name)

    def _write_beneath(self, labels: NDArray[Any] | None) -> str:
        if labels is None:
            return ""
        kept = self._beneath.get(id(labels))
        if kept is not None:
            return kept[1]
        content = tiff_bytes(np.asarray(labels))
        require_label_size("the label image", labels.nbytes, len(content))
        digest = hashlib.sha256(content).hexdigest()
        file = self.folder / BENEATH.format(digest)
        if not file.exists():
            write_file(file, content)
        return digest


def _copies(record: SessionRecord) -> dict[str, bytes]:
    """The files for other programs, by their names."""
    from napari_samv1.storage.exports.object_table import objects_csv
    from napari_samv1.storage.session.composite import label_image
    from napari_samv1.storage.session.prompt_tables import points_csv, shapes_csv

    copies = {"objects.csv": utf8(objects_csv(record))}
    for number, plane in enumerate(record.planes, start=1):
        suffix = f"-{number}" if len(record.planes) > 1 else ""
        if plane.shape_yx[0] * plane.shape_yx[1] <= LARGEST_COPY:
            copies[f"labels{suffix}.tif"] = tiff_bytes(label_image(plane))
    for number, image in enumerate(record.images, start=1):
        suffix = f"-{number}" if len(record.images) > 1 else ""
        for name, text in (("points", points_csv(image.planes)), ("shapes", shapes_csv(image.planes))):
            if text:
                copies[f"{name}{suffix}.csv"] = utf8(text)
    return copies


def _beneath_files(folder: Path) -> set[str]:
    return {file.name for file in folder.glob(BENEATH.format("*")) if _BENEATH_FILE.fullmatch(file.name)}


def _owned_copies(folder: Path) -> set[str]:
    """Copies of the present session; files of the user may lie beside them."""
    try:
        copies = json.loads((folder / SESSION_FILE).read_bytes())["files"]
        return {name for name in copies if COPY.fullmatch(name)}
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return set()


def _require_ours(folder: Path) -> None:
    """Refuse a folder with other files, because a session could overwrite or remove them."""
    if folder.exists() and not folder.is_dir():
        raise SessionError(f"{folder} is a file: a session is saved as a folder")
    file = folder / SESSION_FILE
    if file.is_file():
        with file.open("rb") as start:
            if FORMAT.encode() not in start.read(1000):
                raise SessionError(f"{file} is not a napari-samv1 session: choose another folder")
    elif folder.is_dir():
        others = [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")]
        if others:
            raise SessionError(
                f"{folder} holds other files ({others[0]}): choose an empty or a new folder for the session"
            )


def _session_file(path: Path) -> Path:
    try:
        file = path / SESSION_FILE if path.is_dir() else path
        is_there = S_ISREG(file.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        is_there = False
    except OSError as error:
        raise SessionError(f"{path} cannot be read: {_reason(error)}") from error
    if not is_there:
        raise SessionError(f"there is no session in {path}: it would hold a file {SESSION_FILE}")
    return file


def _labels(folder: Path, shapes: Mapping[str, tuple[int, int]]) -> dict[str, NDArray[Any]]:
    """Labels beneath by their hashes; the sizes of all are checked before any is unpacked."""
    from napari_samv1.storage.session.label_tiff import LabelTiff

    opened = {}
    for digest, shape in shapes.items():
        # the digest is 64 hexadecimal digits, so that the name cannot lead out of the folder
        file = folder / BENEATH.format(digest)
        content = _read(file, most_label_bytes())
        if hashlib.sha256(content).hexdigest() != digest:
            raise SessionError(f"{file.name} is not the file that was saved with the session")
        labels = opened[digest] = LabelTiff.opened(content, file.name)
        if labels.shape != shape:
            raise SessionError(f"{file.name} holds labels of {labels.shape}, the plane is {shape}")
        require_label_size(file.name, labels.nbytes, len(content))
    require_label_sizes(sum(labels.nbytes for labels in opened.values()))
    return {digest: labels.read() for digest, labels in opened.items()}


def _read(file: Path, most_bytes: int) -> bytes:
    try:
        if file.stat().st_size > most_bytes:
            raise SessionError(f"{file.name} is larger than any session")
        return file.read_bytes()
    except OSError as error:
        raise SessionError(f"{file.name} cannot be read: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
