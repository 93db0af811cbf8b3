"""Settings as a file, and the command that segments a folder with them."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_samv1.batch.settings import SegmentSettings, SettingsError, command_for
from napari_samv1.disk.atomic import write_file
from napari_samv1.widgets.shared.look import PlainLabel, note


def save_settings(path: Path, settings: SegmentSettings) -> None:
    """Write settings as the TOML that ``napari-samv1 segment --settings`` reads."""
    write_file(path.absolute(), settings.to_toml().encode("utf-8"))


class FolderDialog(QDialog):
    """Asks for a folder of images and one for the outputs, and shows the command to copy."""

    def __init__(self, settings: SegmentSettings, start: Path | None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Use on a folder")
        self.setMinimumWidth(560)
        self._settings = settings
        self.images = QLineEdit("" if start is None else str(start))
        self.images.setPlaceholderText("a folder of images")
        self.outputs = QLineEdit("" if start is None else str(start / "labels"))
        self.outputs.setPlaceholderText("a folder for the labels")
        self.file = QLineEdit(str((start or Path.home()) / "everything.toml"))
        self.command = QPlainTextEdit()
        self.command.setReadOnly(True)
        self.command.setFixedHeight(70)
        self.said = PlainLabel()
        self.said.setWordWrap(True)
        self.copy = QPushButton("Save the settings and copy the command")
        self.closing = QPushButton("Close")
        form = QFormLayout()
        form.addRow("Images", self._with_button(self.images, folder=True))
        form.addRow("Outputs", self._with_button(self.outputs, folder=True))
        form.addRow("Settings", self._with_button(self.file, folder=False))
        buttons = QHBoxLayout()
        buttons.addWidget(self.copy, 1)
        buttons.addWidget(self.closing)
        layout = QVBoxLayout(self)
        layout.addWidget(
            note(
                "Every image in the folder is segmented with the model and the settings of the panel, each "
                "plane by itself. Run this in a terminal in which napari's environment is active:"
            )
        )
        fixed = _fixed_limits(settings)
        if fixed:
            layout.addWidget(note(fixed))
        layout.addLayout(form)
        layout.addWidget(self.command)
        layout.addWidget(self.said)
        layout.addLayout(buttons)
        self.images.textChanged.connect(self._follow)
        for field in (self.images, self.outputs, self.file):
            field.textChanged.connect(self._show)
        self.copy.clicked.connect(self._save_and_copy)
        self.closing.clicked.connect(self.accept)
        self._show()

    def _with_button(self, field: QLineEdit, *, folder: bool) -> QWidget:
        row = QWidget()
        button = QPushButton("…")
        button.setFixedWidth(30)
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(field, 1)
        layout.addWidget(button)

        def choose() -> None:
            if folder:
                chosen = QFileDialog.getExistingDirectory(self, "Choose a folder", field.text())
            else:
                chosen, _ = QFileDialog.getSaveFileName(self, "Save the settings", field.text(), "*.toml")
            if chosen:
                field.setText(chosen)

        button.clicked.connect(choose)
        return row

    def _follow(self, images: str) -> None:
        # what the user typed stays
        if not self.outputs.isModified():
            self.outputs.setText(str(Path(images) / "labels") if images.strip() else "")

    def _show(self) -> None:
        self.command.setPlainText(command_for(self.file.text(), self.images.text(), self.outputs.text()))
        self.copy.setEnabled(all(field.text().strip() for field in (self.images, self.outputs, self.file)))

    def _save_and_copy(self) -> None:
        path = Path(self.file.text()).expanduser()
        if path.is_dir():
            self.said.setText(f"{path} is a folder: name a file for the settings, e.g. everything.toml.")
            return
        try:
            save_settings(path, self._settings)
        except (OSError, SettingsError) as error:
            self.said.setText(f"The settings could not be saved: {error}")
            return
        clipboard = QApplication.clipboard()
        clipboard.setText(self.command.toPlainText())
        self.said.setText(f"Saved as {path.name}; the command is in the clipboard.")


def _fixed_limits(settings: SegmentSettings) -> str:
    """Sentence about limits that are the same for all images; "" if each image has its own."""
    limits = [one.limits for one in settings.composite]
    if isinstance(settings.intensity, tuple):
        limits.append(settings.intensity)
    known = [f"{low:g} to {high:g}" for low, high in filter(None, limits)]
    if not known:
        return ""
    return (
        f"All images are seen at this image's limits, {', '.join(known)}. For limits of each image's own, "
        f'first choose "percentiles of the slice" under "Model sees".'
    )
