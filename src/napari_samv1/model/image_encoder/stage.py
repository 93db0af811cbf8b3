"""A stage: windowed blocks, then one that sees everything."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from napari_samv1.model.config import SamConfig
from napari_samv1.model.image_encoder.blocks import GlobalBlock, WindowedBlock

OnBlock = Callable[[Tensor], None]


class Stage(nn.Module):
    """Cheap local blocks ending in one global block (Li et al. 2022, ViTDet)."""

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        sizes = (config.width, config.heads, config.mlp_ratio)
        self.windowed = nn.ModuleList(
            WindowedBlock(*sizes, config.window) for _ in range(config.blocks_per_stage - 1)
        )
        self.whole = GlobalBlock(*sizes, config.grid)

    def forward(self, tokens_bhwc: Tensor, window: int, on_block: OnBlock | None = None) -> Tensor:
        for block in self.windowed:
            tokens_bhwc = block(tokens_bhwc, window)
            if on_block is not None:
                on_block(tokens_bhwc)
        tokens_bhwc = self.whole(tokens_bhwc)
        if on_block is not None:
            on_block(tokens_bhwc)
        return tokens_bhwc
