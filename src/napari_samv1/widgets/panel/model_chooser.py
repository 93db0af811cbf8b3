"""Chooser of model and device: listed models with their state on disk, downloads, weight files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_samv1.app.models import Choices, DownloadState
from napari_samv1.checkpoints.registry import MODELS, KnownModel
from napari_samv1.layers.plain_text import plain
from napari_samv1.records.preparation import PREPARATIONS
from napari_samv1.widgets.panel.value_widgets import LookValue
from napari_samv1.widgets.shared.look import narrow_combo, note

BROWSE = "browse"
DEVICES = ("auto", "cpu", "cuda", "mps")
PREPARATION_TITLES = {"published": "as Segment Anything", "medsam": "as MedSAM"}


class ModelChooser(QWidget):
    """Shows and changes the model, its preparation and the device; emits ``chosen``.

    Downloads run elsewhere: ``download_wanted`` and ``cancel_wanted`` ask for them, ``show_download`` and
    ``show_status`` show their state.
    """

    chosen = Signal(object)  # Choices
    download_wanted = Signal(str)
    cancel_wanted = Signal(str)

    def __init__(self, choices: Choices, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choices = choices
        self._downloading: str | None = None

        self.model = narrow_combo()
        self.device = narrow_combo()
        self.device.addItems(DEVICES)
        self.device.setToolTip("auto takes the graphics card if there is one")
        self.preparation = narrow_combo()
        for key in PREPARATIONS:
            self.preparation.addItem(PREPARATION_TITLES.get(key, key), key)
        self.preparation.setToolTip("The image preparation that your model was trained with")
        self.about = note()
        self.status = note()
        self.download = QPushButton()
        self.progress = QProgressBar()
        self.cancel = QPushButton("Cancel")

        downloading = QHBoxLayout()
        downloading.setContentsMargins(0, 0, 0, 0)
        downloading.addWidget(self.download, 1)
        downloading.addWidget(self.progress, 1)
        downloading.addWidget(self.cancel)
        self._form = QFormLayout()
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self._form.addRow("Prepare", self.preparation)
        self._form.addRow("Device", self.device)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.model)
        layout.addWidget(self.about)
        layout.addLayout(downloading)
        layout.addLayout(self._form)
        layout.addWidget(self.status)

        self._fill()
        if choices.device not in DEVICES:
            self.device.addItem(choices.device)  # cuda:1, from the command line
        self.device.setCurrentText(choices.device)
        self.preparation.setCurrentIndex(max(0, self.preparation.findData(choices.preparation)))
        self._refresh()
        self.model.activated.connect(self._model_picked)
        self.device.activated.connect(self._option_picked)
        self.preparation.activated.connect(self._option_picked)
        self.download.clicked.connect(lambda: self.download_wanted.emit(self._choices.model))
        self.cancel.clicked.connect(self._cancel_download)

    @property
    def choices(self) -> Choices:
        return self._choices

    @property
    def listed(self) -> KnownModel | None:
        """The chosen row of the table; None for a weight file."""
        return MODELS.get(self._choices.model)

    @property
    def is_ready_to_load(self) -> bool:
        """True if the chosen model's file is on the disk."""
        row = self.listed
        if row is None:
            return Path(self._choices.model).is_file()
        return row.is_bundled or row.is_on_disk

    @property
    def short_name(self) -> str:
        """The model's name, or its file's."""
        return self._choices.model if self.listed is not None else Path(self._choices.model).name

    def choose_file(self, path: Path) -> None:
        """Choose a weight file, as the file dialog does."""
        self._choose(replace(self._choices, model=str(path)))
        self._fill()

    def choose_model(self, model: str) -> None:
        """Choose a listed model by its name, or a weight file by its path; else raise ValueError."""
        if model in MODELS:
            self._choose(replace(self._choices, model=model))
            self._fill()
        elif Path(model).is_file():
            self.choose_file(Path(model))
        else:
            raise ValueError(
                f"model must be one of {', '.join(MODELS)}, or the path of a weight file, got {model!r}"
            )

    def show_device(self, device: str) -> None:
        """Show the device in use, where another one than the chosen one had to be taken."""
        self._choices = replace(self._choices, device=device)
        self.device.setCurrentText(device)

    def show_status(self, sentence: str) -> None:
        self.status.setText(sentence)
        self.status.setVisible(bool(sentence))

    def show_download(self, state: DownloadState | None) -> None:
        """Show a running download, or with None that it finished, failed or was cancelled."""
        if state is None:
            if self._downloading is not None:
                self._downloading = None
                self._fill()
            self._refresh()
            return
        if self._downloading != state.name:
            self._downloading = state.name
            self._refresh()
        self.cancel.setEnabled(True)
        megabytes, total = state.done / 1e6, state.total / 1e6
        # in units of 64 kB, as Qt counts in 32 bits
        self.progress.setRange(0, state.total >> 16)
        self.progress.setValue(state.done >> 16)
        self.progress.setFormat(f"{megabytes:.0f} of {total:.0f} MB" if state.total else "connecting …")

    def _fill(self) -> None:
        self.model.clear()
        for name, row in MODELS.items():
            on_disk = "bundled" if row.is_bundled else "on disk"
            state = on_disk if row.is_on_disk or row.is_bundled else f"↓ {row.megabytes} MB"
            self.model.addItem(f"{name}  ({state})", name)
            self.model.setItemData(self.model.count() - 1, plain(row.summary), Qt.ItemDataRole.ToolTipRole)
        if self.listed is None:
            path = Path(self._choices.model)
            self.model.addItem(path.name, str(path))
            self.model.setItemData(self.model.count() - 1, plain(str(path)), Qt.ItemDataRole.ToolTipRole)
        self.model.addItem("a file of your own …", BROWSE)
        self.model.setItemData(
            self.model.count() - 1, "Any Segment Anything checkpoint (.pth, .pt)", Qt.ItemDataRole.ToolTipRole
        )
        self.model.setCurrentIndex(self.model.findData(self._choices.model))

    def _refresh(self) -> None:
        row = self.listed
        self.preparation.setVisible(row is None)
        self._form.labelForField(self.preparation).setVisible(row is None)
        if row is not None:
            self.about.setText(f"{row.summary[0].upper()}{row.summary[1:]}. Licence: {row.licence}.")
            self.about.setToolTip(plain(row.citation))
        else:
            self.about.setText(self._choices.model)
        wanted = row is not None and not row.is_on_disk and not row.is_bundled
        running = self._downloading is not None
        self.download.setVisible(wanted and not running)
        if row is not None:
            self.download.setText(f"Download {row.name} ({row.megabytes} MB)")
        self.progress.setVisible(running)
        self.cancel.setVisible(running)
        self.status.setVisible(bool(self.status.text()))

    def _model_picked(self) -> None:
        if self.model.currentData() == BROWSE:
            self.model.setCurrentIndex(self.model.findData(self._choices.model))
            self._browse()
            return
        self._choose(replace(self._choices, model=self.model.currentData()))

    def _option_picked(self) -> None:
        self._choose(
            replace(
                self._choices,
                device=self.device.currentText(),
                preparation=self.preparation.currentData(),
            )
        )

    def _choose(self, choices: Choices) -> None:
        changed = choices != self._choices
        self._choices = choices
        self._refresh()
        if changed:
            self.chosen.emit(choices)

    def _cancel_download(self) -> None:
        if self._downloading is not None:
            self.cancel.setEnabled(False)
            self.cancel_wanted.emit(self._downloading)

    def _browse(self) -> None:
        file, _ = QFileDialog.getOpenFileName(
            self, "Open a weight file", "", "Weights (*.pth *.pt);;All files (*)"
        )
        if file:
            self.choose_file(Path(file))


class ModelChoice(LookValue[str]):
    """The model in use: a listed model's name, or the path of a weight file."""

    def __init__(self, chooser: ModelChooser, **options: Any) -> None:
        self.chooser = chooser
        super().__init__(chooser, **options)
        self._told = self.value
        chooser.chosen.connect(self._chosen)

    def get_value(self) -> str:
        return self.chooser.choices.model

    def set_value(self, value: Any) -> None:
        """Choose a model; a model that is not on the disk is offered for download."""
        self.chooser.choose_model(str(value))

    def _chosen(self, choices: Choices) -> None:
        # the signal comes for another device too
        if choices.model != self._told:
            self._told = choices.model
            self.changed.emit(choices.model)
