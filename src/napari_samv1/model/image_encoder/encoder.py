"""The image encoder: patches -> positions -> stages -> channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from napari_samv1.model.config import SamConfig
from napari_samv1.model.image_encoder.channel_projection import ChannelProjection
from napari_samv1.model.image_encoder.patch_embedding import PatchEmbedding
from napari_samv1.model.image_encoder.position_encoding import PositionEncoding
from napari_samv1.model.image_encoder.stage import Stage


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

    def forward(
        self,
        image_bchw: Tensor,
        *,
        window_sizes: Sequence[int] | None = None,
        on_block: Callable[[int, Tensor], None] | None = None,
    ) -> Tensor:
        """Prepared pixels B 3 H W -> image tokens B C h w on the grid of whole patches.

        ``window_sizes`` gives every stage its own window, in tokens; by default the trained one.
        ``on_block(index, tokens_bhwc)`` is called after every block, for progress or for a look; what it
        raises ends the encoding. It must not change the tokens.
        """
        windows = self._checked(image_bchw, window_sizes)
        # float32 wherever the stages are not: in bfloat16 the sum over all blocks would lose the later ones'
        tokens_bhwc = self.position_encoding(self.patch_embedding(image_bchw).float())
        blocks_done = 0

        def report(tokens: Tensor) -> None:
            nonlocal blocks_done
            if on_block is not None:
                on_block(blocks_done, tokens)
            blocks_done += 1

        for stage, window in zip(self.stages, windows, strict=True):
            tokens_bhwc = stage(tokens_bhwc, window, report)
        return self.channel_projection(tokens_bhwc)

    def _checked(self, image_bchw: Tensor, window_sizes: Sequence[int] | None) -> tuple[int, ...]:
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
