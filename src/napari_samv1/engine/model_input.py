"""An image as the network sees it, and its encoding, with the key that identifies both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import xxhash
from numpy.typing import ArrayLike
from torch import Tensor

from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.engine.embedding import Embedding, EmbeddingKey
from napari_samv1.engine.frugal import OnBlock, encode_frugally
from napari_samv1.engine.progress import OnProgress
from napari_samv1.images.intensity import Intensity, to_rgb8
from napari_samv1.images.prepare import prepare
from napari_samv1.records.frame import Frame
from napari_samv1.records.preparation import Sizing


@dataclass(frozen=True, eq=False)
class ModelInput:
    """Prepared pixels, 1 3 H W on the model's device, and the frame that places them on the image."""

    pixels_bchw: Tensor = field(repr=False)
    frame: Frame
    key: EmbeddingKey


def model_input(
    model: LoadedModel,
    image: ArrayLike,
    *,
    sizing: Sizing | None = None,
    side: int | None = None,
    intensity: Intensity = None,
    gamma: float = 1.0,
) -> ModelInput:
    """Prepare an image for a model; the arguments are those of ``Predictor.embed``."""
    preparation = model.preparation
    rgb8 = to_rgb8(image, intensity, gamma)
    frame = Frame.plan(
        rgb8.shape[:2],
        side=preparation.side if side is None else side,
        patch=model.config.patch,
        sizing=preparation.sizing if sizing is None else sizing,
    )
    pixels_bchw = prepare(rgb8, frame, preparation, device=model.device)
    key = EmbeddingKey(
        pixels=xxhash.xxh3_128_hexdigest(pixels_bchw.numpy().data),
        weights=model.sha256,
        preparation=preparation,
        frame=frame,
        intensity=intensity,
        gamma=gamma,
        dtype=str(model.dtype).removeprefix("torch."),
        device=model.device.type,
    )
    return ModelInput(pixels_bchw.to(model.device), frame, key)


def encode(
    model: LoadedModel,
    prepared: ModelInput,
    *,
    window_sizes: Sequence[int] | None = None,
    on_block: OnBlock | None = None,
    on_progress: OnProgress | None = None,
) -> Embedding:
    """Encode, optionally with other attention windows; ``Predictor.predict`` takes the result.

    ``window_sizes`` holds one size in tokens per stage. ``on_block(index, tokens_bhwc)`` is called after
    every block, ``on_progress(blocks_done, blocks)`` after every block or stage (see ``encode_frugally``);
    both may raise to end the encoding. Where memory does not suffice, a warning names the fallback: smaller
    pieces, or the CPU, which is then the device in the embedding's key.
    """
    network, key = model.network, prepared.key
    trained = network.image_encoder.window_sizes
    if window_sizes is not None and tuple(window_sizes) != trained:
        # another encoding of the same pixels must not pass for the usual one
        sizes = ",".join(str(size) for size in window_sizes)
        key = replace(key, pixels=f"{key.pixels} windows {sizes}")
    tokens_bchw = encode_frugally(
        network,
        prepared.pixels_bchw,
        window_sizes=window_sizes,
        on_block=on_block,
        on_progress=on_progress,
        compiled=model.compiled,
    )
    if tokens_bchw.device.type != key.device:
        key = replace(key, device=tokens_bchw.device.type)
    return Embedding(tokens_bchw, prepared.frame, key)
