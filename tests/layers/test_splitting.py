"""One object for each prompt."""

from __future__ import annotations

import numpy as np
import pytest

from napari_samv1.engine.jobs import run_each
from napari_samv1.layers.prompts.features import OBJECT, POLARITY


def areas(bound):
    ids, counts = np.unique(bound.labels.data, return_counts=True)
    return {int(one): int(count) for one, count in zip(ids, counts, strict=True) if one}


@pytest.fixture
def drawn(bound, canvas, settle):
    """Two points, a box and a background point, all of object 1."""
    shapes, points = bound.new_shapes(), bound.new_points()
    canvas.click(points, 10, 10)
    canvas.click(points, 30, 10)
    canvas.drag(shapes, (5, 30), (10, 40), (14, 49))
    canvas.click(points, 30, 14, modifiers=("Shift",))
    settle()
    return bound


def test_each_prompt_becomes_an_object_and_all_are_decoded_together(drawn, squares, embedding):
    assert list(drawn.shown.objects) == [1]
    assert drawn.split_current() == ""
    jobs = drawn.jobs(embedding)
    assert sorted(job.key[1] for job in jobs) == [1, 2, 3]
    assert drawn.accept_each(run_each(squares, jobs)) == ""
    assert sorted(areas(drawn)) == [1, 2, 3]
    prompts = {object_id: known.prompts for object_id, known in drawn.shown.objects.items()}
    assert prompts[1].points_yx[prompts[1].labels == 1].tolist() == [[10, 10]]
    assert prompts[2].points_yx[prompts[2].labels == 1].tolist() == [[30, 10]]
    assert len(prompts[3].boxes_yx) == 1


def test_background_points_are_shared(drawn):
    drawn.split_current()
    for object_id in (1, 2, 3):
        prompts = drawn.shown.get(object_id).prompts
        assert prompts.points_yx[prompts.labels == 0].tolist() == [[30, 14]]


def test_or_each_goes_to_the_nearest(drawn):
    drawn.split_current(share_background=False)
    backgrounds = {
        object_id: int((known.prompts.labels == 0).sum()) for object_id, known in drawn.shown.objects.items()
    }
    assert backgrounds == {1: 0, 2: 1, 3: 0}
    assert len(drawn.points.data) == 3


def test_splitting_is_one_step_to_undo(drawn, settle):
    features = drawn.points.features.copy()
    shown = drawn.labels.data.copy()
    drawn.split_current()
    settle()
    drawn.undo()
    settle()
    assert list(drawn.points.features[OBJECT]) == list(features[OBJECT])
    assert list(drawn.points.features[POLARITY].astype(str)) == list(features[POLARITY].astype(str))
    np.testing.assert_array_equal(drawn.labels.data, shown)
    assert list(drawn.shown.objects) == [1]
    drawn.redo()
    settle()
    assert sorted(drawn.shown.objects) == [1, 2, 3]


def test_new_objects_take_numbers_that_nobody_has(drawn):
    drawn.labels.data[0, 0] = 7
    drawn.split_current()
    assert sorted(drawn.shown.objects) == [1, 8, 9]


def test_a_single_prompt_is_not_split(bound, canvas, settle):
    canvas.click(bound.new_points(), 10, 10)
    settle()
    assert "at least two" in bound.split_current()
    assert list(bound.shown.objects) == [1]
