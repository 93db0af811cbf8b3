"""What a session can be exported as: titles, file endings, and the writers behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_samv1.storage.session.record import PlaneRecord, SessionRecord


@dataclass(frozen=True)
class Export:
    """A format. Where it holds one plane, a session of several becomes several files."""

    title: str
    suffix: str
    write_plane: Callable[[Path, PlaneRecord], object] | None = None
    write_session: Callable[[Path, SessionRecord], object] | None = None

    def files(self, path: Path, record: SessionRecord) -> list[Path]:
        """The files that ``write`` makes."""
        if self.write_session is not None or len(record.planes) == 1:
            return [path]
        stem = path.name[: -len(self.suffix)]
        return [
            path.with_name(f"{stem}-{number}{self.suffix}") for number in range(1, len(record.planes) + 1)
        ]

    def write(self, path: Path, record: SessionRecord) -> Sequence[Path]:
        """Write a session; the files that were made. May take long, and raises SessionError or OSError."""
        files = self.files(path, record)
        if self.write_session is not None:
            self.write_session(path, record)
        elif self.write_plane is not None:
            for file, plane in zip(files, record.planes, strict=True):
                self.write_plane(file, plane)
        return files


def _coco(path: Path, record: SessionRecord) -> None:
    from napari_samv1.storage.exports.coco import export_coco

    export_coco(path, record)


def _geojson(path: Path, plane: PlaneRecord) -> None:
    from napari_samv1.storage.exports.geojson import export_plane_geojson

    export_plane_geojson(path, plane)


def _table(path: Path, record: SessionRecord) -> None:
    from napari_samv1.storage.exports.object_table import export_table

    export_table(path, record)


def _ome_zarr(path: Path, plane: PlaneRecord) -> None:
    from napari_samv1.storage.exports.ome_zarr import export_ome_zarr

    export_ome_zarr(path, plane)


EXPORTS = (
    Export("COCO JSON", ".json", write_session=_coco),
    Export("GeoJSON polygons for QuPath", ".geojson", write_plane=_geojson),
    Export("Table of objects", ".csv", write_session=_table),
    Export("OME-Zarr label image", ".zarr", write_plane=_ome_zarr),
)
