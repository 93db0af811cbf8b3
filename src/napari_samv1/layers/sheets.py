"""Sheets: every annotated plane with its session, and the way of its masks into a Labels layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from napari.layers import Image, Labels

from napari_samv1.engine.session import AnnotationSession, DecodeResult
from napari_samv1.layers.image import DisplayedPlane, PlaneKey
from napari_samv1.layers.label_writer import LabelWriter
from napari_samv1.layers.labels import LabelsError


@dataclass
class Sheet:
    """One plane, its session, and the writer of its label pixels once there is a layer."""

    plane: DisplayedPlane
    session: AnnotationSession
    writer: LabelWriter | None = None

    def write(self, image: Image, labels: Labels) -> str:
        """Bring the Labels layer up to date with the session; "" or a sentence on why not."""
        try:
            if self.writer is None:
                self.writer = LabelWriter(labels, image, self.plane)
            self.writer.write(self.session)
        except LabelsError as error:
            return str(error)
        return ""


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
