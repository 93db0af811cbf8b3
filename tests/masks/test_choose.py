"""Which of the four masks answers a prompt."""

import numpy as np
import pytest

from napari_samv1.masks.choose import best_index

IOU = np.array([0.9, 0.3, 0.7, 0.6])
STABILITY = np.array([0.2, 0.8, 0.1, 0.9])


def test_an_ambiguous_prompt_gets_the_best_of_the_last_three():
    assert best_index(IOU, STABILITY, ambiguous=True) == 2


def test_several_prompts_get_mask_zero_whatever_the_scores():
    assert best_index(1 - IOU, STABILITY, ambiguous=False) == 0


@pytest.mark.parametrize("ambiguous", [True, False])
def test_by_a_score_takes_the_best_of_all_four(ambiguous):
    assert best_index(IOU, STABILITY, ambiguous, by="iou") == 0
    assert best_index(IOU, STABILITY, ambiguous, by="stability") == 3


def test_only_by_stability_needs_the_stability():
    assert best_index(IOU, None, True) == 2
    with pytest.raises(ValueError, match="stability must hold one score for each of four"):
        best_index(IOU, None, True, by="stability")


def test_unknown_rules_and_other_numbers_of_masks_are_refused():
    with pytest.raises(ValueError, match="by must be"):
        best_index(IOU, STABILITY, True, by="area")
    with pytest.raises(ValueError, match="iou must hold one score"):
        best_index(IOU[:3], STABILITY, True)
