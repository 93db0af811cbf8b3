"""Many objects at once: 500, 1,000 and 2,000 answers accepted and painted, and one edit among them.

A stand-in has answered already, with a disc for each object: what is measured is the document, thresholded
masks, the label image and the layer. There is no window. The processor's own time counts.
Of an edit, what napari itself takes to move a point of as many is not counted.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
from napari.components import ViewerModel

from benchmarks.discs import Disc
from benchmarks.measure import say, table
from napari_samv1.engine.jobs import DecodeResult, run_each
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.prompts.features import OBJECT

SIDE, RADIUS = 2048, 15


class Annotation:
    """A viewer without a window, an image, a point for each object, and their answers, not accepted yet."""

    def __init__(self, count: int) -> None:
        self.predictor: Any = Disc(SIDE, RADIUS)
        self.embedding: Any = SimpleNamespace(key="of a blank image", frame=self.predictor.frame)
        viewer = ViewerModel()
        self.binding = AnnotationBinding(viewer)
        self.binding.image = viewer.add_image(np.zeros((SIDE, SIDE), np.uint8))
        across = int(np.ceil(np.sqrt(count)))
        places = (np.stack(np.divmod(np.arange(count), across), axis=1) + 0.5) * (SIDE / across)
        self.points = self.binding.new_points()
        self.points.add(places)
        features = self.points.features.copy()
        features[OBJECT] = np.arange(1, count + 1)
        self.points.features = features
        # napari's own cost of another position for one of its points
        self.twin = viewer.add_points(places, features=features, visible=False)
        self.binding.sync()
        self.binding.new_labels()
        self.results = self.decode()
        self.random = np.random.default_rng(0)

    def decode(self) -> list[DecodeResult]:
        """Answer what is pending; apart from what is measured."""
        return run_each(self.predictor, self.binding.edits.jobs(self.embedding))

    def accept(self) -> float:
        """Seconds of accepting and painting all answers."""
        start = time.process_time()
        problem = self.binding.edits.accept(self.results)
        seconds = time.process_time() - start
        assert not problem, problem
        return seconds

    def edit(self) -> float:
        """Seconds of moving one object's point by some pixels, beside napari's own and the decoding."""
        moved = np.array(self.points.data)
        moved[self.random.integers(len(moved))] += self.random.integers(-3, 4, 2)
        start = time.process_time()
        self.twin.data = moved
        napari_s = time.process_time() - start
        start = time.process_time()
        self.points.data = moved
        self.binding.sync()
        asked = time.process_time() - start - napari_s
        results = self.decode()
        start = time.process_time()
        problem = self.binding.edits.accept(results)
        assert not problem, problem
        return asked + time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--edits", type=int, default=21)
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 1000, 2000])
    chosen = parser.parse_args()
    say(f"bulk: {chosen.rounds} rounds")
    rows = []
    for count in chosen.counts:
        accepted, edited = [], []
        for _ in range(chosen.rounds):
            annotation = Annotation(count)
            accepted.append(annotation.accept())
            edited += [annotation.edit() for _ in range(chosen.edits)]
            say(f"  {count}: {accepted[-1]:.3f} s, an edit {1000 * median(edited):.1f} ms")
        seconds = median(accepted)
        rows.append(
            (f"{count:,}", f"{seconds:.2f}", f"{1000 * seconds / count:.2f}", f"{1000 * median(edited):.1f}")
        )
    print(table(("objects", "s accepted and painted", "ms an object", "ms an edit"), rows))


if __name__ == "__main__":
    main()
