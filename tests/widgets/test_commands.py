"""Every widget and command of the manifest, opened the way napari opens them."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import yaml
from napari._app_model import get_app_model
from qtpy.QtWidgets import QApplication

import napari_samv1
from napari_samv1.widgets import InspectModel, SegmentAnythingPanel
from napari_samv1.widgets.panel.panel import open_panels

NAME = "napari-samv1"
MANIFEST = Path(napari_samv1.__file__).with_name("napari.yaml")
CONTRIBUTIONS = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))["contributions"]
WIDGETS = {row["display_name"]: row["command"] for row in CONTRIBUTIONS["widgets"]}
CLASSES = {"Segment Anything": SegmentAnythingPanel, "Inspect model": InspectModel}
SAMPLES = {row["command"]: row["key"] for row in CONTRIBUTIONS["sample_data"]}
WRITERS = {row["command"] for row in CONTRIBUTIONS["writers"]}
ACTIONS = [
    row["id"] for row in CONTRIBUTIONS["commands"] if row["id"] not in {*WIDGETS.values(), *SAMPLES, *WRITERS}
]


@pytest.fixture
def viewer(make_napari_viewer, discs):
    yield make_napari_viewer(show=True)
    gc.collect()


def docked(viewer) -> list[object]:
    return [
        widget
        for widget in viewer.window.dock_widgets.values()
        if isinstance(widget, tuple(CLASSES.values()))
    ]


def test_every_widget_has_its_class_here() -> None:
    assert set(WIDGETS) == set(CLASSES)
    assert set(ACTIONS) == {"napari-samv1.encode", "napari-samv1.next_object"}


@pytest.mark.parametrize("title", WIDGETS)
def test_a_script_docks_the_widget(title, viewer):
    _, widget = viewer.window.add_plugin_dock_widget(NAME, title)
    assert isinstance(widget, CLASSES[title])


@pytest.mark.parametrize("title", WIDGETS)
def test_the_menu_docks_the_widget(title, viewer):
    commands = get_app_model().commands
    # napari before 0.9 names a widget's command by its title
    name = next(one for one in (WIDGETS[title], f"{NAME}:{title}") if one in commands)
    commands.execute_command(name).result()
    QApplication.processEvents()
    [widget] = docked(viewer)
    assert isinstance(widget, CLASSES[title])


@pytest.mark.parametrize("command", ACTIONS)
def test_a_menu_entry_opens_the_panel_and_acts_on_it(command, viewer, coins, qtbot):
    viewer.add_image(coins, name="coins")
    get_app_model().commands.execute_command(command).result()
    [panel] = docked(viewer)
    assert open_panels() == [panel]
    if command.endswith("encode"):
        qtbot.waitUntil(lambda: panel.encoding.sentence.text() == "ready", timeout=60_000)


@pytest.mark.parametrize("key", SAMPLES.values())
def test_a_sample_opens(key, viewer):
    viewer.open_sample(NAME, key)
    assert len(viewer.layers) == 1


@pytest.mark.parametrize("titles", [list(CLASSES), list(CLASSES)[::-1]])
def test_the_second_dock_comes_as_a_tab_before_the_first(titles, viewer, qtbot):
    docks = [viewer.window.add_plugin_dock_widget(NAME, title)[0] for title in titles]
    qtbot.wait(50)
    window = docks[0].window()
    assert window.tabifiedDockWidgets(docks[0]) == [docks[1]]
    assert not docks[1].visibleRegion().isEmpty()
    assert docks[0].visibleRegion().isEmpty()


LAYER_LIST = ("inserted", "removed", "reordered", "renamed")


@pytest.mark.parametrize("title", WIDGETS)
def test_a_closed_dock_leaves_no_callback_in_the_layer_list(title, viewer):
    viewer.layers.events.inserted.connect(print)  # another plugin's, which stays
    events = [getattr(viewer.layers.events, name) for name in LAYER_LIST]
    before = [list(event.callbacks) for event in events]
    for _ in range(2):
        dock, widget = viewer.window.add_plugin_dock_widget(NAME, title)
        assert [len(event.callbacks) for event in events] != [len(callbacks) for callbacks in before]
        viewer.window.remove_dock_widget(dock)
        del dock, widget
        QApplication.processEvents()
    assert [list(event.callbacks) for event in events] == before
