"""Sizes of a network, and those of the bundled and the published ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SamConfig:
    """Sizes of a Segment Anything network (Kirillov et al. 2023, section 3 and appendix A).

    ``grid`` is the side of the learned position table in tokens: a base image is ``grid * patch`` pixels
    square. ``window`` is the side of an attention window in tokens. ``channels`` is the width of the image
    tokens and prompts that the mask decoder sees.
    """

    width: int
    depth: int
    heads: int
    stages: int = 4
    patch: int = 16
    grid: int = 64
    window: int = 14
    mlp_ratio: int = 4
    channels: int = 256
    hint_channels: int = 16
    decoder_depth: int = 2
    decoder_heads: int = 8
    decoder_mlp: int = 2048

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")
        if self.depth % self.stages:
            raise ValueError(f"depth {self.depth} must be a multiple of stages {self.stages}")
        if self.channels % (2 * self.decoder_heads):
            raise ValueError(
                f"channels {self.channels} must be a multiple of twice decoder_heads {self.decoder_heads}"
            )

    @property
    def blocks_per_stage(self) -> int:
        """Number of blocks of a stage: windowed ones, then a global one."""
        return self.depth // self.stages

    @property
    def side(self) -> int:
        """Side in pixels of the square image that fills the learned position table."""
        return self.grid * self.patch


TINY = SamConfig(width=128, depth=8, heads=4, stages=2, patch=8, grid=48, window=8)
VIT_B = SamConfig(width=768, depth=12, heads=12)
VIT_L = SamConfig(width=1024, depth=24, heads=16)
VIT_H = SamConfig(width=1280, depth=32, heads=16)
