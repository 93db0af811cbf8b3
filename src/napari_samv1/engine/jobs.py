"""Decoding as values: a job goes to a worker, a result comes back, and neither can change under way."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_samv1.annotation.pieces import Answer, PieceKey, Request
from napari_samv1.engine.answers import derive
from napari_samv1.records.settings import ObjectSettings

if TYPE_CHECKING:
    from napari_samv1.annotation.document import Document
    from napari_samv1.engine.embedding import Embedding
    from napari_samv1.engine.prediction import Prediction
    from napari_samv1.engine.protocol import AnswersPrompts
    from napari_samv1.records.computation import Computation

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DecodeJob:
    """One piece of a document to decode. ``ticket`` is unique; the newest of a piece counts."""

    document: Document
    key: PieceKey
    ticket: int
    request: Request
    settings: ObjectSettings
    embedding: Embedding
    made_by: Computation | None = None


@dataclass(frozen=True, eq=False)
class DecodeResult:
    """Outcome of a job: a prediction and the answer derived from it, or an ``error`` as a sentence."""

    job: DecodeJob
    prediction: Prediction | None = None
    answer: Answer | None = None
    error: str = ""


def run(predictor: AnswersPrompts, job: DecodeJob) -> DecodeResult:
    """Decode one piece and derive its mask; for a worker thread, so it reports instead of raising."""
    return run_each(predictor, [job])[0]


def run_each(predictor: AnswersPrompts, jobs: Sequence[DecodeJob]) -> list[DecodeResult]:
    """The same for several pieces of one embedding, in one decoder batch."""
    if not jobs:
        return []
    if any(job.embedding is not jobs[0].embedding for job in jobs):
        raise ValueError("jobs of one batch must share one embedding; run them apart")
    try:
        predictions = predictor.answer_each(jobs[0].embedding, [job.request.prompts for job in jobs])
        return [
            DecodeResult(job, prediction, derive(prediction, job.request, job.settings, job.made_by))
            for job, prediction in zip(jobs, predictions, strict=True)
        ]
    # an exception that leaves a worker never reaches the person who clicked
    except Exception as error:
        logger.exception("decoding %d objects failed", len(jobs))
        sentence = f"The mask could not be made: {error or type(error).__name__}"
        return [DecodeResult(job, error=sentence) for job in jobs]
