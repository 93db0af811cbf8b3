"""Writer of masks into a Labels layer: writes only pixels that change, and redraws only then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_samv1.annotation.document import PlaneView
from napari_samv1.annotation.pieces import BrushStroke, Piece
from napari_samv1.images.source import dtype_of
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.labels.grid import label_grid
from napari_samv1.layers.labels.make import LabelsError, blocks, highest_label, is_large, refusal
from napari_samv1.layers.labels.stored import flush, is_stored
from napari_samv1.layers.labels.strokes import Stroke, read_stroke, settled
from napari_samv1.layers.labels.target import target_of
from napari_samv1.masks.covered import Covered, beneath_objects
from napari_samv1.masks.paint import LabelImage, Painted, Stack, repaint
from napari_samv1.masks.tiled import joined
from napari_samv1.records.mask_crop import MaskCrop, Region
from napari_samv1.records.settings import OVERWRITE


class LabelWriter:
    """Keeps one plane of a Labels layer equal to a document's pieces, over labels of other tools.

    Each write compares with the last one, and so catches changes missed before. Pixels go into the array
    and never into napari's undo, which could undo the pixels of a step, but not its prompts.

    Raises
    ------
    LabelsError
        If the layer cannot take the masks of this plane.
    """

    def __init__(self, labels: Labels, image: Image, plane: DisplayedPlane) -> None:
        if sentence := refusal(labels):
            raise LabelsError(sentence)
        self._grid = label_grid(labels, image, plane)
        self._layer = labels
        self._plane_shape, self._plane = plane.shape_yx, plane.plane
        self._painted = Stack()
        self._written = 0  # the document's revision at the last write
        self._covered = Covered()
        self._sampled: dict[int, tuple[MaskCrop, MaskCrop]] = {}
        self._unseen: tuple[int, ...] = ()
        self._beneath: NDArray[Any] | None = None
        self._beneath_is_found = False
        self._covered_before: NDArray[Any] | None = None

    def go_on_from(self, earlier: LabelWriter) -> None:
        """Take over the covered labels from an earlier writer of the same plane of the layer.

        Otherwise the first write would lose the labels beneath the objects.
        """
        grid, other = self._grid, earlier._grid
        if earlier._layer is self._layer and (grid.index, grid.shape_yx) == (other.index, other.shape_yx):
            self._covered_before = (
                earlier._beneath_in_layer() if earlier.has_written else earlier._covered_before
            )

    @property
    def unseen(self) -> str:
        """Message about masks of the last write that lie wholly outside the layer, otherwise ""."""
        if not self._unseen:
            return ""
        numbers = ", ".join(str(object_id) for object_id in self._unseen)
        lie = f"object {numbers} lies" if len(self._unseen) == 1 else f"objects {numbers} lie"
        return (
            f"The mask of {lie} outside Labels layer “{self._layer.name}”, which shows none of it: make a "
            f"new layer for this image, or choose another."
        )

    @property
    def has_written(self) -> bool:
        """True once objects are written; before, no pixel of the layer belongs to an object."""
        return bool(self._painted.order)

    def write(self, view: PlaneView) -> bool:
        """Bring the layer up to date and redraw it; False when nothing had to change.

        Raises
        ------
        LabelsError
            If an object's number does not fit into the layer's type (then nothing is written), or if the
            layer's file cannot be written.
        """
        if len(self._sampled) > 2 * len(view.objects) + 64:
            self._sampled.clear()
        revision, objects = view.document.revision, view.objects
        target, changed = target_of(view, self._painted, self._written, self._as_painted)
        self._unseen = tuple(
            label
            for label in changed
            if label in target.by_label and target.by_label[label][1].empty and not objects[label].mask.empty
        )
        self._check_numbers(changed)
        plane = _PlaneOfLabels(self._layer.data, self._grid.index, self._grid.shape_yx)
        uncovered = self._uncover(plane, changed)
        if not changed:
            self._written = revision
            return False
        before, covered = self._painted, self._covered
        if taken_over := self._taken_over(changed):
            self._beneath_is_found = False
            before = before.changed((*before.order, *taken_over), taken_over)
            covered = covered.without(taken_over)
        painting = repaint(plane, before, target, changed, covered)
        patches = [patch for patch in painting.patches if patch.changed.any()]
        try:
            for patch in patches:
                plane.write(patch.region, patch.values, patch.changed)
            if patches:
                flush(self._layer.data)
        except OSError as error:
            raise LabelsError(
                f"Labels layer “{self._layer.name}” could not be written to its file: {error}. The objects "
                f"are kept: save the session, or choose another layer."
            ) from error
        self._painted, self._covered, self._written = target, painting.covered, revision
        if patches or uncovered:
            self._layer.refresh(extent=False, thumbnail=False, highlight=False)
        return bool(patches)

    def take_stroke(self, atoms: Iterable[Any]) -> Stroke | None:
        """Revert napari's last stroke on this plane and return it, for the document to apply.

        None if the stroke changed nothing here. The layer is not redrawn yet.
        """
        stroke = read_stroke(atoms, self._layer.data, self._grid.index)
        if stroke is not None:
            plane = _PlaneOfLabels(self._layer.data, self._grid.index, self._grid.shape_yx)
            plane.write(stroke.region, stroke.before, stroke.touched)
        return stroke

    def brush_strokes(self, stroke: Stroke) -> list[BrushStroke]:
        """Return a stroke's painted and erased masks, in the image plane's pixels."""
        parts = [(label, pixels, False) for label, pixels in stroke.painted()]
        parts += [(label, pixels, True) for label, pixels in stroke.erased()]
        placed = (
            BrushStroke(self._plane, label, self._grid.plane_pixels(pixels, self._plane_shape), erase)
            for label, pixels, erase in parts
        )
        return [one for one in placed if not one.pixels.empty]

    @property
    def index(self) -> tuple[int | slice, ...]:
        """Index of the plane in the layer's data."""
        return self._grid.index

    def shown(self) -> LabelImage | None:
        """The labels of the image plane, read by regions; None if the layer's pixel grid differs."""
        if not self._grid.same or self._grid.shape_yx != self._plane_shape:
            return None
        return _PlaneOfLabels(self._layer.data, self._grid.index, self._grid.shape_yx)

    def has_label(self, label: int) -> bool:
        """Return True if the layer shows a label on this plane."""
        return self._may_hold(label) and any((values == label).any() for _, values in self._blocks())

    def pixels_of_each(self, labels: Sequence[int]) -> dict[int, MaskCrop]:
        """Return the mask of each of several labels; labels that the layer does not show are left out."""
        return {
            label: self._grid.plane_pixels(crop, self._plane_shape) for label, crop in self._shown(labels)
        }

    def covered_pixels_of(self, label: int) -> MaskCrop:
        """Return the mask of a label from elsewhere beneath objects, in the image plane's pixels."""
        covered = joined(self._covered.pixels_of(label))
        return covered if covered.empty else self._grid.plane_pixels(covered, self._plane_shape)

    def _may_hold(self, label: int) -> bool:
        """Return True if a label may be in the layer, without reading it."""
        if label > np.iinfo(dtype_of(self._layer.data)).max:
            return False
        data = self._layer.data
        if not (is_large(data) and is_stored(data)) or label in self._painted.by_label:
            return True
        return label <= highest_label(self._layer)

    def _blocks(self) -> Iterator[tuple[Region, NDArray[Any]]]:
        """The plane's labels, a block at a time where they are many."""
        plane = _PlaneOfLabels(self._layer.data, self._grid.index, self._grid.shape_yx)
        return ((region, plane[region]) for region in blocks(self._grid.shape_yx, self._layer.data))

    def _shown(self, labels: Sequence[int]) -> list[tuple[int, MaskCrop]]:
        """Pixels of the labels that the layer shows, on its own grid; reads only if there can be any."""
        wanted = [label for label in labels if self._may_hold(label)]
        if not wanted:
            return []
        found: dict[int, list[MaskCrop]] = {}
        for (rows, columns), values in self._blocks():
            for label in np.unique(values[np.isin(values, np.array(wanted, dtype=values.dtype))]).tolist():
                crop = MaskCrop.from_mask(values == label, (rows.start, columns.start))
                found.setdefault(label, []).append(crop)
        return [(label, joined(crops)) for label, crops in sorted(found.items())]

    def shows(self, label: int, pixels: MaskCrop) -> bool:
        """Return True if the layer shows a label on all pixels of a mask of the image plane."""
        on_grid = self._on_grid(pixels)
        plane = _PlaneOfLabels(self._layer.data, self._grid.index, self._grid.shape_yx)
        return bool(np.all(plane[on_grid.region][on_grid.mask] == label))

    def labels_beneath(self) -> NDArray[Any] | None:
        """Copy of the plane's labels that belong to no object, for the session's record.

        None without any, or if the layer's pixel grid differs. The array is cached until objects take over
        pixels of other labels.
        """
        if not self._beneath_is_found:
            self._beneath_is_found = True
            self._beneath = self._find_beneath()
        return self._beneath

    def _find_beneath(self) -> NDArray[Any] | None:
        if not self._grid.same or self._grid.shape_yx != self._plane_shape:
            return None
        if is_large(self._layer.data) and is_stored(self._layer.data):
            return None  # stored labels are on the disk already
        return self._beneath_in_layer()

    def _beneath_in_layer(self) -> NDArray[Any] | None:
        labels = settled(self._layer, self._grid.index)
        painted = [(label, self._painted.by_label[label][1]) for label in self._painted.order]
        return beneath_objects(labels, painted, self._covered)

    def _as_painted(self, piece: Piece) -> Painted:
        return piece.id, self._on_grid(piece.mask), piece.settings.rule

    def _on_grid(self, crop: MaskCrop) -> MaskCrop:
        if self._grid.same:
            return crop
        kept = self._sampled.get(id(crop))
        if kept is None or kept[0] is not crop:
            kept = self._sampled[id(crop)] = crop, self._grid.sample(crop)
        return kept[1]

    def _check_numbers(self, changed: list[int]) -> None:
        dtype = dtype_of(self._layer.data)
        largest = max(changed, default=0)
        if largest > np.iinfo(dtype).max:
            raise LabelsError(
                f"Object {largest} does not fit into Labels layer “{self._layer.name}”, whose type {dtype} "
                f"ends at {np.iinfo(dtype).max}: convert the layer to a wider type, or choose another."
            )

    def _uncover(self, plane: _PlaneOfLabels, changed: list[int]) -> bool:
        """Restore the labels that objects of an earlier writer cover, before objects are written again."""
        beneath, self._covered_before = self._covered_before, None
        if beneath is None:
            return False
        whole = slice(0, plane.shape[0]), slice(0, plane.shape[1])
        covered = (beneath != 0) & np.isin(plane[whole], changed)
        if covered.any():
            plane.write(whole, np.where(covered, beneath, plane[whole]).astype(plane.dtype), covered)
        return bool(covered.any())

    def _taken_over(self, changed: list[int]) -> dict[int, Painted]:
        """Existing pixels with the numbers of new objects, which own them from now on."""
        new = [label for label in changed if label not in self._painted.by_label]
        return {label: (label, crop, OVERWRITE) for label, crop in self._shown(new)} if new else {}


class _PlaneOfLabels:
    """One plane of a layer's array, numpy or any other kind, read and written by regions."""

    def __init__(self, data: Any, index: tuple[int | slice, ...], shape: tuple[int, int]) -> None:
        self._data, self._index, self.shape = data, index, shape
        self.dtype: np.dtype[Any] = dtype_of(data)

    def __getitem__(self, region: tuple[slice, slice], /) -> NDArray[Any]:
        return np.asarray(self._data[self._whole(region)])

    def write(self, region: tuple[slice, slice], values: NDArray[Any], changed: NDArray[np.bool_]) -> None:
        whole = self._whole(region)
        if isinstance(self._data, np.ndarray):
            np.copyto(self._data[whole], values, where=changed)
        else:
            self._data[whole] = values

    def _whole(self, region: tuple[slice, slice]) -> tuple[int | slice, ...]:
        extents = iter(region)
        return tuple(next(extents) if isinstance(at, slice) else at for at in self._index)
