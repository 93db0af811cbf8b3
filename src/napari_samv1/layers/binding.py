"""AnnotationBinding: images with their documents, and the prompt and label layers that show them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer, Points, Shapes
from numpy.typing import NDArray

from napari_samv1.annotation import edits
from napari_samv1.annotation.change import Change
from napari_samv1.annotation.document import Document, PlaneView
from napari_samv1.annotation.history import Step
from napari_samv1.annotation.pieces import BrushStroke, Object, Piece, PieceKey
from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.app.decoding import Decoding
from napari_samv1.app.detail import Part
from napari_samv1.layers.annotated import AnnotatedImage
from napari_samv1.layers.connections import Connections
from napari_samv1.layers.image import DisplayedPlane, displayed_plane, show_plane
from napari_samv1.layers.key_owners import KEY_OWNERS
from napari_samv1.layers.labels.make import LabelsError, highest_label, lacks_room, make_labels, widen
from napari_samv1.layers.labels.pyramid import pyramid_of
from napari_samv1.layers.labels.pyramid_brush import Drawing, PyramidBrush
from napari_samv1.layers.on_screen import camera_of, part_on_screen
from napari_samv1.layers.prompts.features import POSITIVE, Polarity, make_points, make_shapes
from napari_samv1.layers.prompts.follow import TRANSFORM_EVENTS
from napari_samv1.layers.prompts.pair import PromptPair
from napari_samv1.layers.prompts.write import RowChange
from napari_samv1.layers.undo_keys import UndoKeys
from napari_samv1.masks.drawn import prompts_of
from napari_samv1.records.detail import Detail
from napari_samv1.records.drawn import all_close
from napari_samv1.records.place import Plane

if TYPE_CHECKING:
    from napari_samv1.engine.embedding import Embedding
    from napari_samv1.engine.jobs import DecodeJob, DecodeResult

LAYERS = ("points", "shapes", "labels")
DRAWING = "Finish the shape first: it is still being drawn."
NOTHING_CHOSEN = "Choose an image layer to segment."
OTHER_SHAPE = (
    "The image's new data has another shape. What was annotated on the old one is kept with the session; "
    "numbers begin anew."
)


def _ignore(*_arguments: object) -> None:
    return None


@dataclass(frozen=True)
class Synced:
    """Outcome of reading the prompts; ``notes`` and ``problem`` are sentences for the panel."""

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
    decoding : Decoding, optional
        Jobs and answers, shared by all images.
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
        decoding: Decoding | None = None,
        on_prompts: Callable[[], None] | None = None,
        on_plane: Callable[[], None] | None = None,
        on_layers: Callable[[], None] | None = None,
        on_current: Callable[[], None] | None = None,
        on_edited: Callable[[str], None] | None = None,
    ) -> None:
        self.viewer = viewer
        self.decoding = Decoding() if decoding is None else decoding
        self.listen(
            on_prompts=on_prompts or _ignore,
            on_plane=on_plane or _ignore,
            on_layers=on_layers or _ignore,
            on_current=on_current or _ignore,
            on_edited=on_edited or _ignore,
            on_key=_ignore,
        )
        self.new_detail: Detail = "whole"
        self._looking = False
        self._seen: DisplayedPlane | NoPlaneError | None = None  # while looking
        self._open: AnnotatedImage | None = None
        self._images: dict[Hashable, AnnotatedImage] = {}
        self._labels: Labels | None = None
        self._labels_dismissed = False
        self._place: NDArray[np.floating] | None = None  # of the image that was left last
        self._plane: Plane | None = None  # the one that was displayed last
        self._notes: tuple[str, ...] = ()  # on the prompts that were last read
        self._continued = 0  # the object that was in hand on the slice before
        self._prompts = PromptPair(lambda: self._tell_prompts(), self._current_changed)
        self._undo_keys: UndoKeys | None = None
        self._brush: PyramidBrush | None = None  # of a layer whose own one cannot paint
        self._is_widening = False
        self._viewer_connections = Connections()
        self._image_connections = Connections()
        self._labels_connections = Connections()
        self._viewer_connections.connect(viewer.layers.events, "removed", self._layer_removed)
        self._viewer_connections.connect(viewer.dims.events, "point order ndisplay ndim", self._plane_changed)
        self._viewer_connections.connect(camera_of(viewer).events, "center zoom", self._view_moved)
        KEY_OWNERS.add(self)

    def close(self) -> None:
        """Let go of everything; the layers stay as they are. Again does nothing."""
        KEY_OWNERS.discard(self)
        for connections in (self._viewer_connections, self._image_connections, self._labels_connections):
            connections.close()
        self._prompts.close()
        self._give_back_keys()
        self._open = self._labels = None
        self._images.clear()

    def listen(
        self,
        *,
        on_prompts: Callable[[], None],
        on_plane: Callable[[], None],
        on_view: Callable[[], None] = _ignore,
        on_layers: Callable[[], None],
        on_current: Callable[[], None],
        on_edited: Callable[[str], None],
        on_key: Callable[[str], None],
    ) -> None:
        """Have other notices called than those given so far; ``on_key`` gets the name of an action."""
        self._tell_prompts, self._tell_plane, self._tell_layers = on_prompts, on_plane, on_layers
        self._tell_current, self._tell_edited, self._tell_key = on_current, on_edited, on_key
        self._tell_view = on_view

    def part_on_screen(self) -> Part:
        """The part of the displayed plane that is on the screen, in its pixels; raises ``NoPlaneError``."""
        return part_on_screen(self.viewer, self._needed_image(), self.plane())

    def owns(self, layer: Layer) -> bool:
        """Whether a layer is one of the bound ones."""
        return any(layer is own for own in self.bound)

    def press(self, name: str, *, on_plane: bool = False) -> bool:
        """Tell that the key of an action was pressed; False where it needs a plane and none is shown."""
        if on_plane and self.shown is None:
            return False
        self._tell_key(name)
        return True

    # Layers

    @property
    def bound(self) -> tuple[Layer | None, ...]:
        """Image, points, shapes, labels."""
        return self.image, self.points, self.shapes, self._labels

    @property
    def image_name(self) -> str | None:
        """Name of the image that is segmented."""
        return None if self._open is None else str(self._open.image.name)

    @property
    def in_3d(self) -> bool:
        """Whether the viewer shows 3D."""
        return bool(self.viewer.dims.ndisplay == 3)

    @property
    def image(self) -> Image | None:
        """The image that is segmented."""
        return None if self._open is None else self._open.image

    @image.setter
    def image(self, layer: Image | None) -> None:
        if layer is self.image:
            return
        self._seen = None
        self._image_connections.close()
        self._leave()
        self._plane = None
        if layer is None:
            self._open = None
        else:
            left, known = self._open, self._images.get(layer.unique_id)
            if known is not None and known.data is not layer.data and not known.data_replaced():
                known = None
            self._open = known or self._begun(layer)
            self._open.drop_writers()
            beside = self._place is None or _fills(layer, self._place)
            if not beside:
                self._leave_layers(left, layer)
            if known is not None:
                self._come_back(known, beside)
            self._take_layers(self.points, self.shapes, self._labels)
            self._image_connections.connect(layer.events, "contrast_limits gamma", self._plane_changed)
            self._image_connections.connect(layer.events, "data", self._image_data_changed)
            self._image_connections.connect(layer.events, TRANSFORM_EVENTS, self._placed_anew)
            self._prompts.forget_rows()
            self._take_fresh_number()
            if known is not None:
                # the labels may be those of another channel, with its masks of the same objects
                self.redraw()
        self._tell_layers()
        self._plane_changed()

    def annotated(self, layer: Image) -> AnnotatedImage:
        """The annotation of an image that is or was chosen."""
        return self._images[layer.unique_id]

    def _begun(self, layer: Image) -> AnnotatedImage:
        document = Document(self.decoding.cache.lookup)
        if self._open is not None:
            document.defaults = self._open.document.defaults
        self._images[layer.unique_id] = annotated = AnnotatedImage(layer, document)
        return annotated

    def _leave(self) -> None:
        """Remember the layers of the image that is left."""
        left = self._open
        if left is not None:
            self._place = left.image.extent.world
            left.points, left.shapes, left.labels = self.points, self.shapes, self._labels
            labels = self._labels
            if (
                labels is not None
                and not left.document.in_use
                and not _fills(left.image, labels.extent.world)
            ):
                left.labels = None  # another image's, that were only passed through
            self._remember_current()

    @property
    def points(self) -> Points | None:
        """The layer of point prompts."""
        return self._prompts.points

    @points.setter
    def points(self, layer: Points | None) -> None:
        if layer is not self.points:
            self._prompts.follow(Points, layer)
            self._take_layers(layer)
            self._prompt_layer_changed()

    @property
    def shapes(self) -> Shapes | None:
        """The layer of box prompts."""
        return self._prompts.shapes

    @shapes.setter
    def shapes(self, layer: Shapes | None) -> None:
        if layer is not self.shapes:
            self._prompts.follow(Shapes, layer)
            self._take_layers(layer)
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
        if self._open is not None:
            self._open.drop_writers()
        if layer is not None:
            self._labels_connections.connect(layer.events, "data " + TRANSFORM_EVENTS, self._placed_anew)
            self._labels_connections.connect(layer.events, "paint", self._painted)
            self._labels_connections.connect(layer.events, "selected_label", self._label_selected)
            self._undo_keys = UndoKeys(layer)
            if pyramid_of(layer) is not None:
                self._brush = PyramidBrush(layer, self._begin_stroke, self._brushed)
            if self.current_object not in self._prompts.object_ids() | self._object_ids():
                # a label of another tool must not become our first object by accident
                self.current_object = max(self.current_object, self._highest_label() + 1)
            self._select_label()
            self._take_layers(layer)
            self.redraw()
        self._tell_layers()

    def new_points(self) -> Points:
        """Make a Points layer for the image, with the clicks of its objects; further clicks add points."""
        layer = make_points(self._needed_image(), object_id=self.current_object)
        self.viewer.add_layer(layer)
        layer.mode = "add"  # not before: the viewer's mode buttons would not know
        self.points = layer
        self._show_all_rows()
        return layer

    def new_shapes(self) -> Shapes:
        """Make a Shapes layer for the image, with the shapes of its objects; drags add rectangles."""
        layer = make_shapes(self._needed_image(), object_id=self.current_object)
        self.viewer.add_layer(layer)
        layer.mode = "add_rectangle"
        self.shapes = layer
        self._show_all_rows()
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

    # The plane and its pieces

    def plane(self) -> DisplayedPlane:
        """The plane that the image layer shows now.

        Raises
        ------
        NoPlaneError
            If there is no image, or no plane of it is shown.
        """
        if self._seen is None or not self._looking:
            revision = 0 if self._open is None else self._open.revision
            try:
                self._seen = displayed_plane(self.viewer, self._needed_image(), data_revision=revision)
            except NoPlaneError as error:
                self._seen = error
        if isinstance(self._seen, NoPlaneError):
            raise self._seen
        return self._seen

    @contextmanager
    def one_look(self) -> Iterator[None]:
        """While it lasts, the displayed plane is resolved once, as long as nothing moves it."""
        self._looking, self._seen = True, None
        try:
            yield
        finally:
            self._looking, self._seen = False, None

    @property
    def document(self) -> Document | None:
        """The document of the chosen image."""
        return None if self._open is None else self._open.document

    @property
    def shown(self) -> PlaneView | None:
        """The displayed plane's pieces. None without a plane."""
        plane = self._displayed()
        return None if plane is None or self._open is None else self._open.document.on(plane)

    @property
    def current(self) -> Piece | None:
        """The current object's piece on the displayed plane."""
        shown = self.shown
        return None if shown is None else shown.get(self.current_object)

    def sync(self) -> Synced:
        """Read all prompts, change the document by them, write the masks that are known."""
        opened = self._open
        try:
            displayed = self.plane()
        except NoPlaneError as error:
            return Synced(problem=str(error))
        if opened is None:
            return Synced(problem=NOTHING_CHOSEN)
        self._arrive(displayed.plane)
        view = opened.document.on(displayed.plane)
        if self._prompts.is_read(displayed.plane, opened.document.revision):
            return Synced(Change(), self._notes, "", view.pending)
        read, touched = self._prompts.read(displayed, opened.image, opened.document.on(displayed.plane))
        change = self._take_rows(opened, displayed, read.rows, undoable=touched)
        self._notes = read.notes
        for plane in read.other_planes:
            other = opened.displayed(plane)
            elsewhere, _ = self._prompts.read(other, opened.image, opened.document.on(plane))
            change |= self._take_rows(opened, other, elsewhere.rows, undoable=touched)
        self._prompts.end_gesture()
        problem = self._write(change.planes) if change else ""
        return Synced(change, self._notes, problem, view.pending)

    def _take_rows(
        self, opened: AnnotatedImage, displayed: DisplayedPlane, rows: Mapping[int, Any], *, undoable: bool
    ) -> Change:
        document, plane = opened.document, displayed.plane
        pointed = {}
        for object_id, drawn in rows.items():
            piece = document.piece(plane, object_id)
            if piece is None or not all_close(drawn, piece.drawn):
                pointed[object_id] = prompts_of(drawn, displayed.shape_yx), drawn
        if not pointed:
            return Change()
        found = {}
        if self._labels is not None:
            found = opened.found(plane, self._labels, (one for one, (own, _) in pointed.items() if len(own)))
        for object_id, pixels in found.items():
            document.adopt(edits.adopted(document, plane, object_id, pixels))
        gesture = "prompts", self._prompts.gesture
        step = edits.point(document, plane, pointed, given_up=found, detail=self.new_detail, gesture=gesture)
        if step and undoable:
            self._labels_dismissed = False
        change = document.apply(step, undoable=undoable)
        return change | Change.of((plane, object_id) for object_id in found)

    @property
    def images(self) -> list[AnnotatedImage]:
        """All images that hold pieces, also those that are no longer chosen: for the record."""
        return [one for one in self._images.values() if one.document.planes]

    def labels_of(self, annotated: AnnotatedImage) -> Labels | None:
        """The Labels layer of an image: the bound one, or the one that it had when it was left."""
        return self._labels if annotated is self._open else annotated.labels

    def go_on(
        self,
        image: Image,
        labels: Labels | None,
        objects: Iterable[Object],
        pieces: Iterable[Piece],
        orders: Mapping[Plane, Sequence[int]],
        *,
        points: Points | None = None,
        shapes: Shapes | None = None,
    ) -> str:
        """Go on with a document that was saved of an image; "" or a sentence.

        ``labels`` holds the labels that are no object's. Layers for the prompts are made, or those that are
        given and empty are filled; all given layers are in the viewer. Earlier annotations on this image are
        forgotten.
        """
        self.image = None
        self._images.pop(image.unique_id, None)
        self.points = self.shapes = self.labels = None
        self.image = image
        opened = self._open
        if opened is None:
            return NOTHING_CHOSEN
        pieces = list(pieces)
        opened.document.restore(objects, pieces, orders)
        self.labels = labels
        kinds = {shape.kind for piece in pieces for shape in piece.drawn}
        self.points, self.shapes = points, shapes
        self._show_all_rows()
        if shapes is None and kinds - {"point"}:
            self.new_shapes()
        if points is None and "point" in kinds:
            self.new_points()
        problem = self._write(opened.document.planes)
        self.next_object()
        return problem

    def forget_all(self) -> None:
        """Forget all annotations, on all images; the layers stay as they are, and none is bound."""
        image = self.image
        self.image = None
        self._images.clear()
        self.points = self.shapes = self.labels = None
        self.image = image

    def jobs(self, embedding: Embedding) -> list[DecodeJob]:
        """Jobs for the displayed plane's pending pieces."""
        shown = self.shown
        return [] if shown is None else self.decoding.jobs(shown.document, shown.plane, embedding)

    def accept(self, result: DecodeResult) -> str:
        """Take a decoded mask, on whichever plane it was asked for; "" or a sentence for the panel.

        Without a Labels layer one is made, unless the user has just deleted it: then with the next prompt.
        """
        return self.accept_each([result])

    def accept_each(self, results: Sequence[DecodeResult]) -> str:
        """Take many decoded masks, and write them at once."""
        sentences = []
        for document, change in self.decoding.accept(results):
            if change and self._open is not None and document is self._open.document:
                sentences.append(self._write(change.planes))
        sentences += [result.error for result in results]
        return next((sentence for sentence in sentences if sentence), "")

    def do(self, step: Step) -> str:
        """Apply an edit of the chosen image's document, and show it in all layers; "" or a sentence."""
        opened = self._open
        if opened is None:
            return NOTHING_CHOSEN
        pieces = {key: (before, after) for key, (before, after) in step.pieces.items()}
        change = opened.document.apply(step)
        self._show_rows(pieces)
        return self._write(change.planes) if change else ""

    def redraw(self) -> str:
        """Write all objects into the bound Labels layer; "" or a sentence."""
        opened = self._open
        if opened is None or self._labels is None:
            return ""
        return self._write(opened.document.planes)

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
        """Begin another object: one number above all that prompts, documents and labels hold."""
        self._prompts.set_next(self._first_free(), POSITIVE)
        return self.current_object

    def continue_object(self) -> str:
        """Go on, on this slice, with the object of the slice before; "" or a sentence."""
        document = self.document
        if document is None or self._continued not in document.objects:
            return "There is no object of another slice to continue: click it there first, then come here."
        self._prompts.set_next(self._continued, POSITIVE)
        return ""

    def shows_label(self, number: int) -> bool:
        """Whether the displayed plane of the Labels layer shows a number."""
        plane, opened, labels = self._displayed(), self._open, self._labels
        if plane is None or opened is None or labels is None:
            return False
        try:
            return opened.writer(plane, labels).has_label(number)
        except LabelsError:
            return False

    def _first_free(self) -> int:
        used = {0} | self._prompts.object_ids() | self._object_ids()
        if self._labels is not None:
            used.add(self._highest_label())
        return max(used) + 1

    def _highest_label(self) -> int:
        """The largest label of the bound layer."""
        return 0 if self._labels is None else highest_label(self._labels)

    def _object_ids(self) -> set[int]:
        return set() if self._open is None else set(self._open.document.objects)

    def refine_current(self) -> str:
        """Give the current object's pixels to the network as a hint; "" or a sentence.

        The object's box goes with them where none is drawn. Also for a label that another tool made: it
        becomes an object, that clicks can correct from then on.
        """
        plane, problem = self._ready()
        if plane is None or self._open is None:
            return problem
        object_id = self.current_object
        if refusal := self._adopt(plane, object_id):
            return refusal
        step = edits.refine(self._open.document, plane, object_id)
        if not step:
            return f"Object {object_id} has no pixels on this plane that could be refined."
        problem = self.do(step)
        self._tell_prompts()
        return problem

    def split_current(self, *, share_background: bool = True) -> str:
        """One object for each prompt of the current object on this plane; "" or a sentence.

        The first keeps the number, the others get new ones; ``jobs`` then decodes them in one batch.
        Background points go to all of them, as copies, or else each to the nearest. One step to undo.
        """
        plane, problem = self._ready()
        if plane is None or self._open is None:
            return problem
        object_id, shape = self.current_object, self.plane().shape_yx
        if refusal := self._adopt(plane, object_id):
            return refusal
        step = edits.split(
            self._open.document,
            plane,
            object_id,
            self._first_free(),
            shape_yx=shape,
            share_background=share_background,
        )
        if not step:
            return f"To split object {object_id}, click once on each of the objects in it, then Split again."
        return self.do(step)

    def set_settings(self, object_id: int, *, gesture: Hashable = None, **changes: Any) -> str:
        """Change an object's settings, or where there is none of that number those of new ones."""
        document = self.document
        if document is None:
            return ""
        if object_id not in document.objects:
            document.defaults = replace(document.defaults, **changes)
            return ""
        return self.do(edits.set_settings(document, object_id, gesture=gesture, **changes))

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
        plane, problem = self._ready()
        if plane is None:
            return problem
        if not self._prompts.remove_newest(self.plane(), self._needed_image(), self.current_object):
            return f"Object {self.current_object} has no prompts on this plane."
        return self.sync().problem

    def clear_current(self) -> str:
        """Empty the current object on this plane; "" or a sentence.

        Prompts, strokes and hint go, its number and settings stay.
        """
        plane, problem = self._ready()
        if plane is None or self._open is None:
            return problem
        if refusal := self._adopt(plane, self.current_object):
            return refusal
        return self.do(edits.clear(self._open.document, plane, self.current_object))

    def delete_object(self, object_id: int) -> str:
        """Remove an object on all planes: its prompts, its settings, its pixels; "" or a sentence.

        Also a label that another tool made.
        """
        plane, problem = self._ready()
        if plane is None or self._open is None:
            return problem
        if refusal := self._adopt(plane, object_id):
            return refusal
        return self.do(edits.delete(self._open.document, [object_id]))

    # Undo

    def undo(self) -> str:
        """Revert the last step, in prompts, settings and pixels; "" or a sentence."""
        return self._travel(back=True)

    def redo(self) -> str:
        """Repeat the last undone step; "" or a sentence."""
        return self._travel(back=False)

    def _travel(self, *, back: bool) -> str:
        plane, problem = self._ready()
        if plane is None or self._open is None:
            return problem
        document = self._open.document
        undone = document.undo() if back else document.redo()
        if undone is None:
            return ""
        self._show_rows(undone.pieces)
        problem = self._write(undone.change.planes)
        planes = sorted({own for own, _ in undone.pieces}, key=lambda own: own.sort_key)
        if planes and plane not in planes:
            # an undo that happens out of sight would look like none
            self._go_to(planes[0])
        return problem

    # Within

    def _needed_image(self) -> Image:
        if self._open is None:
            raise NoPlaneError(NOTHING_CHOSEN)
        return self._open.image

    def _displayed(self) -> Plane | None:
        try:
            return self.plane().plane
        except NoPlaneError:
            return None

    def _ready(self) -> tuple[Plane | None, str]:
        """The displayed plane, once all prompts are read and a new gesture can begin; or a sentence."""
        if self.is_drawing:
            return None, DRAWING
        problem = self.sync().problem
        self._prompts.new_gesture()
        return self._displayed(), problem

    def _write(self, planes: Iterable[Plane]) -> str:
        opened = self._open
        if opened is None:
            return ""
        planes = list(planes)
        if self._labels is None and any(opened.document.on(plane).objects for plane in planes):
            if self._labels_dismissed:
                return ""
            try:
                # binding it writes all that there is
                self.new_labels()
            except NoPlaneError as error:
                return str(error)
        if self._labels is None:
            return ""
        highest = max(opened.document.objects, default=0)
        if lacks_room(self._labels, highest):
            self._is_widening = True
            widen(self._labels, highest)
            self._is_widening = False
        return opened.write(self._labels, planes)

    def _show_rows(self, pieces: Mapping[PieceKey, tuple[Piece | None, Piece | None]]) -> None:
        """Bring the prompt layers from the pieces before to the pieces after."""
        opened = self._open
        if opened is None:
            return
        changes = []
        for (plane, object_id), (before, after) in pieces.items():
            old, new = before.drawn if before else (), after.drawn if after else ()
            if old is not new and not all_close(old, new):
                changes.append(RowChange(opened.sheet(plane).displayed, object_id, old, new))
        if changes:
            self._prompts.write(opened.image, changes)

    def _show_all_rows(self) -> None:
        """Give a fresh layer the prompts that the document holds."""
        opened = self._open
        if opened is None:
            return
        changes = [
            RowChange(opened.sheet(plane).displayed, piece.id, (), piece.drawn)
            for plane in opened.document.planes
            for piece in opened.document.on(plane).objects.values()
            if piece.drawn
        ]
        if changes:
            self._prompts.fill(opened.image, changes)

    def _adopt(self, plane: Plane, object_id: int) -> str:
        """Make an object of a label that another tool made, if it is one; "" or a sentence."""
        if self._labels is None or self._open is None:
            return ""
        try:
            self._open.adopt(plane, self._labels, object_id)
        except LabelsError as error:
            return str(error)
        self._write([plane])
        return ""

    def _go_to(self, plane: Plane) -> None:
        """Move the viewer's sliders to a plane of the image."""
        show_plane(self.viewer, self._needed_image(), plane)

    # Events

    def _prompt_layer_changed(self) -> None:
        self._tell_layers()
        self._tell_prompts()

    def _plane_changed(self, _event: Any = None) -> None:
        self._seen = None
        plane = self._displayed()
        if plane is not None:
            self._arrive(plane)
        self._tell_plane()
        self._tell_prompts()

    def _arrive(self, plane: Plane) -> None:
        """On another slice the object in hand is the one that was in hand there, or a new one.

        The same number on another slice would be the same object, which nobody said: ``continue_object``
        does.
        """
        before, opened = self._plane, self._open
        if opened is None or plane == before:
            return
        self._remember_current()
        self._plane = plane
        document, current = opened.document, self.current_object
        if before is None or document.piece(plane, current) is not None:
            return
        if document.pieces_of(current) or current in self._prompts.object_ids():
            self._continued = current
        remembered = opened.current.get(plane)
        if remembered is not None and document.piece(plane, remembered) is not None:
            self._prompts.set_next(remembered, self.polarity)
        elif self._continued == current:
            self._prompts.set_next(self._first_free(), self.polarity)

    def _remember_current(self) -> None:
        if self._open is not None and self._plane is not None:
            self._open.current[self._plane] = self.current_object

    def _take_fresh_number(self) -> None:
        """An image that was just chosen begins with a number of its own."""
        if self._open is not None and self.current_object not in self._open.document.objects:
            self._prompts.set_next(self._first_free(), self.polarity)

    def _come_back(self, known: AnnotatedImage, beside: bool) -> None:
        """An image that was annotated before gets the layers back that it had, and no others.

        One that lies ``beside`` the image that is left, as another channel does, and shared a layer with it,
        goes on sharing all of them.
        """
        had = {name: getattr(known, name) for name in LAYERS}
        had = {name: layer if layer in self.viewer.layers else None for name, layer in had.items()}
        shared = any(layer is not None and layer is getattr(self, name) for name, layer in had.items())
        keeps = (beside and shared) or not known.document.in_use
        for name, layer in had.items():
            if layer is not None or not keeps:
                setattr(self, name, layer)

    def _take_layers(self, *layers: Layer | None) -> None:
        """A layer shows the work of one image, and of those that lie where it does: others forget it."""
        opened = self._open
        if opened is None:
            return
        taken = [layer for layer in layers if layer is not None]
        for other in self._images.values():
            if other is not opened and not _fills(opened.image, other.image.extent.world):
                other.forget(taken)

    def _leave_layers(self, left: AnnotatedImage | None, image: Image) -> None:
        """Leave prompts and masks of an image to it: on another one they mean nothing.

        The other one gets layers of its own with its first prompt. Prompt layers without a prompt serve any
        image, and labels those that they lie on.
        """
        annotated = left is not None and left.document.in_use
        if annotated or any(layer is not None and len(layer.data) for layer in (self.points, self.shapes)):
            self.points = self.shapes = self.labels = None
        elif self._labels is not None and not _fills(image, self._labels.extent.world):
            self.labels = None

    def _image_data_changed(self, _event: Any = None) -> None:
        self._seen = None
        opened = self._open
        if opened is not None and not opened.data_replaced():
            # what is annotated on another shape cannot be shown on this one
            image = opened.image
            self.image = None
            del self._images[image.unique_id]
            self.points = self.shapes = self.labels = None
            self.image = image
            self._tell_edited(OTHER_SHAPE if opened.document.objects else "")
        self._plane_changed()

    def _placed_anew(self, _event: Any = None) -> None:
        """A transform or an array is another one: find out anew where masks go, and write them there."""
        if self._is_widening:
            return  # the same labels in the same place
        self._seen = None
        self._prompts.placed_anew()
        if self._open is not None:
            self._open.drop_writers()
            self._tell_edited(self.redraw())
        self._tell_prompts()

    def _give_back_keys(self) -> None:
        if self._undo_keys is not None:
            self._undo_keys.close()
            self._undo_keys = None
        if self._brush is not None:
            self._brush.close()
            self._brush = None

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

    def _view_moved(self, _event: Any = None) -> None:
        self._tell_view()

    def _painted(self, event: Any) -> None:
        """A stroke of napari's brush, eraser or bucket becomes pixels of objects, in one step."""
        plane, opened, labels = self._displayed(), self._open, self._labels
        if plane is None or opened is None or labels is None:
            return
        strokes = opened.take_strokes(plane, labels, event.value)
        if not strokes:
            return
        self.sync()
        self._prompts.new_gesture()
        self._write({stroke.plane for stroke in strokes})
        problem = self.do(edits.paint(opened.document, strokes))
        # all of it may have been taken back, so that there was nothing to write
        labels.refresh(extent=False, thumbnail=False, highlight=False)
        self._tell_edited(problem or opened.kept_out(strokes))

    def _begin_stroke(self, object_id: int) -> Drawing | None:
        """Where a stroke on a live pyramid goes; None where no plane is shown."""
        plane, opened = self._displayed(), self._open
        if plane is None or opened is None:
            return None
        return Drawing(plane, edits.settings_of(opened.document, object_id).rule)

    def _brushed(self, strokes: list[BrushStroke], problem: str) -> None:
        """A stroke on a live pyramid becomes pixels of objects, in one step."""
        opened = self._open
        if opened is None or not strokes:
            self._tell_edited(problem)
            return
        self.sync()
        self._prompts.new_gesture()
        refusal = self.do(edits.paint(opened.document, strokes))
        self._tell_edited(refusal or problem or opened.kept_out(strokes))

    def _layer_removed(self, event: Any) -> None:
        gone, image = event.value, self.image
        if image is not None and gone is image:
            self.image = None
        elif gone is self.points:
            self.points = None
        elif gone is self.shapes:
            self.shapes = None
        elif gone is self._labels:
            self.labels = None
            self._labels_dismissed = True
        if isinstance(gone, Image):
            self._images.pop(gone.unique_id, None)


def _fills(image: Image, corners: NDArray[np.floating]) -> bool:
    """Whether an image lies where another one was, as a channel does: its prompts then serve both."""
    place = image.extent.world
    return place.shape == corners.shape and np.allclose(place, corners)
