"""The image encoder: patches -> positions -> stages -> channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from napari_samv1.model.config import SamConfig
from napari_samv1.model.image_encoder.channel_projection import ChannelProjection
from napari_samv1.model.image_encoder.patch_embedding import PatchEmbedding
from napari_samv1.model.image_encoder.position_encoding import PositionEncoding
from napari_samv1.model.image_encoder.relative_position import RelativePosition
from napari_samv1.model.image_encoder.stage import OnBlock, RunBlock, Stage, run_block
from napari_samv1.model.image_encoder.tables import EncoderTables, KeptTables
from napari_samv1.model.layers import room_measured
from napari_samv1.model.weights import Places


class ImageEncoder(nn.Module):
    """A plain vision transformer with mostly local attention (Kirillov et al. 2023, appendix A)."""

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        self.patch = config.patch
        self.window_sizes = (config.window,) * config.stages
        self.patch_embedding = PatchEmbedding(config.patch, config.width)
        self.position_encoding = PositionEncoding(config.grid, config.width)
        self.stages = nn.ModuleList(Stage(config) for _ in range(config.stages))
        self.channel_projection = ChannelProjection(config.width, config.channels)
        self._kept_tables = KeptTables()
        self._tabled = Places(
            module
            for module in self.modules()
            if isinstance(module, nn.LayerNorm | RelativePosition | PositionEncoding)
        )

    def forward(
        self,
        image_bchw: Tensor,
        *,
        window_sizes: Sequence[int] | None = None,
        on_block: Callable[[int, Tensor], None] | None = None,
    ) -> Tensor:
        """Prepared pixels B 3 H W -> image tokens B C h w on the grid of whole patches.

        ``window_sizes`` holds a window for each stage, in tokens; by default the trained ones.
        ``on_block(index, tokens_bhwc)`` is called after every block, for progress or inspection; an
        exception from it ends the encoding. It must not change the tokens.
        """
        windows = self.checked(image_bchw, window_sizes)
        tables = self.tables(image_bchw, windows)
        blocks_done = 0

        def report(tokens: Tensor) -> None:
            nonlocal blocks_done
            if on_block is not None:
                on_block(blocks_done, tokens)
            blocks_done += 1

        x = image_bchw
        with room_measured(image_bchw.device):
            for index in range(len(self.stages)):
                x = self.run_stage(index, x, windows, tables, on_block=report)
        return x

    def run_stage(
        self,
        index: int,
        x: Tensor,
        windows: Sequence[int],
        tables: EncoderTables | None = None,
        *,
        on_block: OnBlock | None = None,
        run: RunBlock = run_block,
    ) -> Tensor:
        """Run one stage; the first also embeds the pixels, the last also projects the channels.

        All stages, one after the other, are the whole encoder.
        """
        if index == 0:
            # float32 even for stages in bfloat16, whose sum would round away the additions of later blocks
            x = self.patch_embedding(x).float()
            x = self.position_encoding(x) if tables is None else x + tables.positions_hwc
        stage_tables = None if tables is None else tables.stages[index]
        x = self.stages[index](x, windows[index], on_block, stage_tables, run)
        return self.channel_projection(x) if index == len(self.stages) - 1 else x

    def tables(self, image_bchw: Tensor, windows: Sequence[int]) -> EncoderTables | None:
        """Return the tables of a size, prepared once; None in training, where weights change."""
        if torch.is_grad_enabled():
            return None
        grid_hw = (image_bchw.shape[2] // self.patch, image_bchw.shape[3] // self.patch)
        return self._kept_tables.of(
            (grid_hw, tuple(windows)),
            self._tabled.parameters(),
            lambda: self._make_tables(grid_hw, windows),
        )

    def _make_tables(self, grid_hw: tuple[int, int], windows: Sequence[int]) -> EncoderTables:
        stages = cast(list[Stage], list(self.stages))
        return EncoderTables(
            self.position_encoding.at(grid_hw).float(),
            tuple(
                stage.tables(grid_hw, window, torch.float32)
                for stage, window in zip(stages, windows, strict=True)
            ),
        )

    def checked(self, image_bchw: Tensor, window_sizes: Sequence[int] | None) -> tuple[int, ...]:
        """Check an image and windows; return the window of each stage."""
        height, width = image_bchw.shape[-2:]
        if height % self.patch or width % self.patch or not height or not width:
            raise ValueError(
                f"the image's sides must be positive multiples of the patch size {self.patch}, "
                f"got {height} x {width}; prepare it with a Frame"
            )
        if window_sizes is None:
            return self.window_sizes
        if len(window_sizes) != len(self.stages) or min(window_sizes) < 1:
            raise ValueError(
                f"window_sizes must hold {len(self.stages)} positive sizes, one per stage, got {window_sizes}"
            )
        return tuple(window_sizes)
