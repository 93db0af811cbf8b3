"""The predictors that tests put in place of the network's are asked in the same way."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from discs import DiscPredictor
from napari_samv1.engine.prediction import Prediction
from napari_samv1.engine.predictor import Predictor
from napari_samv1.engine.protocol import AnswersPrompts, CandidateMasks, EncodesImages
from napari_samv1.records.frame import Frame
from napari_samv1.records.prompts import Prompts
from squares import LocalPrediction, LocalSquares, SquarePrediction, SquarePredictor

CLICK = Prompts([(3, 4)], [1])
FRAME = Frame.plan((40, 60), side=64, patch=8)


def answering(real: Predictor) -> list[AnswersPrompts]:
    """The type checker compares each with the protocol."""
    return [real, SquarePredictor(), LocalSquares(), DiscPredictor()]


def encoding(real: Predictor) -> list[EncodesImages]:
    return [real, DiscPredictor()]


def predictions() -> list[CandidateMasks]:
    logits, iou = np.zeros((4, *FRAME.logits_hw), np.float32), np.zeros(4, np.float32)
    return [
        Prediction(logits, iou, FRAME, ambiguous=True),
        SquarePrediction(CLICK, (40, 60)),
        LocalPrediction(CLICK, (40, 60)),
    ]


def calls(method: Any) -> list[inspect.Parameter]:
    return [one for one in inspect.signature(method).parameters.values() if one.name != "self"]


@pytest.mark.parametrize(
    ("double", "protocol"),
    [
        (Predictor, AnswersPrompts),
        (SquarePredictor, AnswersPrompts),
        (LocalSquares, AnswersPrompts),
        (DiscPredictor, AnswersPrompts),
        (Predictor, EncodesImages),
        (DiscPredictor, EncodesImages),
        (Prediction, CandidateMasks),
        (SquarePrediction, CandidateMasks),
        (LocalPrediction, CandidateMasks),
    ],
)
def test_every_call_that_the_protocol_allows_is_understood(double: type, protocol: type) -> None:
    methods = {name: member for name, member in vars(protocol).items() if inspect.isfunction(member)}
    called = {name: member for name, member in methods.items() if not name.startswith("_")}
    assert called
    for name, member in called.items():
        by_place = [one for one in calls(member) if one.kind is not inspect.Parameter.KEYWORD_ONLY]
        by_name = [one.name for one in calls(member) if one.kind is not inspect.Parameter.POSITIONAL_ONLY]
        given = [one for one in by_place if one.name not in by_name]
        inspect.signature(getattr(double, name)).bind(None, *given, **dict.fromkeys(by_name))


def test_doubles_answer_with_four_scores_and_one_of_four_masks() -> None:
    for one in predictions():
        assert len(one.iou) == len(one.stability(threshold=1.0)) == 4
        assert one.best() in range(4)
        assert one.frame.image_hw == (40, 60)
        assert one.batch == (0, 1)
        assert one.crop(one.best(), threshold=-1.0).area > 0
