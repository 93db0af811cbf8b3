"""napari killed while somebody annotates: the next start offers it back, whole, but for the last moment."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_samv1.storage.session.composite import label_image
from napari_samv1.storage.session.recovery import recoverable
from session_steps import digest, press, values, wait_for_worker

KILLS = 6
# half a second between two autosaves and what it takes to write one; doubled for a busy machine
SECONDS_LOST = 2.0

Said = list[list[str]]


class Window:
    """A window in a process of its own, and what it says."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("session_victim.py")
        path = os.pathsep.join([str(script.parent.parent), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path.strip(os.pathsep), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        assert self._line() == ["ready"]

    def kill_after(self, state: Path, seconds: float) -> Said:
        """Let somebody annotate, kill them some seconds after their first edit; all that they said."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{state}\n".encode())
        self._process.stdin.flush()
        said: Said = []
        while not said or said[-1][0] != "edited":
            said.append(self._line())
        [started] = [line for line in said if line[0] == "started"]
        time.sleep(seconds)
        # TerminateProcess on Windows, which nothing can catch either
        os.kill(int(started[1]), 9)
        said.append(["killed", "", str(time.monotonic_ns())])
        while (line := self._line()) and line != ["ended"]:
            said.append(line)
        return said

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _line(self) -> list[str]:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().split()


@pytest.fixture(scope="module")
def somebody() -> Iterator[Callable[[Path, float], Said]]:
    """Annotates until they are killed. Where there is no fork, each costs a process of its own."""
    windows: list[Window] = []

    def annotates(state: Path, seconds: float) -> Said:
        if not windows or not hasattr(os, "fork"):
            windows.append(Window())
        return windows[-1].kill_after(state, seconds)

    yield annotates
    for window in windows:
        window.close()


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_killed_napari_comes_back_but_for_its_last_moment(
    seed, somebody, open_panel, discs, qtbot, tmp_path, monkeypatch
):
    monkeypatch.setenv("NAPARI_SAMV1_STATE", str(tmp_path))
    said = somebody(tmp_path, random.Random(seed).uniform(0.0, 1.0) + (2.5 if seed == 0 else 0.5))
    [killed] = [int(line[2]) for line in said if line[0] == "killed"]
    edited = {int(line[1]): int(line[2]) for line in said if line[0] == "edited" and len(line) == 3}
    offered = [line[1] for line in said if line[0] == "offered" and len(line) == 3]
    old = [number for number, moment in edited.items() if killed - moment > SECONDS_LOST * 1e9]

    found = recoverable()
    if not found:
        assert not old
        return
    [lost] = found
    assert lost.problem == ""
    record = lost.record
    assert record is not None
    # whole: a state that there was, not a mixture of two; and not an old one
    assert digest(record) in offered
    [plane] = record.planes
    prompts = sum(len(known.prompts) for known in plane.pieces)
    assert max(old, default=0) <= prompts <= max(edited) + 1

    panel = open_panel()
    press(qtbot, panel, "Restore")
    binding = panel.canvas
    qtbot.waitUntil(lambda: bool(binding.shown and binding.shown.objects), timeout=60_000)
    # what was still waiting for its mask gets it now, from the model that is loaded
    assert_restored(binding, plane)
    assert len(binding.points.data) + (0 if binding.shapes is None else len(binding.shapes.data)) == prompts
    assert binding.image.source.sample == ("napari-samv1", "coins")
    wait_for_worker(qtbot, panel)
    assert recoverable() == []


def assert_restored(binding: Any, plane: Any) -> None:
    """Every object that had its mask has it again, and its place in the Labels layer."""
    waiting = {known.id for known in plane.pieces if known.pending}
    for known in plane.pieces:
        if known.id not in waiting:
            assert values(binding.shown.objects[known.id]) == values(known)
    expected, shown = label_image(plane), np.asarray(binding.labels.data)
    settled = ~np.isin(expected, list(waiting)) & ~np.isin(shown, list(waiting))
    np.testing.assert_array_equal(shown[settled], expected[settled])
