"""A view of an image of any size: prompts are answered from the regions that they need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock, RLock
from typing import TYPE_CHECKING

from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.engine.embedding import Embedding
from napari_samv1.engine.model_input import encode
from napari_samv1.engine.plane_pixels import PlanePixels
from napari_samv1.engine.prediction import Prediction
from napari_samv1.engine.progress import OnProgress
from napari_samv1.engine.regions import Attempt, RegionGrid, RegionRule, Window
from napari_samv1.engine.store import EmbeddingStore
from napari_samv1.records.detail import Detail
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.prompts import Prompts, refuse_others
from napari_samv1.records.requests import EncodingRequest

if TYPE_CHECKING:
    from napari_samv1.engine.predictor import Predictor


class ImageView:
    """One plane of an image, for any number of prompts; ``Predictor.on_image`` makes it.

    Prompts and predictions are in the plane's full-resolution pixels. Nothing is read before the first
    answer; each region is read and encoded once, and kept by the store. Threads may share a view.
    """

    def __init__(self, predictor: Predictor, pixels: PlanePixels, store: EmbeddingStore) -> None:
        self.predictor = predictor
        self.pixels = pixels
        self.store = store
        self._working = RLock()  # while a thread reads or encodes
        self._noting = Lock()  # held briefly: the main thread asks for the encoded regions
        self._requests: dict[Window, EncodingRequest] = {}
        self._checked: set[EncodingRequest] = set()

    @property
    def plane(self) -> Plane:
        """Plane of the image."""
        return self.pixels.plane

    @property
    def plane_hw(self) -> tuple[int, int]:
        """Height and width of the plane in pixels."""
        return self.pixels.plane_hw

    @property
    def encoded(self) -> tuple[Region, ...]:
        """Regions that this view has encoded, or found in the store, so far and in their order."""
        with self._noting:
            return tuple(request.region for request in self._requests.values() if request in self._checked)

    def answer(
        self, prompts: Prompts, detail: Detail = "auto", on_progress: OnProgress | None = None
    ) -> Prediction:
        """Decode one object's prompts as ``Predictor.answer`` does, at the detail asked for if it fits.

        See ``answer_each``.
        """
        return self.answer_each([prompts], detail, on_progress)[0]

    def answer_each(
        self,
        prompts: Sequence[Prompts],
        detail: Detail = "auto",
        on_progress: OnProgress | None = None,
    ) -> list[Prediction]:
        """Decode several objects, each from a region that holds it whole.

        Parameters
        ----------
        prompts : sequence of Prompts
            In the plane's pixels.
        detail : float, "whole" or "auto"
            Model pixels for each image pixel: 1.0 is native, 0.5 half, 2.0 twice; ``"whole"`` is the whole
            plane in one region. ``"auto"`` is native. A plane that is not larger than a region is encoded
            whole. Where an object or its prompts do not fit into a region, the detail is made coarser until
            they do, and the prediction says so (``asked``, ``used``, ``note``); see ``regions.RegionRule``.
        on_progress : callable, optional
            Called as ``on_progress(blocks_done, blocks)`` during each encoding; it may raise ``Cancelled``.

        Raises
        ------
        ValueError
            If the detail is invalid, or the pixels cannot be used; the message names the remedy.
        ReadError
            If the image's pixels cannot be read.
        """
        refuse_others(prompts)
        rule = RegionRule(self.plane_hw, self.predictor.model.preparation.side)
        waiting = {place: rule.first(one, detail) for place, one in enumerate(prompts)}
        answers: dict[int, Prediction] = {}
        while waiting:
            together: dict[Attempt, list[int]] = defaultdict(list)
            for place, attempt in waiting.items():
                together[replace(attempt, tried=frozenset())].append(place)
            attempts, waiting = waiting, {}
            for where in sorted(together, key=lambda one: one.window):
                places = together[where]
                embedding = self.encode(where.window, on_progress)
                for place, prediction in zip(
                    places,
                    self.predictor.answer_each(embedding, [prompts[place] for place in places]),
                    strict=True,
                ):
                    following = rule.next(prompts[place], attempts[place], prediction)
                    if following is None:
                        answers[place] = replace(
                            prediction, asked=detail, used=where.detail, key=embedding.key
                        )
                    else:
                        waiting[place] = following
        return [answers[place] for place in range(len(prompts))]

    def with_pixels(self, embedding: Embedding) -> Embedding:
        """The embedding of a region together with the network's input."""
        prepared = self.pixels.prepared(embedding.frame.window_yxhw)
        return replace(embedding, pixels_bchw=prepared.pixels_bchw)

    def grid(self, detail: Detail = "auto") -> RegionGrid:
        """The regions at a detail."""
        return RegionGrid.at(self.plane_hw, self.predictor.model.preparation.side, detail)

    def request(self, window_yxhw: Window) -> EncodingRequest:
        """Request for a region, its key in stores; for the whole plane, this reads the pixels."""
        with self._working:
            if window_yxhw not in self._requests:
                made = self.pixels.request(window_yxhw)
                with self._noting:
                    self._requests[window_yxhw] = made
            return self._requests[window_yxhw]

    def encode(self, window_yxhw: Window, on_progress: OnProgress | None = None) -> Embedding:
        """The embedding of a region, from the store or made now and kept there.

        Where the pixels are in memory, a stored embedding is compared with them before its first use.
        """
        request = self.request(window_yxhw)
        found = self.store.get(request)
        if found is not None and request in self._checked:
            return found
        # looked up again, because another thread may have encoded this region
        with self._working:
            found = self.store.get(request)
            prepared = None
            if found is not None and request not in self._checked and self.pixels.source.in_memory:
                prepared = self.pixels.prepared(window_yxhw)
                found = found if found.key.pixels == prepared.key.pixels else None
            if found is None:
                region = self.pixels.prepared(window_yxhw) if prepared is None else prepared

                def work(model: LoadedModel) -> Embedding:
                    return encode(model, region.on(model.device), on_progress=on_progress)

                made = self.predictor.encoded(work)
                tokens_bchw = made.tokens_bchw.cpu()
                if request.rounding == "float16":
                    tokens_bchw = tokens_bchw.half()
                found = replace(made, tokens_bchw=tokens_bchw, request=request)
                self.store.put(found)
            with self._noting:
                self._checked.add(request)
            return found
