"""Model width -> the channels that the mask decoder sees."""

from __future__ import annotations

from torch import Tensor, nn

from napari_samv1.model.layers import Conv2d, LayerNorm2d


class ChannelProjection(nn.Module):
    """A 1x1 and a 3x3 convolution, each normalised."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.narrow = Conv2d(width, channels, kernel_size=1, bias=False)
        self.norm_narrow = LayerNorm2d(channels)
        self.smooth = Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.norm_smooth = LayerNorm2d(channels)

    def forward(self, tokens_bhwc: Tensor) -> Tensor:
        x_bchw = tokens_bhwc.to(self.narrow.weight.dtype).permute(0, 3, 1, 2)
        x_bchw = self.norm_narrow(self.narrow(x_bchw))
        return self.norm_smooth(self.smooth(x_bchw))
