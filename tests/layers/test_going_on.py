"""A saved session in another window: several planes, labels from elsewhere, every kind of prompt."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray
from napari.components import ViewerModel

from napari_samv1.annotation.pieces import Object, Piece
from napari_samv1.engine.embedding import EmbeddingKey
from napari_samv1.engine.jobs import run_each
from napari_samv1.layers import image as image_module
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.labels import make
from napari_samv1.layers.recording import Recorder
from napari_samv1.layers.reopening import could_be, place, plane_of, reopen
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.settings import OVERWRITE
from napari_samv1.storage.session import full_resolution
from napari_samv1.storage.session.codec import PIECE, Context
from napari_samv1.storage.session.folder import open_session, save_session
from napari_samv1.storage.session.record import ImageRecord, PlaneRecord, PlaneSource, SessionRecord
from painting import paint
from stores import tensor_store

HW = (40, 60)
PLACED = {"scale": (5, 0.2, 0.3), "translate": (1, 2, 3)}
KEY = EmbeddingKey(
    "0", "a" * 64, Preparation(side=64), Frame.plan(HW, side=64, patch=8), (3.0, 9.0), 0.5, "float32", "cpu"
)
EMBEDDING: Any = SimpleNamespace(key=KEY, image_hw=HW)


def stack() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 9, (4, *HW), dtype=np.uint8)


def box(height: int) -> np.ndarray:
    return np.array([[height, 20, 20], [height, 20, 40.5], [height, 30, 40.5], [height, 30, 20]])


def record_of(binding: AnnotationBinding) -> SessionRecord:
    return Recorder().record(binding, binding.viewer.layers, {})


def through_files(record: SessionRecord, folder) -> SessionRecord:
    return open_session(save_session(folder, record))


def decode(binding: AnnotationBinding, squares) -> None:
    binding.sync()
    for result in run_each(squares, binding.edits.jobs(EMBEDDING)):
        assert binding.edits.accept([result]) == ""


def shown(binding: AnnotationBinding) -> list:
    """All objects and pieces of each image, as a saved session would have them."""
    record = record_of(binding)
    context = Context()
    return [
        (
            image.objects,
            [
                (plane.source.index, plane.order, [PIECE.write(one, context) for one in plane.pieces])
                for plane in image.planes
            ],
        )
        for image in record.images
    ]


@pytest.fixture
def bindings():
    """Makes bindings in viewers of their own."""
    opened: list[AnnotationBinding] = []

    def make(**options: Any) -> AnnotationBinding:
        binding = AnnotationBinding(ViewerModel())
        opened.append(binding)
        binding.image = binding.viewer.add_image(stack(), name="stack", **options)
        return binding

    yield make
    for binding in opened:
        binding.close()


@pytest.fixture
def annotated(bindings, squares) -> AnnotationBinding:
    """Two planes with clicks, a box, an ellipse and a path, brush strokes, over labels from elsewhere."""
    binding = bindings(**PLACED)
    foreign = np.zeros((4, *HW), dtype=np.uint16)
    foreign[1, 5:15, 5:15] = 50
    labels = binding.viewer.add_labels(foreign, **PLACED)
    binding.viewer.dims.set_point(0, 1 + 5 * 1)
    binding.labels = labels
    binding.current.number = 1
    points, shapes = binding.new_points(), binding.new_shapes()
    points.add((1, 14, 14))
    decode(binding, squares)
    binding.edits.set_settings(1, rule=OVERWRITE)
    binding.current.number = 2
    shapes.add_rectangles(box(1))
    decode(binding, squares)
    paint(binding, 2, MaskCrop((0, 40), np.ones((4, 4), dtype=bool)))
    binding.viewer.dims.set_point(0, 1 + 5 * 3)
    binding.current.number = 3
    shapes.add_ellipses(np.array([[3, 10, 10], [3, 10, 20], [3, 20, 20], [3, 20, 10]]))
    binding.current.number = 4
    shapes.add_paths(np.array([[3, 30, 5], [3, 30, 50]]))
    decode(binding, squares)
    assert binding.labels.data[1, 14, 14] == 1
    assert (binding.labels.data[3] == 3).any()
    return binding


def test_a_session_of_several_planes_comes_back_as_it_was(annotated, bindings, squares, tmp_path):
    record = through_files(record_of(annotated), tmp_path / "session")
    assert [plane.source.index for plane in record.planes] == [(1, None, None), (3, None, None)]
    assert record.planes[0].beneath is not None
    assert record.planes[1].beneath is None
    decoded = len(squares.decoded)

    again = bindings(**PLACED)
    [image] = record.images
    planes = image.planes
    assert could_be(again.image, planes[0].source)
    assert reopen(again, [(again.image, image)]) == ""
    np.testing.assert_array_equal(again.labels.data, annotated.labels.data)
    assert shown(again) == shown(annotated)
    assert again.screen.plane().key.index == (1, None, None)
    for height in (1, 3):
        again.viewer.dims.set_point(0, 1 + 5 * height)
        assert again.sync().pending == ()
    assert len(squares.decoded) == decoded
    assert again.current.number == 51  # a click begins something new

    # what an object covered comes back when it goes
    again.viewer.dims.set_point(0, 1 + 5)
    assert again.edits.delete(1) == ""
    assert again.labels.data[1, 14, 14] == 50
    # and the record goes on with the same labels beneath
    assert record_of(again).planes[0].beneath is planes[0].beneath or np.array_equal(
        record_of(again).planes[0].beneath, planes[0].beneath
    )


def test_labels_beneath_are_not_copied_for_each_record(annotated):
    first, second = record_of(annotated), record_of(annotated)
    assert first.planes[0].beneath is second.planes[0].beneath
    annotated.viewer.dims.set_point(0, 1 + 5)
    annotated.current.number = 60
    annotated.points.add((1, 35, 35))
    annotated.sync()
    assert record_of(annotated).planes[0].beneath is first.planes[0].beneath


def test_an_image_opened_anew_lies_and_looks_as_it_did(annotated, bindings, tmp_path):
    record = through_files(record_of(annotated), tmp_path / "session")
    again = bindings()
    place(again.image, record.planes)
    np.testing.assert_allclose(again.image.scale[1:], PLACED["scale"][1:])
    np.testing.assert_allclose(again.image.translate[1:], PLACED["translate"][1:])
    assert tuple(again.image.contrast_limits) == (3, 9)
    assert again.image.gamma == 0.5


def test_another_image_is_none_that_the_session_fits(annotated, bindings):
    [first, _] = record_of(annotated).planes
    viewer = annotated.viewer
    assert plane_of(annotated.image, first) is not None
    assert not could_be(viewer.add_image(stack()[:3]), first.source)
    assert not could_be(viewer.add_image(stack().astype(np.uint16)), first.source)
    assert not could_be(viewer.add_image(np.zeros((4, *HW, 3), dtype=np.uint8), rgb=True), first.source)


def test_empty_prompt_layers_are_filled_and_those_of_earlier_work_are_hidden(
    annotated, bindings, squares, tmp_path
):
    record = through_files(record_of(annotated), tmp_path / "session")
    again = bindings(**PLACED)
    empty = again.new_points()
    boxes = again.new_shapes()
    again.viewer.dims.set_point(0, 1)
    boxes.add_rectangles(box(0))
    decode(again, squares)
    labels = again.labels
    assert reopen(again, [(again.image, record.images[0])]) == ""
    assert again.points is empty
    assert len(empty.data) == 1
    assert again.shapes is not boxes
    assert not boxes.visible
    assert not labels.visible
    assert again.labels.visible
    layers = list(again.viewer.layers)
    assert layers.index(again.labels) < layers.index(again.points)


def test_two_images_keep_their_own_layers_and_objects(bindings, squares, tmp_path):
    binding = bindings()
    binding.viewer.dims.set_point(0, 0)
    binding.new_points().add((0, 10, 10))
    decode(binding, squares)
    second = binding.viewer.add_image(stack()[:, :, ::-1].copy(), name="other")
    binding.image = second
    binding.points = binding.labels = None
    binding.current.number = 1
    binding.new_points().add((0, 20, 30))
    decode(binding, squares)
    paint(binding, 1, MaskCrop((0, 0), np.ones((2, 2), dtype=bool)))
    record = through_files(record_of(binding), tmp_path / "session")
    assert [plane.source.name for plane in record.planes] == ["stack", "other"]

    again = bindings()
    other = again.viewer.add_image(stack()[:, :, ::-1].copy(), name="other")
    images = [(again.image, record.images[0]), (other, record.images[1])]
    assert reopen(again, images) == ""
    assert again.image is images[0][0]
    assert shown(again) == shown(binding)
    for image in (other, images[0][0], other):
        again.image = image
        again.sync()
        assert shown(again) == shown(binding)
    assert again.labels.data[0, 20, 30] == 1
    assert again.labels.data[0, 0, 0] == 1


@pytest.fixture
def levels(monkeypatch) -> list[np.ndarray]:
    """An image of which only the second level is small enough to be looked at whole."""
    monkeypatch.setattr(image_module, "OVERVIEW_PIXELS", 40 * 60)
    monkeypatch.setattr(make, "LARGEST_PLANE", 40 * 60)
    pixels = np.random.default_rng(2).integers(0, 9, (80, 120), dtype=np.uint8)
    return [pixels, pixels[::2, ::2]]


def test_labels_of_others_on_a_large_plane_come_back_whole_however_often_it_is_saved(levels, tmp_path):
    theirs = np.zeros((80, 120), np.uint16)
    theirs[31, 77], theirs[10:20, 10:20] = 7, 9  # one pixel, and some that an object will cover
    viewer = ViewerModel()
    binding = AnnotationBinding(viewer)
    binding.image = viewer.add_image(levels, multiscale=True)
    binding.labels = viewer.add_labels(theirs.copy())
    binding.document.defaults = replace(binding.document.defaults, rule=OVERWRITE)
    paint(binding, 10, MaskCrop((15, 15), np.ones((9, 9), bool)))
    assert binding.labels.data[19, 19] == 10
    for turn in range(3):
        record = record_of(binding)
        np.testing.assert_array_equal(record.planes[0].beneath, theirs)
        binding.close()
        viewer = ViewerModel()
        binding = AnnotationBinding(viewer)
        image = viewer.add_image(levels, multiscale=True)
        [opened] = through_files(record, tmp_path / str(turn)).images
        assert reopen(binding, [(image, opened)]) == ""
    binding.edits.delete(10)
    np.testing.assert_array_equal(binding.labels.data, theirs)
    binding.close()


def coarse_record(levels) -> SessionRecord:
    """A session of an older version: annotated, and its labels kept, at the second level."""
    beneath = np.zeros((40, 60), np.uint16)
    beneath[3:5, 7:10], beneath[39, 59], beneath[20:30, 20:30] = 4, 5, 6
    mask = MaskCrop((21, 21), np.ones((2, 3), bool))
    piece = Piece(1, painted_in=mask, mask=mask)
    source = PlaneSource("Image", levels[0].shape, "uint8", level=1, factors_yx=(2, 2))
    plane = PlaneRecord(source, (40, 60), (piece,), (1,), beneath)
    return SessionRecord((ImageRecord((Object(1),), (plane,)),))


def test_labels_of_others_at_a_coarse_level_are_enlarged_and_saved_again(levels, tmp_path):
    viewer = ViewerModel()
    binding = AnnotationBinding(viewer)
    image = viewer.add_image(levels, multiscale=True)
    record = coarse_record(levels)
    [opened] = through_files(record, tmp_path / "old").images
    assert reopen(binding, [(image, opened)]) == ""
    expected = record.planes[0].beneath.repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(record_of(binding).planes[0].beneath, expected)
    binding.close()


def test_coarse_labels_too_many_for_an_array_become_objects_and_what_is_too_large_is_said(
    levels, tmp_path, monkeypatch
):
    monkeypatch.setattr(full_resolution, "MOST_PIXELS", 399)
    viewer = ViewerModel()
    binding = AnnotationBinding(viewer)
    image = viewer.add_image(levels, multiscale=True)
    [opened] = through_files(coarse_record(levels), tmp_path / "old").images
    assert "(6): save under another name" in reopen(binding, [(image, opened)])
    assert binding.labels.multiscale
    assert sorted(binding.document.objects) == [1, 4, 5]
    assert binding.document.pieces_of(4)[0].mask == MaskCrop((6, 14), np.ones((4, 6), bool))
    assert binding.document.pieces_of(5)[0].mask == MaskCrop((78, 118), np.ones((2, 2), bool))
    assert np.asarray(binding.labels.data[0][78:, 118:]).tolist() == [[5, 5], [5, 5]]
    assert [piece.id for piece in record_of(binding).planes[0].pieces] == [1, 4, 5]
    binding.close()


@pytest.mark.parametrize("holder", ["xarray", "tensorstore"])
def test_an_image_that_another_package_holds_goes_on(bindings, squares, tmp_path, holder):
    binding = bindings()
    pixels = stack()[0]
    if holder == "xarray":
        held: Any = xarray.DataArray(pixels, dims=("y", "x"))
    else:
        held = tensor_store(tmp_path / "image.zarr", pixels)
    binding.image = binding.viewer.add_image(held, name="held", contrast_limits=(0, 9))
    points = binding.new_points()
    points.add((14, 14))
    decode(binding, squares)
    record = through_files(record_of(binding), tmp_path / "session")
    [annotated] = [image for image in record.images if any(plane.pieces for plane in image.planes)]
    assert annotated.planes[0].source.dtype == "uint8"
    again = bindings()
    image = again.viewer.add_image(held, name="held", contrast_limits=(0, 9))
    assert could_be(image, annotated.planes[0].source)
    again.image = image
    assert reopen(again, [(image, annotated)]) == ""
    np.testing.assert_array_equal(np.asarray(again.labels.data), np.asarray(binding.labels.data))
