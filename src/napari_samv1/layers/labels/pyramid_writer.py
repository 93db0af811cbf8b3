"""Writer of masks into a live pyramid: replaces a plane's objects, and redraws those in view."""

from __future__ import annotations

from collections.abc import Sequence

from napari.layers import Image, Labels

from napari_samv1.annotation.document import PlaneView
from napari_samv1.annotation.pieces import Piece
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.labels.grid import label_grid
from napari_samv1.layers.labels.make import LabelsError
from napari_samv1.layers.labels.pyramid import DTYPE, TILE, pyramid_of
from napari_samv1.layers.labels.target import target_of
from napari_samv1.masks.paint import Painted, Stack
from napari_samv1.records.mask_crop import EMPTY, MaskCrop


class PyramidWriter:
    """Keeps one plane of a live pyramid equal to a document's pieces; the pyramid holds no other labels.

    Raises
    ------
    LabelsError
        If the layer does not lie on the image's pixels.
    """

    has_written = False
    unseen = ""

    def __init__(self, labels: Labels, image: Image, plane: DisplayedPlane, owner: object) -> None:
        pyramid = pyramid_of(labels)
        if pyramid is None or not label_grid(labels, image, plane).same:
            raise LabelsError(
                f"Labels layer “{labels.name}” does not lie on the pixels of image “{image.name}”: make a "
                f"new one for this image."
            )
        self._layer, self._pyramid, self._plane, self._owner = labels, pyramid, plane.plane, owner
        self._shown, self._written = Stack(), 0

    def write(self, view: PlaneView) -> bool:
        """Bring the layer up to date; False when nothing had to change.

        Raises
        ------
        LabelsError
            If an object's number is too large for the layer.
        """
        redrawn = self._pyramid.claim(self._owner)
        before, revision = self._pyramid.on(self._plane).stack, view.document.revision
        # what another writer put there is compared as a whole
        target, changed = target_of(view, before, self._written if before is self._shown else 0, _as_painted)
        if changed and changed[-1] > (1 << 8 * DTYPE.itemsize) - 1:
            raise LabelsError(
                f"Object {changed[-1]} does not fit into Labels layer “{self._layer.name}”, whose numbers "
                f"end at {(1 << 8 * DTYPE.itemsize) - 1}."
            )
        self._shown, self._written = target, revision
        if not changed and not redrawn:
            return False
        regions = self._pyramid.put(self._plane, target, changed)
        if redrawn or self._pyramid.is_in_last_read(self._layer.data_level, self._plane, regions):
            self._layer.refresh(extent=False, thumbnail=False, highlight=False)
        return True

    def has_label(self, label: int) -> bool:
        """Return True if the plane has an object of that number."""
        return label in self._pyramid.on(self._plane).stack.by_label

    def pixels_of_each(self, _labels: Sequence[int]) -> dict[int, MaskCrop]:
        """Pixels of labels of other tools: none."""
        return {}

    def covered_pixels_of(self, _label: int) -> MaskCrop:
        """Pixels that a label from elsewhere has beneath objects: none."""
        return EMPTY

    def shows(self, label: int, pixels: MaskCrop) -> bool:
        """Return True if the layer shows a label on all pixels of a mask."""
        rows, columns = pixels.region
        for top in range(rows.start, rows.stop, 4 * TILE):
            for left in range(columns.start, columns.stop, 4 * TILE):
                region = (
                    slice(top, min(top + 4 * TILE, rows.stop)),
                    slice(left, min(left + 4 * TILE, columns.stop)),
                )
                wanted = pixels.within(region)
                if wanted.any() and (self._pyramid.read(self._plane, 0, region)[wanted] != label).any():
                    return False
        return True

    def shown(self) -> None:
        """Return None: the pyramid shows no labels but the document's."""

    def labels_beneath(self) -> None:
        """Return None: the pyramid holds no labels of other tools."""


def _as_painted(piece: Piece) -> Painted:
    return piece.id, piece.mask, piece.settings.rule
