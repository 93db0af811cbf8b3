"""Prompts are parsed once, at the edge."""

from __future__ import annotations

import numpy as np
import pytest

from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.prompts import Prompts


def test_lists_become_read_only_arrays():
    prompts = Prompts(points_yx=[(1, 2), (3, 4)], labels=[1, 0], boxes_yx=[(0, 1, 5, 6)])
    assert prompts.points_yx.tolist() == [[1, 2], [3, 4]]
    assert prompts.labels.tolist() == [1, 0]
    assert prompts.boxes_yx.tolist() == [[0, 1, 5, 6]]
    assert len(prompts) == 3
    with pytest.raises(ValueError, match="read-only"):
        prompts.points_yx[0, 0] = 9


def test_later_changes_of_the_callers_array_do_not_reach_in():
    points = np.array([[1.0, 2.0]])
    prompts = Prompts(points, [1])
    points[0, 0] = 7
    assert prompts.points_yx[0, 0] == 1


def test_corners_come_in_any_order():
    assert Prompts(boxes_yx=[(9, 2, 1, 8)]).boxes_yx.tolist() == [[1, 2, 9, 8]]


def test_equal_prompts_are_equal_and_hash_alike():
    assert Prompts([(1, 2)], [1]) == Prompts(np.array([[1.0, 2.0]]), (1,))
    assert hash(Prompts([(1, 2)], [1])) == hash(Prompts([(1, 2)], [1]))
    assert Prompts([(1, 2)], [1]) != Prompts([(1, 2)], [0])
    assert Prompts([(1, 2)], [1]) != Prompts([(1, 3)], [1])


@pytest.mark.parametrize(
    ("prompts", "single", "background"),
    [
        (Prompts(), False, False),
        (Prompts([(1, 1)], [1]), True, False),
        (Prompts(boxes_yx=[(0, 0, 2, 2)]), True, False),
        (Prompts([(1, 1), (2, 2)], [0, 0]), False, True),
        (Prompts([(1, 1)], [0], [(0, 0, 2, 2)]), False, False),
    ],
)
def test_what_was_pointed_at(prompts, single, background):
    assert prompts.is_single is single
    assert prompts.only_background is background


BOX = (0, 0, 9, 9)
AREA = MaskCrop((0, 0), np.ones((3, 3), dtype=bool))


@pytest.mark.parametrize(
    ("prompts", "first"),
    [
        (Prompts([(1, 1)], [1]), Prompts([(1, 1)], [1])),
        (Prompts([(1, 1), (2, 2), (3, 3)], [0, 1, 1]), Prompts([(2, 2)], [1])),
        (Prompts([(1, 1)], [1], [BOX]), Prompts(boxes_yx=[BOX])),
        (Prompts([(1, 1)], [0]), Prompts([(1, 1)], [0])),
        (Prompts(), Prompts()),
    ],
)
def test_boxes_come_first_or_else_the_first_foreground_point(prompts, first):
    assert prompts.first == first


@pytest.mark.parametrize(
    ("prompts", "corrects"),
    [
        (Prompts([(1, 1)], [1]), False),
        (Prompts([(1, 1), (2, 2)], [1, 0]), True),
        (Prompts([(1, 1), (2, 2)], [0, 0]), False),
        (Prompts([(1, 1)], [1], [BOX]), True),
        (Prompts(boxes_yx=[BOX, BOX]), False),
        (Prompts([(1, 1), (2, 2)], [1, 0], area=AREA), False),
        (Prompts(), False),
    ],
)
def test_what_corrects_a_first_prompt_may_name_the_candidate_that_it_corrects(prompts, corrects):
    assert prompts.corrects is corrects
    named = prompts.correcting(2)
    assert named.candidate == (2 if corrects else None)
    assert (named == prompts) is not corrects
    assert named.is_close(prompts)
    assert named.correcting(None) == prompts
    assert named.first == prompts.first


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"candidate": 4}, "one of the four masks, 0 to 3, or None, got 4"),
        ({"points_yx": [(1, 2, 3)], "labels": [1]}, r"\(N, 2\).*shape \(1, 3\)"),
        ({"points_yx": [(1, 2)], "labels": []}, r"expected shape \(1,\), got \(0,\)"),
        ({"points_yx": [(1, 2)], "labels": [2]}, r"1 \(foreground\) or 0 \(background\), got \[2\]"),
        ({"points_yx": [(1, np.nan)], "labels": [1]}, "not finite"),
        ({"boxes_yx": (1, 2, 3, 4)}, r"\(M, 4\)"),
        ({"points_yx": "here", "labels": []}, r"\(N, 2\).*got 'here'"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(given, message):
    with pytest.raises(ValueError, match=message):
        Prompts(**given)


def test_close_prompts_differ_by_rounding_only():
    prompts = Prompts([(1.0, 2.0)], [1], [(0, 0, 5, 5)])
    assert prompts.is_close(Prompts([(1.0 + 1e-12, 2.0)], [1], [(0, 0, 5, 5 - 1e-12)]))
    for other in (
        Prompts([(1.001, 2.0)], [1], [(0, 0, 5, 5)]),
        Prompts([(1.0, 2.0)], [0], [(0, 0, 5, 5)]),
        Prompts([(1.0, 2.0)], [1], [(0, 0, 5, 5.01)]),
        Prompts([(1.0, 2.0)], [1]),
        Prompts([(1.0, 2.0), (1.0, 2.0)], [1, 1], [(0, 0, 5, 5)]),
        Prompts(),
    ):
        assert not prompts.is_close(other)
