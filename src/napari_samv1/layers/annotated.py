"""AnnotatedImage: an image layer with its document, and the writers of its masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer, Points, Shapes
from numpy.typing import NDArray

from napari_samv1.annotation.document import Document
from napari_samv1.annotation.edits import adopted
from napari_samv1.annotation.pieces import BrushStroke
from napari_samv1.layers.affine import between_layers
from napari_samv1.layers.carried import placement
from napari_samv1.layers.image import DisplayedPlane, plane_at
from napari_samv1.layers.labels.make import LabelsError, is_large
from napari_samv1.layers.labels.pyramid import pyramid_of
from napari_samv1.layers.labels.pyramid_writer import PyramidWriter
from napari_samv1.layers.labels.stored import is_stored
from napari_samv1.layers.labels.strokes import planes_touched, settled
from napari_samv1.layers.labels.writer import LabelWriter
from napari_samv1.layers.ome_tiff import PATH, path_of
from napari_samv1.masks.paint import LabelImage
from napari_samv1.records.place import Plane


@dataclass(frozen=True, eq=False)
class BoundLayers:
    """Layers that show the work on one image."""

    points: Points | None = None
    shapes: Shapes | None = None
    labels: Labels | None = None


@dataclass
class PlaneSheet:
    """State of one plane: the writer of its masks, once there is a Labels layer, and its hash.

    ``beneath`` holds the labels that belong to no object; ``pixels`` is the hash of the image's pixels, ""
    until it is computed.
    """

    displayed: DisplayedPlane
    writer: LabelWriter | PyramidWriter | None = None
    beneath: NDArray[Any] | None = field(default=None, repr=False)
    earlier: LabelWriter | None = field(default=None, repr=False)  # dropped last
    pixels: str = ""


class AnnotatedImage:
    """Image layer with its document, its planes, and the layers bound to it last."""

    def __init__(self, image: Image, document: Document) -> None:
        self.image = image
        self.document = document
        self.data, self.shape, self.revision = image.data, shape_of(image), 0
        self.layers = BoundLayers()
        self.placement = placement(image)  # when its layers were last seen on it
        self.current: dict[Plane, int] = {}  # last current object of each plane
        self._sheets: dict[Plane, PlaneSheet] = {}
        self._foreign: tuple[Any, list[Plane]] | None = None

    def sheet(self, plane: Plane) -> PlaneSheet:
        """The plane's sheet."""
        sheet = self._sheets.get(plane)
        if sheet is None:
            sheet = self._sheets[plane] = PlaneSheet(self.displayed(plane))
        return sheet

    def displayed(self, plane: Plane) -> DisplayedPlane:
        """The plane as the layer would show it."""
        return plane_at(self.image, plane.index, data_revision=self.revision)

    def data_replaced(self) -> bool:
        """Note that the layer's array was replaced; False, and nothing noted, if the shape changed."""
        if shape_of(self.image) != self.shape:
            return False
        self.data = self.image.data
        self.revision += 1
        return True

    def forget(self, taken: Sequence[Layer]) -> None:
        """Forget layers that now belong to another image."""
        names = ("points", "shapes", "labels")
        lost = [name for name in names if any(getattr(self.layers, name) is one for one in taken)]
        self.layers = replace(self.layers, **dict.fromkeys(lost))

    def drop_writers(self) -> None:
        """Drop the writers, because the Labels layer or its placement changed."""
        self._foreign = None
        for sheet in self._sheets.values():
            if sheet.writer is not None and sheet.writer.has_written:
                sheet.beneath = sheet.writer.labels_beneath()
            if isinstance(sheet.writer, LabelWriter):
                sheet.earlier = sheet.writer
            sheet.writer = None

    def labels_deleted(self, layer: Labels) -> None:
        """Forget a deleted layer, and the labels of other tools in it."""
        self.forget([layer])
        self._foreign = None
        for sheet in self._sheets.values():
            sheet.writer = sheet.earlier = sheet.beneath = None

    # Labels

    def write(self, labels: Labels, planes: Iterable[Plane]) -> str:
        """Bring planes of the Labels layer up to date with the document; "" or a sentence."""
        problem = ""
        for plane in planes:
            try:
                writer = self.writer(plane, labels)
                writer.write(self.document.on(plane))
            except LabelsError as error:
                problem = problem or str(error)
                continue
            problem = problem or writer.unseen
        return problem

    def writer(self, plane: Plane, labels: Labels) -> LabelWriter | PyramidWriter:
        """The writer of a plane.

        Raises
        ------
        LabelsError
            If the layer cannot take its masks.
        """
        sheet = self.sheet(plane)
        if sheet.writer is None:
            if pyramid_of(labels) is None:
                sheet.writer = LabelWriter(labels, self.image, sheet.displayed)
                if sheet.earlier is not None:
                    sheet.writer.go_on_from(sheet.earlier)
                    sheet.earlier = None
            else:
                sheet.writer = PyramidWriter(labels, self.image, sheet.displayed, self.document)
        return sheet.writer

    def adopt(self, plane: Plane, labels: Labels, object_ids: Iterable[int]) -> list[int]:
        """Turn labels into objects, unless they are, with all their pixels on a plane; return their numbers.

        A blank object of a label's number gets its pixels.

        Raises
        ------
        LabelsError
            If the layer does not fit.
        """
        pieces = ((object_id, self.document.piece(plane, object_id)) for object_id in object_ids)
        new = [object_id for object_id, piece in pieces if piece is None or piece.is_blank]
        if not new:
            return []
        writer = self.writer(plane, labels)
        found = writer.pixels_of_each(new)
        for object_id, pixels in found.items():
            piece = adopted(self.document, plane, object_id, pixels)
            self.document.adopt(piece, writer.covered_pixels_of(object_id))
        return list(found)

    def fill_blanks(self, labels: Labels) -> None:
        """Give blank objects the pixels that a layer, just bound, shows under their numbers."""
        for plane in self.document.planes:
            pieces = self.document.on(plane).objects.values()
            blank = [piece.id for piece in pieces if piece.is_blank]
            with suppress(LabelsError):  # told when masks are written
                self.adopt(plane, labels, blank)

    def shown(self, plane: Plane, labels: Labels | None) -> LabelImage | None:
        """Labels that a layer shows on a plane, read by regions.

        None without a layer, if its pixel grid differs, or if it shows nothing but the document's objects.
        """
        try:
            return None if labels is None else self.writer(plane, labels).shown()
        except LabelsError:
            return None

    def take_strokes(self, displayed: Plane, labels: Labels, atoms: Sequence[Any]) -> list[BrushStroke]:
        """Revert napari's painting on all slices that it touched, and return it as strokes of objects.

        Labels that are no objects yet become objects, with all their pixels. Empty if the layer does not fit.
        """
        try:
            first = self.writer(displayed, labels)
        except LabelsError:
            return []
        strokes: list[BrushStroke] = []
        if isinstance(first, PyramidWriter):
            return strokes
        for touched in planes_touched(atoms, first.index):
            plane = self._plane_of(labels, touched, displayed)
            if plane is None:
                continue
            try:
                writer = self.writer(plane, labels)
            except LabelsError:
                continue
            stroke = None if isinstance(writer, PyramidWriter) else writer.take_stroke(atoms)
            if stroke is None or isinstance(writer, PyramidWriter):
                continue
            on_plane = writer.brush_strokes(stroke)
            self.adopt(plane, labels, dict.fromkeys(one.object_id for one in on_plane))
            strokes += on_plane
        return strokes

    def kept_out(self, strokes: Sequence[BrushStroke]) -> str:
        """Message about a stroke that other objects hide; "" if all strokes show."""
        for stroke in strokes:
            writer = self.sheet(stroke.plane).writer
            if writer is None or stroke.erase or writer.shows(stroke.object_id, stroke.pixels):
                continue
            return (
                f"Part of the stroke lies on other labels, which object {stroke.object_id} does not "
                f"overwrite: set its overlap to “overwrite” to paint over them."
            )
        return ""

    def _plane_of(self, labels: Labels, index: tuple[int | slice, ...], like: Plane) -> Plane | None:
        """Plane of the image at a plane of the Labels layer, parallel to ``like``; None outside."""
        corner = np.array([0 if isinstance(at, slice) else at for at in index], dtype=np.float64)
        place = np.floor(between_layers(labels, self.image)(corner[None])[0] + 0.5).astype(int)
        found = tuple(None if entry is None else int(at) for entry, at in zip(like.index, place, strict=True))
        inside = all(at is None or 0 <= at < size for at, size in zip(found, self.shape, strict=True))
        return Plane(found) if inside else None

    # Recording

    def beneath(self, plane: Plane) -> NDArray[Any] | None:
        """Labels of a plane that belong to no object; before masks are written, the last ones recorded."""
        sheet = self.sheet(plane)
        if sheet.writer is not None and sheet.writer.has_written:
            sheet.beneath = sheet.writer.labels_beneath()
        return sheet.beneath

    def planes_with_labels(self, labels: Labels | None, like: Plane | None) -> list[Plane]:
        """Planes parallel to ``like`` with any label, in a Labels layer on the image's grid.

        Labels of planes on which no object is written are kept as ``beneath``, so that they are not lost.
        """
        if labels is None or like is None or not isinstance(labels.data, np.ndarray):
            return []
        if is_large(labels.data) and is_stored(labels.data):
            return []  # stored labels are on the disk already
        if self._foreign is not None and self._foreign[0] is labels.data:
            return self._foreign[1]
        found: list[Plane] = []
        if labels.ndim == self.image.ndim and labels.data.shape == self.shape:
            any_label = labels.data.any(axis=like.axes)
            for position in np.argwhere(np.atleast_1d(any_label)):
                places = iter(position.tolist())
                plane = Plane(tuple(None if at is None else next(places) for at in like.index))
                writer = self.sheet(plane).writer
                if writer is None or not writer.has_written:
                    kept = settled(labels, plane.slices()).copy()
                    if not kept.any():
                        continue
                    kept.flags.writeable = False
                    self.sheet(plane).beneath = kept
                found.append(plane)
        self._foreign = labels.data, found
        return found


def detached(image: Image, data: Any) -> Image:
    """Make a layer for a session's record that shows earlier data of an image, with its name and place."""
    ndim = len(shape_of_data(data, rgb=image.rgb, multiscale=image.multiscale))
    placed = {"scale": image.scale, "translate": image.translate, "affine": image.affine}
    placed |= {"rotate": image.rotate, "shear": image.shear, "units": image.units}
    return Image(
        data,
        name=image.name,
        rgb=image.rgb,
        multiscale=image.multiscale,
        contrast_limits=image.contrast_limits,
        metadata={**image.metadata, PATH: path_of(image)},
        **(placed if ndim == image.ndim else {}),
    )


def shape_of_data(data: Any, *, rgb: bool, multiscale: bool) -> tuple[int, ...]:
    """Shape of an image's data in full resolution, without its colours."""
    shape = tuple(int(size) for size in (data[0] if multiscale else data).shape)
    return shape[:-1] if rgb else shape


def shape_of(image: Image) -> tuple[int, ...]:
    """Shape of an image in full resolution, without its colours."""
    return shape_of_data(image.data, rgb=image.rgb, multiscale=image.multiscale)
