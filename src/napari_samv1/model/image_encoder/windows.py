"""Split a token grid into padded square windows, and join them again."""

from __future__ import annotations

from torch import Tensor


def padded_hw(grid_hw: tuple[int, int], window: int) -> tuple[int, int]:
    """The grid, enlarged to whole windows."""
    height, width = grid_hw
    return -(-height // window) * window, -(-width // window) * window


def split_windows(tokens_bhwc: Tensor, window: int, padding_c: Tensor) -> Tensor:
    """B H W C -> B rows columns S S C, missing tokens at the bottom and right being ``padding_c``."""
    batch, height, width, channels = tokens_bhwc.shape
    tall, wide = padded_hw((height, width), window)
    if (tall, wide) != (height, width):
        padded = tokens_bhwc.new_empty(batch, tall, wide, channels)
        padded[:, :height, :width] = tokens_bhwc
        padded[:, height:] = padding_c
        padded[:, :height, width:] = padding_c
        tokens_bhwc = padded
    return tokens_bhwc.unflatten(2, (-1, window)).unflatten(1, (-1, window)).transpose(2, 3)


def join_windows(windows: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    """B rows columns S S C -> B H W C, the padding dropped."""
    tokens_bhwc = windows.transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return tokens_bhwc[:, : grid_hw[0], : grid_hw[1]]
