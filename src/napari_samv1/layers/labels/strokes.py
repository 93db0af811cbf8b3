"""Strokes of napari's brush, eraser and bucket on a Labels layer, read from its events."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_samv1.records.mask_crop import MaskCrop

Index = Sequence[int | slice]


@dataclass(frozen=True, eq=False)
class Stroke:
    """Change of a plane of labels by one stroke: the values before and after, in a region.

    ``touched`` marks the pixels that changed.
    """

    region: tuple[slice, slice]
    before: NDArray[Any]
    after: NDArray[Any]
    touched: NDArray[np.bool_]

    def painted(self) -> Iterator[tuple[int, MaskCrop]]:
        """Every label that was painted, with its pixels; 0 is left out."""
        return self._parts(self.after)

    def erased(self) -> Iterator[tuple[int, MaskCrop]]:
        """Every label that was erased to background, with its pixels."""
        return self._parts(np.where(self.after == 0, self.before, 0))

    def _parts(self, values: NDArray[Any]) -> Iterator[tuple[int, MaskCrop]]:
        origin = self.region[0].start, self.region[1].start
        for label in np.unique(values[self.touched]):
            if label > 0:
                yield int(label), MaskCrop.from_mask(self.touched & (values == label), origin)


@dataclass(frozen=True, eq=False)
class _Edit:
    """Part of a stroke: pixels (N,), their old values, and the new ones."""

    rows: NDArray[np.int_]
    columns: NDArray[np.int_]
    old: Any
    new: Any


def read_stroke(atoms: Iterable[Any], data: Any, index: Index) -> Stroke | None:
    """The stroke on the plane ``data[index]``; None where it changed nothing there.

    ``atoms`` is the value of the layer's ``paint`` event, in the order of painting.
    """
    edits = [edit for atom in atoms if (edit := _edit(atom, index)) is not None]
    extents = [_extent(edit) for edit in edits]
    if not extents:
        return None
    low, high = np.min([first for first, _ in extents], axis=0), np.max([last for _, last in extents], axis=0)
    region = slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))
    within = iter(region)
    whole = tuple(next(within) if isinstance(at, slice) else at for at in index)
    before = np.array(data[whole])
    after = before.copy()
    for edit in edits:
        after[_within(edit, region)] = edit.new
    for edit in reversed(edits):
        before[_within(edit, region)] = edit.old
    touched = before != after
    return Stroke(region, before, after, touched) if touched.any() else None


def unfinished(layer: Labels) -> Sequence[Any]:
    """Atoms of a stroke that is being drawn; napari tells of it once the mouse is released."""
    staged: Sequence[Any] = getattr(layer, "_staged_history", ())
    return staged


def settled(layer: Labels, index: tuple[int | slice, ...]) -> NDArray[Any]:
    """Labels of a plane without a stroke that is being drawn, whose pixels are no object's yet."""
    labels = np.asarray(layer.data[index])
    stroke = read_stroke(unfinished(layer), layer.data, index)
    if stroke is not None:
        labels = labels.copy()
        np.copyto(labels[stroke.region], stroke.before, where=stroke.touched)
    return labels


def planes_touched(atoms: Iterable[Any], index: Index) -> list[tuple[int | slice, ...]]:
    """Indices, like the displayed plane's ``index``, of all parallel planes that a stroke changed."""
    axes = [axis for axis, at in enumerate(index) if not isinstance(at, slice)]
    positions: set[tuple[int, ...]] = set()
    for atom in atoms:
        if hasattr(atom, "slice_key"):
            extents = [range(atom.slice_key[axis].start, atom.slice_key[axis].stop) for axis in axes]
            positions.update(itertools.product(*extents))
        elif isinstance(atom[0], tuple) and len(atom[0]) == len(index):
            arrays = [np.atleast_1d(np.asarray(atom[0][axis])) for axis in axes]
            if all(array.dtype.kind in "iu" for array in arrays):
                pairs = zip(*(part.ravel().tolist() for part in np.broadcast_arrays(*arrays)), strict=True)
                positions.update(pairs if arrays else [()])
    found = []
    for position in sorted(positions):
        place = list(index)
        for axis, at in zip(axes, position, strict=True):
            place[axis] = int(at)
        found.append(tuple(place))
    return found


def _edit(atom: Any, index: Index) -> _Edit | None:
    if not hasattr(atom, "slice_key"):
        return _indexed_edit(*atom, index=index)
    # the atom holds a box of the data, and a mask in it unless all of the box changed
    offsets = tuple(
        slice(None) if isinstance(at, slice) else at - extent.start
        for at, extent in zip(index, atom.slice_key, strict=True)
    )
    for at, extent in zip(index, atom.slice_key, strict=True):
        if not isinstance(at, slice) and not extent.start <= at < extent.stop:
            return None
    rows, columns = (
        extent for at, extent in zip(index, atom.slice_key, strict=True) if isinstance(at, slice)
    )
    size = tuple(extent.stop - extent.start for extent in atom.slice_key)
    mask = np.ones(size, dtype=bool) if atom.mask is None else np.asarray(atom.mask).reshape(size)
    old = np.zeros(size, dtype=np.asarray(atom.old_values).dtype)
    old[mask] = np.asarray(atom.old_values).ravel()
    in_rows, in_columns = np.nonzero(mask[offsets])
    if not len(in_rows):
        return None
    values = old[offsets][in_rows, in_columns]
    return _Edit(in_rows + rows.start, in_columns + columns.start, values, atom.new_value)


def _indexed_edit(indices: Any, old: Any, new: Any, *, index: Index) -> _Edit | None:
    """Edit from ``data_setitem`` with one array of positions for each axis, as in napari before 0.8."""
    if not isinstance(indices, tuple) or len(indices) != len(index):
        return None
    if any(isinstance(one, slice) or np.asarray(one).dtype.kind not in "iu" for one in indices):
        return None
    positions = np.broadcast_arrays(*(np.atleast_1d(one) for one in indices))
    shape = positions[0].shape
    here = np.ones(shape, dtype=bool)
    for at, position in zip(index, positions, strict=True):
        if not isinstance(at, slice):
            here &= position == at
    if not here.any():
        return None
    rows, columns = (
        position[here] for at, position in zip(index, positions, strict=True) if isinstance(at, slice)
    )
    old_values, new_values = np.broadcast_to(old, shape)[here], np.broadcast_to(new, shape)[here]
    return _Edit(rows, columns, old_values, new_values)


def _extent(edit: _Edit) -> tuple[tuple[int, int], tuple[int, int]]:
    first = int(edit.rows.min()), int(edit.columns.min())
    return first, (int(edit.rows.max()) + 1, int(edit.columns.max()) + 1)


def _within(edit: _Edit, region: tuple[slice, slice]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    return edit.rows - region[0].start, edit.columns - region[1].start
