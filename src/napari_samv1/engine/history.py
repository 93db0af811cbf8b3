"""One history for everything a person does to the objects of a plane."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from napari_samv1.engine.objects import AnnotatedObject

KEPT_STEPS = 200


@dataclass(frozen=True)
class State:
    """All objects, and the order in which they are laid into the label image, lowest first."""

    objects: dict[int, AnnotatedObject] = field(default_factory=dict)
    stack: tuple[int, ...] = ()

    def with_lowest(self, known: AnnotatedObject) -> State:
        """The state with another object beneath all; itself where it has one of that number."""
        if known.id in self.objects:
            return self
        return State({**self.objects, known.id: known}, (known.id, *self.stack))


@dataclass(frozen=True)
class Step:
    """A state one can come back to, and the name of the step that left it.

    ``attachment`` is the caller's own (the prompt layers' contents before the step), handed back on undo.
    """

    label: str
    state: State
    attachment: object = None
    gesture: Hashable = None


class History:
    """Past and future states; records are immutable, so keeping a state costs its references only."""

    def __init__(self, kept_steps: int = KEPT_STEPS) -> None:
        self._kept_steps = kept_steps
        self._past: list[Step] = []
        self._future: list[Step] = []

    @property
    def undo_label(self) -> str:
        """What undo would take back, or ""."""
        return self._past[-1].label if self._past else ""

    @property
    def redo_label(self) -> str:
        """What redo would bring again, or ""."""
        return self._future[-1].label if self._future else ""

    def record(self, step: Step) -> None:
        """Remember the state before a step; steps of one gesture count as one, from its beginning."""
        same_gesture = step.gesture is not None and self._past and self._past[-1].gesture == step.gesture
        if not (same_gesture and not self._future):
            self._past.append(step)
            del self._past[: -self._kept_steps]
        self._future.clear()

    def undo(self, now: State, attachment: object = None) -> Step | None:
        """The step to go back to; ``now`` becomes what redo restores."""
        return _move(self._past, self._future, now, attachment)

    def redo(self, now: State, attachment: object = None) -> Step | None:
        """The step to go forward to; ``now`` becomes what undo restores."""
        return _move(self._future, self._past, now, attachment)

    def amend(self, known: AnnotatedObject) -> None:
        """Something was there all along: every state holds it."""
        for steps in (self._past, self._future):
            steps[:] = [replace(step, state=step.state.with_lowest(known)) for step in steps]

    def put_right(self, old: AnnotatedObject, new: AnnotatedObject) -> None:
        """An answer came for ``old``: states that remember it remember the answered one."""
        for step in (*self._past, *self._future):
            if step.state.objects.get(old.id) is old:
                step.state.objects[old.id] = new


def _move(source: list[Step], target: list[Step], now: State, attachment: object) -> Step | None:
    if not source:
        return None
    step = source.pop()
    target.append(Step(step.label, now, attachment if step.attachment is not None else None))
    return step
