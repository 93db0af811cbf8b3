"""Calibration: what the scores of one model's masks are worth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """What speaks for a mask, each 0 to 1.

    ``iou`` is what the decoder predicts, ``agreement`` the mask's IoU with the proposed region, ``seed`` the
    proposal's score. ``is_click`` says that a point alone was asked.
    """

    iou: float
    stability: float
    agreement: float
    seed: float
    is_click: bool


@dataclass(frozen=True)
class Calibration:
    """What one model's scores are worth.

    ``iou`` and ``stability`` are as much as the published thresholds are to the published model: one that
    trusts its masks less loses all of them at 0.88. ``click`` and ``region`` make the IoU to be expected of
    a mask's evidence: a constant, then a factor each for predicted IoU, stability, agreement and seed.
    """

    iou: float = 0.88
    stability: float = 0.95
    click: tuple[float, float, float, float, float] = (0.0, 1.0, 0.0, 0.0, 0.0)
    region: tuple[float, float, float, float, float] = (0.0, 1.0, 0.0, 0.0, 0.0)

    def quality(self, evidence: Evidence) -> float:
        """The IoU to be expected, 0 to 1."""
        constant, *factors = self.click if evidence.is_click else self.region
        scores = (evidence.iou, evidence.stability, evidence.agreement, evidence.seed)
        expected = constant + sum(f * s for f, s in zip(factors, scores, strict=True))
        return min(1.0, max(0.0, expected))
