from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes
from napari.settings import get_settings
from napari.utils.key_bindings import KeymapHandler

from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.keys import FLIP_POLARITY, KEY_ACTIONS, NEXT_OBJECT, register_keys, shown_key


@pytest.fixture(autouse=True)
def registered():
    register_keys()
    register_keys()


@pytest.fixture
def bound():
    viewer = ViewerModel()
    binding = AnnotationBinding(viewer)
    binding.image = viewer.add_image(np.zeros((20, 30)), name="coins")
    yield binding
    binding.close()


def press(layer, key):
    handler = KeymapHandler()
    handler.keymap_providers = [layer]
    handler.press_key(key)
    handler.release_key(key)


@pytest.mark.parametrize("kind", ["points", "shapes"])
def test_a_key_on_a_prompt_layer_reaches_its_binding(bound, kind):
    layer = getattr(bound, f"new_{kind}")()
    press(layer, "Q")
    assert bound.polarity == "negative"
    press(layer, "Q")
    assert bound.polarity == "positive"
    before = bound.current_object
    if kind == "points":
        layer.add((3, 4))
    else:
        layer.add_rectangles([[2, 2], [9, 9]])
    press(layer, "N")
    assert bound.current_object == before + 1


def test_u_removes_the_last_prompt(bound):
    points = bound.new_points()
    points.add([(3, 4), (5, 6)])
    press(points, "U")
    assert len(points.data) == 1


def test_two_bindings_keep_to_their_own_layers(bound):
    other = AnnotationBinding(ViewerModel())
    other.image = other.viewer.add_image(np.zeros((20, 30)), name="other")
    points = other.new_points()
    bound.new_points()
    press(points, "Q")
    assert (bound.polarity, other.polarity) == ("positive", "negative")
    other.close()
    press(points, "Q")
    assert bound.polarity == "positive"


def test_on_a_layer_that_nobody_owns_the_keys_do_nothing(bound):
    bound.new_points()
    for layer in (Points([(1, 1)]), Shapes()):
        for action in KEY_ACTIONS:
            press(layer, action.default)
    assert bound.polarity == "positive"


def test_no_other_kind_of_layer_is_touched():
    taken = {action.default for action in KEY_ACTIONS}
    for kind in (Image, Labels):
        assert not taken & {str(key) for key in kind.class_keymap}


def test_the_shown_key_is_the_users_where_they_chose_one():
    assert shown_key(NEXT_OBJECT) == "N"
    user_keys = dict(get_settings().shortcuts.shortcuts)
    try:
        get_settings().shortcuts.shortcuts = {**user_keys, FLIP_POLARITY: ["J"]}
        assert shown_key(FLIP_POLARITY) == "J"
        get_settings().shortcuts.shortcuts = {**user_keys, FLIP_POLARITY: []}
        assert shown_key(FLIP_POLARITY) == ""
    finally:
        get_settings().shortcuts.shortcuts = user_keys
