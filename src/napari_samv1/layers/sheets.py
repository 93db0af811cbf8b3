"""Sheets: every annotated plane with its session, and the way of its masks into a Labels layer."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_samv1.engine.session import AnnotationSession, BrushStroke, DecodeResult
from napari_samv1.layers.image import DisplayedPlane, PlaneKey
from napari_samv1.layers.labels.make import LabelsError
from napari_samv1.layers.labels.writer import LabelWriter
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.prompts import Prompts
from napari_samv1.storage.session.record import DrawnShape


@dataclass
class Sheet:
    """One plane, its session, and the writer of its label pixels once there is a layer.

    ``pointed`` are the prompts of each object as last read, and ``drawn`` those shapes that are more than
    boxes and points, for the session's record; ``beneath`` are the labels that are no object's, and
    ``pixels`` the hash of the plane's, "" where it is not known.
    """

    plane: DisplayedPlane
    session: AnnotationSession
    writer: LabelWriter | None = None
    drawn: Mapping[int, tuple[DrawnShape, ...]] = field(default_factory=dict)
    pointed: Mapping[int, Prompts] = field(default_factory=dict)
    beneath: NDArray[Any] | None = field(default=None, repr=False)
    pixels: str = ""

    def labels_beneath(self) -> NDArray[Any] | None:
        """The labels that are no object's; where nothing was written yet, those last known."""
        if self.writer is not None and self.writer.has_written:
            self.beneath = self.writer.labels_beneath()
        return self.beneath

    def write(self, image: Image, labels: Labels) -> str:
        """Bring the Labels layer up to date with the session; "" or a sentence on why not."""
        try:
            writer = self._writer_for(image, labels)
            writer.write(self.session)
        except LabelsError as error:
            return str(error)
        return writer.unseen

    def take_strokes(self, image: Image, labels: Labels, atoms: Sequence[Any]) -> list[BrushStroke]:
        """Take what napari has just painted out of the layer; [] where it is none of this plane's.

        A label that is no object yet becomes one, with all the pixels that it has.
        """
        try:
            writer = self._writer_for(image, labels)
        except LabelsError:
            return []
        stroke = writer.take_stroke(atoms)
        strokes = [] if stroke is None else writer.brush_strokes(stroke)
        for one in strokes:
            self.adopt(image, labels, one.object_id)
        return strokes

    def adopt(self, image: Image, labels: Labels, object_id: int) -> None:
        """Make an object of a label that is none yet, with all the pixels that it has.

        Raises
        ------
        LabelsError
            If the layer does not fit.
        """
        if object_id not in self.session.objects:
            self.session.adopt(object_id, self._writer_for(image, labels).pixels_of(object_id))

    def found(self, image: Image, labels: Labels, object_ids: Iterable[int]) -> dict[int, MaskCrop]:
        """The pixels that already bear the numbers of objects which are new to this plane."""
        new = [object_id for object_id in object_ids if object_id not in self.session.objects]
        if not new:
            return {}
        try:
            writer = self._writer_for(image, labels)
        except LabelsError:
            return {}  # said when the mask is to be written
        pixels = {object_id: writer.pixels_of(object_id) for object_id in new}
        return {object_id: crop for object_id, crop in pixels.items() if not crop.empty}

    def kept_out(self, strokes: Sequence[BrushStroke]) -> str:
        """A sentence where what was brushed does not show, because others own the pixels; otherwise ""."""
        for stroke in strokes:
            if self.writer is None or stroke.erase or self.writer.shows(stroke.object_id, stroke.pixels):
                continue
            return (
                f"Some of the stroke lies on pixels of others, and object {stroke.object_id} leaves them to "
                f"those; let it overwrite others to take them."
            )
        return ""

    def _writer_for(self, image: Image, labels: Labels) -> LabelWriter:
        if self.writer is None:
            self.writer = LabelWriter(labels, image, self.plane)
        return self.writer


class Sheets:
    """The sheets of all planes that were annotated, each found by its plane's key."""

    def __init__(self) -> None:
        self._by_key: dict[PlaneKey, Sheet] = {}

    def of(self, plane: DisplayedPlane) -> Sheet:
        """The sheet of a plane; a new one where nothing was annotated yet."""
        sheet = self._by_key.get(plane.key)
        if sheet is None:
            sheet = self._by_key[plane.key] = Sheet(plane, AnnotationSession(plane.shape_yx))
        return sheet

    def accept(self, results: Iterable[DecodeResult]) -> list[Sheet]:
        """Hand results to the sessions that asked for them; the sheets that changed."""
        changed: dict[PlaneKey, Sheet] = {}
        for result in results:
            for key, sheet in self._by_key.items():
                if sheet.session.accept(result):
                    changed[key] = sheet
                    break
        return list(changed.values())

    def annotated(self) -> list[Sheet]:
        """The sheets with objects; where an image's data was replaced, only the newest of each plane."""
        newest: dict[tuple[Hashable, int, tuple[int | None, ...]], Sheet] = {}
        for key, sheet in self._by_key.items():
            place = key.layer_id, key.level, key.index
            known = newest.get(place)
            if sheet.session.objects and (known is None or known.plane.key.data_revision < key.data_revision):
                newest[place] = sheet
        return list(newest.values())

    def object_ids(self) -> set[int]:
        """The objects of all planes."""
        return {object_id for sheet in self._by_key.values() for object_id in sheet.session.objects}

    def drop_writers(self) -> None:
        """Where masks go must be found out anew."""
        for sheet in self._by_key.values():
            sheet.writer = None

    def forget(self, image: Image) -> None:
        """Drop what belongs to an image that is gone."""
        self._by_key = {key: sheet for key, sheet in self._by_key.items() if key.layer_id != image.unique_id}
