"""Unsaved work of earlier windows: a list with pictures and dates, to restore or to discard."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from napari_samv1.app.imports import import_for_jobs
from napari_samv1.layers.plain_text import plain
from napari_samv1.widgets.panel.session_card import Answer, QuestionCard
from napari_samv1.widgets.panel.session_words import images_in, objects_in, when

if TYPE_CHECKING:
    from napari_samv1.storage.session.recovery import Recoverable

logger = logging.getLogger(__name__)

PICTURE_SIDE = 48
ROWS_IN_SIGHT = 3


@dataclass(frozen=True, eq=False)
class LostSession:
    """Session that was not saved, with a picture (side, side, 3), or None if it cannot be drawn."""

    found: Recoverable
    picture: NDArray[np.uint8] | None = field(default=None, repr=False)

    @property
    def words(self) -> str:
        """Images, objects and date in two lines, or the reason why it cannot be read."""
        record = self.found.record
        if record is None:
            return f"cannot be read:\n{self.found.problem}"
        return f"{images_in(record)}\n{objects_in(record)}, {when(record.saved)}"


def find_lost() -> list[LostSession]:
    """Look for sessions that were not saved, the newest first; for a background thread."""
    import_for_jobs()
    from napari_samv1.storage.session.recovery import recoverable

    return [LostSession(one, _picture_of(one)) for one in recoverable()]


def _picture_of(found: Recoverable) -> NDArray[np.uint8] | None:
    from napari_samv1.storage.session.picture import picture_of

    if found.record is None or not found.record.planes:
        return None
    # a damaged session must not hide the others
    try:
        return picture_of(found.record.planes[0], PICTURE_SIDE)
    except Exception:
        logger.exception("no picture of %s", found.folder)
        return None


class LostWork:
    """Offers lost sessions in a ``card``, and asks before any is discarded.

    ``restore`` and ``discard`` get the chosen sessions; call ``take_out`` with a restored one.
    """

    def __init__(
        self,
        card: QuestionCard,
        restore: Callable[[Recoverable], None],
        discard: Callable[[Sequence[Recoverable]], None],
    ) -> None:
        self._card, self._restore, self._discard = card, restore, discard
        self._lost: list[LostSession] = []
        self.list: QListWidget | None = None

    def take(self, lost: Sequence[LostSession]) -> None:
        """Offer these sessions, if there are any."""
        self._lost = list(lost)
        self.offer()

    def take_out(self, restored: Recoverable) -> None:
        """Remove a restored session from the offer."""
        self._lost = [one for one in self._lost if one.found is not restored]

    def offer(self) -> None:
        """Show the lost sessions, if there are any, with buttons to restore or discard them."""
        if not self._lost:
            return
        self.list = _list_of(self._lost)
        answers: list[Answer] = [
            ("Restore", self._restore_chosen),
            ("Discard", self._ask_about_chosen),
            ("Later", self._lost.clear),
        ]
        if len(self._lost) > 1:
            answers.insert(2, ("Discard all", partial(self._ask_about, self._lost)))
            sentence = f"Work of {len(self._lost)} sessions was not saved:"
        else:
            sentence = "This work was not saved:"
        self._card.ask(sentence, answers, self.list)
        restore = self._card.buttons["Restore"]
        chosen = self.list.currentRowChanged
        chosen.connect(lambda row: restore.setEnabled(self._lost[row].found.record is not None))
        restore.setEnabled(self._chosen.found.record is not None)

    @property
    def _chosen(self) -> LostSession:
        return self._lost[0 if self.list is None else max(0, self.list.currentRow())]

    def _restore_chosen(self) -> None:
        self._restore(self._chosen.found)

    def _ask_about_chosen(self) -> None:
        self._ask_about([self._chosen])

    def _ask_about(self, unwanted: Sequence[LostSession]) -> None:
        if len(unwanted) > 1:
            subject = f"all {len(unwanted)} sessions"
        else:
            record = unwanted[0].found.record
            subject = "it" if record is None else objects_in(record)
        self._card.ask(
            f"Really discard {subject}? This cannot be undone.",
            [("Discard for good", partial(self._discard_for_good, list(unwanted))), ("Keep", self.offer)],
        )

    def _discard_for_good(self, unwanted: Sequence[LostSession]) -> None:
        self._lost = [one for one in self._lost if not any(one is other for other in unwanted)]
        self._discard([one.found for one in unwanted])


def _list_of(lost: Sequence[LostSession]) -> QListWidget:
    shown = QListWidget()
    shown.setIconSize(QSize(PICTURE_SIDE, PICTURE_SIDE))
    shown.setWordWrap(True)
    for one in lost:
        item = QListWidgetItem(one.words)
        item.setToolTip(plain(one.words.replace("\n", ", ")))
        if one.picture is not None:
            item.setIcon(_icon(one.picture))
        shown.addItem(item)
    shown.setCurrentRow(0)
    row = max(shown.sizeHintForRow(0), PICTURE_SIDE)
    shown.setFixedHeight(min(len(lost), ROWS_IN_SIGHT) * row + 2 * shown.frameWidth() + 2)
    return shown


def _icon(picture: NDArray[np.uint8]) -> QIcon:
    pixels = np.ascontiguousarray(picture)
    height, width, _ = pixels.shape
    image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    icon, pixmap = QIcon(), QPixmap.fromImage(image)
    for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):  # without a tint when selected
        icon.addPixmap(pixmap, mode)
    return icon
