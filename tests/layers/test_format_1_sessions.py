"""Sessions that format 1 saved go on in a viewer: the same pixels, nothing asked again, edits undone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from format_1 import NAMES, SavedSession, saved_session
from napari_samv1.engine.jobs import run_each
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.reopening import could_be, plane_of, reopen, show
from napari_samv1.storage.session.folder import open_session
from napari_samv1.storage.session.record import PlaneRecord


@pytest.fixture(params=NAMES)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> SavedSession:
    return saved_session(request.param, tmp_path)


@pytest.fixture
def reopened(saved):
    """The session in a new viewer: the binding, and each image with its recorded planes."""
    viewer = ViewerModel()
    binding = AnnotationBinding(viewer)
    images = []
    placed = []
    records = open_session(saved.folder).images
    assert len(records) == len(saved.images())
    for (pixels, options), record in zip(saved.images(), records, strict=True):
        planes = record.planes
        image = viewer.add_image(pixels, name=planes[0].source.name, **options)
        assert could_be(image, planes[0].source)
        assert all(plane_of(image, plane) is not None for plane in planes)
        images.append((image, planes))
        placed.append((image, record))
    if saved.name == "transposed-axes":
        viewer.dims.order = (1, 2, 0)
    assert reopen(binding, placed) == ""
    yield binding, images
    binding.close()


def _shown(viewer: Any) -> list[Any]:
    return [
        np.array(layer.data[0][:, :] if layer.multiscale else layer.data)
        for layer in viewer.layers
        if isinstance(layer, Labels)
    ]


def _turn_to(binding: AnnotationBinding, image: Any, plane: PlaneRecord) -> None:
    binding.image = image
    show(binding.viewer, image, plane.source)
    assert binding.screen.plane().key.index == plane.source.index


def test_the_annotated_planes_of_the_labels_layers_hold_the_same_pixels(saved, reopened):
    binding, images = reopened
    shown, expected = _shown(binding.viewer), saved.layer_labels
    assert len(shown) == len(expected) == len(images)
    # the image that is shown in the end is the last to get its layers
    for now, then, (_, records) in zip(reversed(shown), expected, images, strict=True):
        if now.shape != then.shape:
            # once kept at a coarse level, now at full resolution: at the centres of the coarse pixels
            factor = now.shape[0] // then.shape[0]
            now = now[(factor - 1) // 2 :: factor, (factor - 1) // 2 :: factor]
        assert now.shape == then.shape
        for record in records:
            plane = tuple(slice(None) if own is None else own for own in record.source.index)
            np.testing.assert_array_equal(now[plane], then[plane])


def test_nothing_is_asked_again_but_what_was_still_awaited(saved, reopened):
    binding, images = reopened
    planes = iter(saved.planes)
    for image, records in images:
        for record in records:
            _turn_to(binding, image, record)
            objects = next(planes)["objects"]
            awaited = {int(number) for number, known in objects.items() if known["pending"]}
            assert set(binding.sync().pending) == awaited


def test_an_edit_is_answered_and_undone_without_a_trace(saved, reopened, squares):
    binding, images = reopened
    before = _shown(binding.viewer)
    for image, records in images:
        for record in records:
            _turn_to(binding, image, record)
            awaited = binding.sync().pending
            number = max((one for one in binding.document.objects if one < 60000), default=0) + 1
            binding.current.number = number
            if binding.points is None:
                binding.new_points()
            binding.points.add(record.source.to_image([(20, 100)])[0])
            binding.sync()
            embedding = SimpleNamespace(key="edit", image_hw=binding.screen.plane().shape_yx)
            for result in run_each(squares, binding.edits.jobs(embedding)):
                if result.job.key[1] not in awaited:
                    assert binding.edits.accept([result]) == ""
            assert any(
                not np.array_equal(now, then)
                for now, then in zip(_shown(binding.viewer), before, strict=True)
            )
            assert binding.edits.undo() == ""
            for now, then in zip(_shown(binding.viewer), before, strict=True):
                np.testing.assert_array_equal(now, then)
