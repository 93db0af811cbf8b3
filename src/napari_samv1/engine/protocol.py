"""Protocols of a predictor and its predictions, shared by the network's and by test doubles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from napari_samv1.engine.embedding import Embedding
    from napari_samv1.engine.prediction import Prediction
    from napari_samv1.images.intensity import Intensity
    from napari_samv1.records.computation import DecoderPrecision
    from napari_samv1.records.mask_crop import MaskCrop
    from napari_samv1.records.prompts import Prompts


class HasImageSize(Protocol):
    """The part of a frame that a mask needs."""

    @property
    def image_hw(self) -> tuple[int, int]: ...


class CandidateMasks(Protocol):
    """Four masks with their scores, from which settings make an object's mask; ``Prediction`` is one."""

    @property
    def iou(self) -> Any: ...

    @property
    def frame(self) -> HasImageSize: ...

    @property
    def batch(self) -> tuple[int, int]: ...

    @property
    def decoder(self) -> DecoderPrecision: ...

    def best(self) -> int: ...

    def stability(self, threshold: float = 0.0) -> Any: ...

    def crop(self, index: int, threshold: float = 0.0) -> MaskCrop: ...

    def on_cpu(self) -> CandidateMasks: ...


class AnswersPrompts(Protocol):
    """Decodes prompts of several objects on one embedding; ``Predictor`` does."""

    def answer_each(self, embedding: Embedding, prompts: Sequence[Prompts], /) -> Sequence[Prediction]: ...


class EncodesImages(Protocol):
    """Encodes a plane as the panel asks for it; ``Predictor`` does."""

    def embed(
        self,
        image: ArrayLike,
        /,
        *,
        intensity: Intensity = None,
        gamma: float = 1.0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Embedding: ...
