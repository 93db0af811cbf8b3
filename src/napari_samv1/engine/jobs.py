"""Decoding as values: a job goes to a worker, a result comes back, and neither can change under way."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_samv1.engine.objects import Derived, ObjectSettings, Request, derive

if TYPE_CHECKING:
    from napari_samv1.engine.embedding import Embedding
    from napari_samv1.engine.prediction import Prediction
    from napari_samv1.engine.predictor import Predictor

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DecodeJob:
    """One object to decode. ``ticket`` is unique among all sessions; the newest of an object counts."""

    object_id: int
    ticket: int
    request: Request
    settings: ObjectSettings
    embedding: Embedding


@dataclass(frozen=True, eq=False)
class DecodeResult:
    """What came of a job; ``error`` is a sentence, and "" when there is a prediction."""

    object_id: int
    ticket: int
    request: Request
    settings: ObjectSettings
    prediction: Prediction | None = None
    derived: Derived | None = None
    error: str = ""


def run(predictor: Predictor, job: DecodeJob) -> DecodeResult:
    """Decode one object and derive its mask; for a worker thread, so it reports instead of raising."""
    return run_each(predictor, [job])[0]


def run_each(predictor: Predictor, jobs: Sequence[DecodeJob]) -> list[DecodeResult]:
    """The same for several objects of one embedding, in one decoder batch."""
    if not jobs:
        return []
    if any(job.embedding is not jobs[0].embedding for job in jobs):
        raise ValueError("jobs of one batch must share one embedding; run them apart")
    try:
        predictions = predictor.answer_each(jobs[0].embedding, [job.request.prompts for job in jobs])
        return [_result(job, prediction) for job, prediction in zip(jobs, predictions, strict=True)]
    # an exception that leaves a worker never reaches the person who clicked
    except Exception as error:
        logger.exception("decoding %d objects failed", len(jobs))
        sentence = f"The mask could not be made: {error or type(error).__name__}"
        return [
            DecodeResult(job.object_id, job.ticket, job.request, job.settings, error=sentence) for job in jobs
        ]


def _result(job: DecodeJob, prediction: Prediction) -> DecodeResult:
    derived = derive(prediction, job.settings)
    return DecodeResult(job.object_id, job.ticket, job.request, job.settings, prediction, derived)
