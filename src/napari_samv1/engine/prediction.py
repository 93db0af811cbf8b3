"""Answer of the decoder to one object's prompts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_samv1.engine.candidate import Drawn, on_cpu
from napari_samv1.masks.choose import Choice, best_index
from napari_samv1.masks.on_device import cut_each
from napari_samv1.masks.stability import stability_of_each
from napari_samv1.masks.threshold import threshold_mask
from napari_samv1.records.computation import DecoderPrecision
from napari_samv1.records.detail import Detail, checked_detail, detail_in_words
from napari_samv1.records.embedding_key import EmbeddingKey
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import MaskCrop

MOST_MASK_PIXELS = 1 << 28


@dataclass(frozen=True, eq=False)
class Prediction:
    """Four candidate masks with their predicted quality.

    ``drawn_mhw`` are the decoder's four whole maps, padding included, float32 (4, h, w): an array, or a
    tensor on the decoder's device; ``logits`` are on the CPU. ``iou`` is float32 (4,). Mask 0 answers
    unambiguous prompts, masks 1 to 3 offer a whole, a part and a subpart. ``ambiguous`` is True for a single
    point or box. ``batch`` is the object's place in the decoder batch and the batch's size: floating-point
    sums may depend on both. ``asked`` and ``used`` are the details (``records.detail``) of an answer from a
    view of an image, ``key`` names the embedding of its region. ``decoder`` is the decoder's precision.
    """

    drawn_mhw: Drawn = field(repr=False)
    iou: NDArray[np.float32]
    frame: Frame
    ambiguous: bool
    batch: tuple[int, int] = (0, 1)
    asked: Detail = "whole"
    used: float | Literal["whole"] = "whole"
    key: EmbeddingKey | None = None
    decoder: DecoderPrecision = "float32"

    @cached_property
    def logits(self) -> NDArray[np.float32]:
        """The four maps on the CPU, float32 (4, h, w); each is a mask hint for the next call."""
        return on_cpu(self.drawn_mhw)

    @property
    def nbytes(self) -> int:
        """Bytes of the maps."""
        return self.drawn_mhw.nbytes

    def on_cpu(self) -> Prediction:
        """The same prediction with its maps on the CPU."""
        drawn = self.drawn_mhw
        if isinstance(drawn, np.ndarray) or drawn.device.type == "cpu":
            return self
        return replace(self, drawn_mhw=self.logits)

    def stability(self, threshold: float = 0.0, offset: float = 1.0) -> NDArray[np.float32]:
        """Stability of each mask as the threshold moves by ``offset`` either way: float32 (4,), 0..1.

        Counted at the image's resolution, padding excluded (Kirillov et al. 2023, appendix B).
        """
        scores = stability_of_each(self.drawn_mhw, self.frame, threshold, offset)
        return np.array(scores, dtype=np.float32)

    def best(self, by: Choice = "auto") -> int:
        """Index 0..3 of the mask to take.

        ``"auto"`` follows the network's training: of masks 1 to 3 the one with the highest predicted IoU for
        a single point or box, mask 0 for anything more. ``"iou"`` and ``"stability"`` take the highest of
        all four.
        """
        stability = self.stability() if by == "stability" else None
        return best_index(self.iou, stability, ambiguous=self.ambiguous, by=by)

    def masks(self, threshold: float = 0.0) -> NDArray[np.bool_]:
        """All four masks at the image's resolution: bool (4, H, W); see ``mask``."""
        return np.stack([self.mask(index, threshold) for index in range(len(self.iou))])

    def mask(self, index: int, threshold: float = 0.0) -> NDArray[np.bool_]:
        """One mask at the image's resolution: bool (H, W).

        Raises
        ------
        ValueError
            If the image is too large for such an array; use ``crop``.
        """
        height, width = self.frame.image_hw
        if height * width > MOST_MASK_PIXELS:
            raise ValueError(
                f"a mask of the whole image would have {height} x {width} pixels; take crop({index}), "
                f"which holds the mask's bounding box alone"
            )
        return threshold_mask(self.logits[index], self.frame, threshold)

    def crop(self, index: int, threshold: float = 0.0) -> MaskCrop:
        """One mask as its bounding box; no array has the image's size."""
        [(crop, _)] = cut_each(self.drawn_mhw[index][None], self.frame, threshold)
        return crop

    @property
    def region_yxhw(self) -> tuple[int, int, int, int]:
        """Part of the image that was encoded: first row, first column, height, width."""
        return self.frame.window_yxhw

    @property
    def note(self) -> str:
        """Sentence for the user if a coarser detail than ``asked`` was used, or else ""."""
        wanted = checked_detail(self.asked)
        if wanted == "whole" or self.used == wanted:
            return ""
        scale = max(self.frame.resized_hw) / max(self.frame.window_yxhw[2:])
        if self.used == "whole" and scale > 0.99 * wanted:
            return ""
        return (
            f"Decoded at {detail_in_words(self.used)} instead of {detail_in_words(wanted)}: the object does "
            f"not fit into a region of that detail."
        )
