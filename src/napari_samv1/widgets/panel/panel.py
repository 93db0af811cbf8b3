"""The dock widget "Segment Anything": its parts, and which part speaks to which."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Points, Shapes
from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QFormLayout, QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from napari_samv1.app.models import DownloadState
from napari_samv1.layers.connections import Connections
from napari_samv1.layers.inspection import is_picture
from napari_samv1.layers.keys import DELETE_OBJECT, NEXT_OBJECT, REMOVE_LAST, TOOLS, register_keys, shown_key
from napari_samv1.layers.one_each import OneObjectEach
from napari_samv1.layers.open_bindings import COMMANDS, forget_commands
from napari_samv1.widgets.panel.candidate_pictures import CandidatePictures
from napari_samv1.widgets.panel.controller import Controller
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
from napari_samv1.widgets.shared.docking import come_as_tab
from napari_samv1.widgets.shared.layer_chooser import LayerChooser
from napari_samv1.widgets.shared.layer_list import leave_layer_list
from napari_samv1.widgets.shared.look import Folded, line
from napari_samv1.widgets.shared.remembered import recall, remember

if TYPE_CHECKING:
    import napari.viewer
    from magicgui.widgets import ComboBox

    from napari_samv1.app.models import Choices
    from napari_samv1.layers.binding import AnnotationBinding
    from napari_samv1.widgets.panel.clean_up import CleanUpFields
    from napari_samv1.widgets.panel.mask_choice import MaskChoice
    from napari_samv1.widgets.panel.model_chooser import ModelChoice
    from napari_samv1.widgets.panel.value_widgets import Number

PREFERRED_WIDTH = 310

_OPEN: weakref.WeakSet[SegmentAnythingPanel] = weakref.WeakSet()


class SegmentAnythingPanel(QScrollArea):
    """Point at objects in an image, and get their masks in a Labels layer.

    Scripts set what the mouse sets: ``panel.threshold.value = 1.5``, ``panel.mask.value = 2``; ``asdict``
    tells all values, and ``panel.settings`` is the magicgui container that holds them.
    The panel closes what it opened (threads, connections) when its dock or the viewer is closed.
    """

    # napari hands a viewer over to exactly this annotation
    def __init__(self, viewer: napari.viewer.Viewer, choices: Choices | None = None) -> None:
        super().__init__()
        register_keys()
        # a viewer handed to a plugin may be a proxy, behind which no layer is identical to itself
        self.viewer = viewer = getattr(viewer, "__wrapped__", viewer)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self._label_colours = Connections()

        choices = recall() if choices is None else choices
        self.controller = controller = Controller(viewer, choices)
        self.notice = Notice()
        self.guide, self.message = self.notice.guide, self.notice.message
        self.image = LayerChooser(viewer, is_image, tooltip="The image to annotate")
        self.encoding = EncodingBar()
        self.tools = PromptTools()
        self.objects = ObjectList(_colours(controller.binding))
        self.existing = ExistingLabels(controller.binding)
        self.one_each = OneObjectEach(controller.binding)
        self.settings = settings = Settings(
            Wishes(
                choice=controller.pick_candidate,
                threshold=controller.move_threshold,
                cleanup=controller.clean,
                rule=controller.pick_rule,
            ),
            choices,
        )
        self.mask_choice = settings.mask.pictures
        self.pictures = CandidatePictures(controller.binding, self.mask_choice, settings.logits)
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
        self.session = SessionPart(controller)
        self.keys = KeyList()
        self._arrange()

        self.image.changed.connect(self._image_picked)
        self.points.changed.connect(self._points_picked)
        self.shapes.changed.connect(self._shapes_picked)
        self.labels.changed.connect(self._labels_picked)
        self.points.new_wanted.connect(self._new_points)
        self.shapes.new_wanted.connect(self._new_shapes)
        self.labels.new_wanted.connect(self._new_labels)
        self.encoding.encode_wanted.connect(controller.encode)
        self.encoding.cancel_wanted.connect(controller.encoder.cancel)
        self.tools.tool_wanted.connect(controller.take_tool)
        self.tools.polarity_picked.connect(self._polarity_picked)
        self.tools.one_each_picked.connect(self._one_each_picked)
        self.existing.changed.connect(self._show_objects)
        self.objects.object_picked.connect(controller.pick_object)
        self.objects.next_object_wanted.connect(controller.next_object)
        self.objects.delete_wanted.connect(controller.delete_object)
        self.objects.undo_wanted.connect(controller.undo)
        self.objects.redo_wanted.connect(controller.redo)
        self.objects.remove_last_wanted.connect(controller.remove_last)
        self.objects.clear_wanted.connect(controller.clear_object)
        self.objects.continue_wanted.connect(controller.continue_object)
        self.objects.refine_wanted.connect(controller.refine)
        self.objects.split_wanted.connect(controller.split)
        self.model_chooser.chosen.connect(self._model_chosen)
        self.model_chooser.download_wanted.connect(controller.download)
        self.model_chooser.cancel_wanted.connect(controller.cancel_download)
        controller.encoding_changed.connect(self._show_encoding)
        controller.objects_changed.connect(self._show_objects)
        controller.layers_changed.connect(self._show_layers)
        controller.model_changed.connect(self._show_model)
        controller.download_changed.connect(self._show_download)
        controller.message_changed.connect(self._show_message)
        controller.tool_changed.connect(self._tool_changed)
        self.keys.changed.connect(self._show_keys)
        COMMANDS[controller.binding] = {
            **{tool: partial(controller.take_tool, tool) for tool in ("click", "pick")},
            "box": partial(_take_shape, controller, self.tools),
            "brush": partial(_take_brush, controller, self.tools),
            "previous": controller.previous_object,
            "delete": controller.delete_object,
        }
        # it would keep the binding that it is kept by
        controller.on_close(partial(forget_commands, controller.binding))
        controller.on_close(self.existing.close)
        controller.on_close(self.one_each.close)
        self.destroyed.connect(_closing(controller))

        self._show_message("")
        self._show_keys()
        self._take_what_is_there()
        self._take_model(choices)
        _OPEN.add(self)

    # ---- for scripts: what the mouse does, by value

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
        """The current object's clean-up, a record of which each field is a widget too."""
        return self.settings.cleanup

    @property
    def rule(self) -> ComboBox:
        """The rule for pixels that the current object shares with others: "keep", "overwrite" or "inside"."""
        return self.settings.rule

    @property
    def inside(self) -> Number:
        """The label to stay inside of, where that is the rule."""
        return self.settings.inside

    @property
    def model(self) -> ModelChoice:
        """The model in use: a known one's name, or the path of a weight file."""
        return self.settings.model

    def asdict(self) -> dict[str, Any]:
        """All of these values, by their names."""
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
        layout.addWidget(line())
        layout.addWidget(self.tools)
        # between the tools and the list, which gives way: neither tools nor buttons move
        layout.addWidget(self.session.card)
        layout.addWidget(self.objects, 1)
        layout.addWidget(line())
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
        """As narrow as napari's own docks, so that the image keeps the room."""
        return QSize(PREFERRED_WIDTH, super().sizeHint().height())

    def reset_choices(self, _event: object = None) -> None:
        """Follow the viewer's layer list; napari calls this when it changes."""
        if self.controller.closed:
            return
        for chooser in (self.image, self.points, self.shapes, self.labels):
            chooser.reset_choices()
        if self.image.layer is None:
            images = [layer for layer in self.viewer.layers if is_image(layer)]
            if len(images) == 1:
                self.image.layer = images[0]
        self._tool_changed()

    def _take_what_is_there(self) -> None:
        """Choose the active image, or the only one, and the prompts and masks that an earlier panel left."""
        self.reset_choices()
        active = self.viewer.layers.selection.active
        if active is not None and is_image(active):
            self.image.layer = active
        self._show_encoding()
        self._show_objects()
        self._show_model()

    # ---- from a person

    def _image_picked(self, layer: Image | None) -> None:
        self.controller.binding.image = layer
        self._show_encoding()
        self.controller.sync()

    def _points_picked(self, layer: Points | None) -> None:
        if self.controller.binding.points is not layer:
            self.controller.binding.points = layer
            self._after_binding()

    def _shapes_picked(self, layer: Shapes | None) -> None:
        if self.controller.binding.shapes is not layer:
            self.controller.binding.shapes = layer
            self._after_binding()

    def _labels_picked(self, layer: Labels | None) -> None:
        if self.controller.binding.labels is not layer:
            self.controller.binding.labels = layer
            self._after_binding()

    def _new_points(self) -> None:
        if self.controller.has_image():
            self.points.layer = self.controller.binding.new_points()
            self._after_binding()

    def _new_shapes(self) -> None:
        if self.controller.has_image():
            self.shapes.layer = self.controller.binding.new_shapes()
            self._after_binding()

    def _new_labels(self) -> None:
        # without a displayed plane, as in a 3D view, the controller says why
        if self.controller.has_image() and self.controller.plane() is not None:
            self.labels.layer = self.controller.binding.new_labels()
            self._after_binding()

    def _after_binding(self) -> None:
        self.controller.sync()

    def _polarity_picked(self, foreground: bool) -> None:
        self.controller.binding.polarity = "positive" if foreground else "negative"

    def _one_each_picked(self, on: bool) -> None:
        self.one_each.on = on
        self._show_guide()

    def _model_chosen(self, choices: Choices) -> None:
        remember(choices)
        self._take_model(choices)

    def _take_model(self, choices: Choices) -> None:
        self.controller.choose_model(choices, is_ready=self.model_chooser.is_ready_to_load)
        if not self.model_chooser.is_ready_to_load:
            self.model_part.open = True
        self._show_guide()

    # ---- to a person

    def _show_encoding(self) -> None:
        self.encoding.show_status(self.controller.encoder.status(self.controller.plane()))
        self._show_guide()

    def _show_objects(self) -> None:
        binding = self.controller.binding
        shown, document = binding.shown, binding.document
        self.existing.refresh()
        self.tools.show_polarity(binding.polarity == "positive")
        self.objects.show_objects(
            {} if shown is None else shown.objects,
            binding.current_object,
            existing=self.existing.numbers,
        )
        if document is None:
            self.objects.show_history("", "")
        else:
            self.objects.show_history(document.undo_label, document.redo_label)
        self.settings.show_settings(self.controller.settings)
        self.pictures.refresh()
        self._show_guide()

    def _show_keys(self) -> None:
        # a window that is made later announces its keys to a panel that is going away as well
        if self.controller.closed:
            return
        self.objects.show_keys(shown_key(NEXT_OBJECT), shown_key(REMOVE_LAST), shown_key(DELETE_OBJECT))
        self.tools.show_keys({tool: shown_key(name) for tool, name in TOOLS.items()})

    def _show_layers(self) -> None:
        binding = self.controller.binding
        self.one_each.follow()
        self.existing.refresh()
        for chooser, layer in (
            (self.image, binding.image),
            (self.points, binding.points),
            (self.shapes, binding.shapes),
            (self.labels, binding.labels),
        ):
            if chooser.layer is not layer:
                chooser.layer = layer
        self._label_colours.close()
        if binding.labels is not None:
            self._label_colours.connect(binding.labels.events, "colormap", self._recolour)
        self._recolour()
        self._tool_changed()

    def _recolour(self, _event: object = None) -> None:
        self.objects.model.recolour()
        self.pictures.refresh()

    def _show_model(self) -> None:
        encoder = self.controller.encoder
        if encoder.model is not None:
            self.model_chooser.show_status(f"Loaded on {encoder.model.device}.")
        elif encoder.is_loading:
            self.model_chooser.show_status("Loading …")
        else:
            self.model_chooser.show_status(encoder.load_error)
        self.model_part.set_title(f"Model: {self.model_chooser.short_name}")

    def _show_download(self, state: DownloadState | None) -> None:
        self.model_chooser.show_download(state)
        self._show_guide()

    def _show_message(self, sentence: str) -> None:
        self.notice.show_message(sentence)

    def _show_guide(self) -> None:
        binding, encoder = self.controller.binding, self.controller.encoder
        shown, current = binding.shown, binding.current
        self.notice.show_guide(
            next_step(
                Situation(
                    has_image=binding.image is not None,
                    has_model=encoder.model is not None,
                    encoding=self.encoding.state,
                    tool=self.controller.tools.tool,
                    prompts=0 if current is None else len(current.prompts),
                    has_mask=current is not None and not current.mask.empty,
                    next_object_key=shown_key(NEXT_OBJECT),
                    one_each=self.one_each.on,
                    in_3d=self.viewer.dims.ndisplay == 3,
                    objects=0 if shown is None else len(shown.objects),
                    foreign_label=binding.current_object if self.controller.is_foreign_label else 0,
                    wants_download=not self.model_chooser.is_ready_to_load and encoder.model is None,
                )
            )
        )

    def _tool_changed(self) -> None:
        if self.controller.closed:
            return
        self.tools.show_tool(self.controller.tools.tool)
        self.tools.show_polarity(self.controller.binding.polarity == "positive")
        self._show_guide()

    # ---- the end

    def event(self, event: QEvent) -> bool:
        # napari's dock takes the widget out before it forgets it: no close event comes
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.close_down()
        elif event.type() == QEvent.Type.ParentChange:
            come_as_tab(self)
            FitWhileLaidOut(self.viewer, self)
        return bool(super().event(event))

    def close_down(self) -> None:
        """Stop the threads and disconnect; a second call does nothing."""
        if self.controller.closed:
            return
        leave_layer_list(self.viewer, self.reset_choices)
        self._label_colours.close()
        self.pictures.close()
        self.controller.close()


def open_panels() -> list[SegmentAnythingPanel]:
    """The panels that are open now, in all windows."""
    return [panel for panel in _OPEN if not panel.controller.closed]


def _closing(controller: Controller) -> Any:
    # holds the controller and not the panel: it must outlive the panel's last moment
    def close() -> None:
        controller.close()

    return close


def _take_shape(controller: Controller, tools: PromptTools) -> None:
    controller.take_tool(tools.shape)


def _take_brush(controller: Controller, tools: PromptTools) -> None:
    controller.take_tool(tools.stroke)


def _colours(binding: AnnotationBinding) -> Callable[[int], QColor | None]:
    # holds the binding and not the panel, which Qt's connections would then keep alive
    def colour_of(label: int) -> QColor | None:
        if binding.labels is None:
            return None
        return QColor.fromRgbF(*(float(part) for part in np.ravel(binding.labels.colormap.map(label))))

    return colour_of


def is_image(layer: object) -> bool:
    """True for an image to annotate, and not for pictures of a model's inside."""
    return isinstance(layer, Image) and not is_picture(layer)


def is_labels(layer: object) -> bool:
    """True for a layer that can take masks."""
    return isinstance(layer, Labels) and not is_picture(layer)


def _is(kind: type) -> Any:
    def accepts(layer: object) -> bool:
        return isinstance(layer, kind)

    return accepts
