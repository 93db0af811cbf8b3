"""A napari window with the panel that somebody annotates in until it is killed; a script, not a test.

Each line on stdin is a folder for the state: for each, a process opens a window and clicks and drags on its
canvas. It prints ``edited N TIME`` after the N-th prompt and ``offered DIGEST TIME`` for each record that was
handed to autosave.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import napari
import torch
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

# of this folder
from conftest import Hand, canvas_of
from napari_samv1.app import models
from napari_samv1.app.models import Choices, ReadyModel
from napari_samv1.checkpoints.load import load_model
from napari_samv1.checkpoints.meta_keys import to_published
from napari_samv1.engine.predictor import Predictor
from napari_samv1.model import Sam, SamConfig
from napari_samv1.records.preparation import Preparation
from napari_samv1.storage.session.autosave import Autosave
from napari_samv1.widgets.panel.panel import SegmentAnythingPanel
from session_steps import digest

CONFIG = SamConfig(width=16, depth=4, heads=2, patch=8, grid=8, window=3, channels=32, decoder_mlp=32)


def random_model(folder: Path) -> Path:
    """A network that knows nothing, and answers at once."""
    torch.manual_seed(0)
    file = folder / "random.pth"
    torch.save(to_published(Sam(CONFIG).state_dict(), CONFIG), file)
    return file


def annotate(state: str, weights: Path, seed: int, out: int) -> None:
    os.environ["NAPARI_SAMV1_STATE"] = state

    def load(choices: Choices, _ticket: object) -> ReadyModel:
        loaded = load_model(weights, device="cpu", preparation=Preparation(side=64))
        return ReadyModel(choices, Predictor(loaded), rate=1e12)

    def offer(self: Autosave, record: Any) -> None:
        os.write(out, f"offered {digest(record)} {time.monotonic_ns()}\n".encode())
        original(self, record)

    original, Autosave.offer, models.load = Autosave.offer, offer, load
    viewer = napari.Viewer(show=True)
    viewer.open_sample("napari-samv1", "coins")
    panel = SegmentAnythingPanel(viewer, Choices())
    viewer.window.add_dock_widget(panel, name="Segment Anything", area="right")
    panel.app.take_tool("click")
    settle(0.3)
    viewer.reset_view()
    settle(0.2)
    hand = Hand(viewer, canvas_of(panel))
    chance = random.Random(seed)
    for number in range(1, 100_000):
        if number % 7 == 0:
            panel.app.take_tool("box")
            y, x = chance.uniform(20, 200), chance.uniform(20, 280)
            hand.drag((y, x), (y + chance.uniform(20, 80), x + chance.uniform(20, 80)), steps=4)
            panel.app.take_tool("click")
        else:
            modifier = (
                Qt.KeyboardModifier.ShiftModifier if number % 5 == 0 else Qt.KeyboardModifier.NoModifier
            )
            hand.click(chance.uniform(10, 290), chance.uniform(10, 370), modifier)
        os.write(out, f"edited {number} {time.monotonic_ns()}\n".encode())
        settle(chance.uniform(0.0, 0.15))
        if number % 3 == 0:
            hand.key(Qt.Key.Key_N)


def settle(seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        QApplication.processEvents()
        if time.monotonic() >= until:
            return
        time.sleep(0.005)


def main() -> None:
    torch.set_num_threads(1)
    out = sys.stdout.fileno()
    with tempfile.TemporaryDirectory() as folder:
        weights = random_model(Path(folder))
        os.write(out, b"ready\n")
        for seed, line in enumerate(sys.stdin):
            state = line.rstrip("\n")
            if hasattr(os, "fork"):
                child = os.fork()
                if child == 0:
                    annotate(state, weights, seed, out)
                os.write(out, b"started %d\n" % child)
                os.waitpid(child, 0)
                os.write(out, b"ended\n")
            else:
                os.write(out, b"started %d\n" % os.getpid())
                annotate(state, weights, seed, out)


if __name__ == "__main__":
    main()
