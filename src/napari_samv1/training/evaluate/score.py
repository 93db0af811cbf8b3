"""Scores of a model's answers to prompts, as published with a release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_samv1.annotation.pieces import hinted
from napari_samv1.engine.prediction import Prediction
from napari_samv1.engine.predictor import Predictor
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.prompts import Prompts
from napari_samv1.training.evaluate.images import TestImage
from napari_samv1.training.evaluate.objects import Target, iou, targets
from napari_samv1.training.evaluate.wand import best_wand
from napari_samv1.training.prompting import deepest, rough_mask

CORRECTIONS = 8
SLACK = 0.1
Scores = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ImageScores:
    """Scores of one image: one number per object, except for the curves.

    ``best_of_3`` is the best of masks 1 to 3 after the click, ``predicted`` and ``stability`` are of the
    mask chosen after it. ``curve`` is (objects, 1 + CORRECTIONS): after the click and after each
    correction, as in the plugin, with the answer to the click as a mask hint; ``carried`` is the same with
    the latest answer, as in the paper. ``hinted`` repeats the click with its answer as a mask hint.
    ``rough`` is of a rough mask of the object, ``refined`` of the answer to it and the box around it.
    """

    name: str
    click: Scores
    best_of_3: Scores
    box: Scores
    sloppy_box: Scores
    wand: Scores
    predicted: Scores
    stability: Scores
    hinted: Scores
    curve: Scores
    carried: Scores
    rough: Scores
    refined: Scores


def score_image(predictor: Predictor, test: TestImage, *, most: int = 60) -> ImageScores:
    """Prompt for every object of an image, or for ``most`` of them drawn evenly."""
    objects = targets(test.labels)
    objects = [objects[i] for i in np.linspace(0, len(objects) - 1, min(most, len(objects))).astype(int)]
    embedding = predictor.embed(test.image)
    rng = np.random.default_rng(0)

    def answers(
        prompts: Sequence[Prompts], hints: Sequence[NDArray[np.float32] | None] | None = None
    ) -> list[Prediction]:
        return predictor.predict_each(embedding, prompts, mask_hints=hints)

    clicked = answers([one.click for one in objects])
    chosen = [answer.best() for answer in clicked]
    hints = [answer.logits[index] for answer, index in zip(clicked, chosen, strict=True)]
    roughs = [rough_mask(rng, one.mask) for one in objects]

    def corrected(*, carry: bool) -> Scores:
        latest, prompts = clicked, [one.click for one in objects]
        curve = [_ious(latest, objects)]
        for _ in range(CORRECTIONS):
            prompts = [_corrected(p, a, one) for p, a, one in zip(prompts, latest, objects, strict=True)]
            if carry:
                latest = answers(prompts, [a.logits[a.best()] for a in latest])
            else:
                latest = predictor.answer_each(embedding, prompts)
            curve.append(_ious(latest, objects))
        return np.stack(curve, axis=1)

    return ImageScores(
        name=test.name,
        click=_ious(clicked, objects),
        best_of_3=np.array(
            [
                max(iou(a.mask(i), one.mask) for i in (1, 2, 3))
                for a, one in zip(clicked, objects, strict=True)
            ]
        ),
        box=_ious(answers([one.box for one in objects]), objects),
        sloppy_box=_ious(answers([one.sloppy_box(rng, SLACK) for one in objects]), objects),
        wand=best_wand(test.image, objects),
        predicted=np.array([float(a.iou[i]) for a, i in zip(clicked, chosen, strict=True)]),
        stability=np.array([float(a.stability()[i]) for a, i in zip(clicked, chosen, strict=True)]),
        hinted=_ious(answers([one.click for one in objects], hints), objects, chosen),
        curve=corrected(carry=False),
        carried=corrected(carry=True),
        rough=np.array([iou(rough, one.mask) for rough, one in zip(roughs, objects, strict=True)]),
        refined=_ious(answers([hinted(Prompts(), MaskCrop.from_mask(rough)) for rough in roughs]), objects),
    )


def _ious(
    answers: Sequence[Prediction], objects: Sequence[Target], indices: Sequence[int] | None = None
) -> Scores:
    picked = [answer.best() for answer in answers] if indices is None else indices
    return np.array(
        [iou(a.mask(i), one.mask) for a, i, one in zip(answers, picked, objects, strict=True)],
        dtype=np.float64,
    )


def _corrected(prompts: Prompts, answer: Prediction, target: Target) -> Prompts:
    """One more click, in the middle of the widest error; a perfect mask is left alone."""
    wrong = answer.mask(answer.best()) != target.mask
    if not wrong.any():
        return prompts
    spot = deepest(wrong)
    return Prompts(
        points_yx=[*prompts.points_yx, spot],
        labels=[*prompts.labels, int(target.mask[spot])],
        boxes_yx=prompts.boxes_yx,
    )
