"""The widget "Inspect model" in a real window: every view, with the panel and without."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from napari.layers import Labels
from qtpy.QtCore import Qt

from napari_samv1.app import models
from napari_samv1.app.actions import NEXT_OBJECT
from napari_samv1.app.models import ReadyModel
from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.engine.predictor import Predictor
from napari_samv1.model import Sam, SamConfig
from napari_samv1.records.preparation import Preparation
from napari_samv1.widgets.inspect.dock import InspectModel
from napari_samv1.widgets.inspect.plot import Curve, Plot, PlotData, nice_ticks

COIN, OTHER_COIN = (118, 153), (55, 95)
CONFIG = SamConfig(
    width=24,
    depth=4,
    heads=2,
    stages=2,
    patch=8,
    grid=8,
    window=3,
    channels=32,
    decoder_mlp=32,
    decoder_heads=2,
)
POSITIONS, BLOCKS, WINDOWS, STABILITY, ATTENTION, SIMILARITY, WAND = range(7)


def random_predictor() -> Predictor:
    torch.manual_seed(0)
    network = Sam(CONFIG).eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if "position" in name:
            parameter.normal_(0, 0.3)
    return Predictor(LoadedModel(network, CONFIG, Preparation(side=64), "random", "weights-0"))


@pytest.fixture
def predictor(monkeypatch) -> Predictor:
    predictor = random_predictor()
    monkeypatch.setattr(models, "load", lambda choices, ticket: ReadyModel(choices, predictor, rate=1e12))
    return predictor


@pytest.fixture
def inspect(new_viewer, predictor, coins, qtbot):
    """The widget alone, on the coins, with its own model loaded."""
    viewer = new_viewer()
    viewer.add_image(coins, name="coins", scale=(0.5, 2), translate=(10, -20))
    widget = InspectModel(viewer)
    viewer.window.add_dock_widget(widget, name="Inspect model", area="right")
    qtbot.waitUntil(lambda: widget.sources.ready_model is not None, timeout=10_000)
    return widget


def press_look(qtbot, widget) -> None:
    qtbot.mouseClick(widget.look_button, Qt.MouseButton.LeftButton)
    wait_until_seen(qtbot, widget)


def wait_until_seen(qtbot, widget) -> None:
    qtbot.wait(80)
    qtbot.waitUntil(lambda: not widget._worker.busy, timeout=20_000)
    qtbot.wait(20)


def click_on(qtbot, widget, *points_yx) -> None:
    if widget.sources.points.layer is None:
        qtbot.mouseClick(widget.sources.points.new, Qt.MouseButton.LeftButton)
    widget.sources.points.layer.add(list(points_yx))


def shown(widget):
    """The layers made by the widget, by name."""
    own = (widget.sources.image.layer, widget.sources.points.layer)
    return {layer.name: layer for layer in widget.viewer.layers if layer not in own}


ALL = [
    (POSITIONS, 0, {"position encoding": (24, 8, 8)}),
    (POSITIONS, 1, {"position norm": (8, 8)}),
    (POSITIONS, 2, {"relative, height": (5, 12), "relative, width": (5, 12)}),
    (POSITIONS, 3, {"coordinate feature": (32, 8, 8)}),
    (BLOCKS, 0, {"block norms": (4, 6, 8)}),
    (BLOCKS, 1, {"channels of block 0": (24, 6, 8)}),
    (BLOCKS, 2, {"channels of the result": (32, 6, 8)}),
    (BLOCKS, 3, {"result as colours": (6, 8, 3)}),
    (
        WINDOWS,
        None,
        {
            "logits, changed windows": (24, 32),
            "mask, changed windows": (303, 384),
            "difference to trained windows": (303, 384),
        },
    ),
    (STABILITY, 0, {"logits of the four masks": (4, 24, 32), "band of thresholds": (303, 384)}),
    (STABILITY, 1, {"masks with less detail": (10, 303, 384)}),
    (ATTENTION, 0, {"attention": (3, 6, 8)}),
    (ATTENTION, 1, {"decoder attention": (7, 3, 6, 8)}),
    (SIMILARITY, 0, {"similarity": (6, 8)}),
    (WAND, None, {"wand and Sam": (4, 303, 384)}),
]


def test_every_view_shows_layers_on_the_image_and_says_what_one_sees(inspect, qtbot):
    click_on(qtbot, inspect, COIN)
    for number, kind, expected in ALL:
        inspect.chooser.setCurrentIndex(number)
        if kind is not None:
            inspect.view.kind.setCurrentIndex(kind)
        press_look(qtbot, inspect)
        assert inspect.message.text() == "", (number, kind)
        assert len(inspect.sentence.text()) > 60, (number, kind)
        assert {name: layer.data.shape for name, layer in shown(inspect).items()} == expected
        for layer in shown(inspect).values():
            check_place(layer, inspect.sources.image.layer)


def check_place(layer, image) -> None:
    """Both corners of the outer cells are the image's: nothing is padded at this size."""
    end = np.array(layer.data.shape[: layer.ndim], dtype=float) - 0.5
    start = np.full(layer.ndim, -0.5)
    np.testing.assert_allclose(layer.data_to_world(start)[-2:], image.data_to_world((-0.5, -0.5)))
    np.testing.assert_allclose(layer.data_to_world(end)[-2:], image.data_to_world((302.5, 383.5)))
    assert isinstance(layer, Labels) or layer.interpolation2d == "nearest"


def test_positions_need_no_image(make_napari_viewer, predictor, qtbot):
    viewer = make_napari_viewer()
    widget = InspectModel(viewer)
    viewer.window.add_dock_widget(widget, name="Inspect model")
    qtbot.waitUntil(lambda: widget.sources.ready_model is not None, timeout=10_000)
    press_look(qtbot, widget)
    widget.views[POSITIONS].height_spin.setValue(2)
    widget.views[POSITIONS].width_spin.setValue(128)
    press_look(qtbot, widget)
    [layer] = viewer.layers
    assert layer.data.shape == (24, 2, 128)
    assert "interpolated from the 8 x 8" in widget.sentence.text()


def test_what_is_missing_is_said(inspect, qtbot):
    inspect.chooser.setCurrentIndex(ATTENTION)
    press_look(qtbot, inspect)
    assert "Click on an object first" in inspect.message.text()
    assert shown(inspect) == {}
    inspect.sources.image.layer = None
    inspect.viewer.layers.clear()
    press_look(qtbot, inspect)
    assert "Open an image" in inspect.message.text()


def test_a_look_before_the_model_is_there_comes_when_it_is(make_napari_viewer, predictor, coins, qtbot):
    viewer = make_napari_viewer()
    viewer.add_image(coins)
    widget = InspectModel(viewer)
    viewer.window.add_dock_widget(widget, name="Inspect model")
    widget.chooser.setCurrentIndex(BLOCKS)
    widget.look()
    assert widget.sources.ready_model is None
    qtbot.waitUntil(lambda: "block norms" in viewer.layers, timeout=10_000)


def test_a_failing_look_is_a_sentence_and_the_next_one_works(inspect, qtbot, monkeypatch):
    inspect.chooser.setCurrentIndex(BLOCKS)

    def failing(*args, **keywords):
        raise ValueError("no luck today")

    with monkeypatch.context() as patch:
        patch.setattr(inspect.sources.ready_model.predictor.model.network, "encode", failing, raising=False)
        press_look(qtbot, inspect)
    assert inspect.message.text() == "no luck today"
    press_look(qtbot, inspect)
    assert inspect.message.text() == ""
    assert "block norms" in inspect.viewer.layers


def test_a_model_that_cannot_be_loaded_is_a_sentence(make_napari_viewer, monkeypatch, qtbot):
    def failing(choices, ticket):
        raise ValueError("this file is damaged")

    monkeypatch.setattr(models, "load", failing)
    viewer = make_napari_viewer()
    widget = InspectModel(viewer)
    viewer.window.add_dock_widget(widget, name="Inspect model")
    qtbot.waitUntil(lambda: widget.sources.about.text() == "this file is damaged", timeout=10_000)
    widget.look()
    assert widget.message.text() == "this file is damaged"


def test_the_slider_is_explained_as_it_moves(inspect, qtbot):
    inspect.chooser.setCurrentIndex(BLOCKS)
    press_look(qtbot, inspect)
    assert "block 3 (global)" in inspect.caption.text()
    inspect.viewer.dims.set_point(0, 2)
    assert "block 2 (windows of 3)" in inspect.caption.text()
    assert [plot.isVisible() for plot in inspect.plots] == [True]


def test_attention_follows_a_moved_point(inspect, qtbot):
    click_on(qtbot, inspect, COIN)
    inspect.chooser.setCurrentIndex(ATTENTION)
    press_look(qtbot, inspect)
    layer, first = shown(inspect)["attention"], inspect.sentence.text()
    before = layer.data.copy()
    inspect.sources.points.layer.data = np.array([OTHER_COIN])
    qtbot.waitUntil(lambda: inspect.sentence.text() != first, timeout=10_000)
    assert shown(inspect)["attention"] is layer
    assert not np.array_equal(layer.data, before)


def test_options_of_a_quick_view_are_followed_and_of_a_slow_one_not(inspect, qtbot):
    click_on(qtbot, inspect, COIN)
    inspect.chooser.setCurrentIndex(WAND)
    press_look(qtbot, inspect)
    inspect.view.tolerance.setValue(255)
    qtbot.waitUntil(lambda: "116352 pixels" in inspect.sentence.text(), timeout=10_000)
    inspect.chooser.setCurrentIndex(WINDOWS)
    press_look(qtbot, inspect)
    before = inspect.sentence.text()
    inspect.view.windows[0].setValue(8)
    wait_until_seen(qtbot, inspect)
    assert inspect.sentence.text() == before
    press_look(qtbot, inspect)
    assert "Windows 8, 3 at 64 pixels" in inspect.sentence.text()


@pytest.fixture
def discs(predictor) -> Predictor:
    """In the place of the model that the panel's own tests load."""
    return predictor


def test_it_takes_model_image_and_prompts_from_the_open_panel(annotating, predictor, qtbot):
    viewer, panel, hand = annotating.viewer, annotating.panel, annotating.hand
    widget = InspectModel(viewer)
    viewer.window.add_dock_widget(widget, name="Inspect model", area="left")
    viewer.reset_view()
    qtbot.wait(100)
    qtbot.waitUntil(lambda: panel.app.encoder.model is not None, timeout=10_000)
    assert widget.sources.choosers.isHidden()
    assert widget.sources.about.text() == "As in the Segment Anything panel: “coins”, object 1, model tiny."
    assert widget.sources.ready_model.predictor is predictor
    hand.click(*COIN)
    stored = panel.app.encoder.stored
    qtbot.waitUntil(lambda: stored(panel.canvas.screen.plane()) is not None, timeout=10_000)
    qtbot.waitUntil(lambda: panel.canvas.labels is not None, timeout=10_000)
    widget.chooser.setCurrentIndex(SIMILARITY)
    press_look(qtbot, widget)
    layer = viewer.layers["similarity"]
    assert layer.data[2, 3] == pytest.approx(1)  # a token is 50.5 x 48 pixels: the coin's
    # the point is dragged to another coin, with the mouse, and the view follows
    viewer.layers.selection.active = annotating.binding.points
    annotating.binding.points.mode = "select"
    hand.drag(COIN, OTHER_COIN)
    qtbot.waitUntil(lambda: layer.data[1, 1] == pytest.approx(1), timeout=10_000)
    assert layer.data[2, 3] < 1
    # another object becomes the current one by the panel's own means
    annotating.binding.points.mode = "add"
    panel.app.do(NEXT_OBJECT)
    hand.click(*COIN)
    qtbot.waitUntil(lambda: layer.data[2, 3] == pytest.approx(1), timeout=10_000)
    # the panel's encoding served: no second one was made
    assert not [key for key in widget._memory._kept if key[0] == "encoding"]
    viewer.window.remove_dock_widget(panel)
    widget.sources.refresh()
    assert not widget.sources.choosers.isHidden()
    qtbot.waitUntil(lambda: widget.sources.own_model is not None, timeout=10_000)


def test_closing_the_dock_stops_the_thread_and_lets_go_of_the_layers(inspect, qtbot):
    click_on(qtbot, inspect, COIN)
    inspect.chooser.setCurrentIndex(BLOCKS)
    qtbot.mouseClick(inspect.look_button, Qt.MouseButton.LeftButton)
    points = inspect.sources.points.layer
    before = len(points.events.set_data.callbacks)
    inspect.viewer.window.remove_dock_widget(inspect)
    assert inspect._closed
    assert len(points.events.set_data.callbacks) == before - 1
    inspect.close_down()


def test_the_picture_that_answers_a_deleted_image_is_dropped(inspect, qtbot):
    inspect.chooser.setCurrentIndex(BLOCKS)
    inspect.look()
    inspect.viewer.layers.clear()
    wait_until_seen(qtbot, inspect)
    assert len(inspect.viewer.layers) == 0


def test_ticks_are_round_and_enclose_the_values():
    assert nice_ticks(0, 1) == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert nice_ticks(-7.3, 7.9) == pytest.approx([-10, -5, 0, 5, 10])
    assert nice_ticks(3, 3) == pytest.approx([2.5, 2.75, 3, 3.25, 3.5])


def test_a_plot_draws_its_curves_in_their_places(qtbot):
    plot = Plot(PlotData("Straight", "x", (Curve.through("up", [0, 1], [0, 1]),)))
    qtbot.addWidget(plot)
    plot.resize(300, 190)
    image = plot.grab().toImage()
    orange = [
        (x, y)
        for x in range(image.width())
        for y in range(40, image.height())
        if image.pixelColor(x, y).name() == "#e69f00"
    ]
    assert len(orange) > 20
    left, right = min(orange), max(orange)
    assert left[1] > right[1] + 60
