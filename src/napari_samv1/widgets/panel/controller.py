"""Between the panel, the layers and the background threads: every request and every answer passes here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject, QTimer, Signal

from napari_samv1.annotation.edits import settings_of
from napari_samv1.app import models
from napari_samv1.app.encoding import Encoder
from napari_samv1.app.gesture import Gesture
from napari_samv1.app.models import Choices, DownloadState
from napari_samv1.app.worker import Outcome, Worker
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.image import DisplayedPlane, NoPlaneError
from napari_samv1.layers.plain_text import plain
from napari_samv1.records.settings import ObjectSettings
from napari_samv1.widgets.panel.canvas_tools import CanvasTools, Tool
from napari_samv1.widgets.shared.mailbox import Mailbox

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_samv1.annotation.pieces import Piece
    from napari_samv1.engine.embedding import Embedding
    from napari_samv1.engine.jobs import DecodeJob
    from napari_samv1.masks.clean import CleanUp
    from napari_samv1.records.settings import Choice, Rule

logger = logging.getLogger(__name__)

REDRAW_MILLISECONDS = 30


class Controller(QObject):
    """Keeps what is on the canvas, in the session and in the threads in step, until it is closed."""

    encoding_changed = Signal()
    objects_changed = Signal()  # scores, choice, current object, polarity
    tool_changed = Signal()
    layers_changed = Signal()
    model_changed = Signal()
    download_changed = Signal(object)  # DownloadState, or None
    message_changed = Signal(str)

    def __init__(self, viewer: Viewer, choices: Choices) -> None:
        super().__init__()
        self.viewer = viewer
        self.message = ""
        self._failure = ""  # of the last background job, until one of its kind is begun again
        self._notes = ""  # about the prompts as they are now
        self._refusal = ""  # why the last mask could not be written
        self._warning = ""  # about saving
        self._before_closing: list[Callable[[], None]] = []
        self.binding = AnnotationBinding(
            viewer,
            on_prompts=self._prompts_touched,
            on_plane=self._plane_touched,
            on_layers=self._layers_changed,
            on_current=self._objects_changed,
            on_edited=self._edited,
        )
        self.tools = CanvasTools(viewer, self.binding, self.tool_changed.emit)
        self._mailbox = Mailbox()
        self.encoder = Encoder(
            choices,
            on_change=self._encoder_changed,
            on_encoded=self._encoded,
            on_error=self._job_failed,
            deliver=self._mailbox,
        )
        self._decoder = Worker("decoding", self._decoded, deliver=self._mailbox)
        self._downloader: Worker | None = None
        self.closed = False
        self._sync_timer = self._single_shot(self.sync)
        self._plane_timer = self._single_shot(self._plane_changed)
        self._settings_timer = self._single_shot(self._apply_settings)
        self._moved: dict[str, tuple[int, Any]] = {}  # setting -> object and newest value
        self._early: dict[str, Any] = {}  # settings that were made before there was an image
        self._gesture = Gesture()
        self._recalled: Hashable = None  # the last request that was
        self._encoded_to_recall: set[Hashable] = set()  # planes, until their encoding is there
        self._looked_at: tuple[object, bool] = (None, False)

    def _single_shot(self, slot: Any) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(REDRAW_MILLISECONDS)
        timer.timeout.connect(slot)
        return timer

    # ---- prompts -> masks

    def plane(self) -> DisplayedPlane | None:
        """The displayed plane of the chosen image; without one, the reason becomes the panel's message."""
        try:
            return self.binding.plane()
        except NoPlaneError as error:
            if self.binding.image is not None:
                self._say(str(error))
            return None

    def sync(self) -> None:
        """Read the prompts, tell the session, and ask for what is missing: an encoding, or masks."""
        if self.closed:
            return
        self._take_early_settings()
        synced = self.binding.sync()
        self._notes = synced.problem or " ".join(synced.notes)
        self._ask()
        self._objects_changed()

    def _ask(self) -> None:
        plane, shown = self.plane(), self.binding.shown
        if plane is None or shown is None or not shown.pending:
            return
        stored = self.encoder.stored(plane)
        # masks of other pixels than those that are shown would be wrong; of another contrast they are not
        outdated = stored is not None and stored.data_revision != plane.data_revision
        if stored is None or outdated or self.encoder.model is None:
            if not self.encoder.is_encoding(plane) and not self.encoder.load_error:
                self.encoder.encode(plane)
            return
        # only an idle thread gets more to do: what is asked then is the newest state of every object
        if not self._decoder.busy and (jobs := self._jobs(stored.embedding)):
            self._decoder.submit(plane.key, _decoding(self.encoder.model.predictor, jobs))

    def _jobs(self, embedding: Embedding) -> list[DecodeJob]:
        self.binding.decoding.made_by = self.encoder.computation
        return self.binding.jobs(embedding)

    def _decoded(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._job_failed(outcome.error)
            return
        self._failure = ""
        if isinstance(outcome.key, _Recall):
            for result in outcome.value or ():
                self.binding.decoding.remember(result)
                self._recalled = None if result.prediction is not None else self._recalled
        else:
            self._refusal = self.binding.accept_each(outcome.value or ())
        self._ask()
        self._objects_changed()

    def _recall(self) -> None:
        """Fetch the current object's candidates, where they are no longer cached, as in an opened session."""
        current, plane = self.binding.current, self._known_plane()
        document = self.binding.document
        if current is None or document is None or plane is None:
            return
        stored = self.encoder.stored(plane)
        if stored is None:
            self._encode_to_recall(plane, current)
            return
        if self.encoder.model is None or self._decoder.busy:
            return
        job = self.binding.decoding.recall(document, current, stored.embedding)
        # once: an answer that fails is not asked for again and again
        if job is not None and job.request != self._recalled:
            self._recalled = job.request
            self._decoder.submit(_Recall(), _decoding(self.encoder.model.predictor, [job]))

    def _encode_to_recall(self, plane: DisplayedPlane, current: Piece) -> None:
        """Encode a plane whose object in hand lacks its candidates; not again after a person cancelled that."""
        lacks = current.scores is not None and self.binding.decoding.prediction(current) is None
        if not lacks or self.encoder.is_encoding(plane) or self.encoder.load_error:
            return
        if plane.key not in self._encoded_to_recall:
            self._encoded_to_recall.add(plane.key)
            self.encoder.encode(plane)

    def _known_plane(self) -> DisplayedPlane | None:
        try:
            return self.binding.plane()
        except NoPlaneError:
            return None

    def _prompts_touched(self) -> None:
        # a throttle, not a debounce: a dragged rectangle keeps redrawing
        if not self._sync_timer.isActive():
            self._sync_timer.start()

    # ---- encoding

    def encode(self) -> None:
        """Encode the displayed plane as it is displayed now."""
        plane = self.plane()
        if plane is not None:
            self._failure = ""
            self._encoded_to_recall.discard(plane.key)
            self.encoder.encode(plane)

    def _encoded(self, key: Hashable) -> None:
        plane, document, current = self.plane(), self.binding.document, self.binding.current
        if plane is None or document is None or plane.key != key:
            return
        recalled = key in self._encoded_to_recall
        self._encoded_to_recall.discard(key)
        # pieces of an earlier encoding stay; the object in hand is seen anew, where a person asked for it
        if current is not None and len(current.prompts) and not recalled:
            document.ask_again([current.key])
        self.sync()

    def _encoder_changed(self) -> None:
        self.encoding_changed.emit()
        self.model_changed.emit()

    def _plane_touched(self) -> None:
        if not self._plane_timer.isActive():
            self._plane_timer.start()

    def _plane_changed(self) -> None:
        if self.closed:
            return
        self.encoding_changed.emit()
        self.sync()

    # ---- models

    def choose_model(self, choices: Choices, *, is_ready: bool) -> None:
        """Take another model or device; load it if its file is there."""
        self._failure = ""
        self.binding.decoding.forget()
        if is_ready:
            self.encoder.choose(choices)
        else:
            self.encoder.forget_model(choices)

    def download(self, name: str) -> None:
        """Fetch a known model's file in a thread of its own."""
        self._failure = ""
        if self._downloader is None:
            self._downloader = Worker(
                "download",
                self._downloaded,
                self._download_progressed,
                deliver=self._mailbox,
            )
        self._downloader.submit(name, lambda ticket: models.download(name, ticket))
        self.download_changed.emit(DownloadState(name))

    def cancel_download(self, name: str) -> None:
        if self._downloader is not None:
            self._downloader.cancel(name)

    def _download_progressed(self, name: Hashable, progress: Any) -> None:
        done, total = progress
        self.download_changed.emit(DownloadState(str(name), done, total))

    def _downloaded(self, outcome: Outcome) -> None:
        self.download_changed.emit(None)
        if outcome.error is not None:
            self._job_failed(outcome.error)
        elif not outcome.cancelled:
            show_info(plain(f"{outcome.key} is on disk now."))
            if self.encoder.choices.model == outcome.key:
                self.encoder.choose(self.encoder.choices)

    # ---- what a person asks for

    @property
    def settings(self) -> ObjectSettings:
        """Settings of the current object, or else of new ones, with what was moved and is not applied yet."""
        document, number = self.binding.document, self.binding.current_object
        if document is None:
            return ObjectSettings(**self._early)
        current = self.binding.current
        settings = settings_of(document, number) if current is None else current.settings
        moved = {setting: value for setting, (owner, value) in self._moved.items() if owner == number}
        return replace(settings, **moved)

    def pick_candidate(self, choice: Choice) -> None:
        """Take one of the four masks, or "auto", for the current object or else for new ones."""
        self._apply_settings()
        if self._is_early("choice", choice):
            return
        self.binding.choose(choice)

    def pick_rule(self, rule: Rule) -> None:
        """Treat pixels of others in another way, for the current object or else for new ones."""
        self._apply_settings()
        if not self._is_early("rule", rule):
            self._edited(self.binding.set_settings(self.binding.current_object, rule=rule))

    def move_threshold(self, threshold: float) -> None:
        """Cut the current object's logits elsewhere; the newest value wins."""
        self._move("threshold", threshold)

    def clean(self, cleanup: CleanUp | None) -> None:
        """Clean the current object's mask in another way; the newest wish wins."""
        self._move("cleanup", cleanup)

    def _is_early(self, setting: str, value: Any) -> bool:
        """Keep a setting for the new objects of the next image, where none is chosen yet."""
        if self.binding.document is not None:
            return False
        self._early[setting] = value
        self._objects_changed()
        return True

    def _take_early_settings(self) -> None:
        document = self.binding.document
        if document is not None and self._early:
            document.defaults = replace(document.defaults, **self._early)
            self._early = {}

    def _move(self, setting: str, value: Any) -> None:
        if self._is_early(setting, value):
            return
        # the object is kept with it: another may be current when the timer fires
        self._moved[setting] = self.binding.current_object, value
        # the first of a drag at once, which is all that a script sets; the others a moment later
        if not self._settings_timer.isActive():
            self._apply_settings()

    def _apply_settings(self) -> None:
        moved, self._moved = self._moved, {}
        if self.closed or not moved:
            return
        self._settings_timer.start()
        refusal = ""
        for setting, (object_id, value) in moved.items():
            gesture = self._gesture.of(setting, object_id)
            said = self.binding.set_settings(object_id, gesture=gesture, **{setting: value})
            refusal = refusal or said
        self._edited(refusal)

    def previous_object(self) -> None:
        """Make the object before the current one in the list current; the first stays."""
        shown, current = self.binding.shown, self.binding.current_object
        before = [] if shown is None else [one for one in shown.objects if one < current]
        if before:
            self.pick_object(max(before))

    def next_object(self) -> None:
        self._refusal = ""
        self.binding.next_object()
        self._objects_changed()

    def pick_object(self, object_id: int) -> None:
        self._refusal = ""
        self.binding.current_object = object_id
        self._objects_changed()

    def remove_last(self) -> None:
        self._done(self.binding.remove_last())

    def clear_object(self) -> None:
        self._done(self.binding.clear_current())

    def delete_object(self) -> None:
        """Delete the current object; the next in the list becomes current, so that Delete goes on."""
        gone = self.binding.current_object
        sentence = self.binding.delete_object(gone)
        shown = self.binding.shown
        if shown is not None and not sentence and shown.get(gone) is None and shown.objects:
            left = sorted(shown.objects)
            self.binding.current_object = next((one for one in left if one > gone), left[-1])
        self._done(sentence)

    def continue_object(self) -> None:
        """Go on, on this slice, with the object of the slice before."""
        self._done(self.binding.continue_object())

    def refine(self) -> None:
        """Let the model refine the pixels that the current object has."""
        self._done(self.binding.refine_current())

    def split(self, share_background: bool) -> None:
        """Make one object of each prompt of the current object."""
        self._done(self.binding.split_current(share_background=share_background))

    def undo(self) -> None:
        self._apply_settings()
        self._done(self.binding.undo())

    def redo(self) -> None:
        self._apply_settings()
        self._done(self.binding.redo())

    def _done(self, sentence: str) -> None:
        self._refusal = sentence
        self.sync()

    def take_tool(self, tool: Tool) -> None:
        """Let the canvas listen to clicks, a kind of shape, the brush or the picking of an object."""
        if self.has_image():
            try:
                self.tools.take(tool)
            except NoPlaneError as error:
                self._say(str(error))

    def point_with_clicks(self) -> None:
        """Let the canvas listen to clicks: the Points layer is active, in its add mode."""
        self.take_tool("click")

    def point_with_boxes(self) -> None:
        """Let the canvas listen to rectangles: the Shapes layer is active, in its rectangle mode."""
        self.take_tool("box")

    def has_image(self) -> bool:
        """Whether an image is chosen; says so if not."""
        if self.binding.image is None:
            self._say("Choose an image first.")
            return False
        return True

    @property
    def is_foreign_label(self) -> bool:
        """Whether the current number is a label of another tool, that is no object of ours yet."""
        shown, labels, number = self.binding.shown, self.binding.labels, self.binding.current_object
        if shown is None or labels is None or self.binding.current is not None or labels.multiscale:
            return False
        looked_at = id(labels.data), number, shown.document.revision, shown.plane
        if looked_at != self._looked_at[0]:
            self._looked_at = looked_at, self.binding.shows_label(number)
        return self._looked_at[1]

    # ---- words

    def warn(self, sentence: str) -> None:
        """Show a sentence about saving, "" for none, until there is another one."""
        if sentence != self._warning:
            self._warning = sentence
            self._objects_changed()

    def _say(self, sentence: str) -> None:
        if sentence != self.message:
            self.message = sentence
            self.message_changed.emit(sentence)

    def _edited(self, sentence: str) -> None:
        """Objects changed by a setting, a stroke or a key."""
        self._refusal = sentence
        self._ask()
        self._objects_changed()

    def _layers_changed(self) -> None:
        self.tools.follow()
        self.layers_changed.emit()

    def _objects_changed(self) -> None:
        current = self.binding.current
        reason = "" if current is None else current.reason
        about_masks = self._failure or self._notes or self._refusal or reason
        self._say(" ".join(words for words in (self._warning, about_masks) if words))
        self._recall()
        self.objects_changed.emit()

    def _job_failed(self, error: Exception) -> None:
        logger.info("a background job failed", exc_info=error)
        self._failure = str(error) or type(error).__name__
        self._say(self._failure)
        show_error(plain(self._failure))

    def on_close(self, call: Callable[[], None]) -> None:
        """Have something called before the layers are let go of."""
        self._before_closing.append(call)

    def close(self) -> None:
        """Stop the threads and let go of the layers; a second call does nothing."""
        if self.closed:
            return
        for call in self._before_closing:
            call()
        self.closed = True  # a timer that still fires finds this, and does nothing
        self.tools.close()
        self.binding.close()
        workers = [self._decoder.stop, self.encoder.stop]
        if self._downloader is not None:
            workers.append(self._downloader.stop)
        for stop in workers:
            if not stop():
                logger.warning("a background thread is still finishing its step")


@dataclass(frozen=True, eq=False)
class _Recall:
    """Key of a job that refreshes the candidate pictures only."""


def _decoding(predictor: Any, jobs: list[DecodeJob]) -> Any:
    def decode(_ticket: object) -> Any:
        from napari_samv1.engine.jobs import run_each

        return run_each(predictor, jobs)

    return decode
