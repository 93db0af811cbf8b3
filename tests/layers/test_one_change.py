"""Counted: plane resolutions, repaints, decodings, reads and looks at objects, for n and 2n objects."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from app_on import app_on
from discs import DiscPredictor
from napari_samv1.app import actions, models
from napari_samv1.app.models import ReadyModel
from napari_samv1.layers import screen
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.labels import target
from napari_samv1.layers.labels.writer import LabelWriter
from napari_samv1.layers.prompts import pair, read
from napari_samv1.layers.prompts.features import OBJECT
from napari_samv1.masks import paint
from napari_samv1.records.drawn import DrawnShape

SIDE, APART = 200, 20


class Annotation:
    """An app on a canvas with ``count`` answered objects; ``counted`` says what was done since ``begin``."""

    def __init__(self, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.counted: Counter[str] = Counter()
        predictor: Any = DiscPredictor()
        self.predictor = predictor
        monkeypatch.setattr(models, "load", lambda choices, _ticket: ReadyModel(choices, predictor, 1e12))
        for owner, name in (
            (screen, "displayed_plane"),
            (pair, "read_points"),
            (pair, "read_shapes"),
            (LabelWriter, "write"),
        ):
            self._count(self.counted, monkeypatch, owner, name)
        self.looked_at: Counter[str] = Counter()
        looks: list[tuple[Any, str]] = [
            (read, "drawn_point"),
            (DrawnShape, "is_close"),
            (target, "is_same"),
            (paint, "_corners"),
        ]
        for owner, name in looks:
            self._count(self.looked_at, monkeypatch, owner, name)
        viewer = ViewerModel()
        self.canvas = AnnotationBinding(viewer)
        self.app, self.moments = app_on(self.canvas)
        self.app.encoder.load_error = ""
        self.app.on_change(lambda _old, _new: self.counted.update(["repaint"]))
        self.canvas.image = viewer.add_image(np.zeros((3, SIDE, SIDE), dtype=np.uint8), name="cells")
        viewer.dims.set_point(0, 1)
        places = np.stack(np.divmod(np.arange(count), SIDE // APART), axis=1) * APART + APART // 2
        self.points = self.canvas.new_points()
        self.points.add(np.column_stack([np.ones(count), places]))
        features = self.points.features.copy()
        features[OBJECT] = np.arange(1, count + 1)
        self.points.features = features
        self.settle()
        assert all(not piece.pending for piece in self.app.state.objects.values())
        assert len(self.app.state.objects) == count

    def _count(
        self, counted_in: Counter[str], monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
    ) -> None:
        real = getattr(owner, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            counted_in[name] += 1
            return real(*arguments, **named)

        monkeypatch.setattr(owner, name, counted)

    def begin(self) -> None:
        self.counted.clear()
        self.looked_at.clear()
        self.predictor.decoded.clear()

    def pass_by(self) -> None:
        """Let the moment pass after which touched prompts are read."""
        self.moments.pass_by()

    def settle(self) -> None:
        """Let threads work and their results arrive."""
        while True:
            self.moments.pass_by()
            if not self.app.busy and not self.moments.calls:
                return
            threading.Event().wait(0.005)


@pytest.fixture
def annotation(monkeypatch):
    made = []

    def of(count: int) -> Annotation:
        made.append(Annotation(count, monkeypatch))
        return made[-1]

    yield of
    for one in made:
        one.app.close()


def test_a_click_is_two_changes_each_with_one_look_at_the_plane_and_one_repaint(annotation):
    at = annotation(3)
    at.begin()
    at.points.add([(1, 150, 150)])
    assert at.counted == {}, "events alone read nothing"
    at.moments.calls.pop(0)()
    assert (at.counted["displayed_plane"], at.counted["repaint"]) == (1, 1)
    assert at.counted["read_points"] == 1
    at.counted.clear()  # the thread may have decoded already
    at.settle()
    assert (at.counted["displayed_plane"], at.counted["repaint"]) == (1, 1)
    assert (at.counted["read_points"], at.counted["write"]) == (0, 1)
    assert at.predictor.decoded == [1]


def move_a_point(at: Annotation) -> None:
    moved = np.array(at.points.data)
    moved[0] += (0, 1, 1)
    at.points.data = moved


CHANGES = {
    "undo": lambda at: at.app.do(actions.UNDO),
    "delete": lambda at: at.app.do(actions.DELETE_OBJECT),
    "next object": lambda at: at.app.do(actions.NEXT_OBJECT),
    "another mask": lambda at: at.app.do(actions.MASKS[1]),
    "threshold": lambda at: at.app.move_setting("threshold", 1.5),
    "pick": lambda at: at.app.pick_object(2),
    "change the slice": lambda at: at.canvas.viewer.dims.set_point(0, 2),
}


@pytest.mark.parametrize("name", CHANGES)
def test_one_action_looks_once_and_repaints_once(annotation, name):
    at = annotation(3)
    at.begin()
    CHANGES[name](at)
    assert (at.counted["displayed_plane"], at.counted["repaint"]) == (1, 1)


@pytest.mark.parametrize("name", ["move a point", *CHANGES])
def test_twice_as_many_objects_are_no_more_looks_reads_writes_and_decodings(annotation, name):
    change = {"move a point": move_a_point, **CHANGES}[name]
    counts = []
    for count in (20, 40):
        at = annotation(count)
        at.begin()
        change(at)
        at.settle()
        counts.append((dict(at.counted), list(at.predictor.decoded)))
    assert counts[0] == counts[1]


def click_a_new_object(at: Annotation) -> None:
    at.app.do(actions.NEXT_OBJECT)
    at.points.add([(1, 190, 190)])


def draw_a_box(at: Annotation) -> None:
    assert at.canvas.shapes is not None
    at.canvas.shapes.add_rectangles([[(1, 100, 100), (1, 100, 120), (1, 120, 120), (1, 120, 100)]])


def split(at: Annotation) -> None:
    at.points.add([(1, 100, 100)])
    at.settle()
    at.app.do(actions.SPLIT)


EDITS = {
    "move a point": move_a_point,
    "click a new object": click_a_new_object,
    "draw a box": draw_a_box,
    "split": split,
    "threshold": CHANGES["threshold"],
    "delete": CHANGES["delete"],
    "undo": CHANGES["undo"],
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_looks_at_no_other_object_however_many_there_are(annotation, name):
    looked_at = []
    for count in (20, 40):
        at = annotation(count)
        at.canvas.new_shapes()
        at.settle()
        move_a_point(at)  # the step that undo reverts
        at.settle()
        at.begin()
        EDITS[name](at)
        at.settle()
        at.app.sync()
        looked_at.append(dict(at.looked_at))
    # the two answers of a split may come together or one by one, which takes a look more
    assert name == "split" or looked_at[0] == looked_at[1]
    assert 0 < max(looked_at[0].values()) < 10
    assert 0 < max(looked_at[1].values()) < 10


def test_a_view_that_changes_something_is_told_once_more(annotation):
    at = annotation(2)
    seen = []

    def view(_old: Any, new: Any) -> None:
        seen.append(new.current)
        if new.current == 1:
            at.app.pick_object(2)

    end = at.app.on_change(view)
    at.app.pick_object(1)
    assert seen == [1, 2]
    end()
    at.app.pick_object(1)
    assert seen == [1, 2]
