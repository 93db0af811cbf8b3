"""Recipe of a run: everything that its result depends on, besides the code."""

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

LARGE_GRIDS: Grids = (
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
"""Grids of about the size in use: an image costs more there, for no more prompts."""


SHORT = 5000
"""Number of prompted steps from which on a run's stages are not shortened."""


@dataclass(frozen=True)
class Recipe:
    """Seed, data, lengths and learning rates of a run.

    ``dense_steps`` train the encoder on dense targets, ``where_steps`` the decoder on places,
    ``prompt_steps`` the whole network on prompts: from ``late_from`` on mostly in the ``late_scenes``, which
    are larger and more crowded, and from ``large_from`` on with the ``large_grids``. In a step each of
    ``workers`` processes sees about ``dense_tokens`` or ``tokens`` image tokens of its own.
    Scenes are ``side`` or ``late_side`` pixels square, and are stored in files of ``shard`` scenes.

    Changes during the last stage come at fixed steps; in a run of less than `SHORT` prompted steps they come
    sooner in proportion. The rate falls linearly over the whole stage.

    A run of prompted steps alone continues from weights trained on prompts (`going_on`): it has larger grids
    and corrections from its first step, and no dense loss.
    """

    seed: int = 0
    workers: int = 2
    scenes: int = 4096
    side: int = 384
    grids: Grids = GRIDS
    large_grids: Grids = LARGE_GRIDS
    late_from: int = 1600
    large_from: int = 4000
    late_scenes: int = 3072
    late_side: int = 512
    shard: int = 64
    late_share: float = 0.6
    dense_tokens: int = 2 * 1024
    tokens: int = 3 * 1024
    dense_steps: int = 700
    where_steps: int = 250
    prompt_steps: int = 6600
    dense_rate: float = 1e-3
    prompt_rate: float = 5e-4
    decay: float = 0.02
    averaging: float = 0.995
    corrected: float = 0.4

    @classmethod
    def going_on(cls) -> Recipe:
        """Recipe to start from a checkpoint instead of random weights, at less than half the rate."""
        return cls(dense_steps=0, where_steps=0, prompt_steps=SHORT, prompt_rate=2e-4)

    @property
    def goes_on(self) -> bool:
        return self.dense_steps == self.where_steps == 0

    @property
    def steps(self) -> int:
        return self.dense_steps + self.where_steps + self.prompt_steps

    def is_dense(self, step: int) -> bool:
        """Return True if a step (0-based) belongs to the first stage."""
        return step < self.dense_steps

    def is_where(self, step: int) -> bool:
        """Return True if a step trains the decoder alone to follow the place of a prompt."""
        return self.dense_steps <= step < self.dense_steps + self.where_steps

    def is_late(self, step: int) -> bool:
        """Return True if a step sees the larger, more crowded scenes."""
        return self.goes_on or self._prompted(step) >= self.late_from

    def is_large(self, step: int) -> bool:
        """Return True if a step's crops are about as large as the images that the model is used on."""
        return self.goes_on or self._prompted(step) >= self.large_from

    def grids_at(self, step: int) -> Grids:
        """The token grids that a step's crops may have."""
        return self.large_grids if self.is_large(step) else self.grids

    def learning_rate(self, step: int) -> float:
        """Learning rate of a step; it rises over 60 steps at the start of every stage.

        It falls along a half cosine in the first two stages, and linearly to a fiftieth in the last: at a
        high rate the losses stall, and they fall with it.
        """
        if self.is_dense(step):
            return self.dense_rate * _rise_and_fall(step, self.dense_steps, 0.3)
        step -= self.dense_steps
        if step < self.where_steps:
            return self.prompt_rate * _rise_and_fall(step, self.where_steps, 0.3)
        step -= self.where_steps
        return self.prompt_rate * min(1.0, (step + 1) / 60) * max(0.02, 1 - step / self.prompt_steps)

    def _prompted(self, step: int) -> float:
        """Return a step's place in the last stage, in steps of a full-length run."""
        into = step - self.dense_steps - self.where_steps
        return into * max(1.0, SHORT / max(1, self.prompt_steps))

    def dense_share(self, step: int) -> float:
        """The dense loss's weight: all of the first stage, then a half, gone within 4,000 prompted steps."""
        if self.is_dense(step):
            return 1.0
        if self.is_where(step) or self.goes_on:
            return 0.0
        return 0.5 * max(0.0, 1 - self._prompted(step) / 4000)

    def correction_chance(self, step: int) -> float:
        """Probability of a correction; zero until there are masks to correct."""
        if self.is_where(step):
            return 0.0
        if self.goes_on:
            return self.corrected
        return self.corrected * min(1.0, max(0.0, (self._prompted(step) - 600) / 1000))


def _rise_and_fall(step: int, steps: int, last: float) -> float:
    if step < 60:
        return (step + 1) / 60
    done = min(1.0, (step - 60) / max(1, steps - 60))
    return last + (1 - last) * 0.5 * (1 + cos(pi * done))
