"""Many objects on one plane: what choosing, editing and redrawing one costs beside the decoding.

A stand-in answers at once in place of the network, with a disc around each object's point. The panel is
there, in a window that is not shown: its list is painted and its candidates' pictures are made each time, as
a person would see them. The canvas itself is not drawn.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from statistics import median
from types import SimpleNamespace
from typing import Any

import napari
import numpy as np
from napari.layers import Labels

from benchmarks.discs import Disc
from benchmarks.measure import in_turns, say, table
from napari_samv1.app import models
from napari_samv1.app.models import Choices
from napari_samv1.app.worker import JobCancelled, Ticket
from napari_samv1.engine.embedding import EmbeddingKey
from napari_samv1.engine.jobs import run_each
from napari_samv1.records.preparation import PUBLISHED
from napari_samv1.records.prompts import Prompts
from napari_samv1.widgets.panel.panel import SegmentAnythingPanel

RADIUS = 30


class Annotation:
    """A window with the panel, one image, and a number of objects with their masks."""

    def __init__(self, side: int, count: int) -> None:
        # no model is loaded: what it would answer is made here
        models.load = _no_model
        self.predictor: Any = Disc(side, RADIUS)
        frame = self.predictor.frame
        key = EmbeddingKey("blank", "none", PUBLISHED, frame, None, 1.0, "float32", "cpu")
        self.embedding: Any = SimpleNamespace(key=key, frame=frame)
        self.viewer = napari.Viewer(show=False)
        self.viewer.add_image(np.zeros((side, side), np.uint8))
        self.panel = SegmentAnythingPanel(self.viewer, Choices())
        self.viewer.window.add_dock_widget(self.panel)
        self.binding = self.panel.canvas
        self.count = count
        self.random = np.random.default_rng(0)
        across = int(np.ceil(np.sqrt(count)))
        places = (np.stack(np.divmod(np.arange(count), across), axis=1) + 0.5) * (side / across)
        self.points = self.binding.new_points()
        self.points.add(places)
        features = self.points.features.copy()
        features["object"] = np.arange(1, count + 1)
        self.points.features = features
        self.edit_done()
        self.labels.brush_size = 15

    @property
    def labels(self) -> Labels:
        """The layer of the masks, made with the first of them."""
        labels = self.binding.labels
        assert labels is not None
        return labels

    def close(self) -> None:
        self.panel.close_down()
        self.viewer.close()

    def choose(self) -> None:
        self.panel.app.pick_object(self._any())
        self._show()

    def edit(self) -> None:
        """Move one object's point by some pixels."""
        places = np.array(self.points.data)
        places[self._any() - 1] += self.random.uniform(1, 8, 2)
        self.points.data = places
        self.edit_done()

    def edit_done(self) -> None:
        self.binding.sync()
        jobs = self.binding.edits.jobs(self.embedding)
        problem = self.binding.edits.accept(run_each(self.predictor, jobs))
        assert not problem, problem
        self.panel.app.sync()
        self._show()

    def cut(self) -> None:
        """Move the current object's threshold."""
        problem = self.binding.edits.set_settings(
            self.binding.current.number, threshold=self.random.uniform(-1, 1)
        )
        assert not problem, problem
        self.panel.app.sync()
        self._show()

    def brush(self) -> None:
        """A stroke of one dab on the current object."""
        where = self.points.data[self.binding.current.number - 1] + self.random.uniform(-RADIUS, RADIUS, 2)
        self.labels.paint(tuple(where), self.binding.current.number)
        self._show()

    def undo(self) -> None:
        problem = self.binding.edits.undo()
        assert not problem, problem
        self.panel.app.sync()
        self._show()

    def answer(self) -> None:
        """Only what stands for the network."""
        self.predictor.answer_each(None, [Prompts(points_yx=[(9, 9)], labels=[1])])

    def _any(self) -> int:
        return int(self.random.integers(1, self.count + 1))

    def _show(self) -> None:
        self.panel.pictures.make()
        self.panel.objects.view.grab()


def _no_model(choices: Choices, ticket: Ticket) -> models.ReadyModel:
    raise JobCancelled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 500])
    chosen = parser.parse_args()
    print(compare(chosen.rounds, chosen.side, chosen.counts))


def compare(rounds: int, side: int, counts: Sequence[int]) -> str:
    """The Markdown section."""
    columns = []
    # the panel keeps its work: here in a folder of its own
    os.environ["NAPARI_SAMV1_STATE"] = tempfile.mkdtemp(prefix="napari-samv1-benchmark-")
    for count in counts:
        say(f"objects: {count} on {side} x {side}")
        annotation = Annotation(side, count)
        cases: dict[str, Callable[[], object]] = {
            "choose an object": annotation.choose,
            "move its point": annotation.edit,
            "move its threshold": annotation.cut,
            "a dab of the brush": annotation.brush,
            "undo": annotation.undo,
            "(the stand-in's answer)": annotation.answer,
        }
        for work in cases.values():
            work()
        seconds = in_turns(cases, rounds)
        annotation.close()
        beside = {"move its point": median(seconds["(the stand-in's answer)"])}
        columns.append(
            {
                name: f"{1000 * (median(own) - beside.get(name, 0)):.0f}"
                for name, own in seconds.items()
                if not name.startswith("(")
            }
        )
    rows = [(name, *(column[name] for column in columns)) for name in columns[0]]
    return table((f"{side} x {side}", *(f"ms with {count} objects" for count in counts)), rows)


if __name__ == "__main__":
    main()
