"""Calibration: what the scores of one model's masks are worth."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Evidence:
    """Evidence for a mask, each 0 to 1.

    ``iou`` is what the decoder predicts, ``agreement`` the mask's IoU with the proposed region, ``seed`` the
    proposal's score. By the dense head's maps, ``outline`` says how much of the mask's outline is rim,
    ``crossing`` how much rim crosses its inside, as a share of the outline's length, and ``filled`` how much
    of it is inside of an object.
    """

    iou: float
    stability: float
    agreement: float = 1.0
    seed: float = 1.0
    outline: float = 1.0
    crossing: float = 0.0
    filled: float = 1.0


BY_IOU = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Calibration:
    """Calibration of one model's scores.

    ``iou`` and ``stability`` are as much as the published thresholds are to the published model: one that
    trusts its masks less loses all of them at 0.88. ``click`` and ``region`` make the IoU to be expected of
    a mask that a point alone asked for, or a point with a region: a constant, then a factor for each field of
    `Evidence`.
    """

    iou: float = 0.88
    stability: float = 0.95
    click: tuple[float, ...] = BY_IOU
    region: tuple[float, ...] = BY_IOU

    def __post_init__(self) -> None:
        for name in ("click", "region"):
            if len(getattr(self, name)) != len(BY_IOU):
                raise ValueError(f"{name} must hold {len(BY_IOU)} numbers, got {getattr(self, name)}")

    def quality(self, evidence: Evidence, *, by_region: bool = False) -> float:
        """The IoU to be expected, 0 to 1."""
        constant, *factors = self.region if by_region else self.click
        expected = constant + sum(f * one for f, one in zip(factors, astuple(evidence), strict=True))
        return min(1.0, max(0.0, expected))
