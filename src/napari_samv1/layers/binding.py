"""AnnotationBinding: images with their documents, and the prompt and label layers that show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer, Points, Shapes

from napari_samv1.annotation import edits
from napari_samv1.annotation.change import Change
from napari_samv1.annotation.document import Document, PlaneView
from napari_samv1.annotation.pieces import BrushStroke
from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.app.decoding import Decoding
from napari_samv1.images.source import dtype_of
from napari_samv1.layers.annotated import AnnotatedImage, BoundLayers
from napari_samv1.layers.annotated_images import NOTHING_CHOSEN, AnnotatedImages
from napari_samv1.layers.carried import carry, is_same_place, placement
from napari_samv1.layers.connections import Connections
from napari_samv1.layers.current_object import CurrentObject
from napari_samv1.layers.edits import Edits
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.key_owners import KEY_OWNERS
from napari_samv1.layers.labels.bound import BoundLabels
from napari_samv1.layers.labels.make import LabelsError, make_labels
from napari_samv1.layers.labels.pyramid import pyramid_of
from napari_samv1.layers.labels.pyramid_brush import Drawing, PyramidBrush
from napari_samv1.layers.on_screen import camera_of
from napari_samv1.layers.prompts.features import make_points, make_shapes
from napari_samv1.layers.prompts.follow import TRANSFORM_EVENTS
from napari_samv1.layers.prompts.pair import PromptPair
from napari_samv1.layers.prompts.show import fill
from napari_samv1.layers.screen import Screen
from napari_samv1.layers.undo_keys import UndoKeys
from napari_samv1.masks.drawn import prompts_of
from napari_samv1.records.detail import Detail
from napari_samv1.records.drawn import all_close

OTHER_SHAPE = (
    "The image's new data has another shape. Objects of the old data are kept with the session; "
    "numbering starts again at 1."
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
    """Holds layers by reference, never by name, and releases a layer that is deleted.

    Callbacks are cheap and may come often: prompts are read by ``sync`` alone, and nothing is decoded here.
    Everything runs on the main thread.

    Parameters
    ----------
    viewer : ViewerModel or Viewer
    decoding : Decoding, optional
        Jobs and answers, shared by all images.
    on_prompts : callable, optional
        A prompt may have changed, also in the middle of a drag: call ``sync`` soon.
    on_plane : callable, optional
        Slice, contrast, data or number of displayed dimensions changed: call ``screen.plane`` again.
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
        self._notes: tuple[str, ...] = ()  # on the prompts that were last read
        self.images = images = AnnotatedImages(self.decoding.cache.lookup)
        self.screen = screen = Screen(viewer, images, self._plane_changed)
        self.prompts = prompts = PromptPair(lambda: self._tell_prompts(), self._current_changed)
        self.masks = masks = BoundLabels(images, screen, self.new_labels)
        self.current = current = CurrentObject(images, screen, prompts, masks)
        self.edits = Edits(images, screen, prompts, masks, current, self.decoding, self.sync)
        self._undo_keys: UndoKeys | None = None
        self._brush: PyramidBrush | None = None  # for a live pyramid, which napari's brush cannot paint
        self._viewer_connections = Connections()
        self._image_connections = Connections()
        self._labels_connections = Connections()
        self._is_carrying = False
        self._viewer_connections.connect(viewer.layers.events, "removed", self._layer_removed)
        self._viewer_connections.connect(viewer.dims.events, "point order ndisplay ndim", self._plane_changed)
        self._viewer_connections.connect(camera_of(viewer).events, "center zoom", self._view_moved)
        KEY_OWNERS.add(self)

    def close(self) -> None:
        """Release everything; the layers stay as they are. A second call does nothing."""
        KEY_OWNERS.discard(self)
        for connections in (self._viewer_connections, self._image_connections, self._labels_connections):
            connections.close()
        self.prompts.close()
        self.screen.close()
        self._give_back_keys()
        self.masks.layer = None
        self.images.forget_all()

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
        """Replace the callbacks; ``on_key`` gets the name of an action."""
        self._tell_prompts, self._tell_plane, self._tell_layers = on_prompts, on_plane, on_layers
        self._tell_current, self._tell_edited, self._tell_key = on_current, on_edited, on_key
        self._tell_view = on_view

    def owns(self, layer: Layer) -> bool:
        """Return True if a layer is bound."""
        return any(layer is other for other in self.bound)

    def press(self, name: str, *, on_plane: bool = False) -> bool:
        """Report the key press of an action; False if it needs a plane and none is shown."""
        if on_plane and self.shown is None:
            return False
        self._tell_key(name)
        return True

    # Layers

    @property
    def bound(self) -> tuple[Layer | None, ...]:
        """Image, points, shapes, labels."""
        return self.image, self.points, self.shapes, self.labels

    @property
    def image_name(self) -> str | None:
        """Name of the image that is segmented."""
        return None if self.images.opened is None else str(self.images.opened.image.name)

    @property
    def image(self) -> Image | None:
        """The image that is segmented."""
        return None if self.images.opened is None else self.images.opened.image

    @image.setter
    def image(self, layer: Image | None) -> None:
        if layer is self.image:
            return
        images = self.images
        self.screen.moved()
        self._image_connections.close()
        self.current.leave()
        images.close(self._bound_layers())
        if layer is not None:
            is_reopened, beside = images.open(layer), images.beside
            if not beside:
                self._bind(images.after_leaving(self._bound_layers()))
            if is_reopened:
                present = self.viewer.layers
                self._bind(images.after_coming_back(self._bound_layers(), present, beside=beside))
            images.claim(self.points, self.shapes, self.labels)
            self._image_connections.connect(layer.events, "contrast_limits gamma", self._plane_changed)
            self._image_connections.connect(layer.events, "data", self._image_data_changed)
            self._image_connections.connect(layer.events, TRANSFORM_EVENTS, self._image_moved)
            self._carry_layers()
            self.prompts.forget_rows()
            self.current.begin_image()
            if is_reopened:
                # the Labels layer may show another channel's masks of the same objects
                self.masks.redraw()
        self._tell_layers()
        self._plane_changed()

    def _bound_layers(self) -> BoundLayers:
        return BoundLayers(self.points, self.shapes, self.labels)

    def _bind(self, layers: BoundLayers) -> None:
        self.points, self.shapes, self.labels = layers.points, layers.shapes, layers.labels

    @property
    def points(self) -> Points | None:
        """The layer of point prompts."""
        return self.prompts.points

    @points.setter
    def points(self, layer: Points | None) -> None:
        if layer is not self.points:
            self.prompts.follow(Points, layer)
            self.images.claim(layer)
            self._prompt_layer_changed()

    @property
    def shapes(self) -> Shapes | None:
        """The layer of box prompts."""
        return self.prompts.shapes

    @shapes.setter
    def shapes(self, layer: Shapes | None) -> None:
        if layer is not self.shapes:
            self.prompts.follow(Shapes, layer)
            self.images.claim(layer)
            self._prompt_layer_changed()

    @property
    def labels(self) -> Labels | None:
        """The layer that the masks are written to."""
        return self.masks.layer

    @labels.setter
    def labels(self, layer: Labels | None) -> None:
        if layer is self.masks.layer:
            return
        self._labels_connections.close()
        self._give_back_keys()
        self.masks.layer, self.masks.dismissed = layer, False
        if self.images.opened is not None:
            self.images.opened.drop_writers()
        if layer is not None:
            self._labels_connections.connect(
                layer.events, "data " + TRANSFORM_EVENTS, self._transform_changed
            )
            self._labels_connections.connect(layer.events, "paint", self._painted)
            self._labels_connections.connect(layer.events, "selected_label", self._label_selected)
            self._undo_keys = UndoKeys(layer)
            if pyramid_of(layer) is not None:
                self._brush = PyramidBrush(layer, self._begin_stroke, self._brushed)
            if self.images.opened is not None:
                self.images.opened.fill_blanks(layer)
            self.current.avoid_labels()
            self._select_label()
            self.images.claim(layer)
            self.masks.redraw()
        self._tell_layers()

    def new_points(self) -> Points:
        """Make a Points layer for the image, with the clicks of its objects; further clicks add points."""
        layer = make_points(self.images.chosen.image, object_id=self.current.number)
        self.viewer.add_layer(layer)
        layer.mode = "add"  # after adding, so that the viewer's mode buttons follow
        self.points = layer
        fill(self.prompts, self.images.chosen)
        return layer

    def new_shapes(self) -> Shapes:
        """Make a Shapes layer for the image, with the shapes of its objects; drags add rectangles."""
        layer = make_shapes(self.images.chosen.image, object_id=self.current.number)
        self.viewer.add_layer(layer)
        layer.mode = "add_rectangle"
        self.shapes = layer
        fill(self.prompts, self.images.chosen)
        return layer

    def new_labels(self) -> Labels:
        """Make a Labels layer for the displayed plane, add it beneath the prompts and bind it.

        The active layer stays active, so that a person who is clicking can go on.
        """
        image, plane = self.images.chosen.image, self.screen.plane()
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

    @property
    def document(self) -> Document | None:
        """The document of the chosen image."""
        return None if self.images.opened is None else self.images.opened.document

    @property
    def shown(self) -> PlaneView | None:
        """The displayed plane's pieces. None without a plane."""
        plane = self.screen.place
        return None if plane is None or self.images.opened is None else self.images.opened.document.on(plane)

    def sync(self) -> Synced:
        """Read all prompts into the document, and write the masks of the pieces that changed."""
        opened = self.images.opened
        try:
            displayed = self.screen.plane()
        except NoPlaneError as error:
            return Synced(problem=str(error))
        if opened is None:
            return Synced(problem=NOTHING_CHOSEN)
        self.current.arrive(displayed.plane)
        view = opened.document.on(displayed.plane)
        if self.prompts.is_read(displayed.plane, opened.document.revision):
            return Synced(Change(), self._notes, "", view.pending)
        read, touched = self.prompts.read(displayed, opened.image, opened.document.on(displayed.plane))
        change = self._take_rows(opened, displayed, read.rows, undoable=touched)
        self._notes = read.notes
        for plane in read.other_planes:
            other = opened.displayed(plane)
            elsewhere, _ = self.prompts.read(other, opened.image, opened.document.on(plane))
            change |= self._take_rows(opened, other, elsewhere.rows, undoable=touched)
        self.prompts.end_gesture()
        problem = self.masks.write(change.planes) if change else ""
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
        found: list[int] = []
        if self.labels is not None:
            asked = (one for one, (prompts, _) in pointed.items() if len(prompts))
            with suppress(LabelsError):  # told when the mask is to be written
                found = opened.adopt(plane, self.labels, asked)
        gesture = "prompts", self.prompts.gesture
        step = edits.point(document, plane, pointed, given_up=found, detail=self.new_detail, gesture=gesture)
        if step and undoable:
            self.masks.dismissed = False
        change = document.apply(step, undoable=undoable)
        return change | Change.of((plane, object_id) for object_id in found)

    # Events

    def _prompt_layer_changed(self) -> None:
        self._tell_layers()
        self._tell_prompts()

    def _plane_changed(self, _event: Any = None) -> None:
        self.screen.moved()
        with self.screen.one_look():
            plane = self.screen.place
            if plane is not None:
                self.current.arrive(plane)
            self._tell_plane()
        self._tell_prompts()

    def _image_data_changed(self, _event: Any = None) -> None:
        self.screen.moved()
        opened = self.images.opened
        if opened is not None and not opened.data_replaced():
            # annotations of an image of another shape cannot be shown
            image = opened.image
            self.image = None
            self.images.retire(image)
            self.points = self.shapes = self.labels = None
            self.image = image
            self._tell_edited(OTHER_SHAPE if opened.document.objects else "")
        self._plane_changed()

    def _image_moved(self, _event: Any = None) -> None:
        """Take the layers that lie on the image along, because its place in the world changed."""
        self._carry_layers()
        self.prompts.image_moved()
        self._transform_changed()

    def _carry_layers(self) -> None:
        opened = self.images.opened
        if opened is None:
            return
        before, opened.placement = opened.placement, placement(opened.image)
        if is_same_place(before, opened.placement):
            return
        self._is_carrying = True
        try:
            carry(opened.image, before, (self.points, self.shapes, self.labels))
        finally:
            self._is_carrying = False

    def _transform_changed(self, _event: Any = None) -> None:
        """Write all masks again, because a transform or an array changed."""
        if self.masks.is_widening or self._is_carrying:
            return  # only the labels' type changed, or the image follows
        self.screen.moved()
        self.prompts.read_again()
        if self.images.opened is not None:
            self.images.opened.drop_writers()
            self._tell_edited(self.masks.redraw())
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
        """Let the brush paint the current object."""
        labels, object_id = self.labels, self.current.number
        if labels is not None and object_id <= np.iinfo(dtype_of(labels.data)).max:
            labels.selected_label = object_id

    def _label_selected(self, _event: Any = None) -> None:
        """Make the chosen or picked label the current object."""
        labels = self.labels
        # 0 is the background, and no object
        if labels is not None and 1 <= labels.selected_label != self.current.number:
            self.current.number = int(labels.selected_label)

    def _view_moved(self, _event: Any = None) -> None:
        self._tell_view()

    def _painted(self, event: Any) -> None:
        """Turn a stroke of napari's brush, eraser or bucket into one step of the document."""
        with self.masks.taking_a_stroke():
            self._take_stroke(event.value)

    def _take_stroke(self, atoms: Any) -> None:
        plane, opened, labels = self.screen.place, self.images.opened, self.labels
        if plane is None or opened is None or labels is None:
            return
        strokes = opened.take_strokes(plane, labels, atoms)
        if not strokes:
            return
        self.sync()
        self.prompts.new_gesture()
        self.masks.write({stroke.plane for stroke in strokes})
        problem = self.edits.do(edits.paint(opened.document, strokes))
        # if no pixel was written since, napari still shows the reverted stroke
        labels.refresh(extent=False, thumbnail=False, highlight=False)
        self._tell_edited(problem or opened.kept_out(strokes))

    def _begin_stroke(self, object_id: int) -> Drawing | None:
        """Begin a stroke on a live pyramid; None where no plane is shown."""
        plane, opened = self.screen.place, self.images.opened
        if plane is None or opened is None:
            return None
        return Drawing(plane, edits.settings_of(opened.document, object_id).rule)

    def _brushed(self, strokes: list[BrushStroke], problem: str) -> None:
        """Turn a stroke on a live pyramid into one step of the document."""
        opened = self.images.opened
        if opened is None or not strokes:
            self._tell_edited(problem)
            return
        self.sync()
        self.prompts.new_gesture()
        refusal = self.edits.do(edits.paint(opened.document, strokes))
        self._tell_edited(refusal or problem or opened.kept_out(strokes))

    def _layer_removed(self, event: Any) -> None:
        gone, image = event.value, self.image
        if isinstance(gone, Labels):
            self.images.labels_deleted(gone, bound=gone is self.labels)
        if image is not None and gone is image:
            self.image = None
        elif gone is self.points:
            self.points = None
        elif gone is self.shapes:
            self.shapes = None
        elif gone is self.labels:
            self.labels = None
            self.masks.dismissed = True
        if isinstance(gone, Image):
            self.images.drop(gone)
