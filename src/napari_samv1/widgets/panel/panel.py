"""The dock widget "Segment Anything": its parts, and the connections between them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QFormLayout, QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from napari_samv1.app.actions import ACTIONS, NEXT_OBJECT
from napari_samv1.app.app import App
from napari_samv1.app.state import State
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.connections import Connections
from napari_samv1.layers.inspection import is_picture
from napari_samv1.layers.keys import register_keys, shown_key
from napari_samv1.layers.one_each import OneObjectEach
from napari_samv1.layers.plain_text import plain
from napari_samv1.layers.region_outlines import RegionOutlines
from napari_samv1.layers.tools import CanvasTools
from napari_samv1.widgets.automatic.part import EverythingPart
from napari_samv1.widgets.panel.candidate_pictures import CandidatePictures
from napari_samv1.widgets.panel.encoding_bar import EncodingBar
from napari_samv1.widgets.panel.existing import ExistingLabels
from napari_samv1.widgets.panel.fit_view import FitWhileLaidOut
from napari_samv1.widgets.panel.guide import Situation, next_step
from napari_samv1.widgets.panel.key_list import KeyList
from napari_samv1.widgets.panel.notice import Notice
from napari_samv1.widgets.panel.object_list import ObjectList
from napari_samv1.widgets.panel.prompt_tools import PromptTools
from napari_samv1.widgets.panel.session_part import SessionPart
from napari_samv1.widgets.panel.settings import Settings, Wishes
from napari_samv1.widgets.panel.sight_part import SightPart
from napari_samv1.widgets.shared.docking import come_as_tab
from napari_samv1.widgets.shared.later import Later
from napari_samv1.widgets.shared.layer_chooser import LayerChooser
from napari_samv1.widgets.shared.layer_list import leave_layer_list
from napari_samv1.widgets.shared.look import Folded, line
from napari_samv1.widgets.shared.mailbox import Mailbox
from napari_samv1.widgets.shared.remembered import recall, remember

if TYPE_CHECKING:
    import napari.viewer
    from magicgui.widgets import ComboBox

    from napari_samv1.app.models import Choices
    from napari_samv1.records.sight import Sight
    from napari_samv1.widgets.panel.clean_up import CleanUpFields
    from napari_samv1.widgets.panel.mask_choice import MaskChoice
    from napari_samv1.widgets.panel.model_chooser import ModelChoice
    from napari_samv1.widgets.panel.value_widgets import Number

PREFERRED_WIDTH = 310

_OPEN: weakref.WeakSet[SegmentAnythingPanel] = weakref.WeakSet()


class SegmentAnythingPanel(QScrollArea):
    """Point at objects in an image, and get their masks in a Labels layer.

    Scripts set the same values as the mouse: ``panel.threshold.value = 1.5``, ``panel.mask.value = 2``;
    ``asdict`` returns all values, and ``panel.settings`` is the magicgui container that holds them. The panel
    ends its threads and connections when its dock or the viewer is closed.
    """

    # napari passes its viewer only to this exact annotation
    def __init__(self, viewer: napari.viewer.Viewer, choices: Choices | None = None) -> None:
        super().__init__()
        register_keys()
        # napari may pass a proxy, whose layers are wrapped again at each access
        self.viewer = viewer = getattr(viewer, "__wrapped__", viewer)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self._label_colours = Connections()

        choices = recall() if choices is None else choices
        self.canvas = canvas = AnnotationBinding(viewer)
        later = Later()
        self.app = app = App(
            canvas,
            CanvasTools(viewer, canvas, later),
            ACTIONS,
            choices,
            deliver=Mailbox(),
            later=later,
            on_info=lambda sentence: show_info(plain(sentence)),
            on_error=lambda sentence: show_error(plain(sentence)),
        )
        self.notice = Notice()
        self.guide, self.message = self.notice.guide, self.notice.message
        self.image = LayerChooser(viewer, is_image, tooltip="The image to annotate")
        self.encoding = EncodingBar()
        self.seen = SightPart()
        self.tools = PromptTools(app.do)
        self.objects = ObjectList(_colours(canvas), app.do)
        self.existing = ExistingLabels(canvas)
        self.one_each = OneObjectEach(canvas)
        self.settings = settings = Settings(
            Wishes(
                choice=partial(app.set_setting, "choice"),
                threshold=partial(app.move_setting, "threshold"),
                cleanup=partial(app.move_setting, "cleanup"),
                rule=partial(app.set_setting, "rule"),
                detail=app.set_detail,
            ),
            choices,
        )
        self.mask_choice = settings.mask.pictures
        self.pictures = CandidatePictures(canvas, self.mask_choice, settings.logits)
        self.model_chooser = settings.model.chooser
        self.points = LayerChooser(
            viewer, _is(Points), tooltip="The Points layer for clicks", new_tooltip="Make a layer for clicks"
        )
        self.shapes = LayerChooser(
            viewer,
            _is(Shapes),
            tooltip="The Shapes layer for boxes and other shapes",
            new_tooltip="Make a layer for boxes and other shapes",
        )
        self.labels = LayerChooser(
            viewer, is_labels, tooltip="The Labels layer for the masks", new_tooltip="Make a layer for masks"
        )
        self.session = SessionPart(app, canvas)
        self.everything = EverythingPart(app, canvas)
        self.keys = KeyList()
        self.outlines = RegionOutlines(viewer)
        self._arrange()

        self.image.changed.connect(self._image_picked)
        self.points.changed.connect(self._points_picked)
        self.shapes.changed.connect(self._shapes_picked)
        self.labels.changed.connect(self._labels_picked)
        self.points.new_wanted.connect(self._new_points)
        self.shapes.new_wanted.connect(self._new_shapes)
        self.labels.new_wanted.connect(self._new_labels)
        self.encoding.encode_wanted.connect(app.encode)
        self.encoding.cancel_wanted.connect(app.cancel_encoding)
        self.seen.changed.connect(app.set_sight)
        self.seen.renamed.connect(self.sight_part.set_title)
        self.tools.one_each_picked.connect(self._one_each_picked)
        self.existing.changed.connect(self._show_list)
        self.objects.object_picked.connect(app.pick_object)
        self.model_chooser.chosen.connect(self._model_chosen)
        self.model_chooser.download_wanted.connect(app.download)
        self.model_chooser.cancel_wanted.connect(app.cancel_download)
        self.keys.changed.connect(self._show_keys)
        settings.regions.toggled.connect(self._show_regions)
        app.on_change(self._show)
        # bound to the parts and not to the panel, which is deleted before them
        app.on_close(self.existing.close)
        app.on_close(self.one_each.close)
        app.on_close(self.outlines.hide)
        self.destroyed.connect(_closing(app))

        self._choose_image()
        self._take_model(choices)
        _OPEN.add(self)

    # ---- values for scripts

    @property
    def mask(self) -> MaskChoice:  # type: ignore[override]  # Qt's own mask() cuts windows into shapes
        """The current object's choice among the four masks: "auto", or 0 to 3."""
        return self.settings.mask

    @property
    def threshold(self) -> Number:
        """The logit at which the current object's mask is cut."""
        return self.settings.threshold

    @property
    def cleanup(self) -> CleanUpFields:
        """The current object's clean-up, a record whose fields are widgets too."""
        return self.settings.cleanup

    @property
    def rule(self) -> ComboBox:
        """The rule for pixels that the current object shares with others: "keep", "overwrite" or "inside"."""
        return self.settings.rule

    @property
    def inside(self) -> Number:
        """The label to stay inside of, if the rule is "inside"."""
        return self.settings.inside

    @property
    def detail(self) -> ComboBox:
        """The detail asked for the current object: "auto", "whole", or model pixels per image pixel."""
        return self.settings.detail

    @property
    def sight(self) -> Sight:
        """Channels and limits for the model."""
        return self.canvas.screen.sight

    @sight.setter
    def sight(self, sight: Sight) -> None:
        self.app.set_sight(sight)

    @property
    def model(self) -> ModelChoice:
        """The model in use: a listed model's name, or the path of a weight file."""
        return self.settings.model

    def asdict(self) -> dict[str, Any]:
        """All values of the panel, by their names."""
        return self.settings.asdict()

    # ---- the parts

    def _arrange(self) -> None:
        layers = QWidget()
        form = QFormLayout(layers)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Points", self.points)
        form.addRow("Shapes", self.shapes)
        form.addRow("Masks", self.labels)
        image = QFormLayout()
        image.setContentsMargins(0, 0, 0, 0)
        image.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        image.addRow("Image", self.image)

        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(6)
        layout.addWidget(self.notice)
        layout.addWidget(line())
        layout.addLayout(image)
        layout.addWidget(self.encoding)
        self.sight_part = Folded(self.seen.title, self.seen)
        layout.addWidget(self.sight_part)
        layout.addWidget(line())
        layout.addWidget(self.tools)
        # above the list, which shrinks, so that neither tools nor buttons move
        layout.addWidget(self.session.card)
        layout.addWidget(self.objects, 1)
        layout.addWidget(line())
        self.everything_part = Folded("Everything", self.everything)
        layout.addWidget(self.everything_part)
        layout.addWidget(self.settings.native)
        layout.addWidget(self.session)
        self.cleanup_part, self.model_part = self.settings.cleanup_part, self.settings.model_part
        self.layers_part = Folded("Layers", layers)
        self.keys_part = Folded("Keys", self.keys)
        for folded in (self.layers_part, self.keys_part):
            layout.addWidget(folded)
        content.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setWidget(content)
        self.setMinimumWidth(240)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Size hint as narrow as napari's docks, so that the image keeps its room."""
        return QSize(PREFERRED_WIDTH, super().sizeHint().height())

    def reset_choices(self, _event: object = None) -> None:
        """Follow the viewer's layer list; napari calls this when it changes."""
        if self.app.closed:
            return
        for chooser in (self.image, self.points, self.shapes, self.labels):
            chooser.reset_choices()
        if self.image.layer is None:
            images = [layer for layer in self.viewer.layers if is_image(layer)]
            if len(images) == 1:
                self.image.layer = images[0]

    def _choose_image(self) -> None:
        """Choose the active image, or the only one."""
        self.reset_choices()
        active = self.viewer.layers.selection.active
        if active is not None and is_image(active):
            self.image.layer = active
        self._show_all(self.app.state)

    # ---- from the user

    def _image_picked(self, layer: Image | None) -> None:
        self._bind("image", layer)

    def _points_picked(self, layer: Points | None) -> None:
        self._bind("points", layer)

    def _shapes_picked(self, layer: Shapes | None) -> None:
        self._bind("shapes", layer)

    def _labels_picked(self, layer: Labels | None) -> None:
        self._bind("labels", layer)

    def _bind(self, kind: str, layer: Layer | None) -> None:
        """Use another layer for the image, the prompts or the masks."""
        if getattr(self.canvas, kind) is not layer:
            with self.app.change():
                setattr(self.canvas, kind, layer)
                self.app.sync()

    def _new_points(self) -> None:
        self._make(self.canvas.new_points)

    def _new_shapes(self) -> None:
        self._make(self.canvas.new_shapes)

    def _new_labels(self) -> None:
        self._make(self.canvas.new_labels)

    def _make(self, make: Callable[[], Layer]) -> None:
        self.app.make_layer(make)

    def _one_each_picked(self, on: bool) -> None:
        self.one_each.on = on
        self._show_guide(self.app.state)

    def _model_chosen(self, choices: Choices) -> None:
        remember(choices)
        self._take_model(choices)

    def _take_model(self, choices: Choices) -> None:
        self.app.choose_model(choices, is_ready=self.model_chooser.is_ready_to_load)
        if not self.model_chooser.is_ready_to_load:
            self.model_part.open = True
        self._show_guide(self.app.state)

    # ---- to the user

    def _show(self, old: State, new: State) -> None:
        """Update the parts that show a changed part of the state."""
        if new.differs(old, "layers"):
            self._show_layers()
        if new.differs(old, "encoding"):
            self.encoding.show_status(new.encoding)
        if new.differs(old, "sight", "limits"):
            self.seen.show_state(new)
        if new.differs(old, "tool", "shape", "polarity"):
            self.tools.show_state(new)
        self.existing.show_state(new)
        if new.differs(old, "document", "revision", "place", "current"):
            self._show_list(new)
        if new.differs(old, "undo", "redo"):
            self.objects.show_history(new)
        if new.differs(old, "settings"):
            self.settings.show_settings(new.settings)
        if new.differs(old, "settings", "detail", "has_details"):
            self.settings.show_detail(new.detail, matters=new.has_details)
        if new.differs(old, "windows", "place", "has_details"):
            self._show_regions()
        if new.differs(old, "piece", "prediction", "current", "place"):
            self.pictures.show_state(new)
        if new.differs(old, "model"):
            self.model_chooser.show_status(new.model.sentence)
            self.model_chooser.show_device(self.app.encoder.choices.device)
            self.model_part.set_title(f"Model: {self.model_chooser.short_name}")
        if new.differs(old, "download"):
            self.model_chooser.show_download(new.download)
        if new.differs(old, "message"):
            self.notice.show_message(new.message)
        self._show_guide(new)

    def _show_all(self, state: State) -> None:
        self._show_layers()
        self.encoding.show_status(state.encoding)
        self.seen.show_state(state)
        self.tools.show_state(state)
        self._show_list(state)
        self.objects.show_history(state)
        self.settings.show_settings(state.settings)
        self.settings.show_detail(state.detail, matters=state.has_details)
        self.pictures.show_state(state)
        self.model_part.set_title(f"Model: {self.model_chooser.short_name}")
        self.notice.show_message(state.message)
        self._show_keys()
        self._show_guide(state)

    def _show_regions(self, _checked: bool = False) -> None:
        state, image = self.app.state, self.canvas.image
        wanted = state.has_details and self.settings.regions.isChecked()
        if image is None or state.plane is None or not wanted:
            self.outlines.hide()
        else:
            self.outlines.show(image, self.canvas.screen.plane(), state.windows)

    def _show_list(self, state: State | None = None) -> None:
        state = self.app.state if state is None else state
        self.objects.show_objects(state.objects, state.current, existing=self.existing.numbers)

    def _show_keys(self) -> None:
        # another window's keys may be announced while this panel is being deleted
        if self.app.closed:
            return
        self.objects.show_keys()
        self.tools.show_keys()
        self.everything.review.show_keys()

    def _show_layers(self) -> None:
        canvas = self.canvas
        self.one_each.follow()
        for chooser, layer in (
            (self.image, canvas.image),
            (self.points, canvas.points),
            (self.shapes, canvas.shapes),
            (self.labels, canvas.labels),
        ):
            if chooser.layer is not layer:
                chooser.layer = layer
        self._label_colours.close()
        if canvas.labels is not None:
            self._label_colours.connect(canvas.labels.events, "colormap", self._recolour)
        self._recolour()

    def _recolour(self, _event: object = None) -> None:
        self.objects.model.recolour()
        self.pictures.refresh()

    def _show_guide(self, state: State) -> None:
        piece = state.piece
        self.notice.show_guide(
            next_step(
                Situation(
                    has_image=state.image is not None,
                    has_model=state.model.is_loaded,
                    encoding=state.encoding.state,
                    tool=state.tool,
                    prompts=0 if piece is None else len(piece.prompts),
                    has_mask=piece is not None and not piece.mask.empty,
                    refined=piece is not None and not piece.refined.empty,
                    next_object_key=shown_key(NEXT_OBJECT),
                    one_each=self.one_each.on,
                    in_3d=state.in_3d,
                    objects=len(state.objects),
                    foreign_label=state.current if state.is_foreign_label else 0,
                    wants_download=not self.model_chooser.is_ready_to_load and not state.model.is_loaded,
                )
            )
        )

    # ---- the end

    def event(self, event: QEvent) -> bool:
        # napari's dock removes the widget without a close event
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.close_down()
        elif event.type() == QEvent.Type.ParentChange:
            come_as_tab(self)
            FitWhileLaidOut(self.viewer, self)
        return bool(super().event(event))

    def close_down(self) -> None:
        """Stop the threads and disconnect; a second call does nothing."""
        if self.app.closed:
            return
        leave_layer_list(self.viewer, self.reset_choices)
        self._label_colours.close()
        self.pictures.close()
        self.app.close()


def open_panels() -> list[SegmentAnythingPanel]:
    """The panels that are open now, in all windows."""
    return [panel for panel in _OPEN if not panel.app.closed]


def _closing(app: App) -> Callable[[], None]:
    # takes the app and not the panel, because it runs after the panel is deleted
    def close() -> None:
        app.close()

    return close


def _colours(binding: AnnotationBinding) -> Callable[[int], QColor | None]:
    # takes the binding and not the panel, because Qt's connections would keep the panel alive
    def colour_of(label: int) -> QColor | None:
        if binding.labels is None:
            return None
        return QColor.fromRgbF(*(float(part) for part in np.ravel(binding.labels.colormap.map(label))))

    return colour_of


def is_image(layer: object) -> bool:
    """Return True for an image to annotate; False for the inspector's pictures."""
    return isinstance(layer, Image) and not is_picture(layer)


def is_labels(layer: object) -> bool:
    """Return True for a layer that can take masks."""
    return isinstance(layer, Labels) and not is_picture(layer)


def _is(kind: type) -> Any:
    def accepts(layer: object) -> bool:
        return isinstance(layer, kind) and not is_picture(layer)

    return accepts
