"""OME-Zarr folders of several images: the fields of a plate's wells, and the series of bioformats2raw."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_samv1.batch.inside import is_inside


def images_in_zarr(path: Path) -> list[Path]:
    """Folders of the images in a plate, a well or the series of a file; for anything else ``path`` itself.

    See OME-NGFF 0.4 and 0.5, "plate", "well" and "bioformats2raw.layout".
    """
    try:
        return _images(path)
    # opening it then says why it cannot be read
    except OSError:
        return [path]


def _images(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    attributes = _attributes(path)
    if "plate" in attributes:
        wells = _named(path, attributes["plate"], "wells")
        return [field for well in wells for field in _named(well, _attributes(well).get("well"), "images")]
    if "well" in attributes:
        return list(_named(path, attributes["well"], "images"))
    if "bioformats2raw.layout" in attributes:
        series = _attributes(path / "OME").get("series")
        if isinstance(series, list):
            return [path / name for name in series if is_inside(name)]
        return sorted((one for one in path.iterdir() if one.name.isdecimal()), key=lambda one: int(one.name))
    return [path]


def _attributes(folder: Path) -> Mapping[str, Any]:
    """OME attributes of a group; empty if it has none."""
    for name in ("zarr.json", ".zattrs"):
        with suppress(OSError, ValueError, AttributeError):
            content = json.loads((folder / name).read_text(encoding="utf-8"))
            attributes = content.get("attributes", {}) if name == "zarr.json" else content
            found = attributes.get("ome", attributes)
            return found if isinstance(found, dict) else {}
    return {}


def _named(folder: Path, entry: Any, key: str) -> Iterator[Path]:
    """Folders that an entry lists by their paths."""
    listed = entry.get(key, ()) if isinstance(entry, dict) else ()
    for one in listed if isinstance(listed, list) else ():
        path = one.get("path") if isinstance(one, dict) else None
        if is_inside(path):
            yield folder / str(path)
