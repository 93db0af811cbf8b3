"""The settings of the current object, and the model, as one magicgui container."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox, Container, Widget
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QPushButton, QSpinBox, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider

from napari_samv1.layers.plain_text import plain
from napari_samv1.records.detail import Detail, detail_in_words
from napari_samv1.records.settings import KEEP, OVERWRITE, Rule
from napari_samv1.widgets.panel.clean_up import CleanUpFields, summary
from napari_samv1.widgets.panel.mask_choice import MaskChoice
from napari_samv1.widgets.panel.model_chooser import ModelChoice, ModelChooser
from napari_samv1.widgets.panel.value_widgets import Number, told_at_the_end
from napari_samv1.widgets.shared.look import Folded, PlainLabel, let_shrink, line, note

if TYPE_CHECKING:
    from napari_samv1.app.models import Choices
    from napari_samv1.masks.clean import CleanUp
    from napari_samv1.records.settings import Choice, ObjectSettings

THRESHOLD_RANGE = (-8.0, 8.0)
LARGEST_LABEL = 2**31 - 1
CLEAN_UP = "Clean-up and overlap"
RULES = {
    "keep": ("keep existing", "Other objects and existing labels keep their pixels"),
    "overwrite": ("overwrite", "This object covers others; their pixels come back when it shrinks"),
    "inside": ("stay inside label", "This object is painted only inside the chosen label"),
}
DETAILS: tuple[Detail, ...] = ("auto", "whole", 2.0, 1.0, 0.5, 0.25, 0.125, 0.0625)
DETAIL_TIP = (
    "Resolution at which the model sees this object: the whole image at once, or a region around the prompts "
    "with so many model pixels per image pixel. Auto follows the zoom of the view when an object is begun."
)
_PLAIN = {"keep": KEEP, "overwrite": OVERWRITE}


@dataclass(frozen=True)
class Wishes:
    """Callables for values set by the user or a script; each gets the value."""

    choice: Callable[[Choice], object]
    threshold: Callable[[float], object]
    cleanup: Callable[[CleanUp | None], object]
    rule: Callable[[Rule], object]
    detail: Callable[[Detail], object]


class Settings(Container[Widget]):
    """Mask, threshold, clean-up, overlap, detail and model; ``container.threshold.value = 1.5`` sets one.

    Values set here, by the mouse or by a script, go to ``wishes``. ``show_settings`` shows an object's
    values: the widgets emit ``changed``, and no wish is called.
    """

    mask: MaskChoice
    threshold: Number
    cleanup: CleanUpFields
    rule: ComboBox
    inside: Number
    detail: ComboBox
    model: ModelChoice

    def __init__(self, wishes: Wishes, choices: Choices) -> None:
        self._wishes = wishes
        mask = MaskChoice(name="mask")
        threshold = Number(
            _threshold(),
            float,
            name="threshold",
            tooltip="Threshold on the logits: lower makes the mask larger (default 0)",
        )
        cleanup = CleanUpFields(name="cleanup")
        rule = ComboBox(
            name="rule",
            choices=[(title, kind) for kind, (title, _) in RULES.items()],
            tooltip="Rule for pixels that this mask shares with other objects and existing labels",
        )
        inside = Number(_label(), int, name="inside", tooltip="The label to stay inside of")
        detail = ComboBox(name="detail", choices=_named(DETAILS), tooltip=DETAIL_TIP)
        model = ModelChoice(ModelChooser(choices), name="model")
        super().__init__(widgets=[mask, threshold, cleanup, rule, inside, detail, model], labels=False)
        self._shown = {
            "mask": mask.value,
            "threshold": threshold.value,
            "cleanup": cleanup.value,
            "rule": KEEP,
            "detail": detail.value,
        }
        self._arrange()
        mask.changed.connect(self._mask_changed)
        threshold.changed.connect(self._threshold_changed)
        cleanup.changed.connect(self._cleanup_changed)
        rule.changed.connect(self._rule_changed)
        inside.changed.connect(self._rule_changed)
        detail.changed.connect(self._detail_changed)
        self._rule_changed()

    @property
    def painting_rule(self) -> Rule:
        """The overlap rule that ``rule`` and ``inside`` make together."""
        kind = self.rule.value
        return Rule("inside", int(self.inside.value)) if kind == "inside" else _PLAIN[kind]

    def show_settings(self, settings: ObjectSettings) -> None:
        """Show an object's settings; the widgets emit ``changed``, and no wish is called."""
        cleanup = settings.cleanup
        self.threshold.make_room_for(settings.threshold)
        self.inside.make_room_for(settings.rule.label or 1)
        if cleanup is not None:
            self.cleanup.make_room_for(cleanup)
        before = self.cleanup.value
        if settings.detail not in self.detail.choices:
            self.detail.choices = _named((*DETAILS, settings.detail))
        with told_at_the_end(self.mask, self.threshold, self.rule, self.inside, self.detail):
            self.mask.value = settings.choice
            self.threshold.value = settings.threshold
            self.rule.value = settings.rule.kind
            if settings.rule.kind == "inside":
                self.inside.value = settings.rule.label
            self.detail.value = settings.detail
            # emitted below, once the values are stored
            with self.cleanup.changed.blocked():
                self.cleanup.set_value(cleanup)
            self._shown.update(
                mask=self.mask.value,
                threshold=self.threshold.value,
                cleanup=self.cleanup.value,
                rule=self.painting_rule,
                detail=self.detail.value,
            )
        if self.cleanup.value != before:
            self.cleanup.changed.emit(self.cleanup.value)
        self._show_folded()

    # ---- from the user or a script

    def _differs(self, name: str, value: Any) -> bool:
        """Store a value as the object's; True if it differs from the last one."""
        differs = value != self._shown[name]
        self._shown[name] = value
        return bool(differs)

    def _mask_changed(self, choice: Choice) -> None:
        if self._differs("mask", choice):
            self._wishes.choice(choice)

    def _threshold_changed(self, threshold: float) -> None:
        if self._differs("threshold", threshold):
            self._wishes.threshold(threshold)

    def _cleanup_changed(self, cleanup: CleanUp) -> None:
        if self._differs("cleanup", cleanup):
            self._wishes.cleanup(None if cleanup == type(cleanup)() else cleanup)
        self._show_folded()

    def _rule_changed(self, _value: object = None) -> None:
        self.inside.native.setVisible(self.rule.value == "inside")
        if self._differs("rule", self.painting_rule):
            self._wishes.rule(self.painting_rule)
        self._show_folded()

    def _detail_changed(self, detail: Detail) -> None:
        if self._differs("detail", detail):
            self._wishes.detail(detail)

    # ---- the look

    def show_detail(self, asked: Detail, *, matters: bool) -> None:
        """Show the choice of detail if it ``matters``, with the present value of "auto"."""
        self.detail_row.setVisible(matters)
        self.detail_now.setText("" if self.detail.value != "auto" else f"now {_in_words(asked)}")

    def _arrange(self) -> None:
        native = self.native
        self.logits = QPushButton("Logits")
        self.logits.setCheckable(True)
        self.logits.setToolTip(
            "Show the logits as a layer: green is object, pink is background, white is undecided"
        )
        cut = QHBoxLayout()
        cut.addWidget(PlainLabel("Threshold"))
        cut.addWidget(self.threshold.native, 1)
        cut.addWidget(self.logits)
        combo = self.rule.native
        let_shrink(combo)
        for row, (_, tooltip) in enumerate(RULES.values()):
            combo.setItemData(row, plain(tooltip), Qt.ItemDataRole.ToolTipRole)
        ruling = QHBoxLayout()
        ruling.addWidget(combo, 1)
        ruling.addWidget(self.inside.native)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Overlap", ruling)
        let_shrink(self.detail.native)
        self.detail_now = note()
        self.regions = QPushButton("Regions")
        self.regions.setCheckable(True)
        self.regions.setToolTip("Outline the regions that are encoded: prompts in them are answered at once")
        self.detail_row = QWidget()
        detail = QHBoxLayout(self.detail_row)
        detail.setContentsMargins(0, 0, 0, 0)
        detail.addWidget(PlainLabel("Detail"))
        detail.addWidget(self.detail.native, 1)
        detail.addWidget(self.detail_now)
        detail.addWidget(self.regions)
        self.detail_row.setVisible(False)
        cleaning = QWidget()
        cleaned = QVBoxLayout(cleaning)
        cleaned.setContentsMargins(0, 0, 0, 0)
        cleaned.setSpacing(4)
        cleaned.addWidget(self.cleanup.native)
        cleaned.addLayout(form)
        self.cleanup_part = Folded(CLEAN_UP, cleaning)
        self.model_part = Folded("Model", self.model.native)
        layout = native.layout()
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.detail_row)
        layout.addWidget(self.mask.native)
        layout.addLayout(cut)
        layout.addWidget(line())
        layout.addWidget(self.cleanup_part)
        layout.addWidget(self.model_part)

    def _show_folded(self) -> None:
        done = summary(self.cleanup.value, self.painting_rule)
        self.cleanup_part.set_title(f"Clean-up: {done}" if done else CLEAN_UP)


def _in_words(detail: Detail) -> str:
    if detail == "auto":
        return "Auto"
    return "Whole image" if detail == "whole" else detail_in_words(float(detail))


def _named(details: Iterable[Detail]) -> list[tuple[str, Detail]]:
    return [(_in_words(detail), detail) for detail in details]


def _threshold() -> QLabeledDoubleSlider:
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    slider.setRange(*THRESHOLD_RANGE)
    slider.setDecimals(1)
    slider.setSingleStep(0.1)  # type: ignore[arg-type]  # superqt's types say int
    return slider


def _label() -> QSpinBox:
    box = QSpinBox()
    box.setRange(1, LARGEST_LABEL)
    box.setKeyboardTracking(False)
    return box
