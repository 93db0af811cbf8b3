"""What the plugin adds to napari's start, and how long its panel and its command take, in fresh processes."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from statistics import median

from benchmarks.measure import in_turns, table

HIDDEN = """
from importlib import metadata
everything = metadata.distributions
metadata.distributions = lambda **given: (d for d in everything(**given) if d.name != "napari-samv1")
"""
START = """
import napari
viewer = napari.Viewer(show=False)
"""
PANEL = """
import time
start = time.perf_counter()
viewer.window.add_plugin_dock_widget("napari-samv1", "Segment Anything")
print("seconds", time.perf_counter() - start)
"""
# nothing of it is measured, and a thread may still import torch
LEAVE = """
import os, sys
sys.stdout.flush()
os._exit(0)
"""
VERSION = "from napari_samv1.cli import main; main(['--version'])"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    print(compare(chosen.rounds))


def compare(rounds: int) -> str:
    """The Markdown table."""
    panel: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NAPARI_CONFIG": f"{folder}/settings.yaml"}
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            environment["QT_QPA_PLATFORM"] = "offscreen"

        def run(code: str) -> str:
            words = [sys.executable, "-W", "ignore", "-c", code]
            return subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout

        cases: dict[str, Callable[[], object]] = {
            "napari": lambda: run(HIDDEN + START + LEAVE),
            "napari with the plugin": lambda: run(START + LEAVE),
            "python": lambda: run("pass"),
            "napari-samv1 --version": lambda: run(VERSION),
        }
        for work in cases.values():  # from the disk once
            work()
        seconds = in_turns(cases, rounds)
        for _ in range(max(1, rounds // 2)):
            panel.append(float(run(START + PANEL + LEAVE).split("seconds")[1]))
    added = median(
        mine - bare for mine, bare in zip(seconds["napari with the plugin"], seconds["napari"], strict=True)
    )
    milliseconds = {name: median(times) for name, times in seconds.items()}
    milliseconds |= {"added to napari's start": added, "opening the panel": median(panel)}
    rows = [(name, f"{1000 * value:.0f}") for name, value in milliseconds.items()]
    return table(("start", "ms"), rows)


if __name__ == "__main__":
    main()
