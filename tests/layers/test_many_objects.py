"""Five hundred objects on one plane: what concerns one of them touches no other."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_samv1.engine.jobs import run_each
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.prompts.features import OBJECT
from squares import LocalSquares

SIDE, COUNT, ACROSS = 2048, 500, 23


@pytest.fixture
def many():
    viewer, squares = ViewerModel(), LocalSquares()
    binding = AnnotationBinding(viewer)
    binding.image = viewer.add_image(np.zeros((SIDE, SIDE), dtype=np.uint8))
    places = np.stack(np.divmod(np.arange(COUNT), ACROSS), axis=1) * 80 + 40
    points = binding.new_points()
    points.add(places)
    features = points.features.copy()
    features[OBJECT] = np.arange(1, COUNT + 1)
    points.features = features
    embedding = SimpleNamespace(key="first", image_hw=(SIDE, SIDE))
    made = SimpleNamespace(binding=binding, points=points, squares=squares, places=places)
    made.answer = lambda: binding.edits.accept(run_each(squares, binding.edits.jobs(embedding)))
    binding.sync()
    assert made.answer() == ""
    yield made
    binding.close()


def test_all_of_them_have_their_own_label(many):
    labels = many.binding.labels.data
    rows, columns = many.places.T
    np.testing.assert_array_equal(labels[rows, columns], np.arange(1, COUNT + 1))
    assert np.count_nonzero(labels) == COUNT * 25


def test_editing_one_decodes_and_writes_that_one_alone(many, monkeypatch):
    binding, points = many.binding, many.points
    before, kept = binding.labels.data.copy(), dict(binding.shown.objects)
    many.squares.decoded.clear()
    moved = np.array(points.data)
    moved[249] += (0, 20)
    points.data = moved
    assert binding.sync().pending == (250,)
    assert many.answer() == ""
    assert len(many.squares.decoded) == 1
    changed = np.argwhere(before != binding.labels.data)
    y, x = many.places[249]
    np.testing.assert_array_equal(changed.min(axis=0), (y - 2, x - 2))
    np.testing.assert_array_equal(changed.max(axis=0), (y + 2, x + 22))
    others = {number for number, known in binding.shown.objects.items() if known is not kept[number]}
    assert others == {250}


def test_choosing_one_decodes_and_writes_nothing(many):
    binding = many.binding
    before = binding.labels.data.copy()
    many.squares.decoded.clear()
    for number in (7, 250, 500):
        binding.current.number = number
        assert binding.sync().pending == ()
        assert many.answer() == ""
    assert many.squares.decoded == []
    np.testing.assert_array_equal(before, binding.labels.data)


def test_deleting_one_and_undoing_it_leaves_the_others(many):
    binding = many.binding
    before = binding.labels.data.copy()
    many.squares.decoded.clear()
    assert binding.edits.delete(250) == ""
    assert set(np.unique(before)) - set(np.unique(binding.labels.data)) == {250}
    assert binding.edits.undo() == ""
    assert many.answer() == ""
    assert many.squares.decoded == []
    np.testing.assert_array_equal(before, binding.labels.data)
