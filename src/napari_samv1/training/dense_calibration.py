"""Calibration of the evidence for automatic masks, fitted on held-out scenes with labelled objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, replace

import numpy as np
from numpy.typing import NDArray

from napari_samv1.engine.automatic.dense_seeds import HeadProposer
from napari_samv1.engine.automatic.seeds import Answer, clicked, outlined
from napari_samv1.engine.model_input import encode, model_input
from napari_samv1.engine.predictor import Predictor
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.calibration import BY_IOU, Calibration
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.training.evaluate.images import TestImage, held_out

LEAST_EXPECTED = 0.5
"""Expected IoU above which a mask is kept: from 0.5 on it counts as found."""
LEAST_STABLE = 0.5
SHRINK = 0.5
"""Ridge of the fit, in masks."""
FACTORS = len(BY_IOU)

SCENES = (("nuclei", 3), ("crowd", 1), ("sheet", 3), ("tissue", 2), ("rods", 2), ("particles", 2))
"""Held-out scenes of each kind: some hundreds of objects."""


def calibrated(predictor: Predictor, tests: Sequence[TestImage] | None = None) -> Calibration:
    """The calibration of a predictor with a head, on synthetic scenes that no recipe draws."""
    proposer = predictor.proposer
    if not isinstance(proposer, HeadProposer):
        raise ValueError(f"{predictor.model.name} has no dense head to calibrate")
    scenes = [test for kind, count in SCENES for test in held_out(kind, count)] if tests is None else tests
    settings = AutomaticSettings()
    clicks: list[tuple[float, ...]] = []
    regions: list[tuple[float, ...]] = []
    for test in scenes:
        prepared = model_input(predictor.model, test.image)
        embedding = encode(predictor.model, prepared)
        proposals = proposer(replace(embedding, pixels_bchw=prepared.pixels_bchw))
        areas = np.bincount(test.labels.ravel())
        every = range(len(proposals))
        first = (one for some in clicked(predictor, embedding, proposals, every, settings) for one in some)
        second = (one for some in outlined(predictor, embedding, proposals, every, settings) for one in some)
        clicks += _rows(first, test.labels, areas)
        regions += _rows(second, test.labels, areas)
    return Calibration(iou=LEAST_EXPECTED, stability=LEAST_STABLE, click=_fit(clicks), region=_fit(regions))


def _rows(
    answers: Iterable[Answer], labels: NDArray[np.int64], areas: NDArray[np.intp]
) -> list[tuple[float, ...]]:
    """Rows of 1, a mask's evidence, and its IoU with the most similar object."""
    rows = []
    for answer in answers:
        truth = true_iou(answer.packed.crop(), labels, areas)
        # without the seed's score, which has another meaning by votes than by rims
        rows.append((1.0, *astuple(replace(answer.evidence, seed=0.0)), truth))
    return rows


def true_iou(crop: MaskCrop, labels: NDArray[np.int64], areas: NDArray[np.intp]) -> float:
    """IoU of a mask with the most similar object; ``areas`` counts the pixels of each label."""
    shared = np.bincount(labels[crop.region][crop.mask], minlength=len(areas))
    shared[0] = 0
    return float((shared / np.maximum(areas + crop.area - shared, 1)).max())


def _fit(rows: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    """Fit by least squares with a small ridge; with too few rows, take the predicted IoU alone."""
    table = np.array(rows, dtype=np.float64).reshape(-1, FACTORS + 1)
    if len(table) < 2 * FACTORS:
        return BY_IOU
    evidence, wanted = table[:, :FACTORS], table[:, FACTORS]
    factors = np.linalg.solve(evidence.T @ evidence + SHRINK * np.eye(FACTORS), evidence.T @ wanted)
    return tuple(round(float(one), 4) for one in factors)
