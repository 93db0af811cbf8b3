"""Games of the machine: the same ones each time, or others for as long as ``make play`` says."""

from __future__ import annotations

import itertools
import os
import time

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis.stateful import run_state_machine_as_test

from play.machine import Playing

MACHINES = 3  # share the time
SECONDS = settings(
    max_examples=12,
    stateful_step_count=30,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
SHORT = settings(SECONDS, max_examples=7, stateful_step_count=12)


def play(machine: type[Playing], games: settings) -> None:
    """Play some games; where PLAY_MINUTES says so, longer ones from PLAY_SEED on, and shrink failures."""
    minutes = float(os.environ.get("PLAY_MINUTES", 0)) / MACHINES
    if minutes:
        games = settings(
            games,
            max_examples=4 * games.max_examples,
            stateful_step_count=50,
            phases=[Phase.generate, Phase.shrink],
        )
    end = time.monotonic() + 60 * minutes
    for seed in itertools.count(int(os.environ.get("PLAY_SEED", 1))):
        print(f"{machine.__name__}, seed {seed}", flush=True)
        run_state_machine_as_test(seeded(seed)(machine), settings=games)
        if time.monotonic() >= end:
            break
