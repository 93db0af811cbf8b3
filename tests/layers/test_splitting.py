"""One object for each prompt."""

from __future__ import annotations

import numpy as np
import pytest

from napari_samv1.engine.jobs import run_each
from napari_samv1.layers.prompts.features import OBJECT, POLARITY

HW = (40, 60)


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
    assert drawn.edits.split() == ""
    jobs = drawn.edits.jobs(embedding)
    assert sorted(job.key[1] for job in jobs) == [1, 2, 3]
    assert drawn.edits.accept(run_each(squares, jobs)) == ""
    assert sorted(areas(drawn)) == [1, 2, 3]
    prompts = {object_id: known.prompts for object_id, known in drawn.shown.objects.items()}
    assert prompts[1].points_yx[prompts[1].labels == 1].tolist() == [[10, 10]]
    assert prompts[2].points_yx[prompts[2].labels == 1].tolist() == [[30, 10]]
    assert len(prompts[3].boxes_yx) == 1


def test_background_points_are_shared(drawn):
    drawn.edits.split()
    for object_id in (1, 2, 3):
        prompts = drawn.shown.get(object_id).prompts
        assert prompts.points_yx[prompts.labels == 0].tolist() == [[30, 14]]


def test_or_each_goes_to_the_nearest(drawn):
    drawn.edits.split(share_background=False)
    backgrounds = {
        object_id: int((known.prompts.labels == 0).sum()) for object_id, known in drawn.shown.objects.items()
    }
    assert backgrounds == {1: 0, 2: 1, 3: 0}
    assert len(drawn.points.data) == 3


def test_splitting_is_one_step_to_undo(drawn, settle):
    features = drawn.points.features.copy()
    shown = drawn.labels.data.copy()
    drawn.edits.split()
    settle()
    drawn.edits.undo()
    settle()
    assert list(drawn.points.features[OBJECT]) == list(features[OBJECT])
    assert list(drawn.points.features[POLARITY].astype(str)) == list(features[POLARITY].astype(str))
    np.testing.assert_array_equal(drawn.labels.data, shown)
    assert list(drawn.shown.objects) == [1]
    drawn.edits.redo()
    settle()
    assert sorted(drawn.shown.objects) == [1, 2, 3]


def test_new_objects_take_numbers_that_nobody_has(drawn):
    drawn.labels.data[0, 0] = 7
    drawn.edits.split()
    assert sorted(drawn.shown.objects) == [1, 8, 9]


def test_a_single_prompt_is_not_split(bound, canvas, settle):
    canvas.click(bound.new_points(), 10, 10)
    settle()
    assert "click once on each" in bound.edits.split()
    assert list(bound.shown.objects) == [1]


@pytest.fixture
def merged(bound, viewer):
    """Label 9 of another tool: two squares of 11 x 11 pixels, joined by a bar 3 pixels high."""
    data = np.zeros(HW, dtype=np.uint16)
    data[10:21, 10:21] = data[10:21, 30:41] = data[14:17, 21:30] = 9
    bound.labels = viewer.add_labels(data)
    bound.current.number = 9
    return bound


@pytest.mark.parametrize("refined", [True, False])
def test_two_clicks_make_two_objects_of_a_merged_one(merged, canvas, settle, squares, refined):
    whole = merged.labels.data == 9
    if refined:
        assert merged.edits.refine() == ""
    points = merged.new_points()
    merged.sync()
    canvas.click(points, 15, 15)
    canvas.click(points, 15, 35)
    merged.sync()
    assert (merged.labels.data[whole] == 9).all()  # still its pixels: nothing is answered yet
    assert merged.edits.split() == ""
    first, second = merged.shown.get(9).mask.to_mask(HW), merged.shown.get(10).mask.to_mask(HW)
    np.testing.assert_array_equal(first | second, whole)
    assert not (first & second).any()
    assert first[10:21, 10:21].all()
    assert second[10:21, 30:41].all()
    np.testing.assert_array_equal(merged.labels.data, 9 * first + 10 * second)  # seen at once
    settle()
    nine, ten = sorted(squares.decoded, key=lambda one: one.points_yx[0, 1])
    assert nine.area.area + ten.area.area == np.count_nonzero(whole)
    assert nine.points_yx.tolist() == [[15, 15]]
    assert ten.points_yx.tolist() == [[15, 35]]
    assert nine.boxes_yx[0, 3] < ten.boxes_yx[0, 1]
    merged.edits.undo()
    np.testing.assert_array_equal(merged.labels.data == 9, whole)
    assert list(merged.shown.objects) == [9]


def test_clicks_on_one_piece_of_the_networks_own_mask_divide_it(bound, canvas, settle, squares):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    canvas.click(points, 10, 25)
    settle()
    assert areas(bound) == {1: 7 * 12}
    assert bound.edits.split() == ""
    assert sum(areas(bound).values()) == 7 * 12
    assert sorted(areas(bound)) == [1, 2]
    settle()
    assert all(one.area is not None for one in squares.decoded[-2:])


def test_a_single_prompt_in_a_merged_object_says_what_to_do(merged, canvas, settle):
    canvas.click(merged.new_points(), 15, 15)
    merged.sync()
    assert merged.edits.split() == (
        "To split object 9, click once on each of the objects in it, then Split again."
    )
