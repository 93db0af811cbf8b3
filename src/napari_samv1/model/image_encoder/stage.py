"""A stage: windowed blocks, then a global one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from napari_samv1.model.config import SamConfig
from napari_samv1.model.image_encoder.blocks import BlockTables, GlobalBlock, WindowedBlock

OnBlock = Callable[[Tensor], None]
RunBlock = Callable[..., Tensor]
"""Function that calls its first argument, a block, with the others; it may be compiled."""


def run_block(block: nn.Module, *arguments: Any) -> Tensor:
    """Call a block, uncompiled."""
    tokens_bhwc: Tensor = block(*arguments)
    return tokens_bhwc


class Stage(nn.Module):
    """Cheap local blocks ending in one global block (Li et al. 2022, ViTDet)."""

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        sizes = (config.width, config.heads, config.mlp_ratio)
        self.windowed = nn.ModuleList(
            WindowedBlock(*sizes, config.window) for _ in range(config.blocks_per_stage - 1)
        )
        self.whole = GlobalBlock(*sizes, config.grid)

    def tables(self, grid_hw: tuple[int, int], window: int, dtype: torch.dtype) -> tuple[BlockTables, ...]:
        """Tables of each block."""
        windowed = (block.tables(window, dtype) for block in self.windowed)  # type: ignore[operator]
        return *windowed, self.whole.tables(grid_hw, dtype)

    def forward(
        self,
        tokens_bhwc: Tensor,
        window: int,
        on_block: OnBlock | None = None,
        tables: tuple[BlockTables, ...] | None = None,
        run: RunBlock = run_block,
    ) -> Tensor:
        """Tokens B h w C -> the same shape; ``on_block(tokens)`` is called after every block."""
        by_block = [None] * (len(self.windowed) + 1) if tables is None else tables
        for block, block_tables in zip(self.windowed, by_block[:-1], strict=True):
            tokens_bhwc = run(block, tokens_bhwc, window, block_tables)
            if on_block is not None:
                on_block(tokens_bhwc)
        tokens_bhwc = run(self.whole, tokens_bhwc, by_block[-1])
        if on_block is not None:
            on_block(tokens_bhwc)
        return tokens_bhwc
