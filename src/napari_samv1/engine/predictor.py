"""Images in, masks out: the model as scripts and the panel use it."""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from napari_samv1.checkpoints.device import Precision
from napari_samv1.checkpoints.load import load_model
from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.engine.automatic.dense_seeds import HeadProposer
from napari_samv1.engine.automatic.proposals import Proposer
from napari_samv1.engine.candidate import Candidate, Drawn, on_cpu
from napari_samv1.engine.decoder_images import DecoderImages
from napari_samv1.engine.decoder_windows import DecoderWindows, window_size
from napari_samv1.engine.disk_store import store_in
from napari_samv1.engine.embedding import Embedding
from napari_samv1.engine.frugal import in_halves
from napari_samv1.engine.hint import hint_logits
from napari_samv1.engine.lost_card import is_card_lost
from napari_samv1.engine.model_input import encode, model_input
from napari_samv1.engine.plane_pixels import PlanePixels
from napari_samv1.engine.prediction import Prediction
from napari_samv1.engine.progress import OnProgress
from napari_samv1.engine.store import EmbeddingStore
from napari_samv1.engine.view import ImageView
from napari_samv1.images.files import open_source
from napari_samv1.images.intensity import Intensity
from napari_samv1.images.source import Source, as_plane, as_source, shape_of
from napari_samv1.model.mask_decoder import DecoderImage
from napari_samv1.model.memory import free_bytes
from napari_samv1.records.computation import DecoderPrecision
from napari_samv1.records.frame import Frame
from napari_samv1.records.place import Plane
from napari_samv1.records.preparation import Sizing
from napari_samv1.records.prompts import Prompts, refuse_others
from napari_samv1.records.requests import Rounding

Made = TypeVar("Made")

Choose = Callable[[Sequence[Prompts], NDArray[np.float32]], NDArray[np.bool_]]
"""Prompts of B objects and their predicted IoU, (B, 4) -> masks to draw, (B, 4) bool."""

BATCH_TOKENS = 2 * 64 * 64
"""Image tokens that one decoder batch may hold on a CPU: more do not fit into its cache, and are slower."""

GPU_BATCH_TOKENS = 256 * 64 * 64
"""Largest number of tokens in a batch off the CPU where memory allows: more are no faster."""

BATCH_NUMBERS = 8
"""Numbers per channel that a token needs in a batch, masks included (measured: 4 without masks)."""


class Predictor:
    """Encodes images and decodes prompts with one loaded model.

    Holds only the model, the decoder images of the last embeddings, and the ``proposer`` that finds the
    prompts of ``segment_everything``: several threads may use one predictor. If a decoder in float16
    overflows, ``model`` becomes one that decodes in float32; if a graphics card fails during an encoding, one
    on the CPU.

    >>> from napari_samv1 import Predictor, Prompts, load_model
    >>> from skimage.data import coins
    >>> predictor = Predictor(load_model("tiny"))
    >>> embedding = predictor.embed(coins())
    >>> prediction = predictor.predict(embedding, Prompts(points_yx=[(120, 175)], labels=[1]))
    >>> prediction.mask(prediction.best()).shape
    (303, 384)
    """

    def __init__(self, model: LoadedModel, proposer: Proposer | None = None) -> None:
        if not isinstance(model, LoadedModel):
            raise TypeError(
                f'a model must come from load_model, e.g. Predictor(load_model("tiny")), got '
                f"{type(model).__name__}"
            )
        self._leaving = Lock()
        self._take(model, proposer)

    def _take(self, model: LoadedModel, proposer: Proposer | None) -> None:
        self.model = model
        if proposer is None and model.dense is not None:
            proposer = HeadProposer(model.dense.head, model.dense.calibration)
        self.proposer = proposer
        self.decoder_images = DecoderImages(model.network)
        self._halved = None if model.halved is None else DecoderImages(model.halved)

    def embed(
        self,
        image: ArrayLike,
        *,
        sizing: Sizing | None = None,
        side: int | None = None,
        intensity: Intensity = None,
        gamma: float = 1.0,
        on_progress: OnProgress | None = None,
    ) -> Embedding:
        """Encode an image once, for any number of prompts.

        Parameters
        ----------
        image : array-like, (H, W), (H, W, 3) or (H, W, 4)
            Any real dtype; alpha is ignored.
        sizing : "native", "padded" or "stretched", optional
            "native" keeps the aspect without padding, "padded" is the published arrangement, "stretched"
            fills a square. By default the sizing of the model's preparation.
        side : int, optional
            Longer side in pixels at which the model sees the image; by default the model's own.
        intensity : optional
            ``(low, high)``, ``"dtype"``, ``"minmax"`` or ``("percentile", low, high)``. By default uint8 is
            taken as it is and other dtypes by their percentiles 0.1 and 99.9.
        gamma : float
            Exponent applied to the values in 0..1, as napari displays them.
        on_progress : callable, optional
            Called as ``on_progress(blocks_done, blocks)`` after every block, or after every stage where a GPU
            replays one as a whole or the model is compiled; it may raise ``Cancelled``.

        Raises
        ------
        ValueError
            If the image, a size or the intensity cannot be used; the message names the remedy.
        """

        def work(model: LoadedModel) -> Embedding:
            prepared = model_input(model, image, sizing=sizing, side=side, intensity=intensity, gamma=gamma)
            return encode(model, prepared, on_progress=on_progress)

        return self.encoded(work)

    def encoded(self, work: Callable[[LoadedModel], Embedding]) -> Embedding:
        """Encode with the model, or on the CPU where its graphics card fails for good.

        The weights are lost with the card: they are read from their file again, with a warning.
        """
        model = self.model
        try:
            return work(model)
        except Exception as error:
            if model.path is None or not is_card_lost(error):
                raise
            reason = str(error).splitlines()[0]
        with self._leaving:
            if self.model is model:
                warnings.warn(
                    f"The graphics card failed ({reason}): {model.name} goes on on the CPU, which is slower. "
                    f"Start Python again to use the card.",
                    stacklevel=3,
                )
                dtype: Precision = "float32" if model.dtype == torch.float32 else "bfloat16"
                again = load_model(model.path, device="cpu", dtype=dtype, preparation=model.preparation)
                is_of_model = isinstance(self.proposer, HeadProposer)
                self._take(replace(again, name=model.name), None if is_of_model else self.proposer)
        return work(self.model)

    def on_image(
        self,
        image: Any,
        *,
        intensity: Intensity = None,
        gamma: float = 1.0,
        cache: str | os.PathLike[str] | EmbeddingStore | None = None,
        plane: Plane | int | Sequence[int | None] | None = None,
        rounding: Rounding = "float32",
    ) -> ImageView:
        """View of an image of any size, which reads and encodes only the regions that prompts need.

        Parameters
        ----------
        image : array-like, list of array-likes, path or Source
            Anything that is sliced like an array (numpy, memory maps, dask, zarr, xarray, tensorstore), the
            levels of one image as a list, finest first, or a file (TIFF, PNG, JPEG, npy, OME-Zarr). A last
            axis of 3 or 4 is colour. Nothing is read yet.
        intensity, gamma : optional
            As in ``embed``. Rules find their numbers once for all regions, in a sample of the plane; the
            whole plane in one region has the numbers of ``embed``.
        cache : folder or EmbeddingStore, optional
            Store of the embeddings: a folder, which processes may share, in addition to memory; or a store
            that several views share. By default memory, for this view alone.
        plane : Plane, int or tuple, optional
            Plane of a stack: its place on the axes before rows and columns (``plane=3``,
            ``plane=(0, 3)``), or on all axes with None on rows and columns (``plane=(None, 7, None)``).
        rounding : "float32" or "float16"
            ``"float16"`` rounds embeddings to 16 bits, which halves their size in memory and on disk. New
            ones are rounded too before they are decoded, so that cached ones give the same masks.

        Raises
        ------
        ValueError
            If ``image`` is no image, or a stack and no plane is named; the message names the remedy.
        ReadError
            If a file cannot be opened.
        """
        if isinstance(image, str | os.PathLike):
            source: Source = open_source(image)
        else:
            is_plane = isinstance(plane, Plane) or (isinstance(plane, Sequence) and None in plane)
            named = plane.index if isinstance(plane, Plane) else plane
            source = as_source(image, ndim=len(named) if is_plane and isinstance(named, Sequence) else None)
        chosen = as_plane(source, plane)
        pixels = PlanePixels(
            self.model,
            source,
            chosen,
            chosen.shape_in(shape_of(source)),
            intensity=intensity,
            gamma=gamma,
            rounding=rounding,
        )
        return ImageView(self, pixels, store_in(cache))

    def predict(
        self, embedding: Embedding, prompts: Prompts, *, mask_hint: ArrayLike | None = None
    ) -> Prediction:
        """Decode one object's prompts once, optionally with the logits of an earlier mask as a hint.

        The panel uses ``answer``, which is the same for a single click or box.

        ``mask_hint`` is (h, w) as in ``Prediction.logits[i]``: four times the token grid.

        Raises
        ------
        ValueError
            If the embedding is another model's or the hint has another size.
        """
        return self.predict_each(embedding, [prompts], mask_hints=[mask_hint])[0]

    def predict_each(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompts],
        *,
        mask_hints: Sequence[ArrayLike | None] | None = None,
    ) -> list[Prediction]:
        """Decode several objects, each by its prompts, in as few decoder batches as possible.

        Where ``mask_hints`` has none for an object, the area in its prompts is its hint.
        """
        return self._predict_each(embedding, prompts, mask_hints)

    def _predict_each(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompts],
        mask_hints: Sequence[ArrayLike | Tensor | None] | None,
        images: DecoderImages | None = None,
    ) -> list[Prediction]:
        refuse_others(prompts)
        _refuse_image(embedding)
        hints = [None] * len(prompts) if mask_hints is None else list(mask_hints)
        if len(hints) != len(prompts):
            raise ValueError(
                f"mask_hints must hold one hint or None for each of {len(prompts)} prompts, got {len(hints)}"
            )
        if embedding.key.weights != self.model.sha256:
            raise ValueError(
                f"this embedding was made by another model than {self.model.name}; embed the image again"
            )
        hints = [
            hint_logits(one.area, embedding.frame) if hint is None and one.area is not None else hint
            for one, hint in zip(prompts, hints, strict=True)
        ]
        checked = [None if hint is None else _checked_hint(hint, embedding.frame) for hint in hints]
        shapes = [
            (len(one.points_yx), len(one.boxes_yx), hint is None)
            for one, hint in zip(prompts, checked, strict=True)
        ]

        def decode(some: Sequence[int], images: DecoderImages) -> list[Prediction]:
            return self._decode(embedding, [prompts[i] for i in some], [checked[i] for i in some], images)

        return self._in_batches(embedding, prompts, shapes, decode, images)

    def answer(self, embedding: Embedding, prompts: Prompts) -> Prediction:
        """Decode one object's prompts as the panel does; see ``answer_each``."""
        return self.answer_each(embedding, [prompts])[0]

    def answer_each(self, embedding: Embedding, prompts: Sequence[Prompts]) -> list[Prediction]:
        """Decode several objects; the later prompts of each correct the answer to its first.

        An object's boxes, or else its first foreground point, are decoded alone. The best of their masks, or
        the ``candidate`` that the prompts name, is the hint with which all its prompts are then decoded, so
        that a correction keeps the parts that were right. The answer depends on the prompts alone, not on
        earlier answers.

        An area in the prompts is a hint already; a network that was trained on boxes alone takes no hints.
        Prompts that correct attend to the whole region, as a correction may lie anywhere.
        """
        refuse_others(prompts)
        _refuse_image(embedding)
        network_takes_hints = not self.model.preparation.box_only
        corrected = [network_takes_hints and one.corrects for one in prompts]
        prompts = [
            one.attending(None) if corrects else one for one, corrects in zip(prompts, corrected, strict=True)
        ]
        shapes = [
            (len(one.points_yx), len(one.boxes_yx), one.area is None, corrects)
            for one, corrects in zip(prompts, corrected, strict=True)
        ]

        def decode(some: Sequence[int], images: DecoderImages) -> list[Prediction]:
            asked, hints = [prompts[i] for i in some], None
            # both passes get the same batch, because sums may round by an object's place in it
            if corrected[some[0]]:
                first = self._predict_each(embedding, [one.first for one in asked], None, images)
                hints = [
                    answer.drawn_mhw[answer.best() if one.candidate is None else one.candidate]
                    for answer, one in zip(first, asked, strict=True)
                ]
            return self._predict_each(embedding, asked, hints, images)

        return self._in_batches(embedding, prompts, shapes, decode)

    def stream(
        self, embedding: Embedding, prompts: Iterable[Prompts], choose: Choose, *, batch: int = 64
    ) -> Iterator[tuple[int, list[Candidate]]]:
        """Decode any number of objects and draw only the masks that ``choose`` takes by their scores.

        After every decoder batch, of ``batch`` objects at most, yields the number decoded so far and the
        candidates drawn; no other masks are kept. Each object is decoded once by all its prompts, an area
        among them; neighbours with equally many points and boxes, in windows of one size, share a batch.

        Raises
        ------
        ValueError
            If the embedding is another model's.
        """
        if embedding.key.weights != self.model.sha256:
            raise ValueError(
                f"this embedding was made by another model than {self.model.name}; embed the image again"
            )
        frame = embedding.frame

        def shape(one: Prompts) -> tuple[Hashable, tuple[int, int]]:
            pointed = len(one.points_yx), len(one.boxes_yx), one.area is None
            return pointed, window_size(one, frame)

        done = 0
        for (_, size_hw), group in groupby(prompts, shape):
            most = min(batch, self._batch_size(size_hw))
            while some := list(islice(group, most)):
                candidates = self._drawn(embedding, some, choose, done)
                done += len(some)
                yield done, candidates

    def _drawn(
        self, embedding: Embedding, prompts: Sequence[Prompts], choose: Choose, first: int
    ) -> list[Candidate]:
        """Draw a batch, in smaller ones where memory does not suffice."""

        def draw(some: Sequence[int], images: DecoderImages) -> list[Candidate]:
            return self._draw(embedding, [prompts[i] for i in some], choose, first + some[0], images)

        return self._frugally(range(len(prompts)), draw)

    @torch.inference_mode()
    def _draw(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompts],
        choose: Choose,
        first: int,
        images: DecoderImages,
    ) -> list[Candidate]:
        network, frame = images.network, embedding.frame
        hints = [hint_logits(one.area, frame) for one in prompts if one.area is not None]
        windows, image, tokens_btc, hint_b1hw = self._decoder_input(embedding, prompts, hints, images)
        attended = network.attend(image, tokens_btc, hint_b1hw)
        iou = attended.iou_bm.cpu().numpy()
        self._refuse_overflow(attended.iou_bm, images)
        chosen = choose(prompts, iou)
        rows = np.flatnonzero(chosen.any(axis=1))
        if not len(rows):
            return []
        logits_bmhw = network.draw(attended.rows(torch.from_numpy(rows).to(attended.iou_bm.device)))
        which, masks = np.nonzero(chosen[rows])
        # indexing copies: the other masks can be freed
        logits = logits_bmhw[torch.from_numpy(which), torch.from_numpy(masks)]
        self._refuse_overflow(logits, images)
        logits = windows.placed(logits, rows[which])
        return [
            Candidate(first + int(rows[i]), int(mask), float(iou[rows[i], mask]), one, frame)
            for i, mask, one in zip(which, masks, logits, strict=True)
        ]

    def _batch_size(self, tokens_hw: tuple[int, int]) -> int:
        height, width = tokens_hw
        device, tokens = self.model.device, BATCH_TOKENS
        if device.type != "cpu":
            # half of the free memory: other programs may need some during the batch
            room = free_bytes(device) // (2 * 4 * BATCH_NUMBERS * self.model.config.channels)
            tokens = max(BATCH_TOKENS, min(GPU_BATCH_TOKENS, room))
        return max(1, tokens // (height * width))

    def _decoder_input(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompts],
        hints: Sequence[Drawn],
        images: DecoderImages,
    ) -> tuple[DecoderWindows, DecoderImage, Tensor, Tensor | None]:
        """Windows of a batch; the image in them, the prompts' tokens, and the hints, or None without any."""
        windows = DecoderWindows.of(prompts, embedding.frame)
        tokens_btc = self._prompt_tokens(embedding.frame, prompts)
        hint_b1hw = windows.of_hints(_stacked_hints(hints, tokens_btc.device)) if hints else None
        return windows, windows.of_image(images.of(embedding)), tokens_btc, hint_b1hw

    def _prompt_tokens(self, frame: Frame, prompts: Sequence[Prompts]) -> Tensor:
        network = self.model.network
        points = np.stack([frame.to_model_xy01(one.points_yx) for one in prompts])
        labels = np.stack([one.labels for one in prompts])
        boxes = np.stack([frame.boxes_to_model_xy01(one.boxes_yx) for one in prompts])
        device = network.prompt_encoder.foreground.device
        return network.encode_prompts(
            *(torch.from_numpy(array).to(device) for array in (points, labels, boxes))
        )

    def _in_batches(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompts],
        shapes: Sequence[Hashable],
        decode: Callable[[Sequence[int], DecoderImages], list[Prediction]],
        images: DecoderImages | None = None,
    ) -> list[Prediction]:
        """Decode objects of equal ``shapes`` and windows together, as many as fit; ``decode`` gets indices.

        ``images`` is the decoder to use; by default ``_frugally`` chooses it.
        """
        places: dict[tuple[Hashable, tuple[int, int]], list[int]] = defaultdict(list)
        for place, (one, shape) in enumerate(zip(prompts, shapes, strict=True)):
            places[shape, window_size(one, embedding.frame)].append(place)
        predictions: dict[int, Prediction] = {}
        for (_, tokens_hw), same in places.items():
            most = self._batch_size(tokens_hw)
            for start in range(0, len(same), most):
                some = same[start : start + most]
                made = self._frugally(some, decode) if images is None else decode(some, images)
                predictions.update(zip(some, made, strict=True))
        return [predictions[place] for place in range(len(shapes))]

    def _frugally(
        self, items: Sequence[int], work: Callable[[Sequence[int], DecoderImages], list[Made]]
    ) -> list[Made]:
        """Work on items together, or on fewer where memory does not suffice, with the decoder of the model.

        All items are decoded in one precision: in float32 if float16 overflows, and from then on.
        """

        def decode(some: Sequence[int]) -> list[Made]:
            if (halved := self._halved) is not None:
                try:
                    return work(some, halved)
                except _OverflowError:
                    self._halved, self.model = None, self.model.decoding_in("float32")
                    warnings.warn(
                        f"Numbers of {self.model.name} are too large for float16: masks are decoded in "
                        f"float32 from now on, which is slower.",
                        stacklevel=2,
                    )
            return work(some, self.decoder_images)

        return in_halves(items, decode, self.model.device)

    def _refuse_overflow(self, numbers: Tensor, images: DecoderImages) -> None:
        if images is not self.decoder_images and not bool(numbers.isfinite().all()):
            raise _OverflowError

    @torch.inference_mode()
    def _decode(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompts],
        hints: Sequence[Drawn | None],
        images: DecoderImages,
    ) -> list[Prediction]:
        """One batch of prompts with equally many points and boxes, all with a hint or none."""
        network, frame = images.network, embedding.frame
        present = [hint for hint in hints if hint is not None]
        windows, image, tokens_btc, hint_b1hw = self._decoder_input(embedding, prompts, present, images)
        logits, iou = network.decode(image, tokens_btc, hint_b1hw)
        self._refuse_overflow(logits, images)
        self._refuse_overflow(iou, images)
        logits = windows.placed(logits, range(len(prompts)))
        iou_np = iou.cpu().numpy()
        decoder: DecoderPrecision = "float32" if images is self.decoder_images else "float16"
        may_be_ambiguous = not present and not self.model.preparation.box_only
        return [
            Prediction(
                logits[i],
                iou_np[i],
                frame,
                may_be_ambiguous and one.is_single,
                (i, len(prompts)),
                decoder=decoder,
            )
            for i, one in enumerate(prompts)
        ]


class _OverflowError(ArithmeticError):
    """Numbers beyond those of float16."""


def _stacked_hints(hints: Sequence[Drawn], device: torch.device) -> Tensor:
    """Hints as B 1 h w; the decoder's own maps stay on its device."""
    tensors = [hint for hint in hints if isinstance(hint, Tensor)]
    if len(tensors) == len(hints):
        return torch.stack(tensors)[:, None].to(device)
    return torch.from_numpy(np.stack([on_cpu(hint) for hint in hints]))[:, None].to(device)


def _refuse_image(embedding: object) -> None:
    if not isinstance(embedding, Embedding):
        raise TypeError(
            f"prompts are decoded on an embedding, from predictor.embed(image), got "
            f"{type(embedding).__name__}"
        )


def _checked_hint(hint: ArrayLike | Tensor, frame: Frame) -> Drawn:
    logits: Drawn = hint.float() if isinstance(hint, Tensor) else np.asarray(hint, dtype=np.float32)
    if tuple(logits.shape) != frame.logits_hw:
        raise ValueError(
            f"a mask hint must be {frame.logits_hw} logits for this embedding, got {tuple(logits.shape)}; "
            f"take one of Prediction.logits"
        )
    if not (logits.isfinite() if isinstance(logits, Tensor) else np.isfinite(logits)).all():
        raise ValueError("a mask hint must be finite")
    return logits
