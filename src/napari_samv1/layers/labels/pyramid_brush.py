"""Brush, eraser and pick on a live pyramid, in place of napari's own, which need an array to write to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.notifications import show_info
from numpy.typing import NDArray

from napari_samv1.annotation.pieces import BrushStroke
from napari_samv1.layers.labels.pyramid import Preview, pyramid_of
from napari_samv1.masks.fill import fill
from napari_samv1.masks.tiled import TiledMask, joined
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.place import Plane
from napari_samv1.records.settings import Rule

MOST_PIXELS_OF_A_STROKE = 1 << 28
TOO_LONG = (
    "The stroke is longer than a mask can be (16,384 pixels each way): zoom in, and draw a shorter one."
)
NO_BUCKET = "The bucket needs an ordinary Labels layer: draw the outline with the polygon tool instead."
# modules of napari's own tools for Labels layers
NAPARIS = "napari.layers.labels."


@dataclass(frozen=True)
class Drawing:
    """Target of a stroke: the plane, and the rule of the painted object."""

    plane: Plane
    rule: Rule


class PyramidBrush:
    """Lets napari's modes paint, erase, pick and polygon work on a live pyramid, until ``close``.

    ``begin`` returns the target of an object's stroke, None if nothing can be drawn. ``on_strokes`` gets the
    strokes of objects that a finished stroke makes, and "" or a sentence.
    """

    def __init__(
        self,
        layer: Labels,
        begin: Callable[[int], Drawing | None],
        on_strokes: Callable[[list[BrushStroke], str], None],
    ) -> None:
        pyramid = pyramid_of(layer)
        if pyramid is None:
            raise ValueError(f"Labels layer “{layer.name}” is no live pyramid: use napari's own brush")
        self._layer, self._pyramid = layer, pyramid
        self._begin, self._on_strokes = begin, on_strokes
        self._callbacks = {"paint": self._drag, "erase": self._drag, "pick": self._pick}
        layer.editable = True
        layer.events.mode.connect(self._mode_changed, position="last")
        # napari's polygon and encircling brush call these methods at their end
        for name, replacement in (("paint", _no_dab), ("fill", _no_fill), ("paint_polygon", self._polygon)):
            setattr(layer, name, replacement)

    def close(self) -> None:
        """Leave the layer as it was; a second call does nothing."""
        layer = self._layer
        if "paint_polygon" not in vars(layer):
            return
        layer.mode = "pan_zoom"
        layer.events.mode.disconnect(self._mode_changed)
        for name in ("paint", "fill", "paint_polygon"):
            delattr(layer, name)
        layer.editable = False

    def _mode_changed(self, _event: Any = None) -> None:
        callbacks, mode = self._layer.mouse_drag_callbacks, str(self._layer.mode)
        wanted = self._callbacks.get(mode)
        for callback in list(callbacks):
            is_ours = getattr(callback, "__self__", None) is self
            if is_ours or (wanted is not None and _module(callback).startswith(NAPARIS)):
                callbacks.remove(callback)
        if wanted is not None:
            # first, because our other callbacks read the picked label
            callbacks.insert(0, wanted)
        if mode == "fill":
            show_info(NO_BUCKET)
            self._layer.mode = "pan_zoom"

    # Tools

    def _pick(self, layer: Labels, event: Any) -> None:
        layer.selected_label = self._label_at(event.position)

    def _label_at(self, position: Any) -> int:
        drawing = self._begin(int(self._layer.selected_label))
        if drawing is None:
            return 0
        row, column = (int(at) for at in np.round(self._to_plane(position, drawing.plane)))
        height, width = drawing.plane.shape_in(self._pyramid.shape)
        if not (0 <= row < height and 0 <= column < width):
            return 0
        region = slice(row, row + 1), slice(column, column + 1)
        return int(self._pyramid.read(drawing.plane, 0, region)[0, 0])

    def _drag(self, layer: Labels, event: Any) -> Iterator[None]:
        """Draw a stroke; napari resumes this generator at each move, and at the release."""
        # in napari the right button encircles, and Alt changes the brush's size
        if event.button == 2 or layer.cursor == "circle_frozen":
            return
        label = int(layer.selected_label)
        erase = str(layer.mode) == "erase" or label == 0
        drawing = self._begin(label)
        if drawing is None:
            return
        pixels = TiledMask(drawing.plane.shape_in(self._pyramid.shape))
        preview = Preview(drawing.plane, pixels, label, erase, drawing.rule)
        last = at = self._to_plane(event.position, drawing.plane)
        is_whole = True
        try:
            while True:
                is_whole = is_whole and self._draw(pixels, last, at, drawing.plane)
                self._pyramid.redraw_preview(preview)
                layer.refresh(extent=False, thumbnail=False, highlight=False)
                yield
                if event.type != "mouse_move":
                    break
                last, at = at, self._to_plane(event.position, drawing.plane)
        finally:
            self._pyramid.redraw_preview(None)
        self._finish(preview, "" if is_whole else TOO_LONG)

    def _polygon(self, points: Any, new_label: int) -> None:
        """Fill a polygon; napari's ``Labels.paint_polygon``."""
        drawing = self._begin(int(new_label))
        if drawing is None:
            return
        corners = np.asarray(points, dtype=np.float64)[:, list(drawing.plane.axes)]
        shape = drawing.plane.shape_in(self._pyramid.shape)
        pixels, problem = TiledMask(shape), ""
        if float(np.ptp(np.clip(corners, 0, shape), axis=0).prod()) > MOST_PIXELS_OF_A_STROKE:
            problem = TOO_LONG
        else:
            pixels.add(fill(corners, shape))
        self._finish(Preview(drawing.plane, pixels, int(new_label), new_label == 0, drawing.rule), problem)

    # Strokes

    def _to_plane(self, position: Any, plane: Plane) -> NDArray[np.float64]:
        coordinates = np.asarray(self._layer.world_to_data(position), dtype=np.float64)
        return coordinates[-plane.ndim :][list(plane.axes)]

    def _draw(
        self, pixels: TiledMask, start: NDArray[np.float64], end: NDArray[np.float64], plane: Plane
    ) -> bool:
        """Add the brush's path between two positions; False if the stroke becomes too long."""
        size = float(self._layer.brush_size)
        brush = _disc(size, np.abs(np.asarray(self._layer.scale, dtype=np.float64)[list(plane.axes)]))
        corners = [start, end]
        if pixels.box is not None:
            corners += [np.array([e.start for e in pixels.box]), np.array([e.stop for e in pixels.box])]
        inside = np.clip(np.stack(corners), 0, plane.shape_in(self._pyramid.shape))
        if float((np.ptp(inside, axis=0) + brush.shape).prod()) > MOST_PIXELS_OF_A_STROKE:
            return False
        steps = round(float(np.abs(end - start).max()) / size * 4)
        places = np.linspace(start, end, steps + 1)
        middle = np.array(brush.shape) // 2
        for place in np.unique(np.round(places[1:] if steps else places).astype(int), axis=0):
            top, left = (int(at) for at in place - middle)
            part = brush[max(0, -top) :, max(0, -left) :]
            pixels.add(MaskCrop((max(0, top), max(0, left)), part))
        return True

    def _finish(self, drawn: Preview, problem: str) -> None:
        """Turn the drawn pixels into strokes of objects, by the labels beneath them."""
        painted: list[MaskCrop] = []
        erased: dict[int, list[MaskCrop]] = {}
        preserve = bool(self._layer.preserve_labels)
        for crop in drawn.pixels.crops():
            shown = self._pyramid.read(drawn.plane, 0, crop.region)
            if drawn.erase:
                for label in np.unique(shown[crop.mask & (shown != 0)]).tolist():
                    if not preserve or label == drawn.label:
                        pixels = MaskCrop.from_mask(crop.mask & (shown == label), crop.origin_yx)
                        erased.setdefault(label, []).append(pixels)
                continue
            touched = crop.mask & (shown != drawn.label)
            if preserve:
                touched &= shown == 0
            painted.append(MaskCrop.from_mask(touched, crop.origin_yx))
        strokes = [BrushStroke(drawn.plane, label, joined(crops), True) for label, crops in erased.items()]
        whole = joined(painted)
        if not whole.empty:
            strokes.append(BrushStroke(drawn.plane, drawn.label, whole))
        self._layer.refresh(extent=False, thumbnail=False, highlight=False)
        self._on_strokes(strokes, problem)


def _disc(size: float, pixel_size_yx: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Brush like napari's: round in the world, an odd number of pixels across."""
    radius = np.floor(size / 2) + 0.5
    stretch = pixel_size_yx / pixel_size_yx.min()
    reach = np.floor(radius / stretch).astype(int)
    y, x = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    return np.asarray((y * stretch[0]) ** 2 + (x * stretch[1]) ** 2 <= radius**2, dtype=bool)


def _module(callback: Any) -> str:
    return str(getattr(callback, "__module__", ""))


def _no_dab(*_arguments: Any, **_options: Any) -> None:
    """Ignore the path of napari's encircling brush: the polygon at its end is enough."""


def _no_fill(*_arguments: Any, **_options: Any) -> None:
    show_info(NO_BUCKET)
