"""AnnotationBinding: one image and its prompt and label layers, followed whatever the user does to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer, Points, Shapes

from napari_samv1.engine.session import AnnotatedObject, AnnotationSession, Change, DecodeJob, DecodeResult
from napari_samv1.layers.connections import Connections
from napari_samv1.layers.image import DisplayedPlane, NoPlaneError, PlaneKey, displayed_plane
from napari_samv1.layers.label_writer import LabelWriter
from napari_samv1.layers.labels import LabelsError, first_free_id, make_labels
from napari_samv1.layers.open_bindings import OPEN_BINDINGS
from napari_samv1.layers.prompt_binding import TRANSFORM_EVENTS, PromptBinding
from napari_samv1.layers.prompt_layers import (
    POSITIVE,
    Polarity,
    flip,
    make_points,
    make_shapes,
    object_ids,
    other,
    remove_rows,
)
from napari_samv1.layers.prompts import read_prompts, rows_on_plane
from napari_samv1.layers.snapshot import PromptSnapshot, put_back, remember

if TYPE_CHECKING:
    from napari_samv1.engine.embedding import Embedding

DRAWING = "Finish the shape first: it is still being drawn."
NOTHING_CHOSEN = "Choose an image layer to segment."


def _ignore() -> None:
    """What an unused notice calls."""


@dataclass(frozen=True)
class Synced:
    """What reading the prompts led to; ``notes`` and ``problem`` are sentences for the panel."""

    change: Change = field(default_factory=Change)
    notes: tuple[str, ...] = ()
    problem: str = ""
    pending: tuple[int, ...] = ()


@dataclass
class _Sheet:
    """One annotated plane: its session, and the writer of its label pixels once there is a layer."""

    plane: DisplayedPlane
    session: AnnotationSession
    writer: LabelWriter | None = None


class AnnotationBinding:
    """Holds the layers themselves, never their names, and lets go of one that is deleted.

    The notices take no arguments, are cheap and may come often; nothing is read before ``sync`` is called,
    and nothing decoded here at all. All of it runs on the main thread.

    Parameters
    ----------
    viewer : ViewerModel or Viewer
    on_prompts : callable, optional
        A prompt may have changed, also in the middle of a drag: call ``sync`` soon.
    on_plane : callable, optional
        Slice, contrast, data or number of displayed dimensions changed: look at ``plane`` again.
    on_layers : callable, optional
        A layer was bound or went away.
    on_current : callable, optional
        The current object or the next prompt's polarity changed.
    """

    def __init__(
        self,
        viewer: Any,
        *,
        on_prompts: Callable[[], None] | None = None,
        on_plane: Callable[[], None] | None = None,
        on_layers: Callable[[], None] | None = None,
        on_current: Callable[[], None] | None = None,
    ) -> None:
        self.viewer = viewer
        self._tell_prompts = on_prompts or _ignore
        self._tell_plane = on_plane or _ignore
        self._tell_layers = on_layers or _ignore
        self._tell_current = on_current or _ignore
        self._image: Image | None = None
        self._points: PromptBinding | None = None
        self._shapes: PromptBinding | None = None
        self._labels: Labels | None = None
        self._labels_dismissed = False
        self._object_id = 1
        self._polarity: Polarity = POSITIVE
        self._data_revision = 0
        self._sheets: dict[PlaneKey, _Sheet] = {}
        self._gesture = 0
        self._gesture_over = False
        self._last_layer: type[Layer] = Points
        self._snapshot: PromptSnapshot = remember(None, None)
        self._viewer_connections = Connections()
        self._image_connections = Connections()
        self._labels_connections = Connections()
        self._viewer_connections.connect(viewer.layers.events, "removed", self._layer_removed)
        self._viewer_connections.connect(viewer.dims.events, "point order ndisplay ndim", self._plane_changed)
        OPEN_BINDINGS.add(self)

    def close(self) -> None:
        """Let go of everything; the layers stay as they are. Again does nothing."""
        OPEN_BINDINGS.discard(self)
        for connections in (self._viewer_connections, self._image_connections, self._labels_connections):
            connections.close()
        for followed in (self._points, self._shapes):
            if followed is not None:
                followed.close()
        self._image = self._points = self._shapes = self._labels = None
        self._sheets.clear()

    # Layers

    @property
    def image(self) -> Image | None:
        """The image that is segmented."""
        return self._image

    @image.setter
    def image(self, layer: Image | None) -> None:
        if layer is self._image:
            return
        self._image_connections.close()
        self._image = layer
        self._data_revision += 1
        if layer is not None:
            self._image_connections.connect(layer.events, "contrast_limits gamma", self._plane_changed)
            self._image_connections.connect(layer.events, "data", self._image_data_changed)
            self._image_connections.connect(layer.events, TRANSFORM_EVENTS, self._placed_anew)
        self._drop_writers()
        self._tell_layers()
        self._plane_changed()

    @property
    def points(self) -> Points | None:
        """The layer of point prompts."""
        return self._points.layer if self._points is not None else None

    @points.setter
    def points(self, layer: Points | None) -> None:
        if layer is not self.points:
            self._points = self._followed(self._points, layer)
            self._snapshot = remember(layer, self.shapes)
            self._gesture += 1
            self._tell_layers()
            self._tell_prompts()

    @property
    def shapes(self) -> Shapes | None:
        """The layer of box prompts."""
        return self._shapes.layer if self._shapes is not None else None

    @shapes.setter
    def shapes(self, layer: Shapes | None) -> None:
        if layer is not self.shapes:
            self._shapes = self._followed(self._shapes, layer)
            self._snapshot = remember(self.points, layer)
            self._gesture += 1
            self._tell_layers()
            self._tell_prompts()

    @property
    def labels(self) -> Labels | None:
        """The layer that the masks are written to."""
        return self._labels

    @labels.setter
    def labels(self, layer: Labels | None) -> None:
        if layer is self._labels:
            return
        self._labels_connections.close()
        self._labels = layer
        self._labels_dismissed = False
        self._drop_writers()
        if layer is not None:
            self._labels_connections.connect(layer.events, "data " + TRANSFORM_EVENTS, self._placed_anew)
            if not self._is_used(self._object_id):
                # what another tool labelled must not become our first object by accident
                self.current_object = max(self._object_id, first_free_id(layer))
            self.redraw()
        self._tell_layers()

    def new_points(self) -> Points:
        """Make a Points layer for the image, add it to the viewer and bind it."""
        layer = make_points(self._needed_image(), object_id=self._object_id)
        self.viewer.add_layer(layer)
        self.points = layer
        return layer

    def new_shapes(self) -> Shapes:
        """Make a Shapes layer for the image, add it to the viewer and bind it."""
        layer = make_shapes(self._needed_image(), object_id=self._object_id)
        self.viewer.add_layer(layer)
        self.shapes = layer
        return layer

    def new_labels(self) -> Labels:
        """Make a Labels layer for the displayed plane, add it beneath the prompts and bind it.

        The active layer stays active, so that a person who is clicking can go on.
        """
        image, plane = self._needed_image(), self.plane()
        layer = make_labels(image, plane)
        active = self.viewer.layers.selection.active
        self.viewer.add_layer(layer)
        layers = self.viewer.layers
        above = [layers.index(one) for one in (self.points, self.shapes) if one is not None and one in layers]
        if above:
            layers.move(layers.index(layer), min(above))
        if active is not None:
            layers.selection.active = active
        self.labels = layer
        return layer

    # The plane and its session

    def plane(self) -> DisplayedPlane:
        """What the image layer shows now.

        Raises
        ------
        NoPlaneError
            If there is no image, or no plane of it is shown.
        """
        return displayed_plane(self.viewer, self._needed_image(), data_revision=self._data_revision)

    @property
    def session(self) -> AnnotationSession | None:
        """The session of the displayed plane; each plane keeps its own. None without a plane."""
        sheet = self._sheet()
        return None if sheet is None else sheet.session

    @property
    def current(self) -> AnnotatedObject | None:
        """The current object, where it has prompts already."""
        session = self.session
        return None if session is None else session.get(self._object_id)

    def sync(self) -> Synced:
        """Read all prompts, tell the session, write what it can answer at once; cheap without a change."""
        try:
            plane = self.plane()
        except NoPlaneError as error:
            return Synced(problem=str(error))
        sheet = self._sheet_of(plane)
        read = read_prompts(plane, self._needed_image(), self.points, self.shapes)
        now, revision = remember(self.points, self.shapes), sheet.session.revision
        change = sheet.session.set_prompts(
            read.by_object,
            gesture=("prompts", self._gesture),
            attachment=self._snapshot,
            # a slice or a transform changed, but nobody touched a prompt: not a step to take back
            undoable=not now.equals(self._snapshot),
        )
        self._snapshot = now
        if self._gesture_over:
            self._gesture += 1
            self._gesture_over = False
        if sheet.session.revision != revision:
            self._labels_dismissed = False
        problem = self._write(sheet) if change else ""
        return Synced(change, read.notes, problem, sheet.session.pending)

    def jobs(self, embedding: Embedding) -> list[DecodeJob]:
        """What is to be decoded for the displayed plane."""
        session = self.session
        return [] if session is None else session.jobs(embedding)

    def accept(self, result: DecodeResult) -> str:
        """Take a decoded mask, on whichever plane it was asked for; "" or a sentence for the panel.

        Without a Labels layer one is made, unless the user has just deleted it: then with the next prompt.
        """
        for sheet in self._sheets.values():
            if sheet.session.accept(result):
                return self._write(sheet)
        return result.error

    def apply(self, change: Change) -> str:
        """Write what a call on the displayed plane's session changed; "" or a sentence for the panel."""
        sheet = self._sheet()
        return self._write(sheet) if change and sheet is not None else ""

    def redraw(self) -> str:
        """Write all objects of the displayed plane into the bound Labels layer; "" or a sentence."""
        sheet = self._sheet()
        if sheet is None or self._labels is None or not sheet.session.objects:
            return ""
        return self._write(sheet)

    # The current object and the next prompt

    @property
    def current_object(self) -> int:
        """The object that the next prompt belongs to."""
        return self._object_id

    @current_object.setter
    def current_object(self, object_id: int) -> None:
        if object_id < 1:
            raise ValueError(f"an object's number must be 1 or more, got {object_id}")
        self._set_next(object_id, self._polarity)

    @property
    def polarity(self) -> Polarity:
        """Whether the next prompt is foreground ("positive") or background ("negative")."""
        return self._polarity

    @polarity.setter
    def polarity(self, polarity: Polarity) -> None:
        self._set_next(self._object_id, polarity)

    def next_object(self) -> int:
        """Begin another object: one number above all that prompts, sessions and labels hold."""
        used = [0]
        for layer in (self.points, self.shapes):
            if layer is not None:
                used.append(int(object_ids(layer).max(initial=0)))
        for sheet in self._sheets.values():
            used.extend(sheet.session.objects)
        if self._labels is not None:
            used.append(first_free_id(self._labels) - 1)
        self._set_next(max(used) + 1, POSITIVE)
        return self._object_id

    def flip_polarity(self) -> None:
        """Turn the selected points to the other polarity; where none is being selected, the next prompt's."""
        points = self.points
        if points is not None and str(points.mode) == "select" and points.selected_data:
            flip(points, sorted(points.selected_data))
        else:
            self.polarity = other(self._polarity)

    # Removing

    @property
    def is_drawing(self) -> bool:
        """A shape is half drawn; removing a prompt now would break napari's drawing."""
        return self._shapes is not None and self._shapes.is_drawing

    def remove_last(self) -> str:
        """Remove the newest prompt of the current object on this plane; "" or a sentence."""
        if self.is_drawing:
            return DRAWING
        rows = self._rows(self._object_id)
        newest_first = sorted(rows, key=lambda pair: type(pair[0].layer) is self._last_layer, reverse=True)
        for followed, own in newest_first:
            if len(own):
                remove_rows(followed.layer, own[-1:])
                return self.sync().problem
        return f"Object {self._object_id} has no prompts on this plane."

    def clear_current(self) -> str:
        """Remove all prompts of the current object on this plane, and so its mask; "" or a sentence."""
        return self._clear(self._object_id)

    def clear_all(self) -> str:
        """Remove all prompts on this plane, and so all masks; "" or a sentence."""
        return self._clear(None)

    def delete_object(self, object_id: int) -> str:
        """Remove an object on this plane: its prompts, its settings, its pixels; "" or a sentence."""
        if self.is_drawing:
            return DRAWING
        self.sync()
        sheet = self._sheet()
        if sheet is None:
            return ""
        before = self._snapshot
        for followed, own in self._rows(object_id):
            remove_rows(followed.layer, own)
        change = sheet.session.delete(object_id, attachment=before)
        self._snapshot = remember(self.points, self.shapes)
        return self._write(sheet) if change else ""

    # Undo

    def undo(self) -> str:
        """Take back the last step on this plane, in prompts, settings and pixels; "" or a sentence."""
        return self._travel(back=True)

    def redo(self) -> str:
        """Bring the last undone step again; "" or a sentence."""
        return self._travel(back=False)

    def _travel(self, *, back: bool) -> str:
        if self.is_drawing:
            return DRAWING
        self.sync()
        sheet = self._sheet()
        if sheet is None:
            return ""
        now = remember(self.points, self.shapes)
        undone = sheet.session.undo(now) if back else sheet.session.redo(now)
        if isinstance(undone.attachment, PromptSnapshot):
            put_back(undone.attachment, self.points, self.shapes)
            self._snapshot = remember(self.points, self.shapes)
        return self._write(sheet) if undone.change else ""

    # Within

    def _needed_image(self) -> Image:
        if self._image is None:
            raise NoPlaneError(NOTHING_CHOSEN)
        return self._image

    def _sheet(self) -> _Sheet | None:
        try:
            return self._sheet_of(self.plane())
        except NoPlaneError:
            return None

    def _sheet_of(self, plane: DisplayedPlane) -> _Sheet:
        sheet = self._sheets.get(plane.key)
        if sheet is None:
            sheet = self._sheets[plane.key] = _Sheet(plane, AnnotationSession(plane.shape_yx))
        return sheet

    def _write(self, sheet: _Sheet) -> str:
        if self._image is None or sheet.plane.key.layer_id != self._image.unique_id:
            return ""
        try:
            if self._labels is None:
                if self._labels_dismissed:
                    return ""
                self.new_labels()
            if sheet.writer is None and self._labels is not None:
                sheet.writer = LabelWriter(self._labels, self._image, sheet.plane)
            if sheet.writer is not None:
                sheet.writer.write(sheet.session)
        except (LabelsError, NoPlaneError) as error:
            return str(error)
        return ""

    def _drop_writers(self) -> None:
        for sheet in self._sheets.values():
            sheet.writer = None

    def _followed(self, old: PromptBinding | None, layer: Points | Shapes | None) -> PromptBinding | None:
        if old is not None:
            old.close()
        if layer is None:
            return None
        return PromptBinding(
            layer,
            self._object_id,
            self._polarity,
            lambda ends_gesture: self._prompts_changed(ends_gesture, type(layer)),
            self._object_picked,
            self._polarity_picked,
        )

    def _set_next(self, object_id: int, polarity: Polarity) -> None:
        changed = (object_id, polarity) != (self._object_id, self._polarity)
        self._object_id, self._polarity = object_id, polarity
        for followed in (self._points, self._shapes):
            if followed is not None:
                followed.set_next(object_id, polarity)
        if changed:
            self._tell_current()

    def _object_picked(self, object_id: int) -> None:
        self._set_next(object_id, self._polarity)

    def _polarity_picked(self, polarity: Polarity) -> None:
        self._set_next(self._object_id, polarity)

    def _is_used(self, object_id: int) -> bool:
        layers = [layer for layer in (self.points, self.shapes) if layer is not None]
        in_prompts = any((object_ids(layer) == object_id).any() for layer in layers)
        return in_prompts or any(object_id in sheet.session.objects for sheet in self._sheets.values())

    def _rows(self, object_id: int | None) -> list[tuple[PromptBinding, Any]]:
        """The rows of an object (None: of any) in each prompt layer that lie on the displayed plane."""
        try:
            plane = self.plane()
        except NoPlaneError:
            return []
        rows = []
        for followed in (self._points, self._shapes):
            if followed is not None:
                here = rows_on_plane(plane, self._needed_image(), followed.layer)
                ids = object_ids(followed.layer)
                rows.append(
                    (followed, np.flatnonzero(here if object_id is None else here & (ids == object_id)))
                )
        return rows

    def _clear(self, object_id: int | None) -> str:
        if self.is_drawing:
            return DRAWING
        for followed, own in self._rows(object_id):
            remove_rows(followed.layer, own)
        return self.sync().problem

    # Events

    def _prompts_changed(self, ends_gesture: bool, kind: type[Layer] | None = None) -> None:
        if ends_gesture:
            self._gesture_over = True
            if kind is not None:
                self._last_layer = kind
        self._tell_prompts()

    def _plane_changed(self, _event: Any = None) -> None:
        self._tell_plane()
        self._tell_prompts()

    def _image_data_changed(self, _event: Any = None) -> None:
        self._data_revision += 1
        self._plane_changed()

    def _placed_anew(self, _event: Any = None) -> None:
        """A transform or an array is another one: where masks go must be found out anew."""
        self._drop_writers()
        self._tell_prompts()

    def _layer_removed(self, event: Any) -> None:
        gone, image = event.value, self._image
        if image is not None and gone is image:
            self._sheets = {
                key: sheet for key, sheet in self._sheets.items() if key.layer_id != image.unique_id
            }
            self.image = None
        elif gone is self.points:
            self.points = None
        elif gone is self.shapes:
            self.shapes = None
        elif gone is self._labels:
            self.labels = None
            self._labels_dismissed = True
