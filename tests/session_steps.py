"""What the tests of sessions in the panel do: click, wait, answer, and look at the result."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

COIN = (120, 175)
OTHER_COIN = (200, 150)


def wait_until_idle(qtbot: Any, panel: Any) -> None:
    """Every edit is read, every object is answered, and its pictures are made."""
    app = panel.app

    def idle() -> bool:
        session = panel.canvas.shown
        soon = app._applying_soon or app._looking_soon or panel.pictures._timer.isActive()
        return not (app.busy or soon or (session is not None and session.pending))

    # what a thread delivers is begun by the event loop, and may ask for more
    for _ in range(2):
        qtbot.waitUntil(idle, timeout=60_000)
        QApplication.processEvents()
    qtbot.waitUntil(idle, timeout=60_000)


def wait_until_autosaved(qtbot: Any, panel: Any) -> None:
    """All that was edited so far is on the disk."""
    keeper = panel.session.keeper
    qtbot.waitUntil(
        lambda: not keeper._timer.isActive() and (keeper.autosaved or not keeper.object_count), timeout=60_000
    )


def wait_for_worker(qtbot: Any, panel: Any) -> None:
    """What the session's thread was told to do is done."""
    qtbot.waitUntil(lambda: not panel.session.worker.busy, timeout=60_000)
    qtbot.wait(20)


def annotate(qtbot: Any, at: Any) -> None:
    """Two objects by real clicks, one with a background point."""
    binding, hand = at.binding, at.hand
    hand.click(*COIN)
    hand.click(COIN[0], COIN[1] + 8, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: binding.labels is not None and (binding.labels.data == 1).any(), timeout=60_000)
    hand.key(Qt.Key.Key_N)
    hand.click(*OTHER_COIN)
    qtbot.waitUntil(lambda: (binding.labels.data == 2).any(), timeout=60_000)
    wait_until_idle(qtbot, at.panel)


def annotate_a_coin(qtbot: Any, panel: Any, hand: Any) -> None:
    """A click on a coin and a background point beside it, in a window that was just opened."""
    click(qtbot, panel.tools.click)
    panel.viewer.reset_view()
    qtbot.wait(60)
    hand.click(56, 101)
    hand.click(51, 154, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: panel.canvas.labels is not None, timeout=120_000)
    wait_until_idle(qtbot, panel)


def press(qtbot: Any, panel: Any, words: str) -> None:
    """Press one of the answers to the panel's question."""
    buttons = panel.session.card.buttons
    if words not in buttons:
        qtbot.waitUntil(lambda: words in panel.session.card.buttons, timeout=60_000)
        buttons = panel.session.card.buttons
    qtbot.mouseClick(buttons[words], Qt.MouseButton.LeftButton)


def click(qtbot: Any, button: Any) -> None:
    """A real click on a button."""
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def picture(binding: Any) -> tuple[Any, ...]:
    """All that a person sees of an annotation, and all that made it."""
    points = binding.points
    rows = sorted(
        (*map(float, np.round(yx, 6)), int(own), str(polarity))
        for yx, own, polarity in zip(
            points.data, points.features["object"], points.features["polarity"], strict=True
        )
    )
    # as they were drawn, they come back through a layer's transform, rounded
    drawn = {
        number: [(one.kind, one.positive, np.round(one.vertices_yx, 6).tolist()) for one in piece.drawn]
        for number, piece in binding.shown.objects.items()
    }
    pieces = {number: values(piece) for number, piece in binding.shown.objects.items()}
    return rows, binding.labels.data.copy(), pieces, (binding.shown.stack, drawn)


def values(piece: Any) -> dict[str, Any]:
    """All fields of a piece but its drawings."""
    return {own.name: getattr(piece, own.name) for own in fields(piece) if own.name != "drawn"}


def assert_same_picture(first: tuple[Any, ...], second: tuple[Any, ...]) -> None:
    """Two pictures are equal in everything."""
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])
    assert first[2] == second[2]
    assert first[3] == second[3]


def digest(record: Any) -> str:
    """What tells records apart: every object's prompts, settings and pixels, and their order."""
    text = hashlib.sha256()
    for plane in record.planes:
        text.update(repr((plane.source.name, plane.source.index, plane.order)).encode())
        for known in plane.pieces:
            prompts, mask = known.prompts, known.mask
            # shapes are kept in single precision
            places = [np.round(part, 3).tolist() for part in (prompts.points_yx, prompts.boxes_yx)]
            text.update(repr((known.id, places, prompts.labels.tolist(), known.settings)).encode())
            text.update(repr((mask.origin_yx, mask.mask.shape)).encode() + mask.mask.tobytes())
    return text.hexdigest()
