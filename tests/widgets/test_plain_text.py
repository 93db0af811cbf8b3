"""Names, paths and errors are shown as they are, wherever they are shown: never as HTML."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QApplication, QComboBox, QLabel, QWidget

import napari_samv1
from napari_samv1.app.models import Choices
from napari_samv1.layers.plain_text import plain
from napari_samv1.storage.session.autosave import Autosave
from napari_samv1.widgets.inspect.dock import InspectModel
from napari_samv1.widgets.panel.panel import SegmentAnythingPanel
from session_steps import annotate

HOSTILE = "<img src='/dev/zero'> &lt;b&gt; <b>bold</b>"
SOURCES = Path(napari_samv1.__file__).parent
TIPS = {"setToolTip", "setStatusTip", "setWhatsThis"}
NOTIFICATIONS = {"show_info", "show_warning", "show_error", "show_debug"}
BANNED = {
    "QMessageBox",
    "QErrorMessage",
    "QTextBrowser",
    "QTextEdit",
    "QToolTip",
    "setHtml",
    "setStatusMessage",
}


def might_be_rich(text: str) -> bool:
    """Whether Qt would take a text for HTML where it guesses."""
    from qtpy import QtCore, QtGui

    known: Any = next(
        one for one in (QtCore.Qt, getattr(QtGui, "Qt", None)) if hasattr(one, "mightBeRichText")
    )
    return bool(known.mightBeRichText(text))


def test_plain_text_reads_the_same_and_is_no_html():
    for text in (HOSTILE, "<b>", "a < b & c", "&lt;", "<?xml?>", "<!DOCTYPE html>"):
        assert not might_be_rich(plain(text))
        assert plain(text).replace("\u200b", "") == text
    assert plain("cells µ, 3 x 4 & more") == "cells µ, 3 x 4 & more"
    assert might_be_rich(HOSTILE)


def calls() -> Iterator[tuple[str, ast.Call, str]]:
    for file in sorted([*(SOURCES / "widgets").rglob("*.py"), *(SOURCES / "layers").rglob("*.py")]):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                yield f"{file.relative_to(SOURCES)}:{node.lineno}", node, name


def is_plain(shown: ast.expr) -> bool:
    """A sentence of ours, a constant, or what went through ``plain``."""
    if isinstance(shown, ast.Constant):
        return True
    if isinstance(shown, ast.Name):
        return shown.id.isupper()
    return isinstance(shown, ast.Call) and getattr(shown.func, "id", "") == "plain"


def test_every_label_tooltip_and_notification_in_the_source_is_plain():
    wrong = []
    for place, call, name in calls():
        if name == "QLabel" or name in BANNED:
            wrong.append(f"{place}: {name}")
        if name in TIPS | NOTIFICATIONS and not is_plain(call.args[0]):
            wrong.append(f"{place}: {name}")
        is_tip = any(isinstance(one, ast.Attribute) and one.attr == "ToolTipRole" for one in call.args)
        if name == "setItemData" and is_tip and not is_plain(call.args[1]):
            wrong.append(f"{place}: {name}")
    assert wrong == []


def shown_in(widget: QWidget) -> Iterator[tuple[str, str]]:
    """Whatever of a widget Qt may take for HTML: its kind, and the text."""
    for one in (widget, *widget.findChildren(QWidget)):
        for tip in (one.toolTip(), one.statusTip(), one.whatsThis()):
            yield f"tip of {type(one).__name__}", tip
        for action in one.actions():
            yield "tip of an action", action.toolTip()
        if isinstance(one, QLabel) and one.textFormat() != Qt.TextFormat.PlainText:
            yield "label", one.text()
        if isinstance(one, QAbstractItemView | QComboBox):
            yield from _items(one)


def _items(view: Any) -> Iterator[tuple[str, str]]:
    model = view.model()
    for row in range(0 if model is None else model.rowCount()):
        for role in (
            Qt.ItemDataRole.ToolTipRole,
            Qt.ItemDataRole.StatusTipRole,
            Qt.ItemDataRole.WhatsThisRole,
        ):
            yield f"tip of an item of {type(view).__name__}", str(model.data(model.index(row, 0), role) or "")


def assert_plain(widget: QWidget) -> None:
    assert [(where, text) for where, text in shown_in(widget) if might_be_rich(text)] == []


def texts(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel))


def test_the_panel_shows_hostile_names_as_they_are(annotating, qtbot):
    panel, viewer = annotating.panel, annotating.viewer
    viewer.layers["coins"].name = HOSTILE
    annotate(qtbot, annotating)
    # a reason that came with a session
    binding = annotating.binding
    piece = binding.shown.objects[1]
    panel.objects.show_objects({1: replace(piece, reason=HOSTILE)}, 1)
    panel.app.warn(HOSTILE)
    panel.session.status.say(HOSTILE)
    panel.session.card.ask(HOSTILE, [("Yes", lambda: None)])
    panel.notice.show_guide(HOSTILE)
    assert HOSTILE in texts(panel)
    assert_plain(panel)


def test_lost_sessions_with_hostile_names_are_listed_as_they_are(annotating, open_panel, qtbot):
    annotate(qtbot, annotating)
    record = annotating.panel.session.keeper.current()
    [image] = record.images
    planes = tuple(
        replace(one, source=replace(one.source, name=HOSTILE, sample=HOSTILE)) for one in image.planes
    )
    annotating.viewer.close()
    saving = Autosave()
    saving.offer(replace(record, images=(replace(image, planes=planes),)))
    saving.close(clean=False)
    bad = saving.folder.with_name("20200101-000000-1-<b>bad")
    bad.mkdir()
    (bad / "session.json").write_text("{")

    panel = open_panel()
    qtbot.waitUntil(lambda: "Restore" in panel.session.card.buttons, timeout=60_000)
    assert_plain(panel)
    items = panel.session.lost.list
    said = [items.item(row).text() for row in range(items.count())]
    assert any("<img src='/dev/zero'>" in one for one in said)
    assert any("<b>bad" in one for one in said)
    [row] = [row for row, one in enumerate(said) if "<img" in one]
    items.setCurrentRow(row)
    qtbot.mouseClick(panel.session.card.buttons["Restore"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "Try again" in panel.session.card.buttons, timeout=60_000)
    assert "<img src='/dev/zero'>" in panel.session.card.sentence.text()
    assert_plain(panel)


def test_a_models_hostile_path_is_shown_as_it_is(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    panel = SegmentAnythingPanel(viewer, Choices(model=f"/{HOSTILE}.pt"))
    viewer.window.add_dock_widget(panel, name="Segment Anything", area="right")
    assert HOSTILE in panel.model_chooser.about.text()
    panel.model_chooser.status.setText(HOSTILE)
    assert_plain(panel)


def test_an_error_with_a_hostile_name_is_notified_as_it_is(annotating, qtbot):
    notification_manager.records.clear()
    annotating.panel.app._job_failed(ValueError(HOSTILE))
    [record] = notification_manager.records
    assert not might_be_rich(record.message)
    assert record.message.replace("\u200b", "") == HOSTILE
    notification_manager.records.clear()
    assert_plain(annotating.panel)


def test_the_inspector_shows_hostile_names_as_they_are(make_napari_viewer, discs, coins, qtbot):
    viewer = make_napari_viewer(show=True)
    viewer.add_image(coins, name=HOSTILE)
    inspector = InspectModel(viewer)
    viewer.window.add_dock_widget(inspector, name="Inspect model")
    for row in range(inspector.chooser.count()):
        inspector.chooser.setCurrentIndex(row)
        inspector.message.setText(HOSTILE)
        QApplication.processEvents()
        assert_plain(inspector)
