"""Windows of the token grid that the decoder attends to, instead of all of an image's tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_samv1.engine.candidate import Drawn
from napari_samv1.model.mask_decoder import DecoderImage
from napari_samv1.records.frame import LOGITS_PER_TOKEN, Frame
from napari_samv1.records.prompts import Prompts

NOWHERE = -100.0
"""Logit of pixels outside a window: below every threshold."""


def window_size(prompts: Prompts, frame: Frame) -> tuple[int, int]:
    """Height and width in tokens of what an object's prompts attend to."""
    window = _window(prompts, frame)
    return frame.grid_hw if window is None else window[2:]


def reaches_edge(prompts: Prompts, frame: Frame, drawn_hw: Drawn) -> bool:
    """Return True if a mask meets an edge of its prompts' window that is no edge of the grid."""
    window = _window(prompts, frame)
    if window is None:
        return False
    rows, columns = _slices(window)
    part = drawn_hw[rows, columns]
    edges = (
        (window[0] > 0, part[0]),
        (window[1] > 0, part[:, 0]),
        (window[0] + window[2] < frame.grid_hw[0], part[-1]),
        (window[1] + window[3] < frame.grid_hw[1], part[:, -1]),
    )
    return any(inside and bool((edge > 0).any()) for inside, edge in edges)


@dataclass(frozen=True)
class DecoderWindows:
    """Windows of one size for the prompts of a batch; None if they attend to the whole grid."""

    windows: tuple[tuple[int, int, int, int], ...] | None
    logits_hw: tuple[int, int]

    @classmethod
    def of(cls, prompts: Sequence[Prompts], frame: Frame) -> DecoderWindows:
        """Windows of prompts whose ``window_size`` is the same."""
        windows = [_window(one, frame) for one in prompts]
        return cls(tuple(one for one in windows if one is not None) or None, frame.logits_hw)

    def of_image(self, image: DecoderImage) -> DecoderImage:
        """Cut the windows out of an image."""
        if self.windows is None:
            return image
        first = torch.tensor([window[:2] for window in self.windows], device=image.tokens_bnc.device)
        return image.windows(first, self.windows[0][2:])

    def of_hints(self, hint_b1hw: Tensor) -> Tensor:
        """Cut each prompt's window out of its hint."""
        if self.windows is None:
            return hint_b1hw
        cut = [hint[(..., *_slices(window))] for hint, window in zip(hint_b1hw, self.windows, strict=True)]
        return torch.stack(cut)

    def placed(self, logits: Tensor, which: Iterable[int]) -> Tensor:
        """Logits of windows (K, ..., h, w), those of the prompts ``which``, on the whole grid."""
        if self.windows is None:
            return logits
        whole = logits.new_full((*logits.shape[:-2], *self.logits_hw), NOWHERE)
        for one, part, index in zip(whole, logits, which, strict=True):
            one[(..., *_slices(self.windows[index]))] = part
        return whole


def _window(prompts: Prompts, frame: Frame) -> tuple[int, int, int, int] | None:
    return None if prompts.within is None else frame.tokens_within(prompts.within)


def _slices(window: tuple[int, int, int, int]) -> tuple[slice, slice]:
    """Logits of a window of tokens."""
    top, left, height, width = (LOGITS_PER_TOKEN * size for size in window)
    return slice(top, top + height), slice(left, left + width)
