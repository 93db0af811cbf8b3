"""A person at a viewer without a window: all that they do to an annotation, and all that they can see."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from numpy.typing import NDArray

from canvas import Canvas
from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.engine.embedding import EmbeddingKey
from napari_samv1.engine.jobs import run_each
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.recording import Recorder
from napari_samv1.layers.reopening import reopen
from napari_samv1.masks.clean import CleanUp
from napari_samv1.records.frame import Frame
from napari_samv1.records.place import Plane
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.settings import Rule
from napari_samv1.storage.session.folder import open_session, save_session
from play.look import Index, Look, ObjectLook, PlaneLook, Row
from squares import SquarePredictor

Place = tuple[float, float]


class Person:
    """Works on images in one viewer. What an action answers, "" or a sentence, is kept in ``said``.

    ``images`` are the pixels by name, (H, W) or (Z, H, W); one slice of a stack lies at twice its number.
    """

    def __init__(self, images: Mapping[str, NDArray[np.uint8]], folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.binding = self._open_panel()
        self.viewer: Any = self.binding.viewer
        self.images: dict[str, Image] = {}
        self.layers_of: dict[str, tuple[Points | None, Shapes | None, Labels | None]] = {}
        self._waiting: list[Any] = []
        self._numbers = itertools.count(1)
        self.own_layers: set[Any] = set()  # by identity
        for name, pixels in images.items():
            scale = (2, 1, 1)[-pixels.ndim :] if pixels.ndim == 3 else (1, 1)
            layer = self.viewer.add_image(pixels.copy(), name=name, scale=scale, contrast_limits=(0, 9))
            self.images[name] = layer
            self.layers_of[name] = None, None, None
        self.image = next(iter(images))
        self.choose_image(self.image)

    def _open_panel(self) -> AnnotationBinding:
        viewer = ViewerModel()
        self.canvas = Canvas(viewer)
        self.predictor = SquarePredictor()
        return AnnotationBinding(viewer, on_edited=self.said.append)

    def close(self) -> None:
        """Close the panel; the layers stay."""
        self.binding.close()

    # Does: images and slices

    def choose_image(self, name: str) -> None:
        self.image = name
        self.binding.image = self.images[name]
        self.looked()

    def go_to(self, slice_number: int) -> None:
        if self.images[self.image].ndim == 3:
            self.viewer.dims.set_point(0, 2 * slice_number)
        self.looked()

    def look_in_3d(self) -> None:
        """Switch to 3D, try a key or two there, and switch back."""
        self.viewer.dims.ndisplay = 3
        self.looked()
        self._say(self.binding.edits.undo())
        self.viewer.dims.ndisplay = 2
        self.looked()

    def change_contrast(self, low: int) -> None:
        self.images[self.image].contrast_limits = (low, 9)
        self.looked()

    def move_the_image(self, rows: int, scale: float) -> None:
        """Set the image's place and pixel size, look at the same slice, and set them back."""
        image = self.images[self.image]
        in_plane = np.arange(image.ndim) >= image.ndim - 2
        moved = image.translate + rows * in_plane
        scaled = np.where(in_plane, image.scale * scale, image.scale)
        for name, value in (("translate", moved), ("scale", scaled)):
            before = getattr(image, name)
            setattr(image, name, value)
            self.looked()
            setattr(image, name, before)
            self.looked()

    def replace_pixels(self) -> None:
        """Give the image layer other pixels of the same shape, such as smoothed ones."""
        image = self.images[self.image]
        image.data = np.asarray(image.data) + np.uint8(1)
        self.looked()

    # Does: prompts

    def click(self, y: float, x: float, *, shift: bool = False) -> None:
        points = self.binding.points or self.binding.new_points()
        points.mode = "add"
        self.canvas.click(points, y, x, modifiers=("Shift",) if shift else ())
        self.looked()

    def drag_point(self, row: int, to: Place) -> None:
        """Move one of the points on the displayed plane, the ``row``-th of them."""
        rows = self._rows_shown(self.binding.points)
        if not rows:
            return
        points, row = self.binding.points, rows[row % len(rows)]
        points.mode = "select"
        start = tuple(map(float, points.data[row][-2:]))
        middle = tuple((a + b) / 2 for a, b in zip(start, to, strict=True))
        self.canvas.drag(points, start, middle, to, each=self.looked)
        points.selected_data = set()
        self.looked()

    def remove_point(self, row: int) -> None:
        """Select a point and press napari's own Delete."""
        rows = self._rows_shown(self.binding.points)
        if rows:
            self.binding.points.selected_data = {rows[row % len(rows)]}
            self.binding.points.remove_selected()
            self.looked()

    def select_point(self, row: int) -> None:
        """Select a point and let it go again."""
        rows = self._rows_shown(self.binding.points)
        if rows:
            self.binding.points.mode = "select"
            self.binding.points.selected_data = {rows[row % len(rows)]}
            self.looked()
            self.binding.points.selected_data = set()
            self.looked()

    def turn_point(self, row: int) -> None:
        """Select a point, and turn it from foreground to background or back."""
        rows = self._rows_shown(self.binding.points)
        if rows:
            self.binding.points.mode = "select"
            self.binding.points.selected_data = {rows[row % len(rows)]}
            self.binding.edits.flip_polarity()
            self.binding.points.selected_data = set()
            self.looked()

    def box(self, start: Place, end: Place) -> None:
        shapes = self.binding.shapes or self.binding.new_shapes()
        shapes.mode = "add_rectangle"
        middle = tuple((a + b) / 2 for a, b in zip(start, end, strict=True))
        self.canvas.drag(shapes, start, middle, end)
        shapes.selected_data = set()
        self.looked()

    def draw(self, kind: str, start: Place, end: Place) -> None:
        """Add an ellipse, a polygon or a path from code, as another plugin might."""
        (y0, x0), (y1, x1) = start, end
        if y0 == y1 or x0 == x1:
            return  # napari itself fails on a shape without an area, once it is looked at in 3D
        shapes = self.binding.shapes or self.binding.new_shapes()
        corners = [(y0, x0), (y0, x1), (y1, x1), ((y0 + y1) / 2, (x0 + x1) / 2), (y1, x0)]
        vertices = {"ellipse": [corners[n] for n in (0, 1, 2, 4)], "polygon": corners, "path": corners[:3]}
        plane = self.plane
        place = [] if len(plane) == 2 else [float(plane[0])]
        shapes.add(np.array([[*place, *corner] for corner in vertices[kind]]), shape_type=kind)
        shapes.selected_data = set()
        self.looked()

    def turn_next(self) -> None:
        """Turn the next prompt from foreground to background or back."""
        if self.binding.points is not None:
            self.binding.points.mode = "add"
        self.binding.edits.flip_polarity()
        self.looked()

    # Does: brush and bucket

    def paint(self, start: Place, end: Place, *, erase: bool = False) -> None:
        labels = self.binding.labels or self.binding.new_labels()
        labels.brush_size = 3
        labels.mode = "erase" if erase else "paint"
        if not erase and labels.selected_label != self.current:
            labels.selected_label = self.current
        self.canvas.drag(labels, start, end)
        self.looked()

    def fill(self, y: int, x: int) -> None:
        labels = self.binding.labels
        if labels is not None:
            labels.mode = "fill"
            labels.n_edit_dimensions = 2
            self.canvas.click(labels, y, x)
            self.looked()

    def pick_on_canvas(self, y: int, x: int) -> None:
        labels = self.binding.labels
        if labels is not None:
            labels.mode = "pick"
            self.canvas.click(labels, y, x)
            self.looked()

    # Does: settings, as the panel does

    def choose(self, choice: Any) -> None:
        self._set("choice", choice)

    def set_threshold(self, threshold: float) -> None:
        self._set("threshold", threshold)

    def clean(self, cleanup: CleanUp | None) -> None:
        self._set("cleanup", cleanup)

    def set_rule(self, rule: Rule) -> None:
        self._set("rule", rule)

    def _set(self, name: str, value: Any) -> None:
        self._do(lambda: self.binding.edits.set_settings(self.current, **{name: value}))

    # Does: objects

    def next_object(self) -> None:
        self.binding.current.next()
        self.looked()

    def pick(self, number: int) -> None:
        self.binding.current.number = number
        self.looked()

    def refine(self) -> None:
        self._do(self.binding.edits.refine)

    def split(self, *, share_background: bool) -> None:
        self._do(lambda: self.binding.edits.split(share_background=share_background))

    def clear(self) -> None:
        self._do(self.binding.edits.clear)

    def continue_object(self) -> None:
        """Go on with the object of the slice before."""
        self._do(self.binding.current.carry_over)

    def delete(self, number: int) -> None:
        self._do(lambda: self.binding.edits.delete(number))

    def remove_last(self) -> None:
        self._do(self.binding.edits.remove_last)

    def undo(self) -> None:
        self._do(self.binding.edits.undo)

    def redo(self) -> None:
        self._do(self.binding.edits.redo)

    def _do(self, action: Any) -> None:
        self._say(action())
        self.looked()

    # Does: layers

    def bind_own_points(self) -> None:
        """Choose the person's own Points layer for prompts; another choice gives it back."""
        self.binding.points = self._own_layer("my points")
        self.looked()

    def bind_new_points(self) -> None:
        self.binding.points = None
        self.binding.new_points()
        self.looked()

    def bind_points(self, choice: int) -> None:
        """Choose any Points layer of the right dimensions."""
        layers = self._layers(Points)
        if layers:
            self.binding.points = layers[choice % len(layers)]
            self.looked()

    def bind_shapes(self, choice: int) -> None:
        layers = self._layers(Shapes)
        if layers:
            self.binding.shapes = layers[choice % len(layers)]
            self.looked()

    def bind_labels(self, choice: int) -> None:
        layers = self._layers(Labels)
        if layers:
            self.binding.labels = layers[choice % len(layers)]
            self.looked()

    def bind_new_labels(self) -> None:
        self.binding.new_labels()
        self.looked()

    def add_own_layers(self) -> None:
        """Add layers of the person's own: points, boxes and labels, none of which is a prompt yet."""
        image = self.images[self.image]
        scale = image.scale
        zeros = [0] * (image.ndim - 2)
        self._add(
            Points([[*zeros, 5, 5], [*zeros, 8, 30]], scale=scale, features={"kind": ["a", "b"]}), "points"
        )
        corners = np.array([[*zeros, *corner] for corner in ((3, 40), (3, 50), (9, 50), (9, 40))])
        self._add(Shapes([corners], shape_type="rectangle", scale=scale, ndim=image.ndim), "shapes")
        labels = np.zeros(image.data.shape, dtype=np.uint16)
        labels[..., 2:8, 2:9] = 90
        labels[..., 20:30, 40:52] = 91
        self._add(Labels(labels, scale=scale), "labels")

    def _add(self, layer: Layer, kind: str) -> None:
        layer.name = f"my {kind} {next(self._numbers)}"
        self.own_layers.add(layer.unique_id)
        self.viewer.add_layer(layer)
        self.looked()

    def rename(self, which: int) -> None:
        layer = self.viewer.layers[which % len(self.viewer.layers)]
        layer.name = "renamed"
        self.looked()

    def reorder(self, which: int, to: int) -> None:
        count = len(self.viewer.layers)
        self.viewer.layers.move(which % count, to % count)
        self.looked()

    def hide(self, which: int) -> None:
        layer = self.viewer.layers[which % len(self.viewer.layers)]
        layer.visible = not layer.visible
        self.looked()

    def delete_layer(self, kind: str) -> None:
        """Delete one of the bound layers: "points", "shapes" or "labels"."""
        layer = getattr(self.binding, kind)
        if layer is not None:
            self._delete(layer)

    def delete_layer_of(self, name: str, kind: str) -> None:
        """Delete a layer of an image that may not be the chosen one."""
        layer = self.layers_of[name][("points", "shapes", "labels").index(kind)]
        if layer in self.viewer.layers:
            self._delete(layer)

    def _delete(self, layer: Layer) -> None:
        self.viewer.layers.remove(layer)
        self.looked()

    def _layers(self, kind: type[Layer]) -> list[Any]:
        ndim, shape = self.images[self.image].ndim, self.images[self.image].data.shape
        taken = {
            id(layer) for name, own in self.layers_of.items() if name != self.image for layer in own if layer
        }
        return [
            layer
            for layer in self.viewer.layers
            if isinstance(layer, kind)
            and layer.ndim == ndim
            and id(layer) not in taken
            and (kind is not Labels or layer.data.shape == shape)
        ]

    # Does: saving

    def save(self) -> Path:
        """Save all that is annotated into a new folder."""
        folder = self.folder / f"saved {next(self._numbers)}"
        save_session(folder, Recorder().record(self.binding, self.viewer.layers, {}))
        return folder

    def open(self, folder: Path) -> None:
        """Open a saved session on the images here."""
        record = open_session(folder)
        by_shape = {image.data.shape: image for image in self.images.values()}  # all differ; names may too
        images = [(by_shape[one.planes[0].source.image_shape], one) for one in record.images]
        self._say(reopen(self.binding, images))
        self.image = next(name for name, layer in self.images.items() if layer is self.binding.image)
        for image, _ in reversed(images):
            # what was bound for an image is asked of the panel by choosing it
            self.choose_image(next(name for name, layer in self.images.items() if layer is image))
        self.looked()

    # Does: waits

    def looked(self) -> None:
        """The panel notices what was done, as it does 30 ms later."""
        self._remember_layers()
        synced = self.binding.sync()
        self._say(synced.problem)
        self._ask()
        self._remember_layers()

    def _remember_layers(self) -> None:
        """Layers that are used for an image are no other image's any more."""
        if self.binding.image is not self.images[self.image]:
            return
        bound = self.binding.points, self.binding.shapes, self.binding.labels
        for name, layers in self.layers_of.items():
            points, shapes, labels = (
                layer if old is not layer else None for old, layer in zip(bound, layers, strict=True)
            )
            self.layers_of[name] = points, shapes, labels
        self.layers_of[self.image] = bound

    def wait(self) -> None:
        """Wait until every object of the displayed plane has its mask."""
        while self._waiting:
            results, self._waiting = self._waiting, []
            self._say(self.binding.edits.accept(results))
            self.looked()

    def _ask(self) -> None:
        if self._waiting:
            return  # the one thread that decodes is busy
        try:
            plane = self.binding.screen.plane()
        except NoPlaneError:
            return
        key = EmbeddingKey(
            f"{plane.name}{plane.key}",
            "a" * 64,
            Preparation(side=64),
            Frame.plan(plane.shape_yx, side=64, patch=8),
            plane.intensity,
            plane.gamma,
            "float32",
            "cpu",
        )
        embedding: Any = SimpleNamespace(key=key, image_hw=plane.shape_yx)
        self._waiting = run_each(self.predictor, self.binding.edits.jobs(embedding))

    def _say(self, sentence: str) -> None:
        if sentence:
            self.said.append(sentence)

    # Sees

    @property
    def current(self) -> int:
        """The current object."""
        return self.binding.current.number

    @property
    def plane(self) -> Index:
        """The displayed plane of the chosen image."""
        return self.binding.screen.plane().key.index

    @property
    def planes(self) -> list[Index]:
        """All planes of the chosen image."""
        return list(_planes_of(self.images[self.image]))

    @property
    def history(self) -> tuple[str, int]:
        """Name of the history that undo walks: each image has one."""
        return self.image, id(self.binding.document)

    @property
    def undo_depth(self) -> int:
        """Steps that undo could take back."""
        document = self.binding.document
        return 0 if document is None else len(document._history.past)

    @property
    def newest_step(self) -> Any:
        """The step that undo would revert; another one once a gesture was joined to it."""
        document = self.binding.document
        return document._history.past[-1] if document is not None and document._history.past else None

    @property
    def undo_label(self) -> str:
        return "" if self.binding.document is None else self.binding.document.undo_label

    @property
    def redo_label(self) -> str:
        return "" if self.binding.document is None else self.binding.document.redo_label

    @property
    def next_prompts(self) -> dict[str, tuple[int, str]]:
        """Object and polarity that the next prompt of each bound layer will have, and those promised."""
        promised = {"panel": (self.binding.current.number, str(self.binding.current.polarity))}
        for name in ("points", "shapes"):
            layer = getattr(self.binding, name)
            if layer is not None:
                defaults = layer.feature_defaults
                promised[name] = int(defaults["object"].iloc[0]), str(defaults["polarity"].iloc[0])
        return promised

    @property
    def bound(self) -> list[Layer]:
        """Layers that are used for the chosen image now."""
        return [layer for layer in self.layers_of[self.image] if layer is not None]

    def look(self) -> Look:
        """All that can be seen now."""
        documents = {one.image.unique_id: one.document for one in self.binding.images.with_pieces}
        planes = {}
        used = {id(layer) for own in self.layers_of.values() for layer in own if layer is not None}
        for name, image in self.images.items():
            points, shapes, labels = (
                layer if layer in self.viewer.layers else None for layer in self.layers_of[name]
            )
            for index in _planes_of(image):
                document = documents.get(image.unique_id)
                view = None if document is None else document.on(Plane(index))
                objects, order = ({}, ()) if view is None else (view.objects, view.stack)
                planes[name, index] = PlaneLook(
                    image.ndim,
                    {number: _object_look(one) for number, one in objects.items()},
                    order,
                    (*_point_rows(points, index), *_shape_rows(shapes, index)),
                    _pixels(labels, index),
                    "" if labels is None else str(labels.unique_id),
                    tuple("" if layer is None else str(layer.unique_id) for layer in (points, shapes)),
                )
        own = {
            str(layer.unique_id): fingerprint(layer) for layer in self.viewer.layers if id(layer) not in used
        }
        return Look(planes, own)

    def labels_of(self, name: str) -> Labels | None:
        """The Labels layer that shows an image's objects."""
        labels = self.layers_of[name][2]
        return labels if labels in self.viewer.layers else None

    def label_contents(self) -> dict[Any, NDArray[Any]]:
        """Copies of all Labels layers by their identity."""
        return {
            layer.unique_id: np.array(layer.data) for layer in self.viewer.layers if isinstance(layer, Labels)
        }

    def coordinates(self) -> dict[Any, Counter[Any]]:
        """Coordinates of all prompts in the bound layers, by the layer's identity."""
        return {
            layer.unique_id: Counter(
                tuple(map(float, np.round(np.ravel(row).astype(float), 3))) for row in layer.data
            )
            for layer in self.bound
            if not isinstance(layer, Labels)
        }

    def leaked(self) -> list[str]:
        """Callbacks and keys of ours on layers that are not bound; after ``close``, on anything."""
        bound = [layer for layer in (self.binding.points, self.binding.shapes, self.binding.labels) if layer]
        if self.binding.image is not None:
            bound.append(self.binding.image)
        free = [layer for layer in self.viewer.layers if not any(layer is one for one in bound)]
        found = [f"{layer.name}: {one}" for layer in free for one in _ours_on(layer)]
        if self.binding.image is not None:
            # any image may be a channel that the model sees
            found = [one for one in found if "ImageSight" not in one]
        if self.binding.image is None:
            for events in (self.viewer.layers.events, self.viewer.dims.events):
                found += [f"viewer: {one}" for one in _ours_among(events)]
        return found

    def _own_layer(self, name: str) -> Any:
        return next(layer for layer in self.viewer.layers if layer.name.startswith(name))

    def _rows_shown(self, layer: Points | None) -> list[int]:
        if layer is None or not len(layer.data):
            return []
        here = np.ones(len(layer.data), dtype=bool)
        for axis, place in enumerate(self.plane):
            if place is not None:
                here &= np.abs(np.asarray(layer.data)[:, axis] - place) < 0.5
        return [int(row) for row in np.flatnonzero(here)]


def fingerprint(layer: Layer) -> tuple[Any, ...]:
    """All of a layer that could be the person's work, as values."""
    data = layer.data
    arrays: Sequence[Any] = data if isinstance(data, list) else [data]
    parts = [(np.asarray(one).shape, np.asarray(one).tobytes()) for one in arrays]
    features = getattr(layer, "features", None)
    looks = [repr(np.asarray(layer.affine.affine_matrix).tolist()), repr(np.asarray(layer.scale).tolist())]
    if isinstance(layer, Points | Shapes):
        looks += [repr(layer.face_color.round(5).tolist())]
    return (type(layer).__name__, tuple(parts), "" if features is None else features.to_csv(), *looks)


def _planes_of(image: Image) -> Iterator[Index]:
    for place in np.ndindex(*image.data.shape[:-2]):
        yield (*map(int, place), None, None)


def _object_look(known: Any) -> ObjectLook:
    prompts = known.pointed
    points = [
        (*map(float, np.round(yx, 3)), int(label))
        for yx, label in zip(prompts.points_yx, prompts.labels, strict=True)
    ]
    boxes = [tuple(map(float, np.round(box, 3))) for box in prompts.boxes_yx]
    return ObjectLook(
        tuple(sorted(points)),
        tuple(sorted(boxes)),
        known.settings,
        known.mask,
        known.painted_in,
        known.painted_out,
        known.refined,
        known.pending,
    )


def _point_rows(layer: Points | None, index: Index) -> tuple[Row, ...]:
    if layer is None:
        return ()
    return _rows(layer, index, [("point", np.atleast_2d(one)) for one in layer.data])


def _shape_rows(layer: Shapes | None, index: Index) -> tuple[Row, ...]:
    if layer is None:
        return ()
    return _rows(layer, index, list(zip(layer.shape_type, layer.data, strict=True)))


def _rows(layer: Any, index: Index, prompts: Sequence[tuple[str, Any]]) -> tuple[Row, ...]:
    features = layer.features
    assert len(features) == len(prompts), "a prompt layer has as many rows of features as it has prompts"
    place = [(axis, own) for axis, own in enumerate(index) if own is not None]
    rows = []
    for row, (kind, vertices) in enumerate(prompts):
        if all(abs(vertices[0][axis] - own) < 0.5 for axis, own in place):
            numbers = features["object"].iloc[row], str(features["polarity"].iloc[row])
            rows.append((kind, *numbers, tuple(map(float, np.round(np.ravel(vertices).astype(float), 3)))))
    return tuple(sorted(rows, key=repr))


def _pixels(labels: Labels | None, index: Index) -> NDArray[Any] | None:
    if labels is None or labels.ndim != len(index):
        return None
    return np.array(labels.data[tuple(slice(None) if own is None else own for own in index)])


def _ours_among(events: Any) -> Iterator[str]:
    for name, emitter in events.emitters.items():
        if emitter is None:
            continue
        for callback in emitter.callbacks:
            reference, attribute = callback if isinstance(callback, tuple) else (lambda one=callback: one, "")
            target = reference()
            if type(target).__module__.startswith("napari_samv1") or getattr(
                target, "__module__", ""
            ).startswith("napari_samv1"):
                yield f"{name} -> {type(target).__name__}.{attribute}"


def _ours_on(layer: Layer) -> Iterator[str]:
    yield from _ours_among(layer.events)
    for callbacks in (layer.mouse_drag_callbacks, layer.mouse_move_callbacks):
        for callback in callbacks:
            if getattr(callback, "__module__", "").startswith("napari_samv1"):
                yield f"mouse -> {callback!r}"
    for key, callback in layer.keymap.items():
        if getattr(callback, "__module__", "").startswith("napari_samv1"):
            yield f"key {key}"
