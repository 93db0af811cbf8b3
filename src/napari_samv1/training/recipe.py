"""What a run is made of: everything that its result depends on, besides the code."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi

Grids = tuple[tuple[int, int], ...]

GRIDS: Grids = (
    *(((32, 32),) * 6),
    *(((24, 24),) * 2),
    (40, 40),
    (48, 48),
    (24, 40),
    (40, 24),
    (29, 37),
    (37, 29),
    (18, 48),
    (48, 20),
    (16, 16),
)
"""Token grids to draw from: mostly moderate squares, and oblong, small and large ones."""

LATE_GRIDS: Grids = (
    *(((48, 48),) * 4),
    *(((40, 40),) * 3),
    *(((32, 32),) * 4),
    (24, 24),
    (36, 48),
    (48, 36),
    (29, 37),
    (18, 48),
    (40, 56),
    (56, 56),
    (64, 64),
)
"""About the grid that the model is used at, once it knows what a prompt is: an image costs more there."""


@dataclass(frozen=True)
class Recipe:
    """Seed, data, lengths and learning rates of a run.

    ``dense_steps`` train the encoder on dense targets, ``where_steps`` the decoder on places,
    ``prompt_steps`` the whole network on prompts. The last ``late`` of these are on ``late_grids`` and mostly
    on the ``late_scenes``, which are larger and more crowded. In a step each of ``workers`` processes sees
    about ``dense_tokens`` or ``tokens`` image tokens of its own.
    """

    seed: int = 0
    workers: int = 2
    scenes: int = 5120
    grids: Grids = GRIDS
    late_grids: Grids = LATE_GRIDS
    late: float = 0.77
    late_scenes: int = 2048
    late_share: float = 0.6
    dense_tokens: int = 2 * 1024
    tokens: int = 3 * 1024
    dense_steps: int = 700
    where_steps: int = 250
    prompt_steps: int = 9300
    dense_rate: float = 1e-3
    prompt_rate: float = 5e-4
    decay: float = 0.02
    averaging: float = 0.995
    corrected: float = 0.35

    @property
    def steps(self) -> int:
        return self.dense_steps + self.where_steps + self.prompt_steps

    def is_dense(self, step: int) -> bool:
        """Whether a step (0-based) belongs to the first stage."""
        return step < self.dense_steps

    def is_where(self, step: int) -> bool:
        """Whether a step teaches the decoder alone where prompts point."""
        return self.dense_steps <= step < self.dense_steps + self.where_steps

    def is_late(self, step: int) -> bool:
        """Whether a step belongs to the last part of the last stage."""
        return self._prompted(step) >= (1 - self.late) * self.prompt_steps

    def grids_at(self, step: int) -> Grids:
        """The token grids that a step's crops may have."""
        return self.late_grids if self.is_late(step) else self.grids

    def learning_rate(self, step: int) -> float:
        """Rises over 60 steps at the start of either stage, then falls along a half cosine."""
        if self.is_dense(step):
            return self.dense_rate * _rise_and_fall(step, self.dense_steps, 0.3)
        if self.is_where(step):
            return self.prompt_rate * _rise_and_fall(step - self.dense_steps, self.where_steps, 0.3)
        return self.prompt_rate * _rise_and_fall(self._prompted(step), self.prompt_steps, 0.02)

    def _prompted(self, step: int) -> int:
        return step - self.dense_steps - self.where_steps

    def dense_share(self, step: int) -> float:
        """The dense loss's weight: all of the first stage, then a half, gone halfway through the second."""
        if self.is_dense(step):
            return 1.0
        if self.is_where(step):
            return 0.0
        done = self._prompted(step) / max(1, self.prompt_steps)
        return 0.5 * max(0.0, 1 - 2 * done)

    def correction_chance(self, step: int) -> float:
        """Corrections start once there is something to correct."""
        if self.is_where(step):
            return 0.0
        done = self._prompted(step) / max(1, self.prompt_steps)
        return self.corrected * min(1.0, max(0.0, 8 * done - 0.8))


def _rise_and_fall(step: int, steps: int, last: float) -> float:
    if step < 60:
        return (step + 1) / 60
    done = min(1.0, (step - 60) / max(1, steps - 60))
    return last + (1 - last) * 0.5 * (1 + cos(pi * done))
