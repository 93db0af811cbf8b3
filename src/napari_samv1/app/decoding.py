"""Decoding: pending pieces -> jobs -> answers; of each piece only the newest question counts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from napari_samv1.annotation.change import Change
from napari_samv1.annotation.document import Document
from napari_samv1.annotation.pieces import Answer, Piece, PieceKey, Request
from napari_samv1.engine.answers import AnswerCache, derive
from napari_samv1.engine.jobs import DecodeJob, DecodeResult
from napari_samv1.records.place import Plane

if TYPE_CHECKING:
    from napari_samv1.engine.embedding import Embedding
    from napari_samv1.engine.prediction import Prediction
    from napari_samv1.records.computation import Computation

_tickets = itertools.count(1)


class Decoding:
    """Gives out jobs for pending pieces and takes their results; a worker runs them in between."""

    def __init__(self, cache: AnswerCache | None = None) -> None:
        self.cache = AnswerCache() if cache is None else cache
        self.made_by: Computation | None = None  # model and process that answer from now on
        self._asked: dict[tuple[int, PieceKey], DecodeJob] = {}

    def jobs(self, document: Document, plane: Plane, embedding: Embedding) -> list[DecodeJob]:
        """Jobs for a plane's pending pieces, without those that were asked in the same way already."""
        document.encodings[plane] = embedding.key
        view = document.on(plane)
        jobs = []
        for object_id in view.pending:
            piece = view.objects[object_id]
            request, place = Request(piece.prompts, embedding.key), (id(document), piece.key)
            asked = self._asked.get(place)
            if asked is not None and asked.document is document and asked.request == request:
                continue
            job = self._job(document, piece, request, embedding)
            self._asked[place] = job
            jobs.append(job)
        return jobs

    def accept(self, results: Iterable[DecodeResult]) -> list[tuple[Document, Change]]:
        """Take results; those no longer the newest of their piece, or no longer wanted, are dropped."""
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
                # counts as an answer to the newest question: asking again would fail again
                asked = Request(piece.prompts, job.request.embedding_key)
                new = piece.failed(Answer(asked, piece.settings), result.error)
            elif result.answer.settings.derives_like(piece.settings):
                new = piece.answered(result.answer)
            else:
                new = piece.answered(derive(result.prediction, job.request, piece.settings, job.made_by))
            completed.setdefault(id(job.document), (job.document, []))[1].append((piece, new))
        return [(document, document.complete(pieces)) for document, pieces in completed.values()]

    def prediction(self, piece: Piece | None) -> Prediction | None:
        """The network's answer that a piece's mask comes from, where it is still cached."""
        return None if piece is None or piece.answer is None else self.cache.prediction(piece.answer.request)

    def recall(self, document: Document, piece: Piece, embedding: Embedding) -> DecodeJob | None:
        """A job for the prediction that a piece's mask came from, where it is no longer cached.

        None where there is nothing to recall, or it was asked of another encoding. ``remember`` takes its
        result: the piece itself stays as it is.
        """
        answer = piece.answer
        if piece.pending or answer is None or answer.scores is None:
            return None
        if answer.request.embedding_key != embedding.key or self.prediction(piece) is not None:
            return None
        return self._job(document, piece, answer.request, embedding)

    def remember(self, result: DecodeResult) -> None:
        """Cache a result's prediction."""
        if result.prediction is not None:
            self.cache.put(result.job.request, result.prediction, result.job.made_by)

    def forget(self) -> None:
        """Forget running requests (cancelled, another model); the next ``jobs`` call asks again."""
        self._asked.clear()

    def _job(self, document: Document, piece: Piece, request: Request, embedding: Embedding) -> DecodeJob:
        return DecodeJob(
            document, piece.key, next(_tickets), request, piece.settings, embedding, self.made_by
        )
