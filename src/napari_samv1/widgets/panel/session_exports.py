"""Export formats of a session: titles, file endings, and the writers behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_samv1.storage.exports.object_table import ChannelsOf
    from napari_samv1.storage.session.record import SessionRecord


@dataclass(frozen=True)
class Export:
    """A format, with its usual ending first.

    ``parts`` splits a session into one part for each file: by default the whole session is one.
    """

    title: str
    endings: tuple[str, ...]
    write_part: Callable[[Path, SessionRecord, ChannelsOf], object]
    parts: Callable[[SessionRecord], Sequence[SessionRecord]] = field(default=lambda record: [record])

    def ending_of(self, name: str) -> str:
        """The ending of a file's name if it is one of this format, otherwise ""."""
        return next((name[-len(one) :] for one in self.endings if name.lower().endswith(one)), "")

    def files(self, path: Path, record: SessionRecord) -> list[Path]:
        """The files that ``write`` makes."""
        count = len(self.parts(record))
        if count == 1:
            return [path]
        ending = self.ending_of(path.name)
        stem = path.name[: len(path.name) - len(ending)]
        return [path.with_name(f"{stem}-{number}{ending}") for number in range(1, count + 1)]

    def write(
        self, path: Path, record: SessionRecord, channels_of: ChannelsOf = lambda _plane: ()
    ) -> Sequence[Path]:
        """Write a session, and return the files; slow. Raises SessionError, OSError or ValueError."""
        files = self.files(path, record)
        for file, part in zip(files, self.parts(record), strict=True):
            self.write_part(file, part, channels_of)
        return files


def _each_plane(record: SessionRecord) -> list[SessionRecord]:
    return [
        replace(record, images=(replace(image, planes=(plane,)),))
        for image in record.images
        for plane in image.planes
    ]


def _each_image(record: SessionRecord) -> list[SessionRecord]:
    return [replace(record, images=(image,)) for image in record.images]


def _label_tiff(path: Path, record: SessionRecord, _channels_of: ChannelsOf) -> None:
    from napari_samv1.storage.exports.label_tiff import export_label_tiff

    export_label_tiff(path, record.planes)


def _coco(path: Path, record: SessionRecord, _channels_of: ChannelsOf) -> None:
    from napari_samv1.storage.exports.coco import export_coco

    export_coco(path, record)


def _geojson(path: Path, record: SessionRecord, _channels_of: ChannelsOf) -> None:
    from napari_samv1.storage.exports.geojson import export_plane_geojson

    export_plane_geojson(path, record.planes[0])


def _table(path: Path, record: SessionRecord, channels_of: ChannelsOf) -> None:
    from napari_samv1.storage.exports.object_table import export_table

    export_table(path, record, channels_of)


def _ome_zarr(path: Path, record: SessionRecord, _channels_of: ChannelsOf) -> None:
    from napari_samv1.storage.exports.ome_zarr import export_ome_zarr

    export_ome_zarr(path, record.planes[0])


EXPORTS = (
    Export("Label image, TIFF", (".tif", ".tiff"), _label_tiff, _each_image),
    Export("Table of objects", (".csv",), _table),
    Export("COCO JSON", (".json",), _coco),
    Export("GeoJSON polygons for QuPath", (".geojson",), _geojson, _each_plane),
    Export("OME-Zarr label image", (".zarr",), _ome_zarr, _each_plane),
)
