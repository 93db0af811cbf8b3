"""A small network beside the mask decoder: image tokens -> maps of objects, rims and centres."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from napari_samv1.model.layers import LayerNorm2d

MAPS = 6
"""Number of maps: inside an object, on a rim, at a centre (logits); offset to the centre (row, column) in
radii; log of the radius in model pixels over `RADIUS`."""
RADIUS = 12.0


@dataclass(frozen=True)
class DenseHeadConfig:
    """Sizes of a dense head.

    ``channels`` is the width of the image tokens, ``width`` and ``depth`` those of the part on the token
    grid, ``fine_width`` and ``fine_depth`` those of the part at twice its resolution. ``stem_width`` is that
    of the part that sees the pixels themselves, at half their resolution; 0 for none.
    """

    channels: int = 256
    width: int = 64
    depth: int = 3
    fine_width: int = 40
    fine_depth: int = 2
    stem_width: int = 0


class DenseHead(nn.Module):
    """Image tokens, B C h w -> maps, B 6 4h 4w, in the order of `MAPS`.

    Convolutions on the token grid, more at twice its resolution, and a last layer that makes 2 x 2 pixels of
    each place. With patches of 8 pixels a map has one value for every 2 x 2 model pixels. Gaps between
    objects may be narrower than tokens tell: with a stem, the pixels, B 3 8h 8w, are seen as well.
    """

    def __init__(self, config: DenseHeadConfig) -> None:
        super().__init__()
        self.config = config
        width, fine = config.width, config.fine_width
        self.narrow = nn.Conv2d(config.channels, width, 1)
        self.coarse = nn.ModuleList(Residual(width) for _ in range(config.depth))
        self.widen = nn.Conv2d(width, 4 * fine, 1)
        self.fine = nn.ModuleList(Residual(fine) for _ in range(config.fine_depth))
        self.stem = PixelStem(config.stem_width, fine) if config.stem_width else None
        self.norm = LayerNorm2d(fine)
        self.maps = nn.Conv2d(fine, 4 * MAPS, 3, padding=1)

    def forward(self, tokens_bchw: Tensor, pixels_bchw: Tensor | None = None) -> Tensor:
        x_bchw: Tensor = self.narrow(tokens_bchw.float())
        for block in self.coarse:
            x_bchw = block(x_bchw)
        x_bchw = functional.pixel_shuffle(self.widen(x_bchw), 2)  # B fine 2h 2w
        if self.stem is not None:
            if pixels_bchw is None:
                raise ValueError("this dense head sees the pixels too; none came with the image tokens")
            x_bchw = x_bchw + self.stem(pixels_bchw.float())
        for block in self.fine:
            x_bchw = block(x_bchw)
        return functional.pixel_shuffle(self.maps(functional.gelu(self.norm(x_bchw))), 2)


class PixelStem(nn.Module):
    """Pixels, B 3 H W -> B C H/4 W/4: edges at half their resolution, with their surroundings."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.block = Residual(width)
        self.shrink = nn.Conv2d(width, channels, 3, stride=2, padding=1)

    def forward(self, pixels_bchw: Tensor) -> Tensor:
        x_bchw: Tensor = self.shrink(functional.gelu(self.block(functional.gelu(self.look(pixels_bchw)))))
        return x_bchw


class Residual(nn.Module):
    """Residual block on B C H W: normalisation, a 3x3 convolution, GELU, a 1x1 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(width)
        self.look = nn.Conv2d(width, width, 3, padding=1)
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x_bchw: Tensor) -> Tensor:
        return x_bchw + self.mix(functional.gelu(self.look(self.norm(x_bchw))))
