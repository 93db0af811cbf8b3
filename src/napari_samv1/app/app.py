"""App: user actions in, one frozen state out, and the model's answers in between.

The way of a click: the canvas reports a changed prompt, ``_touched`` bounds how often a drag is read,
``_read`` has the canvas read the prompt into the document, ``_ask`` sends pending pieces to a thread, and
``_tell`` shows the new state to the views. The answer comes to ``_decoded``, which has the masks written and
the views updated.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_samv1.app import models
from napari_samv1.app.canvas import SHAPE_TOOLS, Canvas, NoPlaneError, Tool, Tools
from napari_samv1.app.detail import detail_for, middle_of, next_ahead
from napari_samv1.app.encoding import EncodedPlane, Encoder, learn_pixels
from napari_samv1.app.models import Choices, DownloadState
from napari_samv1.app.sentences import lost_card, sentence_of
from napari_samv1.app.settings import MovedSettings
from napari_samv1.app.state import ModelStatus, State
from napari_samv1.app.worker import Deliver, Outcome, Ticket, Worker
from napari_samv1.records.detail import Detail

if TYPE_CHECKING:
    from napari_samv1.annotation.document import PlaneView
    from napari_samv1.annotation.pieces import Piece
    from napari_samv1.engine.jobs import DecodeJob, DecodeResult
    from napari_samv1.engine.predictor import Predictor
    from napari_samv1.records.sight import Sight

logger = logging.getLogger(__name__)

REDRAW_MILLISECONDS = 30
SETTLE_MILLISECONDS = 300
CHOOSE_IMAGE = "Choose an image first."
# makes a call on the main thread after so many milliseconds
Later = Callable[[int, Callable[[], None]], None]
View = Callable[[State, State], object]


def _always(_state: State) -> bool:
    return True


def _no_review(_verb: str) -> None:
    """Ignore the keys of a review."""


@dataclass(frozen=True)
class Action:
    """A row of the table from which buttons, menus and keys are made.

    ``title`` is for buttons and menus, ``tip`` for tooltips, ``in_words`` for the list of keys. ``run``
    returns "" or a sentence for the panel. A key works on the annotation's layers, and with ``on_image`` also
    on the image.
    """

    name: str
    title: str
    tip: str
    run: Callable[[App], str]
    key: str = ""
    in_words: str = ""
    enabled: Callable[[State], bool] = _always
    on_image: bool = False


class App:
    """One annotation: its canvas, its model, its state; runs on one thread until it is closed.

    Parameters
    ----------
    canvas : Canvas
    tools : Tools
    actions : mapping of str to Action
        Actions by name, for keys on the canvas.
    choices : Choices
        The model to begin with; ``choose_model`` loads it.
    deliver : callable
        Brings results of threads to the thread of the app.
    later : callable
        Makes a call after so many milliseconds.
    on_info, on_error : callable
        Show a sentence outside the panel.
    """

    def __init__(
        self,
        canvas: Canvas,
        tools: Tools,
        actions: Mapping[str, Action],
        choices: Choices,
        *,
        deliver: Deliver,
        later: Later,
        on_info: Callable[[str], object],
        on_error: Callable[[str], object],
    ) -> None:
        self.canvas, self.tools, self._actions = canvas, tools, actions
        self.state = State()
        self.review: Callable[[str], object] = _no_review  # replaced during a review
        self.closed = False
        self._deliver, self._later = deliver, later
        self._on_info, self._on_error = on_info, on_error
        self._views: list[View] = []
        self._before_closing: list[Callable[[], None]] = []
        self._changing = self._telling = self._again = False
        self._reading_soon = self._applying_soon = self._looking_soon = False
        self._read_at = float("-inf")  # monotonic seconds
        self._settings = MovedSettings(canvas)
        self._shape: Tool = "box"
        self._warning = ""  # about saving
        self._failure = ""  # of the last background job, until the next one
        self._notes = ""  # about the current prompts
        self._refusal = ""  # of the last action or mask
        self._recalled: Hashable = None  # the last recalled request
        self._encoded_to_recall: set[Hashable] = set()  # planes that are being encoded for a recall
        self._looked_at: tuple[object, bool] = (None, False)
        self._download: DownloadState | None = None
        self.encoder = Encoder(
            choices,
            on_change=self._encoder_changed,
            on_encoded=self._encoded,
            on_error=self._job_failed,
            on_ahead=self._encode_ahead,
            deliver=deliver,
        )
        self._decoder = Worker("decoding", self._decoded, self._region_progressed, deliver=deliver)
        self._downloader: Worker | None = None
        tools.listen(self._tool_changed)
        canvas.listen(
            on_prompts=self._touched,
            on_plane=self._plane_changed,
            on_view=self._view_moved,
            on_layers=self._layers_changed,
            on_current=self._current_changed,
            on_edited=self._edited,
            on_key=self.press,
        )

    # User actions

    def do(self, action: Action) -> None:
        """Run an action, and show the result."""
        with self.change():
            self._apply_settings()
            self._refusal = action.run(self)
            self._read()

    def press(self, name: str) -> None:
        """Run the action of a key on the canvas."""
        self.do(self._actions[name])

    def pick_object(self, number: int) -> None:
        """Make an object the current one."""
        with self.change():
            self._refusal = ""
            self.canvas.current.number = number

    def set_setting(self, setting: str, value: Any) -> str:
        """Change a setting of the current object, or of new objects, as one undo step; "" or a sentence."""
        with self.change():
            self._apply_settings()
            self._settings.move(setting, value)
            self._refusal = self._settings.apply(as_one_drag=False)
        return self._refusal

    def move_setting(self, setting: str, value: Any) -> None:
        """Change a setting during a drag; all of the drag is one undo step."""
        with self.change():
            self._settings.move(setting, value)
            # apply the first value at once, for scripts, and of later ones the newest after a moment
            if not self._applying_soon:
                self._apply_settings()

    def take_tool(self, tool: Tool) -> str:
        """Make a tool active; "" or a sentence."""
        with self.change():
            if self.canvas.image_name is None:
                self._refusal = CHOOSE_IMAGE
                return self._refusal
            try:
                self.tools.take(tool)
            except NoPlaneError as error:
                self._refusal = str(error)
                return self._refusal
        return ""

    def make_layer(self, make: Callable[[], object]) -> None:
        """Make a layer for prompts or masks by a method of the canvas; needs an image."""
        with self.change():
            if self.canvas.image_name is None:
                self._refusal = CHOOSE_IMAGE
                return
            try:
                make()
            except NoPlaneError as error:
                self._refusal = str(error)
                return
            self._read()

    def sync(self) -> None:
        """Read the prompts now, and request the missing encoding or masks."""
        with self.change():
            self._read()

    def encode(self) -> None:
        """Encode the displayed plane as it is displayed now."""
        with self.change():
            try:
                plane = self.canvas.screen.plane()
            except NoPlaneError as error:
                self._refusal = str(error)
                return
            self._failure = ""
            self._encoded_to_recall.discard(plane.key)
            detail, middle = self._looked_for(plane)
            self.encoder.encode(plane, self.encoder.window_at(plane, detail, middle))

    def cancel_encoding(self) -> None:
        """Cancel an encoding, also one that a prompt waits for."""
        with self.change():
            self.encoder.cancel()
            if (plane := self._plane()) is not None:
                self._decoder.cancel(plane.key)

    def set_detail(self, detail: Detail) -> None:
        """Set the detail of the current object, or of new objects; "auto" takes that of the screen."""
        with self.change():
            document, plane = self.canvas.document, self._plane()
            is_object = document is not None and self.canvas.current.number in document.objects
            if detail == "auto" and is_object and plane is not None:
                detail = self._detail_on_screen(plane)
            self._refusal = self.set_setting("detail", detail)

    def set_sight(self, sight: Sight) -> None:
        """Set the channels and limits for the model; encodings stay in use until made again."""
        with self.change():
            self.canvas.screen.sight = sight

    def choose_model(self, choices: Choices, *, is_ready: bool) -> None:
        """Take another model or device; load it if its file is there."""
        with self.change():
            self._failure = ""
            self.canvas.decoding.forget()
            if is_ready:
                self.encoder.choose(choices)
            else:
                self.encoder.forget_model(choices)

    def download(self, name: str) -> None:
        """Download a known model's file in a separate thread."""
        with self.change():
            self._failure = ""
            if self._downloader is None:
                self._downloader = Worker(
                    "download", self._downloaded, self._download_progressed, deliver=self._deliver
                )
            self._downloader.submit(name, lambda ticket: models.download(name, ticket))
            self._download = DownloadState(name)

    def cancel_download(self, name: str) -> None:
        """Cancel a download."""
        if self._downloader is not None:
            self._downloader.cancel(name)

    def warn(self, sentence: str) -> None:
        """Show a sentence about saving until the next one; "" for none."""
        if sentence != self._warning:
            with self.change():
                self._warning = sentence

    # One change

    @contextmanager
    def change(self) -> Iterator[None]:
        """Context of one change: the plane is resolved once, and the views are updated once, at its end."""
        if self.closed or self._changing:
            # a view that changes something during its update needs another one
            self._again = self._again or self._telling
            yield
            return
        self._changing = True
        try:
            with self.canvas.screen.one_look():
                yield
                self._again = True
                while self._again and not self.closed:
                    self._again = False
                    self._ask()
                    self._tell()
        finally:
            self._changing = self._telling = False

    def _tell(self) -> None:
        before, self.state = self.state, self._look()
        self._telling = True
        for view in list(self._views):
            view(before, self.state)
        self._telling = False

    def _look(self) -> State:
        """State for the views, as of now."""
        canvas, encoder = self.canvas, self.encoder
        plane, document, shown = self._plane(), canvas.document, canvas.shown
        number, tool = canvas.current.number, self.tools.tool
        detail, middle = ("whole", (0.0, 0.0)) if plane is None else self._looked_for(plane)
        piece = None if shown is None else shown.get(number)
        if tool in SHAPE_TOOLS:
            self._shape = tool
        if encoder.model is not None:
            model = ModelStatus(f"Loaded on {encoder.model.device}.", True)
        else:
            model = ModelStatus("Loading …" if encoder.is_loading else encoder.load_error)
        reason = "" if piece is None else piece.reason
        prediction = canvas.decoding.prediction(piece)
        coarser = getattr(prediction, "note", "")  # of a coarser detail than requested
        about_masks = self._failure or self._notes or self._refusal or reason or coarser
        return State(
            image=canvas.image_name,
            layers=canvas.bound,
            plane=plane,
            place=None if plane is None else plane.display_key,
            in_3d=canvas.screen.in_3d,
            encoding=encoder.status(plane, detail, middle),
            detail=detail,
            has_details=plane is not None and max(plane.shape_yx) > encoder.side,
            windows=() if plane is None else encoder.windows(plane),
            sight=canvas.screen.sight,
            limits=() if plane is None else plane.seen.limits,
            document=document,
            revision=0 if document is None else document.revision,
            objects={} if shown is None else dict(shown.objects),
            undo="" if document is None else document.undo_label,
            redo="" if document is None else document.redo_label,
            current=number,
            piece=piece,
            prediction=prediction,
            settings=self._settings.now(),
            is_foreign_label=self._is_foreign_label(number, piece),
            tool=tool,
            shape=self._shape,
            polarity=canvas.current.polarity,
            model=model,
            download=self._download,
            message=" ".join(words for words in (self._warning, about_masks) if words),
        )

    def _looked_for(self, plane: EncodedPlane) -> tuple[Detail, tuple[float, float]]:
        """Detail of the next prompt's answer, and the middle of the screen."""
        asked = self._settings.now().detail
        detail = self._detail_on_screen(plane) if asked == "auto" else asked
        return detail, middle_of(self.canvas.screen.part())

    def _detail_on_screen(self, plane: EncodedPlane) -> Detail:
        return detail_for(self.canvas.screen.part(), plane.shape_yx, self.encoder.side)

    def _plane(self) -> EncodedPlane | None:
        try:
            return self.canvas.screen.plane()
        except NoPlaneError:
            return None

    def _is_foreign_label(self, number: int, piece: Piece | None) -> bool:
        """True if the current number is another tool's label and no object yet."""
        shown, labels = self.canvas.shown, self.canvas.bound[-1]
        if shown is None or labels is None or piece is not None:
            return False
        looked_at = id(labels), number, shown.document.revision, shown.plane
        if looked_at != self._looked_at[0]:
            self._looked_at = looked_at, self.canvas.masks.shows(number)
        return self._looked_at[1]

    # Events of the canvas

    def _touched(self) -> None:
        """Schedule a read: a throttle, not a debounce, so that a dragged rectangle keeps redrawing.

        A first click is read at once, before napari draws it.
        """
        if not self._reading_soon and not self.closed:
            self._reading_soon = True
            passed = int(min(REDRAW_MILLISECONDS, 1000 * (time.monotonic() - self._read_at)))
            self._later(REDRAW_MILLISECONDS - passed, self._read_touched)

    def _read_touched(self) -> None:
        self._reading_soon = False
        self._read_at = time.monotonic()
        self.sync()

    def _read(self) -> None:
        self._settings.give_to_new_image()
        if (plane := self._plane()) is not None:
            self.canvas.new_detail = self._detail_on_screen(plane)
        read = self.canvas.sync()
        self._notes = read.problem or " ".join(read.notes)

    def _plane_changed(self) -> None:
        self._touched()
        self._view_moved()

    def _view_moved(self) -> None:
        """Cancel encoding ahead, and begin again once the view rests."""
        plane = self._plane()
        if self.closed or plane is None or max(plane.shape_yx) <= self.encoder.side:
            return
        self.encoder.stop_ahead()
        if not self._looking_soon:
            self._looking_soon = True
            self._later(SETTLE_MILLISECONDS, self._view_settled)

    def _view_settled(self) -> None:
        self._looking_soon = False
        with self.change():
            if (plane := self._plane()) is not None:
                self.canvas.new_detail = self._detail_on_screen(plane)
                self._encode_ahead()

    def _encode_ahead(self) -> None:
        """Encode the next region on the screen if the threads are idle and regions are in use.

        Before the first region is encoded, find its intensity limits.
        """
        plane, busy = self._plane(), self._decoder.busy or self.encoder.busy
        if self.closed or plane is None or busy:
            return
        detail, _ = self._looked_for(plane)
        if detail == "whole":
            return
        encoded = self.encoder.windows(plane)
        window = next_ahead(self.encoder.grid(plane, detail), self.canvas.screen.part(), encoded)
        if window is not None and encoded:
            self.encoder.encode_ahead(plane, window)
        elif window is not None:
            self.encoder.find_limits_ahead(plane, window)

    def _apply_settings(self) -> None:
        if self.closed or not self._settings.waiting:
            return
        self._applying_soon = True
        self._later(REDRAW_MILLISECONDS, self._apply_moved)
        self._refusal = self._settings.apply(as_one_drag=True)

    def _apply_moved(self) -> None:
        self._applying_soon = False
        if self._settings.waiting:
            with self.change():
                self._apply_settings()

    def _layers_changed(self) -> None:
        with self.change():
            self._refusal = ""
            self.tools.follow()

    def _current_changed(self) -> None:
        with self.change():
            pass

    def _tool_changed(self) -> None:
        with self.change():
            pass

    def _edited(self, sentence: str) -> None:
        """Show the objects that a stroke changed."""
        with self.change():
            self._refusal = sentence

    # Requests and answers

    def _ask(self) -> None:
        """Request the displayed plane's missing encoding, masks, or candidates of the current object."""
        plane, shown = self._plane(), self.canvas.shown
        if plane is None or shown is None:
            return
        if not shown.pending:
            self._recall(plane)
            return
        pending = [shown.objects[number] for number in shown.pending]
        if any(piece.settings.by_region for piece in pending):
            self._ask_regions(plane, shown)
        if any(not piece.settings.by_region for piece in pending):
            self._ask_whole(plane, shown)

    def _ask_whole(self, plane: EncodedPlane, shown: PlaneView) -> None:
        stored, model = self.encoder.stored(plane), self.encoder.model
        # changed pixels make masks of the old encoding wrong; a changed contrast does not
        outdated = stored is not None and stored.data_revision != plane.data_revision
        if stored is None or outdated or model is None:
            if not self.encoder.is_encoding(plane) and not self.encoder.load_error:
                self.encoder.encode(plane)
            return
        # wait for an idle thread, so that jobs hold the newest state of every object
        if not self._decoder.busy:
            decoding = self.canvas.decoding
            decoding.made_by = self.encoder.computation
            if jobs := decoding.jobs(shown.document, shown.plane, stored.embedding):
                self._decoder.submit(plane.key, _decoding(model.predictor, jobs))

    def _ask_regions(self, plane: EncodedPlane, shown: PlaneView) -> None:
        """Request masks by region; the decoder's thread encodes the regions that it needs."""
        model = self.encoder.model
        if model is None:
            if not self.encoder.is_encoding(plane) and not self.encoder.load_error:
                self.encoder.await_model(plane)
            return
        if self._decoder.busy:
            return
        viewed, decoding = self.encoder.viewed(plane), self.canvas.decoding
        decoding.made_by = self.encoder.computation
        if jobs := decoding.region_jobs(shown.document, shown.plane, viewed.view, viewed.key):
            self.encoder.stop_ahead()
            self._decoder.submit(plane.key, _by_region(model.predictor, jobs, plane, self.encoder.pixels))

    def _region_progressed(self, _key: Hashable, progress: Any) -> None:
        with self.change():
            self.encoder.region_progress = progress

    def _recall(self, plane: EncodedPlane) -> None:
        """Decode the current object again if its candidates are not cached, as in an opened session."""
        shown, decoding = self.canvas.shown, self.canvas.decoding
        piece = None if shown is None else shown.get(self.canvas.current.number)
        if shown is None or piece is None:
            return
        if piece.settings.by_region:
            self._recall_by_region(plane, shown, piece)
            return
        stored, model = self.encoder.stored(plane), self.encoder.model
        if stored is None:
            # once only, so that a cancelled encoding does not begin again
            lacks = piece.scores is not None and decoding.prediction(piece) is None
            busy = self.encoder.is_encoding(plane) or self.encoder.load_error
            if lacks and not busy and plane.key not in self._encoded_to_recall:
                self._encoded_to_recall.add(plane.key)
                self.encoder.encode(plane)
            return
        if model is None or self._decoder.busy:
            return
        job = decoding.recall(shown.document, piece, stored.embedding, stored.embedding.key)
        # once only, so that a failing request is not repeated for ever
        if job is not None and job.request != self._recalled:
            self._recalled = job.request
            self._decoder.submit(_Recall(), _decoding(model.predictor, [job]))

    def _recall_by_region(self, plane: EncodedPlane, shown: PlaneView, piece: Piece) -> None:
        model, decoding = self.encoder.model, self.canvas.decoding
        if model is None or self._decoder.busy:
            return
        viewed = self.encoder.viewed(plane)
        job = decoding.recall(shown.document, piece, viewed.view, viewed.key)
        if job is not None and job.request != self._recalled:
            self._recalled = job.request
            self._decoder.submit(_Recall(), _by_region(model.predictor, [job], plane, self.encoder.pixels))

    def _decoded(self, outcome: Outcome) -> None:
        with self.change():
            self.encoder.region_progress = None
            if outcome.error is not None:
                self._job_failed(outcome.error)
                return
            self._failure = ""
            if isinstance(outcome.key, _Recall):
                for result in outcome.value or ():
                    self.canvas.decoding.remember(result)
                    self._recalled = None if result.prediction is not None else self._recalled
            else:
                self._refusal = self.canvas.edits.accept(outcome.value or ())
            self._encode_ahead()

    def _encoded(self, key: Hashable) -> None:
        with self.change():
            plane, shown = self._plane(), self.canvas.shown
            if plane is None or shown is None or plane.key != key:
                return
            recalled = key in self._encoded_to_recall
            self._encoded_to_recall.discard(key)
            piece = shown.get(self.canvas.current.number)
            # other pieces keep their masks; the current one is decoded again if the user asked to encode
            if piece is not None and len(piece.prompts) and not recalled:
                shown.document.ask_again([piece.key])
            self._read()

    def _encoder_changed(self) -> None:
        with self.change():
            pass

    def _download_progressed(self, name: Hashable, progress: Any) -> None:
        with self.change():
            self._download = DownloadState(str(name), *progress)

    def _downloaded(self, outcome: Outcome) -> None:
        with self.change():
            if self._download is not None and self._download.name == outcome.key:
                self._download = None
            if outcome.error is not None:
                self._job_failed(outcome.error)
            elif not outcome.cancelled:
                self._on_info(f"{outcome.key} is on disk now.")
                if self.encoder.choices.model == outcome.key:
                    self.encoder.choose(self.encoder.choices)

    def _job_failed(self, error: Exception) -> None:
        logger.info("a background job failed", exc_info=error)
        with self.change():
            lost = lost_card(error) if self.encoder.choices.device != "cpu" else ""
            if lost:
                self.canvas.decoding.forget()
                self.encoder.choose(replace(self.encoder.choices, device="cpu"))
            self._failure = lost or sentence_of(error)
        self._on_error(self._failure)

    # Views and closing

    @property
    def busy(self) -> bool:
        """True while a thread computes, or an edit waits to be read."""
        return self._reading_soon or self._decoder.busy or self.encoder.busy

    def on_change(self, view: View) -> Callable[[], None]:
        """Call a view at every change with the old and the new state; returns a function to disconnect it."""
        self._views.append(view)

        def end() -> None:
            if view in self._views:
                self._views.remove(view)

        return end

    def on_close(self, call: Callable[[], None]) -> None:
        """Register a call to make before the layers are released."""
        self._before_closing.append(call)

    def close(self) -> None:
        """Stop the threads and release the layers; a second call does nothing."""
        if self.closed:
            return
        for call in self._before_closing:
            call()
        self.closed = True  # checked by late calls of threads and timers, which then do nothing
        self._views = []
        self._before_closing = []
        self.tools.close()
        self.canvas.close()
        workers = [self._decoder.stop, self.encoder.stop]
        if self._downloader is not None:
            workers.append(self._downloader.stop)
        for stop in workers:
            if not stop():
                logger.warning("a background thread is still finishing its step")


@dataclass(frozen=True, eq=False)
class _Recall:
    """Key of a job that refreshes the candidate pictures only."""


Decoding = Callable[[Ticket], "list[DecodeResult]"]


def _decoding(predictor: Predictor, jobs: Sequence[DecodeJob]) -> Decoding:
    def decode(_ticket: Ticket) -> list[DecodeResult]:
        from napari_samv1.engine.jobs import run_each

        return run_each(predictor, jobs)

    return decode


def _by_region(
    predictor: Predictor, jobs: Sequence[DecodeJob], plane: EncodedPlane, pixels: dict[Hashable, str]
) -> Decoding:
    """Job that encodes missing regions, decodes, and hashes the plane's pixels for the session."""

    def decode(ticket: Ticket) -> list[DecodeResult]:
        from napari_samv1.engine.jobs import run_each
        from napari_samv1.engine.progress import Cancelled

        def report(done: int, total: int) -> None:
            if ticket.cancelled:
                raise Cancelled
            ticket.count(done, total)

        results = run_each(predictor, jobs, report)
        learn_pixels(plane, pixels)
        return results

    return decode
