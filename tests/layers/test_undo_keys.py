"""Ctrl+Z and Ctrl+Shift+Z on the layers of an annotation, pressed as napari presses them."""

from __future__ import annotations

import numpy as np
import pytest
from napari.utils.key_bindings import KeymapHandler

from napari_samv1.layers.key_owners import KEY_OWNERS

UNDO, REDO = "Control-Z", "Control-Shift-Z"


def press(layer, key):
    handler = KeymapHandler()
    handler.keymap_providers = [layer]
    handler.press_key(key)


class Owner:
    """Carries out the keys of an annotation's layers, as the app does."""

    def __init__(self, binding, said):
        self.binding, self.said = binding, said

    def owns(self, layer):
        binding = self.binding
        return any(layer is one for one in (binding.points, binding.shapes, binding.labels))

    def press(self, name, *, on_plane=False):
        if on_plane and self.binding.shown is None:
            return False
        self.said.append((self.binding.edits.undo if name == "undo" else self.binding.edits.redo)())
        return True


@pytest.fixture(autouse=True)
def owner(bound, notices):
    owner = Owner(bound, notices)
    KEY_OWNERS.discard(bound)  # without an app it has nobody to tell, and a set has no order
    KEY_OWNERS.add(owner)
    yield owner
    KEY_OWNERS.discard(owner)


@pytest.fixture
def annotated(bound, canvas, settle):
    """A click, then a stroke beside it, in this order."""
    bound.new_shapes()
    canvas.click(bound.new_points(), 10, 20)
    settle()
    labels = bound.labels
    labels.brush_size = 1
    labels.mode = "paint"
    canvas.drag(labels, (30, 30), (30, 33))
    return bound


def test_one_history_is_walked_from_any_of_the_layers(annotated, settle, notices):
    labels, points = annotated.labels, annotated.points
    drawn = labels.data.copy()
    press(labels, UNDO)
    assert np.count_nonzero(labels.data) == 25
    assert notices[-1] == ""
    press(points, UNDO)
    assert not labels.data.any()
    assert len(points.data) == 0
    press(annotated.shapes, REDO)
    assert len(points.data) == 1
    press(labels, REDO)
    settle()
    np.testing.assert_array_equal(labels.data, drawn)


def test_settings_are_steps_of_the_same_history(annotated):
    assert annotated.edits.set_settings(1, choice=3) == ""
    assert np.count_nonzero(annotated.labels.data) == 81 + 4
    press(annotated.labels, UNDO)
    assert np.count_nonzero(annotated.labels.data) == 25 + 4


def test_other_layers_keep_their_keys(annotated, viewer, canvas):
    other = viewer.add_labels(np.zeros((40, 60), dtype=np.uint8))
    other.brush_size = 1
    other.mode = "paint"
    canvas.drag(other, (5, 5), (5, 8))
    press(other, UNDO)
    assert not other.data.any()
    assert annotated.document.undo_label == "brush"


def test_letting_go_gives_the_keys_back(annotated, viewer):
    pressed = []
    labels, points = annotated.labels, annotated.points
    annotated.points = None
    points.bind_key(UNDO, lambda layer: pressed.append(layer))
    annotated.points = points
    press(points, UNDO)
    assert not pressed
    annotated.close()
    press(points, UNDO)
    assert pressed == [points]
    assert not labels.keymap
    labels.data_setitem((np.array([1]), np.array([1])), 5)
    press(labels, UNDO)
    assert labels.data[1, 1] == 0


def test_without_an_image_the_labels_layer_undoes_as_ever(annotated, viewer):
    labels = annotated.labels
    viewer.layers.remove(annotated.image)
    labels.data_setitem((np.array([1]), np.array([1])), 5)
    press(labels, UNDO)
    assert labels.data[1, 1] == 0
