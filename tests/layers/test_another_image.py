"""Choosing another image: a channel of the same recording shares the prompts, any other image does not."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_samv1.layers.binding import AnnotationBinding


@pytest.fixture
def binding():
    viewer = ViewerModel()
    first = viewer.add_image(np.zeros((30, 40), np.uint8), scale=(2, 2))
    binding = AnnotationBinding(viewer)
    binding.image = first
    binding.new_points()
    binding.new_labels()
    yield binding
    binding.close()


def add(binding: AnnotationBinding, shape_yx, scale) -> Image:
    return binding.viewer.add_image(np.ones(shape_yx, np.uint8), scale=scale)


def test_an_image_elsewhere_starts_without_the_prompts_and_the_first_has_its_own_back(binding):
    first, points, labels = binding.image, binding.points, binding.labels
    points.add([10, 10])
    binding.sync()
    binding.image = add(binding, (50, 60), (2, 2))
    assert binding.points is None
    assert binding.labels is None
    assert not binding.sync().pending
    binding.image = first
    assert binding.points is points
    assert binding.labels is labels
    assert binding.sync().pending


def test_another_channel_keeps_the_prompts(binding):
    points, labels = binding.points, binding.labels
    points.add([10, 10])
    binding.sync()
    binding.image = add(binding, (30, 40), (2, 2))
    assert binding.points is points
    assert binding.labels is labels
    assert binding.sync().pending


def test_layers_without_a_prompt_serve_any_image(binding):
    points = binding.points
    binding.image = add(binding, (50, 60), (2, 2))
    assert binding.points is points
    assert binding.labels is None  # it would cut the masks of a larger image


def test_the_next_image_after_one_was_removed_starts_without_its_prompts(binding):
    binding.points.add([10, 10])
    binding.sync()
    binding.viewer.layers.remove(binding.image)
    assert binding.points is not None
    binding.image = add(binding, (50, 60), (2, 2))
    assert binding.points is None
    assert binding.labels is None
