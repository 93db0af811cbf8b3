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
        return [_enlarged(plane, self.factor) for plane in planes]

    @property
    def factor(self) -> int:
        """How many full-resolution pixels one of the annotated level spans, along each axis."""
        factors = {tuple(image["level_factors"] or (1.0, 1.0)) for image in self.expected["images"]}
        [(rows, columns)] = factors
        assert rows == columns == int(rows)
        return int(rows)

    def plane_labels(self, number: int) -> NDArray[Any]:
        """The label image (H, W) of a plane."""
        return self.arrays[f"plane_{number}"].repeat(self.factor, axis=0).repeat(self.factor, axis=1)

    @property
    def layer_labels(self) -> list[NDArray[Any]]:
        """Every Labels layer of the viewer, whole, in the order of the layers."""
        return [
            array.repeat(self.factor, axis=-2).repeat(self.factor, axis=-1)
            for name, array in self.arrays.items()
            if name.startswith("layer_")
        ]

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


def _enlarged(plane: dict[str, Any], factor: int) -> dict[str, Any]:
    """What was told of a plane at a coarser level, in full-resolution pixels."""
    if factor == 1:
        return plane

    def pixels(values: Any) -> Any:
        return ((np.array(values) + 0.5) * factor - 0.5).tolist() if values else values

    objects = {}
    for name, one in plane["objects"].items():
        counts = {
            count: one[count] and one[count] * factor**2
            for count in ("area", "pixels", "derived", "painted_in", "painted_out", "refined")
        }
        drawn = [[kind, pixels(vertices), positive] for kind, vertices, positive in one["drawn"]]
        pointed = {"points_yx": pixels(one["points_yx"]), "boxes_yx": pixels(one["boxes_yx"])}
        objects[name] = {**one, **counts, **pointed, "drawn": drawn}
    shape = [size * factor for size in plane["shape_yx"]]
    # the image lay at the world's origin, unscaled
    return {**plane, "shape_yx": shape, "matrix": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], "objects": objects}


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
