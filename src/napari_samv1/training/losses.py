"""How wrong is a mask, a score, a dense map."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def mask_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Focal loss plus dice loss of masks (..., H, W) against coverage 0..1: one number per mask.

    The focal term (Lin et al. 2017, gamma 2) is a sum over pixels relative to the object's area, so that a
    small object counts as much as a large one, and a pixel on its rim as much inside as outside: the
    threshold of 0 stays where coverage is one half.
    """
    plain = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    chance = torch.sigmoid(logits)
    miss = (chance - wanted).abs()
    area = wanted.sum((-2, -1))
    room = wanted.shape[-2] * wanted.shape[-1]
    focal = (plain * miss**2).sum((-2, -1)) / (area + 0.002 * room + 8)
    overlap = (chance * wanted).sum((-2, -1))
    dice = 1 - (2 * overlap + 1) / (chance.sum((-2, -1)) + area + 1)
    return focal + dice


@torch.no_grad()
def mask_iou(logits: Tensor, wanted: Tensor) -> Tensor:
    """Intersection over union of (..., H, W) at the thresholds 0 and one half; 0 where both are empty."""
    shown, real = logits > 0, wanted > 0.5
    both = (shown & real).sum((-2, -1)).float()
    either = (shown | real).sum((-2, -1)).float()
    return both / either.clamp(min=1)


def dense_loss(maps: Tensor, wanted: Tensor) -> Tensor:
    """B 6 H W maps against ``targets.dense_targets``: a mean over pixels, then over the batch."""
    yes_no = functional.binary_cross_entropy_with_logits(maps[:, :3], wanted[:, :3], reduction="none")
    weights = maps.new_tensor([1.0, 1.0, 0.7])[:, None, None]
    inside = wanted[:, :1]
    vectors = functional.smooth_l1_loss(maps[:, 3:] * inside, wanted[:, 3:], reduction="none", beta=0.2)
    per_pixel = vectors.sum((1, 2, 3)) / inside.sum((1, 2, 3)).clamp(min=20)
    return (yes_no * weights).mean((2, 3)).sum(1).mean() + 0.5 * per_pixel.mean()
