"""Decoding: pending pieces -> jobs -> answers; only the newest request of each piece counts."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING

from napari_samv1.annotation.change import Change
from napari_samv1.annotation.document import Document
from napari_samv1.annotation.pieces import Answer, Piece, PieceKey, Request
from napari_samv1.engine.answers import AnswerCache, derive
from napari_samv1.engine.jobs import DecodeJob, DecodeResult, answering
from napari_samv1.records.place import Plane

if TYPE_CHECKING:
    from napari_samv1.engine.embedding import Embedding
    from napari_samv1.engine.prediction import Prediction
    from napari_samv1.engine.view import ImageView
    from napari_samv1.records.computation import Computation

_tickets = itertools.count(1)


class Decoding:
    """Makes jobs for pending pieces, and accepts their results from a worker."""

    def __init__(self, cache: AnswerCache | None = None) -> None:
        self.cache = AnswerCache() if cache is None else cache
        self.made_by: Computation | None = None  # of the next jobs
        self._asked: dict[tuple[int, PieceKey], DecodeJob] = {}

    def jobs(self, document: Document, plane: Plane, embedding: Embedding) -> list[DecodeJob]:
        """New jobs for a plane's pending pieces, those that its whole encoding answers."""
        document.encodings[plane] = embedding.key
        waiting = [piece for piece in _pending(document, plane) if not piece.settings.by_region]
        return self._new_jobs(document, waiting, embedding.key, embedding)

    def region_jobs(
        self, document: Document, plane: Plane, view: ImageView, key: Hashable
    ) -> list[DecodeJob]:
        """New jobs for a plane's pending pieces, those that its regions answer.

        ``key`` names the view: equal keys give equal answers.
        """
        document.views[plane] = key
        waiting = [piece for piece in _pending(document, plane) if piece.settings.by_region]
        return self._new_jobs(document, waiting, key, view)

    def _new_jobs(
        self, document: Document, pieces: Iterable[Piece], key: Hashable, on: Embedding | ImageView
    ) -> list[DecodeJob]:
        jobs = []
        for piece in pieces:
            detail = piece.settings.detail if piece.settings.by_region else "whole"
            request, place = Request(piece.prompts, key, detail), (id(document), piece.key)
            asked = self._asked.get(place)
            if asked is not None and asked.document is document and asked.request == request:
                continue
            job = self._job(document, piece, request, on)
            self._asked[place] = job
            jobs.append(job)
        return jobs

    def accept(self, results: Iterable[DecodeResult]) -> list[tuple[Document, Change]]:
        """Apply results; outdated and cancelled ones are dropped."""
        completed: dict[int, tuple[Document, list[tuple[Piece, Piece]]]] = {}
        for result in results:
            job, place = result.job, (id(result.job.document), result.job.key)
            if self._asked.get(place) is not job:
                continue
            del self._asked[place]
            self.remember(result)
            piece = job.document.piece(*job.key)
            if piece is None or not piece.pending:
                continue
            if result.prediction is None or result.answer is None:
                # counts as the answer to the newest request, because asking again would fail again
                asked = Request(piece.prompts, job.request.embedding_key)
                new = piece.failed(Answer(asked, piece.settings), result.error)
            elif result.answer.settings.derives_like(piece.settings):
                new = piece.answered(result.answer)
            elif result.answer.settings.detail != piece.settings.detail:
                continue
            else:
                request = result.answer.request
                new = piece.answered(derive(result.prediction, request, piece.settings, job.made_by))
            completed.setdefault(id(job.document), (job.document, []))[1].append((piece, new))
        return [(document, document.complete(pieces)) for document, pieces in completed.values()]

    def prediction(self, piece: Piece | None) -> Prediction | None:
        """Prediction that a piece's mask comes from, if still cached."""
        return None if piece is None or piece.answer is None else self.cache.prediction(piece.answer.request)

    def recall(
        self, document: Document, piece: Piece, on: Embedding | ImageView, key: Hashable
    ) -> DecodeJob | None:
        """Job for the prediction that a piece's mask came from, if no longer cached.

        ``on`` is the encoding, or the view for answers by region. None if there is nothing to recall, or
        another encoding answered. The result is for ``remember``, which leaves the piece unchanged.
        """
        answer = piece.answer
        if piece.pending or answer is None or answer.scores is None or self.prediction(piece) is not None:
            return None
        if piece.settings.by_region:
            return self._job(document, piece, Request(piece.prompts, key, piece.settings.detail), on)
        return self._job(document, piece, answer.request, on) if answer.request.embedding_key == key else None

    def remember(self, result: DecodeResult) -> None:
        """Cache a result's prediction."""
        if result.prediction is not None:
            request = answering(result.job, result.prediction)
            self.cache.put(request, result.prediction, result.job.made_by, question=result.job.request)

    def forget(self) -> None:
        """Forget running requests (cancelled, another model); the next ``jobs`` call asks again."""
        self._asked.clear()

    def _job(
        self, document: Document, piece: Piece, request: Request, on: Embedding | ImageView
    ) -> DecodeJob:
        return DecodeJob(document, piece.key, next(_tickets), request, piece.settings, on, self.made_by)


def _pending(document: Document, plane: Plane) -> list[Piece]:
    view = document.on(plane)
    return [view.objects[object_id] for object_id in view.pending]
