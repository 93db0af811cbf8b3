"""The panel's part "Session": save, open, export, and the offer of what an earlier napari did not save."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_samv1.layers.channels import channel_planes, read_channels
from napari_samv1.layers.reopening import Placed
from napari_samv1.storage.errors import SessionError
from napari_samv1.widgets.panel import session_dialogs
from napari_samv1.widgets.panel.session_card import QuestionCard
from napari_samv1.widgets.panel.session_keeper import SessionKeeper
from napari_samv1.widgets.panel.session_opening import FIND, SessionOpener
from napari_samv1.widgets.shared.background import Outcome, Ticket, Worker
from napari_samv1.widgets.shared.imports import import_for_jobs
from napari_samv1.widgets.shared.look import note

if TYPE_CHECKING:
    from napari_samv1.storage.session.record import SessionRecord
    from napari_samv1.storage.session.recovery import Recoverable
    from napari_samv1.widgets.panel.controller import Controller
    from napari_samv1.widgets.panel.session_exports import Export

RECOVER, SAVE, OPEN, EXPORT, DISCARD = "recover", "save", "open", "export", "discard"
NOTHING_TO_SAVE = "There is nothing to save yet: point at an object first."


class SessionPart(QWidget):
    """Buttons and words; ``keeper`` autosaves, ``opener`` finds images, ``worker`` touches the disk.

    ``card`` asks questions, and ``in_sight`` saves and exports; the panel shows them where they are seen.
    ``state_changed`` says in a word or two how safe the work is, ``spoke`` that there is something to read.
    """

    state_changed = Signal(str)
    spoke = Signal()

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.controller = controller
        self.card = QuestionCard()
        self.worker = Worker("session", self._finished)
        self.keeper = SessionKeeper(controller.viewer, controller.binding, controller.encoder)
        self.opener = SessionOpener(controller.viewer, self.worker, self.card)
        self.save_again = QPushButton("Save")
        self.save_as = QPushButton("Save session…")
        self.open = QPushButton("Open session…")
        self.export = QPushButton("Export…")
        self.status = note()
        self.in_sight = QWidget()
        self._arrange()
        self._after: dict[Hashable, Callable[[Outcome], None]] = {
            RECOVER: self._recovered,
            SAVE: self._saved,
            OPEN: self._opened,
            EXPORT: self._exported,
            FIND: self.opener.found,
            DISCARD: lambda _outcome: self._offer_next(),
        }
        self._lost: list[Recoverable] = []
        self._said = ""

        self.save_again.clicked.connect(lambda: self._save_in(self.keeper.folder))
        self.save_as.clicked.connect(self._choose_where_to_save)
        self.open.clicked.connect(self._choose_what_to_open)
        self.export.clicked.connect(self._choose_where_to_export)
        self.keeper.changed.connect(self._show_status)
        controller.objects_changed.connect(self.keeper.touch)
        controller.layers_changed.connect(self.keeper.touch)
        controller.on_close(_closing(self.worker, self.keeper))
        self._show_status()
        self.worker.submit(RECOVER, _find_lost)

    def _arrange(self) -> None:
        self.save_as.setToolTip(
            "Everything, to go on another day: a folder of plain files that others can read"
        )
        self.open.setToolTip("Go on with a saved session: objects, prompts and masks")
        self.export.setToolTip("The masks for other programs: TIFF, a table, COCO JSON, GeoJSON, OME-Zarr")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        row = QHBoxLayout()
        row.addWidget(self.save_again)
        row.addWidget(self.open)
        layout.addLayout(row)
        layout.addWidget(self.status)
        seen = QHBoxLayout(self.in_sight)
        seen.setContentsMargins(0, 0, 0, 0)
        seen.setSpacing(4)
        seen.addWidget(self.save_as)
        seen.addWidget(self.export)

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
            f"There is a session in “{folder.name}” already. Replace it by this one?",
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
        self._say(f"Saved in “{folder.name}”: {_objects(record)}.")

    # ---- opening

    def _choose_what_to_open(self) -> None:
        start = self.keeper.folder.parent if self.keeper.folder is not None else self._home()
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
        if not record.object_count:
            self._say(f"The session in “{folder.name}” holds no objects.")
            return
        self.opener.find(record, partial(self._go_on, record, folder), lambda: self._say(""))

    def _go_on(self, record: SessionRecord, folder: Path, images: Sequence[Placed]) -> None:
        count, before = self._unsaved_count(), self.keeper.folder
        whole = len(images) == len(record.images)
        # without all of its images it is not that session any more, and must not replace it
        problem = self.keeper.go_on(record, images, folder if whole else None)
        self._ready()
        self._say(
            problem
            or f"Opened “{folder.name}”: {_objects(record)}.{_kept(count, before)}{self._model(record)}"
        )

    def _model(self, record: SessionRecord) -> str:
        """A sentence where the masks were made with another model than what is loaded."""
        loaded = self.controller.encoder.model
        pieces = (piece for plane in record.planes for piece in plane.pieces)
        answers = (piece.answer for piece in pieces if piece.answer is not None)
        names = {one.made_by.model for one in answers if one.made_by is not None and one.made_by.model}
        now = None if loaded is None else str(loaded.predictor.model.name)
        if now is None or not names or names == {now}:
            return ""
        others = ", ".join(f"“{name}”" for name in sorted(names))
        return f" Its masks were made with model {others}; what you edit is made anew with “{now}”."

    # ---- exporting

    def _choose_where_to_export(self) -> None:
        if not self._has_objects():
            return
        try:
            chosen = session_dialogs.ask_where_to_export(self, self._suggested("masks"))
        except session_dialogs.UnknownEndingError as error:
            self.controller.warn(str(error))
            return
        if chosen is None:
            return
        path, export = chosen.path, chosen.export
        record = self.keeper.current()
        files = export.files(path, record)
        there = [file.name for file in files if file != chosen.confirmed and file.is_file()]
        if there:
            self.card.ask(
                f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} there already. Replace?",
                [("Replace", partial(self._export, path, export, record)), ("Cancel", _do_nothing)],
            )
        else:
            self._export(path, export, record)

    def _export(self, path: Path, export: Export, record: SessionRecord) -> None:
        self._say("Exporting …")
        layers = self.controller.viewer.layers
        channels = {id(plane): channel_planes(layers, plane.source) for plane in record.planes}

        def write(_ticket: Ticket) -> Sequence[Path]:
            return export.write(path, record, lambda plane: read_channels(channels.get(id(plane), [])))

        self.worker.submit(EXPORT, write)

    def _exported(self, outcome: Outcome) -> None:
        files = outcome.value
        last = f" to “{files[-1].name}”, {len(files)} files" if len(files) > 1 else ""
        self._say(f"Exported “{files[0].name}”{last}.")

    # ---- what an earlier napari did not save

    def _recovered(self, outcome: Outcome) -> None:
        self._lost = list(outcome.value or ())
        self._offer_next()

    def _offer_next(self) -> None:
        """Offer the newest session that was lost, if there is one."""
        if not self._lost:
            return
        lost = self._lost[0]
        later = ("Later", self._lost.clear)
        discard = ("Discard", partial(self._ask_before_discarding, lost))
        if lost.record is None:
            self.card.ask(f"Work that was not saved cannot be read: {lost.problem}.", [discard, later])
            return
        others = len(self._lost) - 1
        more = f" After it, {others} more." if others else ""
        what = f"{_objects(lost.record)}, {_when(lost.record.saved)}"
        self.card.ask(
            f"Work on {_images(lost.record)} ({what}) was not saved.{more}",
            [("Restore", partial(self._restore, lost)), discard, later],
        )

    def _ask_before_discarding(self, lost: Recoverable) -> None:
        what = "it" if lost.record is None else _objects(lost.record)
        self.card.ask(
            f"Really discard {what}? This cannot be undone.",
            [("Discard for good", partial(self._discard, lost)), ("Keep", self._offer_next)],
        )

    def _discard(self, lost: Recoverable) -> None:
        self._lost.remove(lost)
        self.worker.submit(DISCARD, lambda _ticket: lost.discard())

    def _restore(self, lost: Recoverable) -> None:
        if lost.record is not None:
            self._say("Restoring …")
            self.opener.find(lost.record, partial(self._restored, lost), self._not_restored)

    def _not_restored(self) -> None:
        self._say("")
        self._offer_next()

    def _restored(self, lost: Recoverable, images: Sequence[Placed]) -> None:
        record = lost.record
        if record is None:
            return
        count, before = self._unsaved_count(), self.keeper.folder
        whole = len(images) == len(record.images)
        problem = self.keeper.go_on(record, images)
        self._ready()
        self._say(problem or f"Restored {_objects(record)}.{_kept(count, before)}{self._model(record)}")
        self._lost.remove(lost)
        keeper = self.keeper

        def hand_over(_ticket: Ticket) -> None:
            # only what the new autosave has on the disk may leave the old one
            if whole and keeper.flushed():
                lost.discard()

        self.worker.submit(DISCARD, hand_over)

    # ---- words

    def _finished(self, outcome: Outcome) -> None:
        if outcome.error is not None and outcome.key != FIND:
            sentence = str(outcome.error) or type(outcome.error).__name__
            if not isinstance(outcome.error, SessionError | OSError | ValueError):
                sentence = f"This went wrong: {sentence}"
            self._say("")
            self.controller.warn(_sentence(sentence))
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
        """Let the canvas listen to clicks again, and show what there is."""
        self.controller.point_with_clicks()
        self.controller.layers_changed.emit()
        self.controller.sync()

    def _say(self, sentence: str) -> None:
        self._said = sentence
        if sentence:
            self.controller.warn("")
            self.spoke.emit()
        self._show_status()

    def _show_status(self) -> None:
        keeper = self.keeper
        if keeper.problem:
            self.controller.warn(_sentence(keeper.problem))
        self.save_again.setVisible(keeper.folder is not None)
        if keeper.folder is not None:
            self.save_again.setToolTip(f"Save in {keeper.folder}")
        self.save_as.setText("Save as…" if keeper.folder is not None else "Save session…")
        state = short = ""
        if keeper.is_saved and keeper.object_count:
            state, short = "All is saved.", "saved"
        elif keeper.problem:
            short = "not saved"
        elif keeper.object_count and not keeper.is_saved:
            state, short = "Autosaved: kept for the next start until you save it.", "autosaved"
        self.state_changed.emit(short)
        self.status.setText(" ".join(words for words in (self._said, state) if words))
        self.status.setVisible(bool(self.status.text()))

    def _suggested(self, ending: str) -> Path:
        """A name beside the image, where it came from a file."""
        image = self.controller.binding.image
        origin = None if image is None else image.source.path
        folder = Path(str(origin)).parent if origin is not None else self._home()
        stem = "annotation" if image is None else image.name
        if self.keeper.folder is not None:
            folder = self.keeper.folder.parent
        safe = "".join("_" if letter in '/\\:*?"<>|' else letter for letter in stem)
        return (folder if folder.is_dir() else self._home()) / f"{safe} {ending}"

    def _home(self) -> Path:
        return Path.home()


def _find_lost(_ticket: Ticket) -> list[Recoverable]:
    import_for_jobs()
    from napari_samv1.storage.session.recovery import recoverable

    return recoverable()


def _closing(worker: Worker, keeper: SessionKeeper) -> Callable[[], None]:
    # they and not the part, which they outlive
    def close() -> None:
        worker.stop()
        keeper.close()

    return close


def _do_nothing(*_arguments: Any) -> None:
    """What a cancelled question leads to."""


def _objects(record: SessionRecord) -> str:
    return f"{record.object_count} object{'' if record.object_count == 1 else 's'}"


def _images(record: SessionRecord) -> str:
    names = list(dict.fromkeys(plane.source.name for plane in record.planes))
    shown = ", ".join(f"“{name}”" for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _when(saved: str) -> str:
    """The time of an autosave on this place's clocks: "today 14:03", or with the date."""
    try:
        moment = datetime.fromisoformat(saved).astimezone()
    except ValueError:
        return "nobody knows when"
    if moment.date() == datetime.now().astimezone().date():
        return f"today {moment:%H:%M}"
    return f"{moment:%Y-%m-%d %H:%M}"


def _kept(count: int, folder: Path | None) -> str:
    if not count:
        return ""
    few = "1 object" if count == 1 else f"{count} objects"
    where = "" if folder is None else f" since “{folder.name}” was saved"
    return f" What was here before ({few}, not saved{where}) will be offered at the next start."


def _sentence(words: str) -> str:
    """Words as a sentence: with a capital letter, and a full stop."""
    words = words.strip()
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith(('.', '!', '?')) else '.'}"
