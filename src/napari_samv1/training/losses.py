"""Losses of masks, scores and dense maps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

BAND = 3
"""Width in pixels of the band around an object that counts as much as the object."""


def mask_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Weighted cross-entropy plus dice loss of masks (..., H, W) against coverage 0..1: one number per mask.

    Pixels in the object and within `BAND` pixels of it weigh 1 each, so that the threshold of 0 stays where
    coverage is one half; all others together weigh as much as the object, so that a small object is not
    drowned by an image of background, and those that are taken for the object (its neighbour's, mostly) as
    much again. (A focal loss summed over the image kept every mask empty for hundreds of steps; one balanced
    over all pixels draws the outline too far out.)
    """
    plain = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    area = wanted.sum((-2, -1), keepdim=True)
    near = widened(wanted > 0, BAND)
    far = (~near).sum((-2, -1), keepdim=True)
    chance = torch.sigmoid(logits)
    taken = chance.detach() * ~near
    taken = taken * ((area + 8) / taken.sum((-2, -1), keepdim=True).clamp(min=1e-6)).clamp(max=1)
    weights = torch.where(near, 1.0, (area + 8) / far.clamp(min=1) + taken)
    entropy = (plain * weights).sum((-2, -1)) / weights.sum((-2, -1))
    overlap = (chance * wanted).sum((-2, -1))
    dice = 1 - (2 * overlap + 1) / (chance.sum((-2, -1)) + area[..., 0, 0] + 1)
    return 2 * entropy + dice


def widened(masks: Tensor, reach: int) -> Tensor:
    """Dilate a bool mask by ``reach`` rows and columns."""
    near = masks.clone()
    for axis in (-2, -1):
        done = 0
        while done < reach:  # 1, then 2, then 4 pixels on
            step = min(done + 1, reach - done, near.shape[axis])
            length = near.shape[axis] - step
            before = near.clone()
            near.narrow(axis, step, length).logical_or_(before.narrow(axis, 0, length))
            near.narrow(axis, 0, length).logical_or_(before.narrow(axis, step, length))
            done += step
    return near


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
