"""The sessions that format 1 saved, where they can be opened from, and what is known of them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "fixtures" / "sessions" / "format-1"
IMAGES = FOLDER / "images"
NAMES = sorted(folder.name for folder in FOLDER.iterdir() if folder != IMAGES)


@dataclass(frozen=True)
class SavedSession:
    """One of the folders: a copy of its own, which may be written to, and what was written down of it."""

    name: str
    folder: Path
    expected: dict[str, Any]
    arrays: dict[str, NDArray[Any]]

    @property
    def planes(self) -> list[dict[str, Any]]:
        """The planes as plain values."""
        planes: list[dict[str, Any]] = self.expected["planes"]
        return planes

    def plane_labels(self, number: int) -> NDArray[Any]:
        """The label image (H, W) of a plane."""
        return self.arrays[f"plane_{number}"]

    @property
    def layer_labels(self) -> list[NDArray[Any]]:
        """Every Labels layer of the viewer, whole, in the order of the layers."""
        return [array for name, array in self.arrays.items() if name.startswith("layer_")]

    def images(self) -> list[tuple[Any, dict[str, Any]]]:
        """The annotated images: pixels (or levels, finest first), and the options that the layer had."""
        found = []
        for image in self.expected["images"]:
            if image["sample"]:
                from skimage import data

                pixels: Any = getattr(data, image["sample"].partition(":")[2])()
            else:
                pixels = tifffile.imread(IMAGES / image["file"])
            factors = image["level_factors"]
            if factors is not None:
                finest = tuple(int(size * factor) for size, factor in zip(pixels.shape, factors, strict=True))
                pixels = [np.broadcast_to(np.uint8(0), finest), pixels]
            found.append((pixels, image["options"]))
        return found


def saved_session(name: str, tmp_path: Path) -> SavedSession:
    """A copy of a session, whose images are named where they lie on this machine."""
    folder = tmp_path / name
    shutil.copytree(FOLDER / name, folder)
    file = folder / "session.json"
    text = file.read_text("utf-8").replace('"path": "/images/', f'"path": "{IMAGES.as_posix()}/')
    file.write_text(text, "utf-8")
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    with np.load(folder / "expected-labels.npz") as arrays:
        return SavedSession(name, folder, expected, dict(arrays))
