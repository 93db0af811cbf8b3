"""The dock widget "Inspect model": seven views, one worker, layers and plots."""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_samv1.app import models
from napari_samv1.app.sentences import sentence_of
from napari_samv1.app.worker import Outcome, Ticket, Worker
from napari_samv1.layers.inspection import Picture, ShownPictures
from napari_samv1.widgets.inspect.attention import AttentionView
from napari_samv1.widgets.inspect.blocks import BlocksView
from napari_samv1.widgets.inspect.plot import Plot, PlotData
from napari_samv1.widgets.inspect.positions import PositionsView
from napari_samv1.widgets.inspect.scene import Memory, Scene, Seen
from napari_samv1.widgets.inspect.similarity import SimilarityView
from napari_samv1.widgets.inspect.sources import NothingToSeeError, Sources
from napari_samv1.widgets.inspect.stability import StabilityView
from napari_samv1.widgets.inspect.view import View
from napari_samv1.widgets.inspect.wand import WandView
from napari_samv1.widgets.inspect.windows import WindowsView
from napari_samv1.widgets.shared.docking import come_as_tab
from napari_samv1.widgets.shared.layer_list import leave_layer_list
from napari_samv1.widgets.shared.look import BLUE, GREEN, ORANGE, card, line, narrow_combo, note
from napari_samv1.widgets.shared.mailbox import Mailbox

if TYPE_CHECKING:
    import napari.viewer

    from napari_samv1.app.models import Choices

logger = logging.getLogger(__name__)

LOAD, LOOK = "load", "look"
LIVE_MILLISECONDS = 60
WORTH_TELLING_SECONDS = 0.7
VIEWS: tuple[type[View], ...] = (
    PositionsView,
    BlocksView,
    WindowsView,
    StabilityView,
    AttentionView,
    SimilarityView,
    WandView,
)


class InspectModel(QScrollArea):
    """Look inside the model: choose a view, press "Look", read the result.

    Model, image and prompts are those of the Segment Anything panel if it is open. The thread and the
    connections end with the dock; the layers stay. Each look replaces the layers of the last one: duplicate a
    layer to keep it.
    """

    # napari passes its viewer only to this exact annotation
    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        # napari may pass a proxy, whose layers are wrapped again at each access
        self.viewer = viewer = getattr(viewer, "__wrapped__", viewer)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self._closed = False
        self._memory = Memory()
        self._shown = ShownPictures(viewer)
        self._shown_view: View | None = None
        self._captions: tuple[Hashable, tuple[str, ...]] | None = None
        self._wants_look = False
        self._last_scene: Scene | None = None
        self._started = 0.0
        self._network: Any = None
        self._worker = Worker("inspection", self._finished, self._progressed, deliver=Mailbox())
        self._live_timer = QTimer(self)
        self._live_timer.setSingleShot(True)
        self._live_timer.setInterval(LIVE_MILLISECONDS)
        self._live_timer.timeout.connect(self._look_again)

        self.chooser = narrow_combo()
        self.about = card(_wrapped(), BLUE)
        self.sources = Sources(viewer)
        self.views = [view() for view in VIEWS]
        self.stack = QStackedWidget()
        for number, view in enumerate(self.views, start=1):
            self.chooser.addItem(f"{number}. {view.title}")
            self.stack.addWidget(view)
        self.look_button = QPushButton("Look")
        self.look_button.setToolTip("Replaces the layers of the last look: duplicate a layer to keep it")
        self.progress = QProgressBar()
        self.cancel = QPushButton("Cancel")
        self.message = card(_wrapped(), ORANGE)
        self.sentence = card(_wrapped(), GREEN)
        self.caption = _wrapped()
        self.plots: list[Plot] = []
        self._arrange()

        self.chooser.currentIndexChanged.connect(self._view_picked)
        self.look_button.clicked.connect(lambda: self.look())
        self.cancel.clicked.connect(self._cancel)
        self.sources.changed.connect(self._scene_changed)
        self.sources.model_changed.connect(self._model_changed)
        self.sources.model_wanted.connect(self._load)
        for view in self.views:
            view.changed.connect(self._option_changed)
        viewer.dims.events.point.connect(self._show_caption)
        self.destroyed.connect(_stopping(self._worker))
        self._view_picked()
        self.sources.status = ""
        self.sources.refresh()
        self._learn_network()

    # ---- the parts

    def _arrange(self) -> None:
        running = QHBoxLayout()
        running.addWidget(self.progress, 1)
        running.addWidget(self.cancel)
        self._plots_layout = QVBoxLayout()
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(6)
        layout.addWidget(self.chooser)
        layout.addWidget(self.about)
        layout.addWidget(line())
        layout.addWidget(self.sources)
        layout.addWidget(line())
        layout.addWidget(self.stack)
        layout.addWidget(self.look_button)
        layout.addLayout(running)
        layout.addWidget(self.message)
        layout.addWidget(self.sentence)
        layout.addWidget(self.caption)
        layout.addLayout(self._plots_layout)
        layout.addStretch(1)
        content.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setWidget(content)
        self.setMinimumWidth(300)
        self._show_running(False)
        for label in (self.message, self.sentence, self.caption):
            label.setVisible(False)

    @property
    def view(self) -> View:
        """The chosen view."""
        return self.views[self.chooser.currentIndex()]

    def reset_choices(self, _event: object = None) -> None:
        """Follow the viewer's layer list; napari calls this when it changes."""
        if not self._closed:
            self.sources.refresh()

    # ---- looking

    def look(self) -> None:
        """Start the chosen view's job in the worker."""
        view = self.view
        self.sources.refresh()
        try:
            scene = self.sources.scene(needs_image=view.needs_image, needs_prompts=view.needs_prompts)
        except NothingToSeeError as error:
            self._wants_look = self.sources.ready_model is None
            self._say(str(error))
            return
        self._ask(view, scene)

    def _ask(self, view: View, scene: Scene) -> None:
        self._wants_look = False
        self._last_scene = scene
        self._started = time.monotonic()
        self._learn_network()
        self._say("")
        look, memory = view.look(), self._memory

        def job(ticket: Ticket) -> tuple[View, Scene, Seen]:
            return view, scene, look(scene, memory, ticket)

        self._worker.submit(LOOK, job)
        self._show_running(self._shown_view is not view or not view.is_live())

    def _look_again(self) -> None:
        view = self.view
        if self._closed or self._shown_view is not view or not view.is_live():
            return
        try:
            scene = self.sources.scene(needs_image=view.needs_image, needs_prompts=view.needs_prompts)
        except NothingToSeeError:
            return
        if self._last_scene is None or (view.needs_prompts and scene.is_moved_from(self._last_scene)):
            self._ask(view, scene)

    def _scene_changed(self) -> None:
        # a throttle, not a debounce, so that a dragged point is followed
        if not self._closed and not self._live_timer.isActive():
            self._live_timer.start()

    def _option_changed(self) -> None:
        self._last_scene = None
        self._scene_changed()

    def _model_changed(self) -> None:
        if self._closed:
            return
        self._learn_network()
        if self._wants_look and self.sources.ready_model is not None:
            self.look()

    def _load(self, choices: Choices) -> None:
        self._worker.submit(LOAD, lambda ticket: models.load(choices, ticket))

    def _cancel(self) -> None:
        self._worker.cancel(LOOK)
        self._show_running(False)

    def _finished(self, outcome: Outcome) -> None:
        self._show_running(self._worker.busy)
        if outcome.key == LOAD:
            self._loaded(outcome)
            return
        if outcome.cancelled:
            return
        if outcome.error is not None:
            logger.info("looking failed", exc_info=outcome.error)
            self._say(sentence_of(outcome.error))
            return
        view, scene, seen = outcome.value
        if view is self.view and (scene.image is None or scene.image in self.viewer.layers):
            self._show(view, scene, seen)

    def _loaded(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.sources.show_status(sentence_of(outcome.error))
            return
        if outcome.cancelled:
            return
        self.sources.own_model = outcome.value
        self.sources.show_status("")
        self._learn_network()
        if self._wants_look:
            self.look()

    def _show(self, view: View, scene: Scene, seen: Seen) -> None:
        pictures: dict[Hashable, Picture] = {
            (view.title, name): picture for name, picture in seen.pictures.items()
        }
        self._shown_view = view
        with_captions = [(key, picture.captions) for key, picture in pictures.items() if picture.captions]
        self._captions = with_captions[0] if with_captions else None
        self._shown.show(pictures, scene.image, scene.plane)
        self.sentence.setText(seen.sentence)
        self.sentence.setVisible(True)
        self._show_plots(seen.plots)
        self._show_caption()

    def _show_plots(self, plots: tuple[PlotData, ...]) -> None:
        for plot, data in zip(self.plots, plots, strict=False):
            plot.show_data(data)
        for data in plots[len(self.plots) :]:
            plot = Plot(data)
            self._plots_layout.addWidget(plot)
            self.plots.append(plot)
        for number, plot in enumerate(self.plots):
            plot.setVisible(number < len(plots))

    def _show_caption(self, _event: object = None) -> None:
        """Show the caption at the slider's position."""
        text = ""
        if self._captions is not None:
            key, captions = self._captions
            layer = self._shown.layer(key)
            if layer is not None and layer.visible:
                at = round(self.viewer.dims.point[self.viewer.dims.ndim - layer.ndim])
                text = captions[at] if 0 <= at < len(captions) else "The slider is beyond this stack."
        self.caption.setText(f"Slider: {text}" if text else "")
        self.caption.setVisible(bool(text))

    def _show_running(self, running: bool) -> None:
        self.progress.setVisible(running)
        self.cancel.setVisible(running)
        if not running:
            self.progress.setRange(0, 0)

    def _progressed(self, key: Hashable, progress: Any) -> None:
        if key == LOOK:
            done, total = progress
            # late, because the bar would flicker while a point is dragged
            if time.monotonic() - self._started > WORTH_TELLING_SECONDS:
                self._show_running(True)
            self.progress.setRange(0, total)
            self.progress.setValue(done)
            self.progress.setFormat("%v of %m")

    def _view_picked(self) -> None:
        view = self.view
        self.about.setText(view.about)
        self.stack.setCurrentWidget(view)
        # otherwise the stack would be as high as its highest page
        for other in self.views:
            policy = QSizePolicy.Policy.Preferred if other is view else QSizePolicy.Policy.Ignored
            other.setSizePolicy(QSizePolicy.Policy.Preferred, policy)
        self.stack.adjustSize()
        if view is not self._shown_view:
            self.sentence.setVisible(False)
            self.caption.setVisible(False)
            for plot in self.plots:
                plot.setVisible(False)
            self._shown_view = None
        self._say("")

    def _learn_network(self) -> None:
        ready = self.sources.ready_model
        network = None if ready is None else getattr(ready.predictor.model, "network", None)
        if network is None or network is self._network:
            return
        self._network = network
        model = ready.predictor.model if ready is not None else None
        for view in self.views:
            blocked = view.blockSignals(True)
            view.show_network(network)
            if isinstance(view, WindowsView) and model is not None:
                view.show_side(model.preparation.side)
            view.blockSignals(blocked)

    def _say(self, sentence: str) -> None:
        self.message.setText(sentence)
        self.message.setVisible(bool(sentence))

    # ---- the end

    def event(self, event: QEvent) -> bool:
        # napari's dock removes the widget without a close event
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.close_down()
        elif event.type() == QEvent.Type.ParentChange:
            come_as_tab(self)
        elif event.type() in (QEvent.Type.Enter, QEvent.Type.Show) and not self._closed:
            self.sources.refresh()
        return bool(super().event(event))

    def close_down(self) -> None:
        """Stop the thread and disconnect; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        leave_layer_list(self.viewer, self.reset_choices)
        self.viewer.dims.events.point.disconnect(self._show_caption)
        self.sources.close_down()
        if not self._worker.stop():
            logger.warning("a background thread is still finishing its step")


def _wrapped() -> QLabel:
    """A note that is as high as its wrapped text."""
    label = note()
    policy = label.sizePolicy()
    policy.setHeightForWidth(True)
    label.setSizePolicy(policy)
    return label


def _stopping(worker: Worker) -> Any:
    # takes the worker and not the dock, because it runs after the dock is deleted
    def stop() -> None:
        worker.stop()

    return stop
