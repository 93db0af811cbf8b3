"""Kinds of files, recognised by their first bytes before anything else is read."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Literal

from napari_samv1.checkpoints.errors import CheckpointError

# first bytes, and the kind of a file that starts with them
SIGNATURES = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"II+\x00", "a TIFF image"),
    (b"MM\x00+", "a TIFF image"),
    (b"\x93NUMPY", "a numpy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it points to"),
    (b"%PDF", "a PDF document"),
)
# the number with which torch began its files before version 1.6
TORCH_NUMBER = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
WANTED = "expected a Segment Anything checkpoint (.pth, .pt or .safetensors)"


def checkpoint_format(path: Path) -> Literal["zip", "pickle", "safetensors"]:
    """Return the format of a weight file; ``CheckpointError`` names the kind of any other file."""
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; {WANTED}, so choose the file inside it")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CheckpointError(f"{path} is a pipe or a device; {WANTED}, which is a regular file")
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {path}") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    if not head:
        raise CheckpointError(f"{path} is empty; {WANTED}, so download it again")
    for signature, kind in SIGNATURES:
        if head.startswith(signature):
            raise CheckpointError(f"{path} is {kind}; {WANTED}")
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return "safetensors"
    if head.startswith(b"\x80"):
        if TORCH_NUMBER not in head[:64]:
            raise CheckpointError(
                f"{path} is a Python pickle that torch did not write, and was not opened; {WANTED}"
            )
        return "pickle"
    raise CheckpointError(f"{path} is {_other_kind(head)}; {WANTED}")


def _other_kind(head: bytes) -> str:
    if head[257:262] == b"ustar":
        return "a tar archive"
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page, probably an error page saved by a browser"
    is_text = all(byte >= 32 or byte in b"\t\n\r\f" for byte in head)
    return "a text file" if is_text else "of an unknown kind"
