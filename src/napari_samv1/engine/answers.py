"""Cache of predictions, bounded by bytes, and the masks that settings derive from them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from napari_samv1.annotation.pieces import Answer, CandidateScores, Request
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.prompts import FOREGROUND, Prompts
from napari_samv1.records.settings import ObjectSettings

if TYPE_CHECKING:
    from napari_samv1.engine.prediction import Prediction
    from napari_samv1.engine.protocol import CandidateMasks
    from napari_samv1.records.computation import Computation

KEPT_BYTES = 128 << 20
"""Size of about a hundred predictions of a 64 x 64 token grid."""


def derive(
    prediction: CandidateMasks, request: Request, settings: ObjectSettings, made_by: Computation | None = None
) -> Answer:
    """Choose one of the four masks, threshold it, and clean it."""
    chosen = prediction.best() if settings.choice == "auto" else settings.choice
    mask = prediction.crop(chosen, threshold=settings.threshold)
    if settings.clicked_piece:
        mask = clicked_piece(mask, request.prompts)
    if settings.cleanup is not None:
        mask = settings.cleanup.apply(mask, prediction.frame.image_hw)
    iou = tuple(float(value) for value in prediction.iou)
    stability = tuple(float(value) for value in prediction.stability(threshold=settings.threshold))
    scores = CandidateScores(iou, stability)
    if made_by is not None:
        made_by = made_by.decoding_in(prediction.decoder)
    return Answer(request, settings, mask, chosen, scores, prediction.batch, made_by)


def clicked_piece(mask: MaskCrop, prompts: Prompts) -> MaskCrop:
    """Piece of a mask under a single click; the whole mask for other prompts, or a click outside it."""
    alone = len(prompts) == 1 and len(prompts.points_yx) == 1 and prompts.area is None
    if not alone or prompts.labels[0] != FOREGROUND or mask.empty:
        return mask
    from skimage.measure import label

    y, x = np.floor(prompts.points_yx[0] + 0.5).astype(int) - mask.origin_yx
    inside = 0 <= y < mask.mask.shape[0] and 0 <= x < mask.mask.shape[1]
    if not inside or not mask.mask[y, x]:
        return mask
    pieces, count = label(mask.mask, connectivity=2, return_num=True)
    return mask if count == 1 else MaskCrop.from_mask(pieces == pieces[y, x], mask.origin_yx)


class AnswerCache:
    """Predictions by request; the least recently used ones are dropped when bytes run out."""

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self.limit = limit
        self._kept: OrderedDict[Request, tuple[Prediction, Computation | None]] = OrderedDict()
        self._answered: dict[Request, Request] = {}  # request to a view -> request of the region
        self._bytes = 0

    @property
    def nbytes(self) -> int:
        """Bytes of logits that are kept."""
        return self._bytes

    def put(
        self,
        request: Request,
        prediction: Prediction,
        made_by: Computation | None = None,
        *,
        question: Request | None = None,
    ) -> None:
        """Keep a prediction; ``question`` is the request put to a view, if it is another one."""
        self._drop(request)
        self._kept[request] = prediction, made_by
        if question is not None and question != request:
            self._answered[question] = request
        self._bytes += _size(prediction)
        while self._bytes > self.limit and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))

    def prediction(self, request: Request | None) -> Prediction | None:
        """The prediction of a request, or None."""
        request = None if request is None else self._answered.get(request, request)
        found = None if request is None else self._kept.get(request)
        if request is None or found is None:
            return None
        self._kept.move_to_end(request)
        return found[0]

    def lookup(self, request: Request, settings: ObjectSettings) -> Answer | None:
        """The answer that settings derive from a cached prediction, or None."""
        prediction = self.prediction(request)
        if prediction is None:
            return None
        answered = self._answered.get(request, request)
        return derive(prediction, answered, settings, self._kept[answered][1])

    def clear(self) -> None:
        """Drop all predictions."""
        self._kept.clear()
        self._answered.clear()
        self._bytes = 0

    def _drop(self, request: Request) -> None:
        found = self._kept.pop(request, None)
        if found is not None:
            self._bytes -= _size(found[0])
            self._answered = {asked: named for asked, named in self._answered.items() if named != request}


def _size(prediction: Prediction) -> int:
    return int(getattr(prediction, "nbytes", 1))
