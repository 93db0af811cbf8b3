"""From a moved point to the changed pixels of a Labels layer: what comes on top of the decoding.

A stand-in answers at once in place of the network, with a disc around the point, so that everything else is
measured: napari's event, the session, thresholding, the label image, and the layer's new slice. The drawing
itself is not.
"""

from __future__ import annotations

import argparse
from functools import partial
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
from napari.components import ViewerModel

from benchmarks.discs import Disc
from benchmarks.measure import MB, in_turns, peak_beyond, say, table
from napari_samv1.engine.jobs import run
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.records.prompts import Prompts

RADIUS = 150


class Annotation:
    """A viewer without a window, one image, one point, and one Labels layer."""

    def __init__(self, side: int) -> None:
        viewer = ViewerModel()
        self.side = side
        self.predictor: Any = Disc(side, RADIUS)
        self.embedding: Any = SimpleNamespace(key="of a blank image", frame=self.predictor.frame)
        self.binding = AnnotationBinding(viewer)
        self.binding.image = viewer.add_image(np.zeros((side, side), np.uint8))
        self.points = self.binding.new_points()
        self.points.add([[side / 2, side / 2]])
        self.random = np.random.default_rng(0)
        self.answer()

    def move(self) -> None:
        """Move the point by up to its disc's radius, and show the answer."""
        self.points.data = self.points.data + self.random.uniform(-1, 1, (1, 2)) * RADIUS
        self.answer()

    def move_often(self) -> None:
        for _ in range(20):
            self.move()

    def answer(self) -> None:
        self.binding.sync()
        for job in self.binding.edits.jobs(self.embedding):
            problem = self.binding.edits.accept([run(self.predictor, job)])
            assert not problem, problem


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--sides", type=int, nargs="+", default=[2048, 8192])
    chosen = parser.parse_args()
    say(f"to pixels: {chosen.rounds} rounds")
    made = {f"{side} x {side}": Annotation(side) for side in chosen.sides}
    stand_in = {name: one.predictor for name, one in made.items()}
    for one in made.values():
        one.move()
    cases = {name: one.move for name, one in made.items()}
    seconds = in_turns(cases, chosen.rounds)
    click = [Prompts(points_yx=[(9, 9)], labels=[1])]
    answered = in_turns({name: partial(one.answer_each, None, click) for name, one in stand_in.items()}, 5)
    rows = []
    for name, one in made.items():
        labels = one.binding.labels
        assert labels is not None
        grown = peak_beyond(one.move_often)
        rows.append(
            (
                name,
                f"{1000 * (median(seconds[name]) - median(answered[name])):.1f}",
                f"{labels.data.nbytes / MB:.0f}",
                f"{grown:.1f}",
            )
        )
    print(table(("Labels layer", "ms beyond the decoding", "MB of the layer", "MB more in 20 moves"), rows))


if __name__ == "__main__":
    main()
