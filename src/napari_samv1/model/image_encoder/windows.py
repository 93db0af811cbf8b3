"""Split a token grid into padded square windows, and join them again."""

from __future__ import annotations

from torch import Tensor


def padded_hw(grid_hw: tuple[int, int], window: int) -> tuple[int, int]:
    """The grid, enlarged to whole windows."""
    height, width = grid_hw
    return -(-height // window) * window, -(-width // window) * window


def split_windows(tokens_bhwc: Tensor, window: int, padding_c: Tensor) -> Tensor:
    """B H W C -> (B*windows) S S C, missing tokens at the bottom and right being ``padding_c``."""
    batch, height, width, channels = tokens_bhwc.shape
    tall, wide = padded_hw((height, width), window)
    if (tall, wide) != (height, width):
        padded = tokens_bhwc.new_empty(batch, tall, wide, channels)
        padded[:, :height, :width] = tokens_bhwc
        padded[:, height:] = padding_c
        padded[:, :height, width:] = padding_c
        tokens_bhwc = padded
    tiles = tokens_bhwc.reshape(batch, tall // window, window, wide // window, window, channels)
    return tiles.transpose(2, 3).reshape(-1, window, window, channels)


def join_windows(windows_nssc: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    """(B*windows) S S C -> B H W C, the padding dropped."""
    window, channels = windows_nssc.shape[1], windows_nssc.shape[3]
    tall, wide = padded_hw(grid_hw, window)
    tiles = windows_nssc.reshape(-1, tall // window, wide // window, window, window, channels)
    tokens_bhwc = tiles.transpose(2, 3).reshape(-1, tall, wide, channels)
    return tokens_bhwc[:, : grid_hw[0], : grid_hw[1]]
