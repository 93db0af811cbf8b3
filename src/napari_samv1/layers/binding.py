"""AnnotationBinding: one image and its prompt and label layers, followed whatever the user does to them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Points, Shapes
from numpy.typing import NDArray

from napari_samv1.engine.session import (
    AnnotatedObject,
    AnnotationSession,
    Change,
    Choice,
    DecodeJob,
    DecodeResult,
)
from napari_samv1.layers.connections import Connections
from napari_samv1.layers.image import DisplayedPlane, NoPlaneError, displayed_plane, plane_at
from napari_samv1.layers.labels.make import LabelsError, first_free_id, make_labels
from napari_samv1.layers.open_bindings import OPEN_BINDINGS
from napari_samv1.layers.prompts.features import POSITIVE, Polarity, make_points, make_shapes
from napari_samv1.layers.prompts.follow import TRANSFORM_EVENTS
from napari_samv1.layers.prompts.pair import PromptPair
from napari_samv1.layers.prompts.read import read_prompts
from napari_samv1.layers.prompts.snapshot import PromptSnapshot
from napari_samv1.layers.sheets import Sheet, Sheets
from napari_samv1.layers.undo_keys import UndoKeys
from napari_samv1.records.prompts import Prompts
from napari_samv1.storage.session.record import DrawnShape, PlaneRecord

if TYPE_CHECKING:
    from napari_samv1.engine.embedding import Embedding

DRAWING = "Finish the shape first: it is still being drawn."
NOTHING_CHOSEN = "Choose an image layer to segment."


@dataclass(frozen=True, eq=False)
class _Left:
    """An image that another one was chosen after: its data then, and the layers that it had."""

    data: Any
    revision: int
    points: Points | None
    shapes: Shapes | None
    labels: Labels | None


def _ignore() -> None:
    """What an unused notice calls."""


def _ignore_sentence(_sentence: str) -> None:
    """What an unused notice with a sentence calls."""


@dataclass(frozen=True)
class Synced:
    """What reading the prompts led to; ``notes`` and ``problem`` are sentences for the panel."""

    change: Change = field(default_factory=Change)
    notes: tuple[str, ...] = ()
    problem: str = ""
    pending: tuple[int, ...] = ()


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
    on_edited : callable, optional
        Objects changed through a layer itself, by a stroke of the brush, the eraser or the bucket, or by
        the undo keys; called with "" or a sentence.
    """

    def __init__(
        self,
        viewer: Any,
        *,
        on_prompts: Callable[[], None] | None = None,
        on_plane: Callable[[], None] | None = None,
        on_layers: Callable[[], None] | None = None,
        on_current: Callable[[], None] | None = None,
        on_edited: Callable[[str], None] | None = None,
    ) -> None:
        self.viewer = viewer
        self._tell_prompts = on_prompts or _ignore
        self._tell_plane = on_plane or _ignore
        self._tell_layers = on_layers or _ignore
        self._tell_current = on_current or _ignore
        self._tell_edited = on_edited or _ignore_sentence
        self._image: Image | None = None
        self._labels: Labels | None = None
        self._labels_dismissed = False
        self._data_revision = self._newest_revision = 0
        self._place: NDArray[np.floating] | None = None  # of the image that was left last
        self._left: dict[Hashable, _Left] = {}
        self._sheets = Sheets()
        self._prompts = PromptPair(self._tell_prompts, self._current_changed)
        self._undo_keys: UndoKeys | None = None
        self._snapshot: PromptSnapshot = self._prompts.remember()
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
        self._prompts.close()
        self._give_back_keys()
        self._image = self._labels = None
        self._sheets = Sheets()
        self._left.clear()

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
        if self._image is not None:
            self._place = self._image.extent.world
            self._left[self._image.unique_id] = _Left(
                self._image.data, self._data_revision, self.points, self.shapes, self._labels
            )
        self._image = layer
        left = None if layer is None else self._left.pop(layer.unique_id, None)
        if layer is not None and left is not None and left.data is layer.data:
            self._data_revision = left.revision
            self._come_back(left)
        else:
            self._next_revision()
            if layer is not None and self._place is not None and not _fills(layer, self._place):
                self._leave_prompts()
        if layer is not None:
            self._image_connections.connect(layer.events, "contrast_limits gamma", self._plane_changed)
            self._image_connections.connect(layer.events, "data", self._image_data_changed)
            self._image_connections.connect(layer.events, TRANSFORM_EVENTS, self._placed_anew)
        self._sheets.drop_writers()
        self._tell_layers()
        self._plane_changed()

    @property
    def points(self) -> Points | None:
        """The layer of point prompts."""
        return self._prompts.points

    @points.setter
    def points(self, layer: Points | None) -> None:
        if layer is not self.points:
            self._prompts.follow(Points, layer)
            self._prompt_layer_changed()

    @property
    def shapes(self) -> Shapes | None:
        """The layer of box prompts."""
        return self._prompts.shapes

    @shapes.setter
    def shapes(self, layer: Shapes | None) -> None:
        if layer is not self.shapes:
            self._prompts.follow(Shapes, layer)
            self._prompt_layer_changed()

    @property
    def labels(self) -> Labels | None:
        """The layer that the masks are written to."""
        return self._labels

    @labels.setter
    def labels(self, layer: Labels | None) -> None:
        if layer is self._labels:
            return
        self._labels_connections.close()
        self._give_back_keys()
        self._labels = layer
        self._labels_dismissed = False
        self._sheets.drop_writers()
        if layer is not None:
            self._labels_connections.connect(layer.events, "data " + TRANSFORM_EVENTS, self._placed_anew)
            self._labels_connections.connect(layer.events, "paint", self._painted)
            self._labels_connections.connect(layer.events, "selected_label", self._label_selected)
            self._undo_keys = UndoKeys(layer)
            if self.current_object not in self._prompts.object_ids() | self._sheets.object_ids():
                # what another tool labelled must not become our first object by accident
                self.current_object = max(self.current_object, first_free_id(layer))
            self._select_label()
            self.redraw()
        self._tell_layers()

    def new_points(self) -> Points:
        """Make a Points layer for the image, add it to the viewer and bind it; clicks add points."""
        layer = make_points(self._needed_image(), object_id=self.current_object)
        self.viewer.add_layer(layer)
        layer.mode = "add"  # not before: the viewer's mode buttons would not know
        self.points = layer
        return layer

    def new_shapes(self) -> Shapes:
        """Make a Shapes layer for the image, add it to the viewer and bind it; drags add rectangles."""
        layer = make_shapes(self._needed_image(), object_id=self.current_object)
        self.viewer.add_layer(layer)
        layer.mode = "add_rectangle"
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
        return None if session is None else session.get(self.current_object)

    @property
    def drawn(self) -> Mapping[int, tuple[DrawnShape, ...]]:
        """Polygons, ellipses and paths of the displayed plane by object, as last read: for the record."""
        sheet = self._sheet()
        return {} if sheet is None else sheet.drawn

    def sync(self) -> Synced:
        """Read all prompts, tell the session, write what it can answer at once; cheap without a change."""
        try:
            plane = self.plane()
        except NoPlaneError as error:
            return Synced(problem=str(error))
        sheet = self._sheets.of(plane)
        read = read_prompts(plane, self._needed_image(), self.points, self.shapes)
        sheet.drawn, sheet.pointed = read.drawn, read.by_object
        now, revision = self._prompts.remember(), sheet.session.revision
        found = {}
        if self._labels is not None:
            found = sheet.found(self._needed_image(), self._labels, read.by_object)
        change = sheet.session.set_prompts(
            read.by_object,
            found=found,
            gesture=("prompts", self._prompts.gesture),
            attachment=self._snapshot,
            # a slice or a transform changed, but nobody touched a prompt: not a step to take back
            undoable=not now.equals(self._snapshot),
        )
        self._snapshot = now
        self._prompts.end_gesture()
        if sheet.session.revision != revision:
            self._labels_dismissed = False
        problem = self._write(sheet) if change else ""
        return Synced(change, read.notes, problem, sheet.session.pending)

    @property
    def sheets(self) -> list[Sheet]:
        """All planes that hold objects, also of images that were chosen before: for the record."""
        return self._sheets.annotated()

    def go_on(
        self,
        image: Image,
        points: Points | None,
        shapes: Shapes | None,
        labels: Labels | None,
        planes: Iterable[PlaneRecord],
    ) -> str:
        """Go on with what was saved of an image, objects and all; "" or a sentence.

        The layers hold the saved prompts, and ``labels`` the labels that are no object's; all are in the
        viewer. What was annotated on this image before is forgotten.
        """
        self.image, self.points, self.shapes = image, points, shapes
        self._sheets.forget(image)
        self.labels = labels
        problems = []
        for record in planes:
            plane = plane_at(image, record.source.index, data_revision=self._data_revision)
            sheet = self._sheets.of(plane)
            sheet.drawn, sheet.pixels, sheet.beneath = record.drawn, record.source.pixels, record.beneath
            sheet.session.restore(record.objects, record.stack)
            problems.append(self._write(sheet))
        self.next_object()
        return next((problem for problem in problems if problem), "")

    def forget_all(self) -> None:
        """Forget what was annotated, on all images; the layers stay as they are, and none is bound."""
        self._sheets = Sheets()
        self._left.clear()
        self.points = self.shapes = self.labels = None

    def jobs(self, embedding: Embedding) -> list[DecodeJob]:
        """What is to be decoded for the displayed plane."""
        session = self.session
        return [] if session is None else session.jobs(embedding)

    def accept(self, result: DecodeResult) -> str:
        """Take a decoded mask, on whichever plane it was asked for; "" or a sentence for the panel.

        Without a Labels layer one is made, unless the user has just deleted it: then with the next prompt.
        """
        return self.accept_each([result])

    def accept_each(self, results: Sequence[DecodeResult]) -> str:
        """Take many decoded masks, and write them at once."""
        sentences = [self._write(sheet) for sheet in self._sheets.accept(results)]
        sentences += [result.error for result in results]
        return next((sentence for sentence in sentences if sentence), "")

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
        return self._prompts.object_id

    @current_object.setter
    def current_object(self, object_id: int) -> None:
        if object_id < 1:
            raise ValueError(f"an object's number must be 1 or more, got {object_id}")
        self._prompts.set_next(object_id, self.polarity)

    @property
    def polarity(self) -> Polarity:
        """Whether the next prompt is foreground ("positive") or background ("negative")."""
        return self._prompts.polarity

    @polarity.setter
    def polarity(self, polarity: Polarity) -> None:
        self._prompts.set_next(self.current_object, polarity)

    def next_object(self) -> int:
        """Begin another object: one number above all that prompts, sessions and labels hold."""
        self._prompts.set_next(self._first_free(), POSITIVE)
        return self.current_object

    def _first_free(self) -> int:
        used = {0} | self._prompts.object_ids() | self._sheets.object_ids()
        if self._labels is not None:
            used.add(first_free_id(self._labels) - 1)
        return max(used) + 1

    def refine_current(self) -> str:
        """Give the current object's pixels to the network as a hint; "" or a sentence.

        The object's box goes with them where none is drawn. Also for a label that another tool made: it
        becomes an object, that clicks can correct from then on.
        """
        if self.is_drawing:
            return DRAWING
        problem = self.sync().problem
        sheet, image, object_id = self._sheet(), self._image, self.current_object
        if sheet is None or image is None:
            return problem
        if refusal := self._adopt(sheet, image, object_id):
            return refusal
        known = sheet.session.get(object_id)
        if known is None or known.mask.empty:
            return f"Object {object_id} has no pixels on this plane that could be refined."
        self._write(sheet)
        sheet.session.refine(object_id, sheet.pointed.get(object_id, Prompts()))
        problem = self._write(sheet)
        self._tell_prompts()
        return problem

    def split_current(self, *, share_background: bool = True) -> str:
        """One object for each prompt of the current object on this plane; "" or a sentence.

        The first keeps the number, the others get new ones; ``jobs`` then decodes them in one batch.
        Background points go to all of them, as copies, or else each to the nearest. One step to undo.
        """
        if self.is_drawing:
            return DRAWING
        self.sync()
        sheet = self._sheet()
        if sheet is None:
            return self.sync().problem
        ids = self._prompts.split(
            sheet.plane,
            self._needed_image(),
            self.current_object,
            self._first_free(),
            share_background=share_background,
        )
        if len(ids) < 2:
            return f"Object {self.current_object} needs at least two foreground points or boxes to be split."
        return self.sync().problem

    def choose(self, choice: Choice) -> None:
        """Take one of the four masks, or "auto", for the current object; ``on_edited`` says what came of it.

        Before there is an object it is what new ones begin with.
        """
        session, current = self.session, self.current
        if session is None:
            return
        if current is None:
            session.defaults = replace(session.defaults, choice=choice)
            self._tell_edited("")
        else:
            self._tell_edited(self.apply(session.set_choice(current.id, choice)))

    def flip_polarity(self) -> None:
        """Turn the selected points to the other polarity; where none is being selected, the next prompt's."""
        self._prompts.flip_polarity()

    # Removing

    @property
    def is_drawing(self) -> bool:
        """A shape is half drawn; removing a prompt now would break napari's drawing."""
        return self._prompts.is_drawing

    def remove_last(self) -> str:
        """Remove the newest prompt of the current object on this plane; "" or a sentence."""
        if self.is_drawing:
            return DRAWING
        sheet = self._sheet()
        if sheet is None:
            return self.sync().problem
        if not self._prompts.remove_newest(sheet.plane, self._needed_image(), self.current_object):
            return f"Object {self.current_object} has no prompts on this plane."
        return self.sync().problem

    def clear_current(self) -> str:
        """Empty the current object on this plane; "" or a sentence.

        Prompts, strokes and hint go, its number and settings stay.
        """
        return self._empty(self.current_object, AnnotationSession.empty)

    def clear_all(self) -> str:
        """Remove all prompts on this plane, and so all masks; "" or a sentence."""
        if self.is_drawing:
            return DRAWING
        sheet = self._sheet()
        if sheet is not None:
            self._prompts.remove(sheet.plane, self._needed_image(), None)
        return self.sync().problem

    def delete_object(self, object_id: int) -> str:
        """Remove an object on this plane: its prompts, its settings, its pixels; "" or a sentence.

        Also a label that another tool made.
        """
        return self._empty(object_id, AnnotationSession.delete)

    # Undo

    def undo(self) -> str:
        """Take back the last step on this plane, in prompts, settings and pixels; "" or a sentence."""
        return self._travel(back=True)

    def redo(self) -> str:
        """Bring the last undone step again; "" or a sentence."""
        return self._travel(back=False)

    def travel(self, *, back: bool) -> None:
        """What the undo keys of the bound layers do; ``on_edited`` says what came of it."""
        self._tell_edited(self._travel(back=back))

    def _travel(self, *, back: bool) -> str:
        if self.is_drawing:
            return DRAWING
        self.sync()
        sheet = self._sheet()
        if sheet is None:
            return ""
        now = self._prompts.remember()
        undone = sheet.session.undo(now) if back else sheet.session.redo(now)
        if isinstance(undone.attachment, PromptSnapshot):
            self._prompts.put_back(undone.attachment)
            self._snapshot = self._prompts.remember()
        return self._write(sheet) if undone.change else ""

    # Within

    def _needed_image(self) -> Image:
        if self._image is None:
            raise NoPlaneError(NOTHING_CHOSEN)
        return self._image

    def _sheet(self) -> Sheet | None:
        try:
            return self._sheets.of(self.plane())
        except NoPlaneError:
            return None

    def _write(self, sheet: Sheet) -> str:
        image = self._image
        if image is None or sheet.plane.key.layer_id != image.unique_id:
            return ""
        if self._labels is None:
            if self._labels_dismissed:
                return ""
            try:
                # binding it writes what is displayed; this sheet may be of another slice
                self.new_labels()
            except NoPlaneError as error:
                return str(error)
        return "" if self._labels is None else sheet.write(image, self._labels)

    def _adopt(self, sheet: Sheet, image: Image, object_id: int) -> str:
        """Make an object of a label that another tool made, if it is one; "" or a sentence."""
        if self._labels is None:
            return ""
        try:
            sheet.adopt(image, self._labels, object_id)
        except LabelsError as error:
            return str(error)
        return ""

    def _empty(self, object_id: int, empty: Callable[..., Change]) -> str:
        if self.is_drawing:
            return DRAWING
        problem = self.sync().problem
        sheet, image = self._sheet(), self._image
        if sheet is None or image is None:
            return problem
        if refusal := self._adopt(sheet, image, object_id):
            return refusal
        if self._labels is not None:
            self._write(sheet)
        before = self._snapshot
        self._prompts.remove(sheet.plane, image, object_id)
        change = empty(sheet.session, object_id, attachment=before)
        self._snapshot = self._prompts.remember()
        return self._write(sheet) if change else ""

    # Events

    def _prompt_layer_changed(self) -> None:
        self._snapshot = self._prompts.remember()
        self._tell_layers()
        self._tell_prompts()

    def _plane_changed(self, _event: Any = None) -> None:
        self._tell_plane()
        self._tell_prompts()

    def _next_revision(self) -> None:
        self._newest_revision += 1
        self._data_revision = self._newest_revision

    def _come_back(self, left: _Left) -> None:
        """An image that was annotated before gets the layers back that it had."""
        present = {id(layer) for layer in self.viewer.layers}
        for name in ("points", "shapes", "labels"):
            layer = getattr(left, name)
            if layer is not None and id(layer) in present:
                setattr(self, name, layer)

    def _leave_prompts(self) -> None:
        """Prompts for one image mean nothing on another; it gets layers of its own with its first prompt."""
        if any(layer is not None and len(layer.data) for layer in (self.points, self.shapes)):
            self.points = self.shapes = self.labels = None

    def _image_data_changed(self, _event: Any = None) -> None:
        self._next_revision()
        self._plane_changed()

    def _placed_anew(self, _event: Any = None) -> None:
        """A transform or an array is another one: where masks go must be found out anew."""
        self._sheets.drop_writers()
        self._tell_prompts()

    def _give_back_keys(self) -> None:
        if self._undo_keys is not None:
            self._undo_keys.close()
            self._undo_keys = None

    def _current_changed(self) -> None:
        self._select_label()
        self._tell_current()

    def _select_label(self) -> None:
        """The current object is what the brush paints."""
        labels, object_id = self._labels, self.current_object
        if labels is not None and object_id <= np.iinfo(np.dtype(labels.data.dtype)).max:
            labels.selected_label = object_id

    def _label_selected(self, _event: Any = None) -> None:
        """Choosing a label, or picking it with a click on its mask, is choosing the object."""
        labels = self._labels
        # 0 is background: to erase with, and no object
        if labels is not None and 1 <= labels.selected_label != self.current_object:
            self.current_object = int(labels.selected_label)

    def _painted(self, event: Any) -> None:
        """A stroke of napari's brush, eraser or bucket becomes pixels of objects, in one step."""
        sheet, image, labels = self._sheet(), self._image, self._labels
        if sheet is None or image is None or labels is None:
            return
        strokes = sheet.take_strokes(image, labels, event.value)
        if not strokes:
            return
        self.sync()
        self._write(sheet)
        sheet.session.paint_each(strokes)
        problem = self._write(sheet)
        # all of it may have been taken back, so that there was nothing to write
        labels.refresh(extent=False, thumbnail=False, highlight=False)
        self._tell_edited(problem or sheet.kept_out(strokes))

    def _layer_removed(self, event: Any) -> None:
        gone, image = event.value, self._image
        self._left.pop(gone.unique_id, None)
        if image is not None and gone is image:
            self._sheets.forget(image)
            self.image = None
        elif gone is self.points:
            self.points = None
        elif gone is self.shapes:
            self.shapes = None
        elif gone is self._labels:
            self.labels = None
            self._labels_dismissed = True


def _fills(image: Image, corners: NDArray[np.floating]) -> bool:
    """Whether an image lies where another one was, as a channel does: its prompts then serve both."""
    place = image.extent.world
    return place.shape == corners.shape and np.allclose(place, corners)
