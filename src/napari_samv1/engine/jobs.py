"""Decoding as frozen records: the job that a worker gets, and the result that it returns."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_samv1.annotation.pieces import Answer, PieceKey, Request
from napari_samv1.engine.answers import derive
from napari_samv1.engine.lost_card import is_card_lost
from napari_samv1.engine.progress import Cancelled, OnProgress
from napari_samv1.records.detail import Detail
from napari_samv1.records.settings import ObjectSettings

if TYPE_CHECKING:
    from napari_samv1.annotation.document import Document
    from napari_samv1.engine.embedding import Embedding
    from napari_samv1.engine.prediction import Prediction
    from napari_samv1.engine.protocol import AnswersPrompts
    from napari_samv1.engine.view import ImageView
    from napari_samv1.records.computation import Computation

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DecodeJob:
    """One piece of a document to decode. ``ticket`` is unique; the newest of a piece counts.

    ``on`` is the plane's embedding, or a view of the plane if the request asks for a detail.
    """

    document: Document
    key: PieceKey
    ticket: int
    request: Request
    settings: ObjectSettings
    on: Embedding | ImageView
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


def run_each(
    predictor: AnswersPrompts, jobs: Sequence[DecodeJob], on_progress: OnProgress | None = None
) -> list[DecodeResult]:
    """Decode several pieces as ``run`` does one, in one decoder batch for each embedding and detail.

    ``on_progress`` is called while regions are encoded, and may raise ``Cancelled``, which is passed on. The
    error of a failed graphics card is passed on too: the jobs can be repeated on another device.
    """
    together: dict[tuple[int, Detail], list[int]] = defaultdict(list)
    for place, job in enumerate(jobs):
        together[id(job.on), job.request.detail].append(place)
    results: dict[int, DecodeResult] = {}
    for places in together.values():
        same = [jobs[place] for place in places]
        results.update(zip(places, _run_together(predictor, same, on_progress), strict=True))
    return [results[place] for place in range(len(jobs))]


def _run_together(
    predictor: AnswersPrompts, jobs: Sequence[DecodeJob], on_progress: OnProgress | None
) -> list[DecodeResult]:
    on: Any = jobs[0].on
    prompts, detail = [job.request.prompts for job in jobs], jobs[0].request.detail
    try:
        if detail == "whole":
            predictions = predictor.answer_each(on, prompts)
        else:
            predictions = on.answer_each(prompts, detail, on_progress)
        return [
            DecodeResult(job, one.on_cpu(), derive(one, answering(job, one), job.settings, job.made_by))
            for job, one in zip(jobs, predictions, strict=True)
        ]
    except Cancelled:
        raise
    # catches all, because an exception in a worker would not reach the user
    except Exception as error:
        if is_card_lost(error):
            raise
        logger.exception("decoding %d objects failed", len(jobs))
        sentence = f"The mask could not be made: {error or type(error).__name__}"
        return [DecodeResult(job, error=sentence) for job in jobs]


def answering(job: DecodeJob, prediction: Prediction) -> Request:
    """Request that a prediction answers; for an answer from a view, the request for the decoded region."""
    if job.request.detail == "whole" or prediction.key is None:
        return job.request
    return Request(job.request.prompts, prediction.key, job.request.detail)
