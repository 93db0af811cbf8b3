"""The panel's part "Session": save, open, export, and recover unsaved work."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_samv1.app.imports import import_for_jobs
from napari_samv1.app.worker import Outcome, Ticket, Worker
from napari_samv1.layers.channels import channel_planes, channels_of
from napari_samv1.layers.ome_tiff import path_of
from napari_samv1.layers.plain_text import plain
from napari_samv1.layers.reopening import Placed
from napari_samv1.storage.errors import SessionError
from napari_samv1.widgets.panel import session_dialogs
from napari_samv1.widgets.panel.lost_work import LostWork, find_lost
from napari_samv1.widgets.panel.session_card import QuestionCard
from napari_samv1.widgets.panel.session_keeper import SessionKeeper
from napari_samv1.widgets.panel.session_opening import FIND, SessionOpener
from napari_samv1.widgets.panel.session_words import objects_in
from napari_samv1.widgets.shared.look import StatusLines
from napari_samv1.widgets.shared.mailbox import Mailbox
from napari_samv1.widgets.shared.remembered import recall_sessions_folder, remember_sessions_folder

if TYPE_CHECKING:
    from napari_samv1.app.app import App
    from napari_samv1.app.state import State
    from napari_samv1.layers.binding import AnnotationBinding
    from napari_samv1.storage.session.record import SessionRecord
    from napari_samv1.storage.session.recovery import Recoverable
    from napari_samv1.widgets.panel.session_exports import Export

RECOVER, SAVE, OPEN, EXPORT, DISCARD = "recover", "save", "open", "export", "discard"
STATUS_LINES = 2
NOTHING_TO_SAVE = "There is nothing to save yet: point at an object first."


class SessionPart(QWidget):
    """Buttons and status; ``keeper`` autosaves, ``opener`` finds images, ``worker`` uses the disk.

    ``card`` asks questions; the panel shows it above the list of objects. ``status`` keeps its height, so
    that nothing moves when its text changes.
    """

    def __init__(self, app: App, canvas: AnnotationBinding, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.app, self.canvas = app, canvas
        self.card = QuestionCard()
        self.worker = Worker("session", self._finished, deliver=Mailbox())
        self.keeper = SessionKeeper(canvas.viewer, canvas, app.encoder)
        self.opener = SessionOpener(canvas.viewer, self.worker, self.card)
        self.lost = LostWork(self.card, self._restore, self._discard)
        self.save_again = QPushButton("Save")
        self.save_as = QPushButton("Save…")
        self.open = QPushButton("Open…")
        self.export = QPushButton("Export…")
        self.status = StatusLines(STATUS_LINES)
        self._arrange()
        self._after: dict[Hashable, Callable[[Outcome], None]] = {
            RECOVER: lambda outcome: self.lost.take(outcome.value),
            SAVE: self._saved,
            OPEN: self._opened,
            EXPORT: self._exported,
            FIND: self.opener.found,
            DISCARD: lambda _outcome: self.lost.offer(),
        }
        self._said = self._warned = ""

        self.save_again.clicked.connect(lambda: self._save_in(self.keeper.folder))
        self.save_as.clicked.connect(self._choose_where_to_save)
        self.open.clicked.connect(self._choose_what_to_open)
        self.export.clicked.connect(self._choose_where_to_export)
        self.keeper.changed.connect(self._show_status)
        app.on_change(self._changed)
        app.on_close(_closing(self.worker, self.keeper))
        self._show_status()
        self.worker.submit(RECOVER, lambda _ticket: find_lost())

    def _arrange(self) -> None:
        self.save_as.setToolTip("Save the session: everything, as a folder of plain files, to continue later")
        self.open.setToolTip("Continue a saved session: objects, prompts and masks")
        self.export.setToolTip("The masks for other programs: TIFF, a table, COCO JSON, GeoJSON, OME-Zarr")
        row = QHBoxLayout()
        row.setSpacing(4)
        for button in (self.save_again, self.save_as, self.open, self.export):
            row.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self.status)

    # ---- saving

    def _choose_where_to_save(self) -> None:
        if self._has_objects():
            folder = session_dialogs.ask_where_to_save(self, self._suggested("session"))
            if folder is not None:
                self._ask_before_replacing(folder)

    def _ask_before_replacing(self, folder: Path) -> None:
        if folder == self.keeper.folder or not (folder / "session.json").exists():
            self._save_in(folder)
            return
        self.card.ask(
            f"“{folder.name}” holds a session already. Replace it?",
            [("Replace", partial(self._save_in, folder)), ("Cancel", _do_nothing)],
        )

    def _save_in(self, folder: Path | None) -> None:
        if folder is None or not self._has_objects():
            return
        self.keeper.offer()
        record = self.keeper.current()

        def save(_ticket: Ticket) -> tuple[SessionRecord, Path]:
            from napari_samv1.storage.session.folder import save_session

            return record, save_session(folder, record)

        self._say("Saving …")
        self.worker.submit(SAVE, save)

    def _saved(self, outcome: Outcome) -> None:
        record, folder = outcome.value
        self.keeper.saved(record, folder)
        remember_sessions_folder(folder.parent)
        self._say(f"Saved in “{folder.name}”: {objects_in(record)}.")

    # ---- opening

    def _choose_what_to_open(self) -> None:
        start = self.keeper.folder.parent if self.keeper.folder is not None else recall_sessions_folder()
        folder = session_dialogs.ask_what_to_open(self, start)
        if folder is None:
            return

        def load(_ticket: Ticket) -> tuple[SessionRecord, Path]:
            import_for_jobs()
            from napari_samv1.storage.session.folder import open_session

            return open_session(folder), folder

        self._say("Opening …")
        self.worker.submit(OPEN, load)

    def _opened(self, outcome: Outcome) -> None:
        record, folder = outcome.value
        remember_sessions_folder(folder.parent)
        if not record.object_count:
            self._say(f"The session in “{folder.name}” holds no objects.")
            return
        self.opener.find(record, partial(self._go_on, record, folder), lambda: self._say(""))

    def _go_on(self, record: SessionRecord, folder: Path, images: Sequence[Placed]) -> None:
        count, before = self._unsaved_count(), self.keeper.folder
        whole = len(images) == len(record.images)
        # without all images it is another session, which must not replace the saved one
        problem = self.keeper.go_on(record, images, folder if whole else None)
        self._ready()
        self._say(
            problem
            or f"Opened “{folder.name}”: {objects_in(record)}.{_kept(count, before)}{self._model(record)}"
            + self._channels()
        )

    def _model(self, record: SessionRecord) -> str:
        """Sentence if the masks were made with another model than the loaded one."""
        loaded = self.app.encoder.model
        pieces = (piece for plane in record.planes for piece in plane.pieces)
        answers = (piece.answer for piece in pieces if piece.answer is not None)
        names = {one.made_by.model for one in answers if one.made_by is not None and one.made_by.model}
        now = None if loaded is None else str(loaded.predictor.model.name)
        if now is None or not names or names == {now}:
            return ""
        others = ", ".join(f"“{name}”" for name in sorted(names))
        return f" Its masks were made with model {others}; edited objects are computed again with “{now}”."

    def _channels(self) -> str:
        """Sentence if the model saw channels that were not found."""
        missing = ", ".join(f"“{name}”" for name in self.opener.missing_channels)
        return f" Not found: channel {missing}; edited objects are computed without it." if missing else ""

    # ---- exporting

    def _choose_where_to_export(self) -> None:
        if not self._has_objects():
            return
        try:
            chosen = session_dialogs.ask_where_to_export(self, self._suggested("masks"))
        except session_dialogs.UnknownEndingError as error:
            self._warn(str(error))
            return
        if chosen is None:
            return
        path, export = chosen.path, chosen.export
        record = self.keeper.current()
        files = export.files(path, record)
        names = [file.name for file in files if file != chosen.confirmed and file.is_file()]
        if names:
            self.card.ask(
                f"{', '.join(names)} {'exists' if len(names) == 1 else 'exist'} already. Replace?",
                [("Replace", partial(self._export, path, export, record)), ("Cancel", _do_nothing)],
            )
        else:
            self._export(path, export, record)

    def _export(self, path: Path, export: Export, record: SessionRecord) -> None:
        self._say("Exporting …")
        layers = self.canvas.viewer.layers
        channels = {id(plane): channel_planes(layers, plane.source) for plane in record.planes}

        def write(_ticket: Ticket) -> Sequence[Path]:
            return export.write(path, record, lambda plane: channels_of(channels.get(id(plane), [])))

        self.worker.submit(EXPORT, write)

    def _exported(self, outcome: Outcome) -> None:
        files = outcome.value
        last = f" to “{files[-1].name}”, {len(files)} files" if len(files) > 1 else ""
        self._say(f"Exported “{files[0].name}”{last}.")

    # ---- unsaved work of an earlier napari

    def _discard(self, unwanted: Sequence[Recoverable]) -> None:
        def discard(_ticket: Ticket) -> None:
            for one in unwanted:
                one.discard()

        self.worker.submit(DISCARD, discard)

    def _restore(self, lost: Recoverable) -> None:
        if lost.record is not None:
            self._say("Restoring …")
            self.opener.find(lost.record, partial(self._restored, lost), self._not_restored)

    def _not_restored(self) -> None:
        self._say("")
        self.lost.offer()

    def _restored(self, lost: Recoverable, images: Sequence[Placed]) -> None:
        record = lost.record
        if record is None:
            return
        count, before = self._unsaved_count(), self.keeper.folder
        whole = len(images) == len(record.images)
        problem = self.keeper.go_on(record, images)
        self._ready()
        restored = f"Restored {objects_in(record)}.{_kept(count, before)}{self._model(record)}"
        self._say(problem or restored + self._channels())
        self.lost.take_out(lost)
        keeper = self.keeper

        def hand_over(_ticket: Ticket) -> None:
            # delete the old autosave only once the new one is on the disk
            if whole and keeper.flushed():
                lost.discard()

        self.worker.submit(DISCARD, hand_over)

    # ---- words

    def _finished(self, outcome: Outcome) -> None:
        if outcome.error is not None and outcome.key != FIND:
            sentence = str(outcome.error) or type(outcome.error).__name__
            if not isinstance(outcome.error, SessionError | OSError | ValueError):
                sentence = f"Error: {sentence}"
            self._warn(_sentence(sentence))
            return
        if not outcome.cancelled:
            self._after[outcome.key](outcome)

    def _has_objects(self) -> bool:
        self.keeper.offer()
        if not self.keeper.object_count:
            self._say(NOTHING_TO_SAVE)
        return self.keeper.object_count > 0

    def _unsaved_count(self) -> int:
        self.keeper.offer()
        return 0 if self.keeper.is_saved else self.keeper.object_count

    def _ready(self) -> None:
        """Take the click tool, and show the objects."""
        with self.app.change():
            self.app.take_tool("click")
            self.app.sync()

    def _changed(self, _old: State, _new: State) -> None:
        self.keeper.touch()

    def _say(self, sentence: str) -> None:
        self._said = sentence
        if sentence:
            self._warned = ""
        self._show_status()

    def _warn(self, sentence: str) -> None:
        self._said, self._warned = "", sentence
        self._show_status()

    def _show_status(self) -> None:
        keeper = self.keeper
        problem = _sentence(keeper.problem) if keeper.problem else ""
        self.app.warn(" ".join(words for words in (self._warned, problem) if words))
        self.save_again.setVisible(keeper.folder is not None)
        if keeper.folder is not None:
            self.save_again.setToolTip(plain(f"Save in {keeper.folder}"))
        self.save_as.setText("Save as…" if keeper.folder is not None else "Save…")
        state = ""
        if keeper.is_saved and keeper.object_count:
            state = "All is saved."
        elif not keeper.problem and keeper.object_count and not keeper.is_saved:
            state = "Autosaved, not saved yet."
        self.status.say(" ".join(words for words in (self._said, state) if words))

    def _suggested(self, ending: str) -> Path:
        """Suggested path, beside the image's file if it has one."""
        image = self.canvas.image
        origin = "" if image is None else path_of(image)
        folder = Path(origin).parent if origin else self._home()
        stem = "annotation" if image is None else image.name
        if self.keeper.folder is not None:
            folder = self.keeper.folder.parent
        safe = "".join("_" if letter in '/\\:*?"<>|' else letter for letter in stem)
        return (folder if folder.is_dir() else self._home()) / f"{safe} {ending}"

    def _home(self) -> Path:
        return Path.home()


def _closing(worker: Worker, keeper: SessionKeeper) -> Callable[[], None]:
    # takes worker and keeper and not the part, because it runs after the part is deleted
    def close() -> None:
        worker.stop()
        keeper.close()

    return close


def _do_nothing(*_arguments: Any) -> None:
    """Answer to a question that was cancelled."""


def _kept(count: int, folder: Path | None) -> str:
    if not count:
        return ""
    objects = "1 object" if count == 1 else f"{count} objects"
    since = "" if folder is None else f" since “{folder.name}” was saved"
    return f" Earlier work ({objects}, not saved{since}) will be offered at the next start."


def _sentence(words: str) -> str:
    """Words as a sentence: with a capital letter, and a full stop."""
    words = words.strip()
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith(('.', '!', '?')) else '.'}"
