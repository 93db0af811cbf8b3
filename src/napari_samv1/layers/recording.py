"""Records of napari's layers for a session: the plane, its source, and its place in the world."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer

from napari_samv1.annotation.pieces import Piece
from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.images.source import dtype_of
from napari_samv1.layers.affine import Coordinates
from napari_samv1.layers.image import DisplayedPlane, plane_at
from napari_samv1.layers.ome_tiff import path_of
from napari_samv1.records.place import Plane
from napari_samv1.storage.session.record import (
    ImageRecord,
    PlaneRecord,
    PlaneSource,
    SessionRecord,
    World,
    now,
)

if TYPE_CHECKING:
    from napari_samv1.layers.binding import AnnotationBinding

_Placed = tuple[Hashable, ...]


class Recorder:
    """Makes the record of all annotated images; unchanged sources are reused.

    Pieces and masks are shared with the documents, not copied.
    """

    def __init__(self) -> None:
        self.created = now()
        self._sources: dict[Hashable, tuple[_Placed, PlaneSource]] = {}
        self._channels: dict[str, PlaneSource] = {}  # by the hashes of their pixels

    def begin(self, record: SessionRecord | None = None) -> None:
        """Begin another session, or continue one."""
        self.created = now() if record is None else record.created or now()
        planes = () if record is None else record.planes
        self._channels = {channel.pixels: channel for plane in planes for channel in plane.channels}

    def record(
        self, binding: AnnotationBinding, layers: Iterable[Layer], pixels: Mapping[Hashable, str]
    ) -> SessionRecord:
        """The record of images among the ``layers``, in their order; ``pixels`` are hashes by plane key."""
        every = [layer for layer in layers if isinstance(layer, Image)]
        images = binding.images.to_record([layer.unique_id for layer in every])
        sources: dict[Hashable, tuple[_Placed, PlaneSource]] = {}
        records = []
        for annotated in images:
            placed = _placed(annotated.image)
            document = annotated.document
            planes = document.planes
            is_open = annotated is binding.images.opened
            labels = binding.labels if is_open else annotated.layers.labels
            others = annotated.planes_with_labels(labels, planes[0] if planes else None)
            plane_records = []
            for plane in sorted({*planes, *others}, key=lambda one: one.sort_key):
                sheet, view = annotated.sheet(plane), document.on(plane)
                beneath = annotated.beneath(plane)
                if not view.objects and beneath is None:
                    continue
                key = sheet.displayed.key
                sheet.pixels = pixels.get(key, sheet.pixels)
                now_placed = *placed, sheet.pixels
                kept = self._sources.get(key)
                if kept is None or kept[0] != now_placed:
                    kept = now_placed, plane_source(annotated.image, sheet.displayed, sheet.pixels)
                sources[key] = kept
                pieces = tuple(view.objects.values())
                channels = self._channels_of(pieces, plane, sheet.pixels, every, pixels)
                shape_yx = sheet.displayed.shape_yx
                plane_records.append(PlaneRecord(kept[1], shape_yx, pieces, view.stack, beneath, channels))
            records.append(ImageRecord(tuple(document.objects.values()), tuple(plane_records)))
        self._sources = sources
        return SessionRecord(tuple(records), self.created, sight=binding.screen.sight)

    def _channels_of(
        self,
        pieces: Iterable[Piece],
        plane: Plane,
        own_pixels: str,
        images: Iterable[Image],
        pixels: Mapping[Hashable, str],
    ) -> tuple[PlaneSource, ...]:
        """Planes of other images that the model saw for a plane's answers."""
        answers = (piece.answer for piece in pieces)
        displays = (getattr(one.request.embedding_key, "display", None) for one in answers if one is not None)
        composed = {id(one): one for one in displays if one is not None}
        wanted = {channel.pixels for one in composed.values() for channel in one.channels} - {"", own_pixels}
        if not wanted:
            return ()
        for image in images if not wanted <= self._channels.keys() else ():
            if image.ndim != plane.ndim:
                continue
            try:
                displayed = plane_at(image, plane.index)
            except NoPlaneError:
                continue
            found = pixels.get(displayed.key, "")
            if found in wanted:
                self._channels.setdefault(found, plane_source(image, displayed, found))
        return tuple(self._channels[one] for one in sorted(wanted) if one in self._channels)


def _placed(image: Image) -> _Placed:
    """Return an image's name, origin, and place in the world."""
    axes = np.vstack([np.zeros(image.ndim), np.eye(image.ndim)])
    corners = tuple(float(value) for corner in axes for value in image.data_to_world(tuple(corner)))
    return image.name, path_of(image), str(image.source.sample), corners, str(image.units)


def plane_source(image: Image, plane: DisplayedPlane, pixels: str = "") -> PlaneSource:
    """The record of a displayed plane; reads no pixels.

    ``pixels`` is ``hash_pixels(plane.read())``, made in the worker that reads them for encoding.
    """
    first: Any = image.data[0] if image.multiscale else image.data
    origin = image.source
    return PlaneSource(
        name=image.name,
        image_shape=tuple(int(size) for size in first.shape[: image.ndim]),
        dtype=str(dtype_of(first).newbyteorder("=")),
        rgb=bool(image.rgb),
        index=plane.key.index,
        level=plane.level,
        factors_yx=plane.factors_yx,
        pixels=pixels,
        path=path_of(image),
        sample="" if origin.sample is None else ":".join(origin.sample),
        world=world_of(image, plane.to_layer([(0, 0), (1, 0), (0, 1)]), plane.axes),
    )


def world_of(layer: Layer, corners: Coordinates, axes: tuple[int, int]) -> World:
    """World placement of a plane with its pixels (0, 0), (1, 0), (0, 1) at ``corners`` (3, ndim)."""
    origin, down, right = (
        np.asarray(layer.data_to_world(tuple(corner)), dtype=np.float64)[list(axes)] for corner in corners
    )
    rows = [
        (float(a), float(b), float(c)) for a, b, c in zip(down - origin, right - origin, origin, strict=True)
    ]
    return World((rows[0], rows[1]), (str(layer.units[axes[0]]), str(layer.units[axes[1]])))
