"""Calibration of one model's scores by evidence for its masks."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Evidence:
    """Evidence for a mask, each 0 to 1.

    ``iou`` is the decoder's prediction, ``agreement`` the mask's IoU with the proposed region, ``seed`` the
    proposal's score. In the dense head's maps, ``outline`` is the share of the mask's outline that is rim,
    ``crossing`` the rim that crosses its inside, as a share of the outline's length, and ``filled`` the share
    of the mask inside an object.
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

    ``iou`` and ``stability`` are the thresholds that correspond to the published ones: a model with lower
    scores would lose all masks at 0.88. ``click`` and ``region`` give the expected IoU of a mask from a point
    alone, or from a point with a region: a constant, then a factor for each field of `Evidence`.
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
        """Expected IoU, 0 to 1."""
        constant, *factors = self.region if by_region else self.click
        expected = constant + sum(f * one for f, one in zip(factors, astuple(evidence), strict=True))
        return min(1.0, max(0.0, expected))
