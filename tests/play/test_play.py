"""The machine plays: some seconds of the same games, or other games for as long as ``make play`` says."""

from __future__ import annotations

import itertools
import os
import time

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis.stateful import run_state_machine_as_test

from play.machine import Playing, PlayingOnAStack, PlayingOnTwoImages

SECONDS = settings(
    max_examples=12,
    stateful_step_count=30,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
HOURS = settings(SECONDS, max_examples=50, stateful_step_count=50, phases=[Phase.generate, Phase.shrink])


@pytest.mark.parametrize("machine", [PlayingOnAStack, PlayingOnTwoImages])
def test_whatever_people_do_the_document_the_layers_and_the_files_agree(machine: type[Playing]) -> None:
    minutes = float(os.environ.get("PLAY_MINUTES", 0)) / 2
    end = time.monotonic() + 60 * minutes
    for seed in itertools.count(int(os.environ.get("PLAY_SEED", 1))):
        print(f"{machine.__name__}, seed {seed}", flush=True)
        run_state_machine_as_test(seeded(seed)(machine), settings=HOURS if minutes else SECONDS)
        if time.monotonic() >= end:
            break
