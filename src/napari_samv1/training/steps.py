"""One training step of any stage: crops in, gradients out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from napari_samv1.images.prepare import normalised
from napari_samv1.model import Sam
from napari_samv1.records.preparation import Preparation
from napari_samv1.training.crops import Crop
from napari_samv1.training.first_stage_head import FirstStageHead
from napari_samv1.training.losses import dense_loss, mask_iou, mask_loss
from napari_samv1.training.prompting import (
    Round,
    correction,
    first_round,
    from_rough,
    refinement,
    where_only,
)
from napari_samv1.training.targets import dense_targets

SCORE_WEIGHT = 4.0
"""Weight of a mask's predicted IoU beside the mask."""
REFINED, ROUGH = 0.2, 0.1
"""Shares of the second rounds that repeat the prompt with one of its answers as a hint, or with a rough mask
of the object; the others correct the answer."""
CARRIED = 0.8
"""Share of corrections with the answer's logits as a hint, as in the plugin; scripts may give none."""
DENSE_CLICKS = 8
DECODED_TOKENS = 4 * 1024
"""Image tokens times prompts that one image of a step decodes; at least four prompts."""

Figures = dict[str, float]


def pixels(crops: Sequence[Crop], preparation: Preparation, device: torch.device) -> Tensor:
    """Crops -> B 3 H W in the range that the model expects."""
    return torch.stack([normalised(crop.image, preparation) for crop in crops]).to(device)


class Step:
    """State shared by all stages: the network, the head, the device and its precision."""

    def __init__(self, network: Sam, head: FirstStageHead, preparation: Preparation, half: bool) -> None:
        self.network = network
        self.head = head
        self.preparation = preparation
        self.half = half
        self.device = next(network.parameters()).device

    def lower_precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)

    def encode(self, crops: Sequence[Crop]) -> Tensor:
        with self.lower_precision():
            return self.network.encode(pixels(crops, self.preparation, self.device))

    def dense(
        self, tokens_bchw: Tensor, crops: Sequence[Crop], rng: np.random.Generator, *, clicks: bool
    ) -> tuple[Tensor, Figures]:
        """The first stage's loss: dense maps, and with ``clicks`` masks read without the decoder."""
        stride = self.network.config.patch // 4
        wanted = torch.from_numpy(np.stack([dense_targets(crop.levels, stride) for crop in crops])).to(
            self.device
        )
        with self.lower_precision():
            features = self.head.upscale(self.network, tokens_bchw)
            maps = self.head.maps(features)
        loss = dense_loss(maps.float(), wanted)
        figures = {"dense": float(loss.detach())}
        if not clicks:
            return loss, figures
        ious = []
        for i, crop in enumerate(crops):
            asked = first_round(rng, crop.levels, DENSE_CLICKS, _logits_hw(tokens_bchw), kind="point")
            if asked is None:
                continue
            with self.lower_precision():
                spots = asked.points_xy01[:, 0].to(self.device)
                logits = self.head.masks(self.network, tokens_bchw[i], features[i], spots)
            goal = asked.wanted.to(self.device)
            loss = loss + mask_loss(logits.float(), goal).mean() / len(crops)
            ious.append(mask_iou(logits, goal)[:, 2].mean())
        figures["read_iou"] = float(torch.stack(ious).mean()) if ious else 0.0
        return loss, figures

    def prompted(
        self,
        tokens_bchw: Tensor,
        crops: Sequence[Crop],
        rng: np.random.Generator,
        *,
        corrected: float,
        where: bool,
    ) -> tuple[Tensor, Figures]:
        """Gradient of the prompted stages for the image tokens; that of the decoder is accumulated.

        Images are decoded one by one, so that memory holds the activations of one at a time. ``corrected`` is
        the chance that an image's answers are corrected in a second round; ``where`` asks only for the place.
        """
        gradient = torch.zeros_like(tokens_bchw)
        sums: dict[str, list[float]] = {}
        for i, crop in enumerate(crops):
            token_count = tokens_bchw.shape[2] * tokens_bchw.shape[3]
            count = int(np.clip(DECODED_TOKENS // token_count, 4, 24))
            asked = first_round(rng, crop.levels, count, _logits_hw(tokens_bchw))
            if asked is None:
                continue
            if where:
                asked = where_only(asked)
            image = tokens_bchw[i : i + 1].detach().requires_grad_()
            logits, scores = self._decode(image, asked, None)
            loss, iou = _round_loss(logits, scores, asked)
            sums.setdefault(_name(asked), []).append(iou)
            sums.setdefault("loss", []).append(float(loss.detach()))
            if rng.random() < corrected:
                keep = slice(0, max(1, count // 2))
                hint: Tensor | None = None
                kind = rng.random()
                if kind < ROUGH:
                    again, rough = from_rough(rng, asked, keep)
                    hint = rough.to(self.device)
                elif asked.single and kind < ROUGH + REFINED:
                    index = int(rng.integers(1, 4))
                    again = refinement(asked, index, keep)
                    hint = logits[keep, index, None].detach()
                else:
                    shown = logits[keep, 2 if asked.single else 0].detach()
                    again = correction(rng, asked, shown.cpu(), int(rng.choice([1, 1, 2, 4])), keep)
                    if rng.random() < CARRIED:
                        hint = shown[:, None]
                logits, scores = self._decode(image, again, hint)
                more, iou = _round_loss(logits, scores, again)
                loss = loss + 0.6 * more
                sums.setdefault("corrected_iou", []).append(iou)
            (loss / len(crops)).backward()
            if image.grad is not None:
                gradient[i : i + 1] = image.grad
        return gradient, {name: float(np.mean(values)) for name, values in sums.items()}

    def _decode(self, image: Tensor, asked: Round, hint: Tensor | None) -> tuple[Tensor, Tensor]:
        prompts = self.network.encode_prompts(
            asked.points_xy01.to(self.device), asked.labels.to(self.device), asked.boxes_xy01.to(self.device)
        )
        with self.lower_precision():
            logits, scores = self.network.decode(image, prompts, hint)
        return logits.float(), scores.float()


def _round_loss(logits: Tensor, scores: Tensor, asked: Round) -> tuple[Tensor, float]:
    wanted = asked.wanted.to(logits.device)
    ious = mask_iou(logits, wanted)
    per_mask = mask_loss(logits, wanted) + SCORE_WEIGHT * (scores - ious) ** 2
    chosen = 2 if asked.single else 0
    return (per_mask * asked.weights.to(logits.device)).sum(1).mean(), float(ious[:, chosen].mean())


def _name(asked: Round) -> str:
    if not asked.single:
        return "several_iou"
    return "box_iou" if asked.boxes_xy01.shape[1] else "point_iou"


def _logits_hw(tokens_bchw: Tensor) -> tuple[int, int]:
    return 4 * tokens_bchw.shape[2], 4 * tokens_bchw.shape[3]
