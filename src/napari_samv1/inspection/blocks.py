"""The image encoder block by block: norms of the tokens, and their channels as images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.engine.embedding import Embedding
from napari_samv1.engine.model_input import ModelInput, encode
from napari_samv1.model import Sam
from napari_samv1.model.image_encoder.attention import SelfAttention
from napari_samv1.model.image_encoder.blocks import GlobalBlock, WindowedBlock
from napari_samv1.model.image_encoder.stage import Stage

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Block:
    """One block of the image encoder; ``window`` is 0 where every token sees the whole grid."""

    index: int
    stage: int
    window: int
    attention: SelfAttention = field(repr=False)

    @property
    def is_global(self) -> bool:
        return self.window == 0

    @property
    def kind(self) -> str:
        return "global" if self.is_global else f"windows of {self.window}"


@dataclass(frozen=True, eq=False)
class BlockNorms:
    """The L2 norm of every block's tokens, (K, h, w) over blocks, and the encoding that was watched.

    ``kept_chw`` are all channels of the block that was asked for, or None.
    """

    blocks: tuple[Block, ...]
    norms_khw: Array
    embedding: Embedding
    kept_chw: Array | None = None

    @property
    def lowest(self) -> Array:
        """The smallest norm in each block: (K,)."""
        return np.asarray(self.norms_khw.min(axis=(1, 2)))

    @property
    def highest(self) -> Array:
        """The largest norm in each block: (K,)."""
        return np.asarray(self.norms_khw.max(axis=(1, 2)))


def blocks_of(network: Sam, window_sizes: Sequence[int] | None = None) -> tuple[Block, ...]:
    """All blocks in the order in which they run."""
    encoder = network.image_encoder
    windows = encoder.window_sizes if window_sizes is None else window_sizes
    blocks: list[Block] = []
    stages = cast(list[Stage], list(encoder.stages))
    for number, (stage, window) in enumerate(zip(stages, windows, strict=True)):
        for windowed in cast(list[WindowedBlock], list(stage.windowed)):
            blocks.append(Block(len(blocks), number, window, windowed.block.attention))
        whole: GlobalBlock = stage.whole
        blocks.append(Block(len(blocks), number, 0, whole.attention))
    return tuple(blocks)


def block_at(network: Sam, index: int) -> Block:
    """One block by its number, from 0.

    Raises
    ------
    ValueError
        If the network has no such block.
    """
    blocks = blocks_of(network)
    if not 0 <= index < len(blocks):
        raise ValueError(f"this network has blocks 0 to {len(blocks) - 1}, got {index}")
    return blocks[index]


def watch_blocks(
    model: LoadedModel,
    given: ModelInput,
    *,
    keep_block: int | None = None,
    window_sizes: Sequence[int] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> BlockNorms:
    """Encode once, and keep the norms of the tokens after every block and all channels after one.

    ``on_progress(blocks_done, blocks)`` may raise to cancel. The embedding is bit for bit that of an
    ordinary encoding.
    """
    blocks = blocks_of(model.network, window_sizes)
    if keep_block is not None:
        block_at(model.network, keep_block)
    norms: list[Array] = []
    kept: list[Array] = []

    def watch(index: int, tokens_bhwc: Tensor) -> None:
        norms.append(tokens_bhwc[0].float().norm(dim=-1).cpu().numpy())
        if index == keep_block:
            kept.append(tokens_bhwc[0].permute(2, 0, 1).float().cpu().contiguous().numpy())
        if on_progress is not None:
            on_progress(index + 1, len(blocks))

    embedding = encode(model, given, window_sizes=window_sizes, on_block=watch)
    return BlockNorms(blocks, np.stack(norms), embedding, kept[0] if kept else None)


def image_channels(embedding: Embedding) -> Array:
    """The channels that the mask decoder sees: (C, h, w), padding included."""
    return embedding.tokens_bchw[0].float().cpu().numpy().copy()


def principal_colours(maps_chw: Array) -> Array:
    """First three principal components of the tokens, as red, green and blue in 0..1: (h, w, 3).

    Each is stretched to its range; its sign makes its largest loading positive.
    """
    channels, height, width = maps_chw.shape
    tokens_nc = maps_chw.reshape(channels, -1).T.astype(np.float64)
    tokens_nc = tokens_nc - tokens_nc.mean(axis=0)
    _, directions_cc = np.linalg.eigh(tokens_nc.T @ tokens_nc)
    first_cd = directions_cc[:, : -1 - min(3, channels) : -1]  # by falling variance
    first_cd = first_cd * np.sign(first_cd[np.abs(first_cd).argmax(axis=0), np.arange(first_cd.shape[1])])
    scores_dhw = (tokens_nc @ first_cd).T.reshape(-1, height, width)
    colours = np.zeros((height, width, 3), dtype=np.float32)
    low, high = scores_dhw.min(axis=(1, 2)), scores_dhw.max(axis=(1, 2))
    span = np.where(high > low, high - low, 1)
    colours[..., : len(scores_dhw)] = np.moveaxis(scores_dhw - low[:, None, None], 0, -1) / span
    return colours
