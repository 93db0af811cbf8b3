"""Source of the inspected model, image and prompts: the open panel, or the dock's own choosers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer, Points
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.app.models import Choices
from napari_samv1.checkpoints.registry import MODELS
from napari_samv1.layers.image import DisplayedPlane, displayed_plane, overview_at
from napari_samv1.layers.inspection import is_picture
from napari_samv1.layers.prompts.features import make_points, next_object_id
from napari_samv1.layers.prompts.read import read_points
from napari_samv1.masks.drawn import prompts_of
from napari_samv1.widgets.inspect.scene import Scene
from napari_samv1.widgets.panel.panel import SegmentAnythingPanel, open_panels
from napari_samv1.widgets.shared.layer_chooser import LayerChooser
from napari_samv1.widgets.shared.look import narrow_combo, note
from napari_samv1.widgets.shared.remembered import recall

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_samv1.app.models import ReadyModel
    from napari_samv1.app.state import State
    from napari_samv1.records.prompts import Prompts


def _is_image(layer: Layer) -> bool:
    return isinstance(layer, Image) and not is_picture(layer)


def _on_overview(prompts: Prompts, overview: DisplayedPlane) -> Prompts:
    """Points and boxes in the pixels of an overview."""
    factors = np.asarray(overview.factors_yx)
    points, corners = (
        (yx + 0.5) / factors - 0.5 for yx in (prompts.points_yx, prompts.boxes_yx.reshape(-1, 2))
    )
    return type(prompts)(points, prompts.labels, corners.reshape(-1, 4), candidate=prompts.candidate)


def _nothing() -> None:
    return None


class NothingToSeeError(ValueError):
    """Error for a missing model, image or prompt; the message names the remedy."""


class Sources(QWidget):
    """Follows the Segment Anything panel of its window, and shows its own choosers if there is none.

    ``changed`` is emitted when image or prompts may have changed, ``model_changed`` when the panel's model
    may have, and ``model_wanted`` when the chosen model has to be loaded.
    """

    changed = Signal()
    model_changed = Signal()
    model_wanted = Signal(object)  # Choices

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.own_model: ReadyModel | None = None
        self.status = ""
        self._followed: SegmentAnythingPanel | None = None
        self._end_following: Callable[[], None] = _nothing
        self._points: Any = None
        self.about = note()
        self.model = narrow_combo()
        self.image = LayerChooser(viewer, _is_image, tooltip="The image to look at")
        self.points = LayerChooser(
            viewer,
            lambda layer: isinstance(layer, Points),
            tooltip="Holds the clicks that some views need",
            new_tooltip="Make a layer for clicks",
        )
        self.choosers = QWidget()
        form = QFormLayout(self.choosers)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Model", self.model)
        form.addRow("Image", self.image)
        form.addRow("Points", self.points)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.about)
        layout.addWidget(self.choosers)
        self._fill_models()
        self.model.activated.connect(self._model_picked)
        self.image.changed.connect(lambda _layer: self.changed.emit())
        self.points.changed.connect(self._points_picked)
        self.points.new_wanted.connect(self._new_points)
        self.refresh()

    @property
    def panel(self) -> SegmentAnythingPanel | None:
        """The panel of this window, if it is open."""
        return next((panel for panel in open_panels() if panel.viewer is self.viewer), None)

    @property
    def ready_model(self) -> ReadyModel | None:
        """The model to look into, if it is loaded."""
        panel = self.panel
        return self.own_model if panel is None else panel.app.encoder.model

    def refresh(self) -> None:
        """Follow panels and layers that came or went."""
        panel = self.panel
        if panel is not self._followed:
            self._let_go()
            self._followed = panel
            if panel is not None:
                self._end_following = panel.app.on_change(self._panel_changed)
        self.choosers.setVisible(panel is None)
        self.about.setVisible(panel is not None or bool(self.status))
        self.about.setText(self.status if panel is None else self._words(panel))
        for chooser in (self.image, self.points):
            chooser.reset_choices()
        if self.image.layer is None:
            images = [layer for layer in self.viewer.layers if _is_image(layer)]
            self.image.layer = images[0] if len(images) == 1 else None
        if panel is None and self.own_model is None and not self.status:
            self._want_model()

    def show_status(self, sentence: str) -> None:
        """Show the state of loading the chosen model."""
        self.status = sentence
        self.refresh()

    def scene(self, *, needs_image: bool, needs_prompts: bool) -> Scene:
        """Gather the input of a view.

        Raises
        ------
        NothingToSeeError
            If model, image or prompts are missing; the message is a sentence on how to go on.
        """
        model = self.ready_model
        if model is None:
            raise NothingToSeeError(self.status or "The model is not loaded yet: choose one, or wait for it.")
        try:
            image, plane = self._plane()
        except NoPlaneError as error:
            if needs_image:
                raise NothingToSeeError(str(error)) from error
            return Scene(model.predictor)
        prompts = self._prompts(image, plane)
        full, overview = plane, overview_at(image, plane.key.index, data_revision=plane.data_revision)
        is_overview = overview.level != 0
        plane = overview if is_overview else full
        if is_overview and prompts is not None:
            prompts = _on_overview(prompts, plane)
        if needs_prompts and (prompts is None or not len(prompts)):
            raise NothingToSeeError("Click on an object first: this view needs a prompt for it.")
        panel = self.panel
        if panel is None:
            return Scene(model.predictor, image, plane, prompts)
        stored = panel.app.encoder.stored(full)
        fresh = stored is not None and stored.display_key == full.display_key and not is_overview
        current = None if is_overview else panel.canvas.current.piece
        return Scene(
            model.predictor,
            image,
            plane,
            prompts,
            stored.embedding if stored is not None and fresh else None,
            None if current is None else current.mask,
        )

    def close_down(self) -> None:
        """Disconnect from the panel and the layers."""
        self._let_go()
        self._follow_points(None)

    def _plane(self) -> tuple[Image, DisplayedPlane]:
        panel = self.panel
        if panel is not None and panel.canvas.image is not None:
            return panel.canvas.image, panel.canvas.screen.plane()
        if self.image.layer is None:
            raise NoPlaneError("Open an image, and choose it.")
        return self.image.layer, displayed_plane(self.viewer, self.image.layer)

    def _prompts(self, image: Image, plane: DisplayedPlane) -> Prompts | None:
        panel = self.panel
        if panel is not None:
            current = panel.canvas.current.piece
            return None if current is None else current.prompts
        if self.points.layer is None:
            return None
        rows = read_points(plane, image, self.points.layer).rows
        if not rows:
            return None
        drawn = rows.get(next_object_id(self.points.layer) or 0, rows[max(rows)])
        return prompts_of(drawn, plane.shape_yx)

    def _words(self, panel: SegmentAnythingPanel) -> str:
        image = panel.canvas.image
        where = "no image" if image is None else f"“{image.name}”"
        return (
            f"As in the Segment Anything panel: {where}, object {panel.canvas.current.number}, "
            f"model {panel.model_chooser.short_name}."
        )

    def _let_go(self) -> None:
        self._end_following()
        self._followed, self._end_following = None, _nothing

    def _panel_changed(self, old: State, new: State) -> None:
        if new.differs(old, "model"):
            self.model_changed.emit()
        self.changed.emit()

    # ---- without a panel

    def _fill_models(self) -> None:
        last = recall().model
        rows = [name for name, row in MODELS.items() if row.is_on_disk or row.is_bundled]
        for name in rows:
            self.model.addItem(name, name)
        if last not in MODELS and Path(last).is_file():
            self.model.addItem(Path(last).name, last)
        self.model.setCurrentIndex(max(0, self.model.findData(last)))

    def _model_picked(self) -> None:
        self.own_model = None
        self._want_model()

    def _want_model(self) -> None:
        last = recall()
        self.status = "Loading the model …"
        self.about.setText(self.status)
        self.about.setVisible(True)
        self.model_wanted.emit(Choices(self.model.currentData(), last.device, last.preparation))

    def _new_points(self) -> None:
        if self.image.layer is not None:
            layer = make_points(self.image.layer)
            self.viewer.add_layer(layer)
            self.viewer.layers.selection.active = layer
            self.points.layer = layer

    def _points_picked(self, layer: Points | None) -> None:
        self._follow_points(layer)
        self.changed.emit()

    def _follow_points(self, layer: Points | None) -> None:
        old, self._points = self._points, layer
        # set_data comes also while a point is dragged
        if old is not None:
            old.events.set_data.disconnect(self._points_changed)
        if layer is not None:
            layer.events.set_data.connect(self._points_changed)

    def _points_changed(self, _event: object = None) -> None:
        self.changed.emit()
