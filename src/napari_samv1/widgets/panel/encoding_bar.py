"""State of the encoding, with progress and cancel."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_samv1.app.encoding import Encoding, EncodingStatus
from napari_samv1.layers.plain_text import plain
from napari_samv1.widgets.shared.look import BLUE, GREEN, GREY, ORANGE, PlainLabel, note

COLOURS = {
    Encoding.NO_IMAGE: GREY,
    Encoding.NOT_ENCODED: GREY,
    Encoding.WAITING: BLUE,
    Encoding.ENCODING: BLUE,
    Encoding.READY: GREEN,
    Encoding.STALE: ORANGE,
}
PROGRESS_HEIGHT = 4  # pixels
MARKS = {
    Encoding.NO_IMAGE: "○",
    Encoding.NOT_ENCODED: "○",
    Encoding.WAITING: "◔",
    Encoding.ENCODING: "◑",
    Encoding.READY: "●",
    Encoding.STALE: "▲",
}


class EncodingBar(QWidget):
    """State label, "Encode", progress with cancel, and hints."""

    encode_wanted = Signal()
    cancel_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.state = Encoding.NO_IMAGE
        self.mark = PlainLabel()
        self.sentence = note()
        self.encode = QPushButton("Encode")
        self.encode.setToolTip("Encode the image now (the first click does it too)")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(PROGRESS_HEIGHT)
        # keeps its space when hidden, so that nothing below moves
        keeping = self.progress.sizePolicy()
        keeping.setRetainSizeWhenHidden(True)
        self.progress.setSizePolicy(keeping)
        self.cancel = QPushButton("Cancel")
        self.hint = note()

        top = QHBoxLayout()
        top.addWidget(self.mark)
        top.addWidget(self.sentence, 1)
        top.addWidget(self.encode)
        top.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(top)
        layout.addWidget(self.progress)
        layout.addWidget(self.hint)
        self.encode.clicked.connect(lambda: self.encode_wanted.emit())
        self.cancel.clicked.connect(lambda: self.cancel_wanted.emit())
        self.show_status(EncodingStatus(Encoding.NO_IMAGE, "no image", can_encode=False))

    def show_status(self, status: EncodingStatus) -> None:
        self.state = status.state
        self.mark.setText(MARKS[status.state])
        self.mark.setStyleSheet(f"color: {COLOURS[status.state]}; background: transparent;")
        self.sentence.setText(status.sentence)
        running = status.state in (Encoding.ENCODING, Encoding.WAITING)
        self.encode.setVisible(not running)
        self.encode.setEnabled(status.can_encode)
        self.encode.setText("Encode again" if status.state is Encoding.STALE else "Encode")
        self.progress.setVisible(running)
        self.cancel.setVisible(running)
        self.progress.setRange(0, status.total)
        self.progress.setValue(status.done)
        self.progress.setToolTip(plain(f"{status.done} of {status.total} blocks" if status.total else ""))
        self.hint.setText(status.hint)
        self.hint.setVisible(bool(status.hint))
