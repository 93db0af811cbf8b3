"""Reopening of a saved session: its layers and its objects on the canvas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.utils.colormaps import Colormap
from numpy.typing import NDArray

from napari_samv1.annotation.edits import adopted
from napari_samv1.annotation.pieces import Object, Piece
from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.images.source import dtype_of
from napari_samv1.layers.affine import between_layers
from napari_samv1.layers.image import DisplayedPlane, plane_at
from napari_samv1.layers.labels.grid import label_grid
from napari_samv1.layers.labels.make import LabelsError, blocks, make_labels
from napari_samv1.layers.projection import projection_of, thicken
from napari_samv1.layers.prompts.features import PromptLayer
from napari_samv1.layers.prompts.show import fill
from napari_samv1.records.display import Channel, Display
from napari_samv1.records.place import Plane
from napari_samv1.storage.session.composite import PlaneLabels
from napari_samv1.storage.session.full_resolution import at_full_resolution, coarse_labels
from napari_samv1.storage.session.record import (
    ImageRecord,
    PlaneRecord,
    PlaneSource,
    SessionRecord,
)

if TYPE_CHECKING:
    from napari_samv1.layers.binding import AnnotationBinding

Placed = tuple[Image, ImageRecord]


def reopen(binding: AnnotationBinding, images: Sequence[Placed]) -> str:
    """Make the layers of a saved session, and continue with its objects; "" or a sentence.

    ``images`` are layers of the viewer, each with its record. Earlier annotations are forgotten; their layers
    stay in the viewer, hidden unless they are empty prompt layers.
    """
    spare = [layer for layer in (binding.points, binding.shapes) if layer is not None and not len(layer.data)]
    earlier = [layer for layer in (binding.points, binding.shapes, binding.labels) if layer is not None]
    _forget_all(binding)
    for layer in earlier:
        if not any(layer is other for other in spare):
            layer.visible = False
    problems = []
    # reversed, so that the first image is shown in the end
    for image, record in reversed(images):
        planes = [at_full_resolution(plane) for plane in record.planes]
        labels, has_all = _labels_of(binding, image, planes)
        pieces = [piece for plane in planes for piece in plane.pieces]
        orders = {Plane(plane.source.index): plane.order for plane in planes}
        problem = go_on(
            binding,
            image,
            labels,
            record.objects,
            pieces,
            orders,
            points=_take_spare(spare, image, Points),
            shapes=_take_spare(spare, image, Shapes),
        )
        _put_beneath(binding, labels)
        for plane in planes:
            sheet = binding.images.of(image).sheet(Plane(plane.source.index))
            sheet.pixels = plane.source.pixels
            if plane.beneath is not None and plane.beneath.shape == plane.shape_yx:
                sheet.beneath = plane.beneath
        problems.append(problem if has_all else "")
        problems.append(_keep_coarse(binding, image, planes))
    if images:
        image, record = images[0]
        show(binding.viewer, image, record.planes[0].source)
        problems.append(_show_slices(binding.viewer, image, record.planes))
    return next((problem for problem in problems if problem), "")


def go_on(
    binding: AnnotationBinding,
    image: Image,
    labels: Labels | None,
    objects: Iterable[Object],
    pieces: Iterable[Piece],
    orders: Mapping[Plane, Sequence[int]],
    *,
    points: Points | None = None,
    shapes: Shapes | None = None,
) -> str:
    """Continue the saved document of an image; "" or a sentence.

    ``labels`` holds the labels that belong to no object. Empty ``points`` and ``shapes`` are filled, missing
    ones made if there are such prompts; all layers passed are in the viewer. Earlier annotations on this
    image are forgotten.
    """
    binding.image = None
    binding.images.drop(image)
    binding.points = binding.shapes = binding.labels = None
    binding.image = image
    opened = binding.images.of(image)
    pieces = list(pieces)
    opened.document.restore(objects, pieces, orders)
    binding.labels = labels
    kinds = {shape.kind for piece in pieces for shape in piece.drawn}
    binding.points, binding.shapes = points, shapes
    fill(binding.prompts, opened)
    if shapes is None and kinds - {"point"}:
        binding.new_shapes()
    if points is None and "point" in kinds:
        binding.new_points()
    problem = binding.masks.write(opened.document.planes)
    binding.current.next()
    return problem


def _forget_all(binding: AnnotationBinding) -> None:
    """Forget all annotations, on all images; the layers stay as they are, and none is bound."""
    image = binding.image
    binding.image = None
    binding.images.forget_all()
    binding.points = binding.shapes = binding.labels = None
    binding.image = image


def show(viewer: Any, image: Image, source: PlaneSource) -> None:
    """Move the viewer's sliders to a plane of an image."""
    position = image.data_to_world(tuple(0 if at is None else at for at in source.index))
    first_axis = viewer.dims.ndim - image.ndim
    for axis, at in enumerate(source.index):
        if at is not None and first_axis + axis not in viewer.dims.displayed:
            viewer.dims.set_point(first_axis + axis, position[axis])


def _keep_coarse(binding: AnnotationBinding, image: Image, planes: Sequence[PlaneRecord]) -> str:
    """Make objects of other tools' labels for which there is no array; "" or a sentence on which are lost."""
    document, changed, too_large = binding.images.of(image).document, [], []
    for record in planes:
        plane = Plane(record.source.index)
        for label, pixels in coarse_labels(record):
            if pixels.empty:
                too_large.append(label)
            else:
                document.adopt(adopted(document, plane, label, pixels))
                changed.append(plane)
    problem = binding.masks.write(changed)
    if not too_large:
        return problem
    numbers = ", ".join(map(str, too_large))
    return (
        f"Labels of other tools are too large to be kept on “{image.name}” ({numbers}): save under another "
        f"name, so that the session which holds them stays."
    )


def _show_slices(viewer: Any, image: Image, planes: Sequence[PlaneRecord]) -> str:
    """Show as many slices around the sliders' plane as the model saw last; "" or a sentence."""
    keys = [(plane, _last_key(plane)) for plane in planes]
    plane, key = next(((plane, key) for plane, key in keys if key is not None), (planes[0], None))
    if key is None:
        return ""
    display: Display | None = getattr(key, "display", None)
    channels = () if display is None else display.channels
    channel = next((one for one in channels if one.pixels in ("", plane.source.pixels)), None)
    seen = None if channel is None else channel.projection
    slabs = next((one.projection.slabs for one in channels if one.projection is not None), ())
    index = planes[0].source.index
    if slabs and channel is not None:
        image.projection_mode = "none" if seen is None else seen.mode
    try:
        if slabs or projection_of(viewer, image, index) is not None:
            thicken(viewer, image, index, slabs)
        is_restored = (channel is None and bool(channels)) or projection_of(viewer, image, index) == seen
    except NoPlaneError as error:
        return str(error)
    wanted = "one slice" if seen is None else f"the {seen}"
    remedy = "set the slider's slice thickness (right-click on it)"
    return (
        ""
        if is_restored
        else f"The model saw {wanted} of image “{image.name}”: {remedy} for objects to come."
    )


def _last_key(plane: PlaneRecord) -> Any:
    """The key of the embedding that a plane's last answer came from; None without one."""
    answers = [piece.answer for piece in plane.pieces if piece.answer is not None]
    return answers[-1].request.embedding_key if answers else None


def could_be(image: Image, source: PlaneSource) -> bool:
    """Return True if an image has the shape and type of the annotated one."""
    first: Any = image.data[0] if image.multiscale else image.data
    return (
        tuple(first.shape[: image.ndim]) == source.image_shape
        and bool(image.rgb) == source.rgb
        and str(dtype_of(first).newbyteorder("=")) == source.dtype
    )


def plane_of(image: Image, record: PlaneRecord) -> DisplayedPlane | None:
    """The annotated plane in a candidate image; None if the image has no such level of detail."""
    try:
        plane = plane_at(image, record.source.index, level=record.source.level)
    except NoPlaneError:
        return None
    return plane if plane.shape_yx == record.shape_yx else None


def place(image: Image, planes: Sequence[PlaneRecord]) -> None:
    """Restore the place in the world, the units and the contrast of a reopened image."""
    source = planes[0].source
    axes = [axis for axis, at in enumerate(source.index) if at is None]
    matrix = np.asarray(source.world.matrix, dtype=np.float64)
    if image.ndim == 2 and (matrix[0, 1] or matrix[1, 0]):
        image.affine = np.vstack([matrix, [0, 0, 1]])
    elif not matrix[0, 1] and not matrix[1, 0]:
        scale, translate = np.array(image.scale), np.array(image.translate)
        scale[axes] = np.diag(matrix) / source.factors_yx
        translate[axes] = matrix[:, 2] - (np.asarray(source.factors_yx) - 1) / 2 * scale[axes]
        image.scale, image.translate = scale, translate
    units = list(map(str, image.units))
    for axis, unit in zip(axes, source.world.units, strict=True):
        units[axis] = unit
    image.units = tuple(units)
    keys = [key for key in map(_last_key, planes) if key is not None]
    key = keys[-1] if keys else None
    intensity = getattr(key, "intensity", None)
    if not image.rgb and isinstance(intensity, tuple) and not isinstance(intensity[0], str):
        image.contrast_limits = intensity
        image.gamma = getattr(key, "gamma", 1.0)


def channels_of(record: SessionRecord) -> list[ImageRecord]:
    """Images that were seen with the annotated ones, each with its planes."""
    annotated = {plane.source.pixels for plane in record.planes}
    images: dict[tuple[str, str, str, tuple[int, ...]], dict[str, PlaneRecord]] = {}
    for plane in record.planes:
        for channel in plane.channels:
            if channel.pixels not in annotated:
                image = channel.name, channel.path, channel.sample, channel.image_shape
                found = PlaneRecord(channel, plane.shape_yx)
                images.setdefault(image, {})[channel.pixels] = found
    return [ImageRecord((), tuple(planes.values())) for planes in images.values()]


def shown_channels(record: SessionRecord) -> dict[str, Channel]:
    """Return the last display of each channel, by the hash of its pixels."""
    shown = {}
    for plane in record.planes:
        for piece in plane.pieces:
            key = None if piece.answer is None else piece.answer.request.embedding_key
            display: Display | None = getattr(key, "display", None)
            for channel in () if display is None else display.channels:
                shown[channel.pixels or plane.source.pixels] = channel
    return shown


def show_as(image: Image, channel: Channel | None) -> None:
    """Restore the limits, colours and blending with which the model saw a reopened image."""
    if channel is None:
        return
    image.blending, image.opacity = channel.paint.blending, channel.paint.opacity
    image.projection_mode = "none" if channel.projection is None else channel.projection.mode
    if image.rgb:
        return
    image.gamma = channel.gamma
    if channel.low < channel.high:
        image.contrast_limits = channel.low, channel.high
    image.colormap = Colormap(np.array(channel.paint.colours), name=f"{image.name} as it was")


def _put_beneath(binding: AnnotationBinding, labels: Labels) -> None:
    """Move a Labels layer below the prompts."""
    layers = binding.viewer.layers
    above = [layers.index(layer) for layer in (binding.points, binding.shapes) if layer is not None]
    if above and layers.index(labels) > min(above):
        layers.move(layers.index(labels), min(above))


def _take_spare(spare: list[PromptLayer], image: Image, kind: type[Any]) -> Any:
    """Take an empty prompt layer with the image's placement, to fill it instead of making one."""
    for layer in spare:
        if isinstance(layer, kind) and layer.ndim == image.ndim and _same_place(layer, image):
            spare.remove(layer)
            return layer
    return None


def _same_place(layer: Layer, image: Image) -> bool:
    corners = np.vstack([np.zeros(image.ndim), np.eye(image.ndim)])
    return bool(np.allclose(between_layers(layer, image)(corners), corners, atol=1e-6))


def _labels_of(
    binding: AnnotationBinding, image: Image, planes: Sequence[PlaneRecord]
) -> tuple[Labels, bool]:
    """Make a Labels layer with the labels that belong to no object; True if it reaches all planes.

    If a stack with such labels is too large for one array, each other plane gets a finished layer of its own.
    """
    if all(record.beneath is None or record.beneath.shape != record.shape_yx for record in planes):
        labels = make_labels(image, plane_at(image, planes[0].source.index))
        if labels.multiscale:
            binding.viewer.add_layer(labels)
            return labels, True
    dtype = _dtype_for(planes)
    main, reaches_all = _empty_labels(binding, image, planes[0], dtype), True
    for record in planes:
        plane = plane_at(image, record.source.index)
        try:
            grid = label_grid(main, image, plane)
        except LabelsError:
            other, reaches_all = _empty_labels(binding, image, record, dtype), False
            _fill(other.data[label_grid(other, image, plane).index], record)
            other.refresh()
            continue
        if record.beneath is not None and record.beneath.shape == grid.shape_yx:
            main.data[grid.index] = record.beneath
    main.refresh()
    return main, reaches_all


def _fill(labels: NDArray[Any], record: PlaneRecord) -> None:
    """Draw a plane's labels, and touch no memory where it has none."""
    shown = PlaneLabels(record)
    for region in blocks(record.shape_yx, labels):
        if not shown.is_empty(region):
            labels[region] = shown.read(region)


def _empty_labels(
    binding: AnnotationBinding, image: Image, record: PlaneRecord, dtype: np.dtype[Any]
) -> Labels:
    labels = make_labels(image, plane_at(image, record.source.index), as_array=True)
    if labels.data.dtype != dtype:
        labels.data = np.zeros(labels.data.shape, dtype)
    binding.viewer.add_layer(labels)
    return labels


def _dtype_for(planes: Sequence[PlaneRecord]) -> np.dtype[Any]:
    """Integer type wide enough for every object and every label beneath."""
    highest = max((piece.id for plane in planes for piece in plane.pieces), default=0)
    dtype = np.promote_types(np.uint16, np.min_scalar_type(highest))
    for plane in planes:
        if plane.beneath is not None:
            dtype = np.promote_types(dtype, plane.beneath.dtype)
    return dtype if dtype.kind in "ui" else np.dtype(np.int64)
