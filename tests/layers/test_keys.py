from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Points, Shapes, Vectors
from napari.settings import get_settings
from napari.utils.key_bindings import KeyBinding, KeymapHandler
from napari.utils.shortcuts import default_shortcuts

from app_on import app_on
from napari_samv1.app.actions import FLIP_POLARITY, KEYS, NEXT_OBJECT
from napari_samv1.engine.jobs import run_each
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.keys import PREFIX, register_keys, shown_key


@pytest.fixture(autouse=True)
def registered():
    register_keys()
    register_keys()


@pytest.fixture
def bound():
    viewer = ViewerModel()
    binding = AnnotationBinding(viewer)
    app, _ = app_on(binding)
    binding.image = viewer.add_image(np.zeros((20, 30)), name="coins")
    yield binding
    app.close()


def press(layer, key):
    handler = KeymapHandler()
    handler.keymap_providers = [layer]
    handler.press_key(key)
    handler.release_key(key)


@pytest.mark.parametrize("kind", ["points", "shapes"])
def test_a_key_on_a_prompt_layer_reaches_its_binding(bound, kind):
    layer = getattr(bound, f"new_{kind}")()
    press(layer, "Q")
    assert bound.current.polarity == "negative"
    press(layer, "Q")
    assert bound.current.polarity == "positive"
    before = bound.current.number
    if kind == "points":
        layer.add((3, 4))
    else:
        layer.add_rectangles([[2, 2], [9, 9]])
    press(layer, "N")
    assert bound.current.number == before + 1


def test_shift_backspace_removes_the_last_prompt_and_no_single_letter_does(bound):
    points = bound.new_points()
    points.add([(3, 4), (5, 6)])
    for key in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        press(points, key)
    assert len(points.data) == 2
    bound.current.number = 1  # N began another
    press(points, "Shift-Backspace")
    assert len(points.data) == 1


def test_two_bindings_keep_to_their_own_layers(bound):
    other = AnnotationBinding(ViewerModel())
    others_app, _ = app_on(other)
    other.image = other.viewer.add_image(np.zeros((20, 30)), name="other")
    points = other.new_points()
    bound.new_points()
    press(points, "Q")
    assert (bound.current.polarity, other.current.polarity) == ("positive", "negative")
    others_app.close()
    press(points, "Q")
    assert bound.current.polarity == "positive"


def test_on_a_layer_that_nobody_owns_the_keys_do_nothing(bound):
    bound.new_points()
    for layer in (Points([(1, 1)]), Shapes()):
        for action in KEYS:
            press(layer, action.key)
    assert bound.current.polarity == "positive"


def test_no_other_kind_of_layer_is_touched():
    taken = {action.key.replace("-", "+") for action in KEYS}
    assert taken <= {str(key) for key in Points.class_keymap}
    on_image = {action.key.replace("-", "+") for action in KEYS if action.on_image}
    assert taken & {str(key) for key in Image.class_keymap} == on_image
    assert not taken & {str(key) for key in Vectors.class_keymap}


def test_a_tool_s_key_works_also_on_the_image(bound):
    press(bound.image, "Shift-C")
    assert bound.points.mode == "add"
    assert bound.viewer.layers.selection.active is bound.points
    press(bound.image, "Shift-B")
    assert bound.shapes.mode == "add_rectangle"
    press(bound.image, "Shift-D")
    assert bound.labels.mode == "paint"


def test_keys_go_through_the_objects_and_delete_one(bound):
    points = bound.new_points()
    points.add((3, 4))
    press(points, "N")
    points.add((9, 9))
    press(points, "Shift-N")
    assert bound.current.number == 1
    press(points, "Shift-Delete")
    assert (bound.current.number, list(bound.shown.objects)) == (2, [2])


def test_none_of_napari_s_own_keys_is_taken():
    taken = {str(KeyBinding.from_str(action.key)) for action in KEYS}
    napari_s = {str(key) for keys in default_shortcuts.values() for key in keys}
    assert not taken & napari_s


def test_keys_choose_one_of_the_four_masks_also_on_the_masks_themselves(bound, squares, embedding):
    embedding.image_hw = (20, 30)
    points = bound.new_points()
    points.add([(10, 15)])
    bound.sync()
    for result in run_each(squares, bound.edits.jobs(embedding)):
        bound.edits.accept([result])
    assert bound.current.piece.chosen == 2
    press(points, "Alt-2")
    assert bound.current.piece.settings.choice == 1
    assert bound.current.piece.mask.area == 3 * 3
    press(bound.labels, "Alt-1")
    assert bound.current.piece.mask.area == 7 * 7
    press(bound.labels, "Alt-0")
    assert (bound.current.piece.settings.choice, bound.current.piece.chosen) == ("auto", 2)
    bound.edits.undo()
    assert bound.current.piece.settings.choice == 0


def test_before_there_is_an_object_the_choice_is_for_new_ones(bound):
    press(bound.new_points(), "Alt-3")
    assert bound.document.defaults.choice == 2


def test_on_the_masks_q_switches_between_brush_and_eraser(bound):
    bound.new_points()
    labels = bound.new_labels()
    bound.viewer.layers.selection.active = labels
    labels.mode = "paint"
    press(labels, "Q")
    assert labels.mode == "erase"
    press(labels, "Q")
    assert labels.mode == "paint"
    assert bound.current.polarity == "positive"
    labels.mode = "pan_zoom"
    press(labels, "Q")
    assert bound.current.polarity == "negative"


def test_the_shown_key_is_the_users_where_they_chose_one():
    assert shown_key(NEXT_OBJECT) == "N"
    user_keys = dict(get_settings().shortcuts.shortcuts)
    try:
        get_settings().shortcuts.shortcuts = {**user_keys, PREFIX + FLIP_POLARITY.name: ["J"]}
        assert shown_key(FLIP_POLARITY) == "J"
        get_settings().shortcuts.shortcuts = {**user_keys, PREFIX + FLIP_POLARITY.name: []}
        assert shown_key(FLIP_POLARITY) == ""
    finally:
        get_settings().shortcuts.shortcuts = user_keys
