"""A model whose masks are part, object and group scores one on the diagonal."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from napari_samv1.training.evaluate.images import TestImage
from napari_samv1.training.evaluate.nested import ambiguity

LEVELS = np.zeros((3, 40, 40), np.uint16)
LEVELS[2, 5:35, 5:35] = 1
LEVELS[1, 5:25, 5:25] = 1
LEVELS[1, 25:35, 25:35] = 2
LEVELS[0, 10:20, 10:20] = 1


@dataclass
class Answer:
    masks: list
    index: int

    def mask(self, index):
        return self.masks[index]

    def best(self):
        return self.index


def knowing(levels):
    """A predictor that knows the answers."""
    seen = []

    def answer(prompt):
        seen.append([tuple(spot) for spot in prompt.points_yx.astype(int).tolist()])
        planes = [plane == 1 for plane in levels]
        # one click: anything; a second: what it says
        best = 2 if len(prompt.labels) == 1 or prompt.labels[1] else 1
        return Answer([levels[1] > 9, *planes], best)

    def predict_each(_embedding, prompts):
        return [answer(prompt) for prompt in prompts if prompt.is_single]

    def answer_each(_embedding, prompts):
        return [answer(prompt) for prompt in prompts]

    return SimpleNamespace(embed=lambda image: None, predict_each=predict_each, answer_each=answer_each), seen


def test_each_mask_is_scored_against_each_level():
    predictor, seen = knowing(LEVELS)
    found = ambiguity(predictor, [TestImage("one", LEVELS[0], LEVELS[1].astype(int), LEVELS)])
    assert found.clicks == 1
    assert [len(spots) for spots in seen] == [1, 2, 2]
    for spots in seen:
        assert LEVELS[0][spots[0]] == 1
        assert [LEVELS[0][spot] for spot in spots[1:]] == [0] * len(spots[1:])
        assert {LEVELS[1][spot] for spot in spots} == {1}
    assert np.diag(found.masks) == pytest.approx([1, 1, 1])
    assert found.masks[0] == pytest.approx([1, 100 / 400, 100 / 900])
    assert found.best == pytest.approx([1, 1, 1])
    assert found.chosen == pytest.approx([100 / 400, 1, 400 / 900])
    assert found.grown == pytest.approx(found.chosen)
    assert found.cut == pytest.approx([1, 100 / 400, 100 / 900])
    assert "| mask 1 | 1.00 | 0.25 | 0.11 |" in found.table()


def test_scenes_without_parts_are_an_error():
    predictor, _ = knowing(LEVELS)
    with pytest.raises(ValueError, match="nested"):
        ambiguity(predictor, [TestImage("one", LEVELS[0], LEVELS[1].astype(int), LEVELS * 0)])
