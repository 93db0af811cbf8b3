"""Encoder: the loaded model and its encodings of planes and regions, made in a thread."""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from numpy.typing import ArrayLike

from napari_samv1.app import models
from napari_samv1.app.models import Choices, ReadyModel
from napari_samv1.app.sentences import sentence_of
from napari_samv1.app.worker import Deliver, Outcome, Ticket, Worker
from napari_samv1.checkpoints.registry import MODELS
from napari_samv1.images.seen import Seen, SeenPixels
from napari_samv1.records.computation import Computation, Environment
from napari_samv1.records.detail import Detail, detail_in_words
from napari_samv1.records.preparation import PREPARATIONS, PUBLISHED

if TYPE_CHECKING:
    from napari_samv1.engine.embedding import Embedding
    from napari_samv1.engine.predictor import Predictor
    from napari_samv1.engine.regions import RegionGrid, Window
    from napari_samv1.engine.store import EmbeddingStore, MemoryStore
    from napari_samv1.engine.view import ImageView

logger = logging.getLogger(__name__)

LOAD, ENCODE, AHEAD = "load", "encode", "encode ahead"
WORTH_TELLING_SECONDS = 2.0
TINY_OBJECT_SCALE = 0.6


class Encoding(Enum):
    """The states of an image's encoding."""

    NO_IMAGE = "no image"
    NOT_ENCODED = "not encoded"
    WAITING = "waiting"
    ENCODING = "encoding"
    READY = "ready"
    STALE = "stale"


@dataclass(frozen=True)
class EncodingStatus:
    """Status of a plane's encoding, for views."""

    state: Encoding
    sentence: str
    hint: str = ""
    done: int = 0
    total: int = 0
    can_encode: bool = True


class EncodedPlane(Protocol):
    """A plane of an image as the model sees it: everything that an encoding needs.

    ``seen_pixels`` and ``hashes`` read pixels, and belong in a worker.
    """

    @property
    def key(self) -> Hashable: ...
    @property
    def display_key(self) -> Hashable: ...
    @property
    def data_revision(self) -> int: ...
    @property
    def shape_yx(self) -> tuple[int, int]: ...
    @property
    def seen(self) -> Seen: ...
    @property
    def is_read_wholly(self) -> bool: ...
    def seen_pixels(self) -> SeenPixels: ...
    def hashes(self) -> dict[Hashable, str]: ...
    def view(self, predictor: Predictor, cache: EmbeddingStore | None = None) -> ImageView: ...


def learn_pixels(plane: EncodedPlane, pixels: dict[Hashable, str]) -> None:
    """Add a plane's hashes to those known, unless they are; may read pixels, and belongs in a worker."""
    if any(key not in pixels for key in (plane.key, *(one.key for one in plane.seen.images))):
        pixels.update(plane.hashes())


@dataclass(frozen=True)
class Stored:
    """An encoding and how the plane was displayed when it was made."""

    embedding: Embedding
    display_key: Hashable
    made_of: dict[str, Hashable]
    data_revision: int


@dataclass(frozen=True)
class Viewed:
    """A view of a plane, which answers by regions, and how the plane was displayed when it was made.

    Equal ``key`` values give equal answers.
    """

    view: ImageView
    key: Hashable
    display_key: Hashable
    made_of: dict[str, Hashable]
    data_revision: int


class Encoder:
    """Loads the chosen model and encodes planes.

    A finished encoding calls ``on_encoded`` with the plane's key, any other change ``on_change``, an error
    ``on_error``, and a window that was encoded ahead ``on_ahead``.
    """

    def __init__(
        self,
        choices: Choices,
        *,
        on_change: Callable[[], None],
        on_encoded: Callable[[Hashable], None],
        on_error: Callable[[Exception], None],
        on_ahead: Callable[[], None] = lambda: None,
        deliver: Deliver,
    ) -> None:
        self.choices = choices
        self.model: ReadyModel | None = None
        self.load_error = ""
        self._computation: Computation | None = None
        self._on_change = on_change
        self._on_encoded = on_encoded
        self._on_error = on_error
        self._on_ahead = on_ahead
        self._worker = Worker("encoding", self._finished, self._progressed, deliver=deliver)
        self._stored: OrderedDict[Hashable, Stored] = OrderedDict()
        self._store: MemoryStore | None = None  # of regions
        self._views: dict[Hashable, Viewed] = {}
        self._sampled: WeakSet[ImageView] = WeakSet()
        self._serial = count()
        self.region_progress: tuple[int, int] | None = None  # of a region that a prompt waits for
        # pixel hashes of all planes ever encoded, by key: a session identifies its image by them
        self.pixels: dict[Hashable, str] = {}
        self._wanted: EncodedPlane | None = None
        self._window: Window | None = None  # of the wanted plane; None for all of it
        self._needs_model_only = False
        self._loading: Ticket | None = None
        self._encoding: Ticket | None = None
        self._progress = (0, 0)
        self._started = 0.0

    @property
    def computation(self) -> Computation | None:
        """The model in use and this process, for the record of its answers."""
        if self.model is None or self._computation is None:
            return None
        return self._computation.decoding_in(self.model.predictor.model.decoder)

    @property
    def busy(self) -> bool:
        return self._worker.busy

    @property
    def is_loading(self) -> bool:
        return self._loading is not None

    def choose(self, choices: Choices) -> None:
        """Load another model, and drop the encodings of the last one."""
        self.choices = choices
        self.model = None
        self.load_error = ""
        self._forget_encodings()
        self._drop_encoding()
        if self._loading is not None:
            self._loading.cancel()

        def job(ticket: Ticket) -> tuple[ReadyModel, Environment]:
            ready = models.load(choices, ticket)
            # in this thread, as other plugins change the number of threads that torch uses in the main one
            return ready, Environment.now()

        self._loading = self._worker.submit(LOAD, job)
        self._on_change()

    def forget_model(self, choices: Choices) -> None:
        """Drop the model, because the chosen one's file is missing."""
        self.choices = choices
        self.model = None
        self._forget_encodings()
        self._drop_encoding()
        self._worker.cancel(LOAD)
        self._loading = None
        self._on_change()

    def stored(self, plane: EncodedPlane) -> Stored | None:
        """The newest encoding of this plane, up to date or not."""
        found = self._stored.get(plane.key)
        if found is not None:
            self._stored.move_to_end(plane.key)
        return found

    def viewed(self, plane: EncodedPlane, *, renew: bool = False) -> Viewed:
        """The plane's view; a new one if there is none, or the image's data changed.

        A view of another contrast that has encoded something stays in use until ``renew``, as a whole
        encoding does.
        """
        assert self.model is not None
        found = self._views.get(plane.key)
        if (
            found is not None
            and not renew
            and found.data_revision == plane.data_revision
            and (found.display_key == plane.display_key or found.view.encoded)
        ):
            return found
        if self._store is None:
            from napari_samv1.engine.store import MemoryStore

            self._store = MemoryStore()
        view = plane.view(self.model.predictor, self._store)
        key = plane.key, next(self._serial)
        found = self._views[plane.key] = Viewed(
            view, key, plane.display_key, plane.seen.made_of, plane.data_revision
        )
        return found

    def is_encoding(self, plane: EncodedPlane) -> bool:
        """True while this plane's encoding runs or waits for the model."""
        return self._wanted is not None and self._wanted.key == plane.key

    def encode(self, plane: EncodedPlane, window: Window | None = None) -> None:
        """Encode this plane, or a window of it, now or as soon as the model is there.

        Any other encoding is cancelled.
        """
        self._want(plane, window, needs_model_only=False)

    def await_model(self, plane: EncodedPlane) -> None:
        """Load the model and call ``on_encoded``; the plane's regions are encoded when prompts need them."""
        self._want(plane, None, needs_model_only=True)

    def _want(self, plane: EncodedPlane, window: Window | None, *, needs_model_only: bool) -> None:
        self._drop_encoding()
        if self.model is None and self._loading is None:
            self.choose(self.choices)
        self._wanted, self._window, self._needs_model_only = plane, window, needs_model_only
        if self.model is not None:
            self._begin(plane, self.model)
        self._on_change()

    def encode_ahead(self, plane: EncodedPlane, window: Window) -> None:
        """Encode a window of the plane if the thread is idle."""
        if self.model is None or self._worker.busy:
            return
        view = self.viewed(plane).view

        def job(ticket: Ticket) -> None:
            view.encode(window, ticket.count)

        self._worker.submit(AHEAD, job)

    def find_limits_ahead(self, plane: EncodedPlane, window: Window) -> None:
        """Read a plane's sample for the limits of all its regions, if the thread is idle."""
        if self.model is None or self._worker.busy:
            return
        view = self.viewed(plane).view
        if view in self._sampled:
            return

        def job(_ticket: Ticket) -> None:
            view.request(window)
            self._sampled.add(view)

        self._worker.submit(AHEAD, job)

    def stop_ahead(self) -> None:
        """Cancel encoding ahead: the view moved, or a prompt needs the thread."""
        self._worker.cancel(AHEAD)

    def is_encoded(self, plane: EncodedPlane, window: Window) -> bool:
        """True if a window of the plane is encoded in its current view."""
        found = self._views.get(plane.key)
        return found is not None and any(region.window_yxhw == window for region in found.view.encoded)

    def windows(self, plane: EncodedPlane) -> tuple[Window, ...]:
        """Encoded windows of the plane."""
        found = self._views.get(plane.key)
        return () if found is None else tuple(region.window_yxhw for region in found.view.encoded)

    @property
    def side(self) -> int:
        """Model pixels along a region's longer side, also before the model is loaded."""
        if self.model is not None:
            return self.model.predictor.model.preparation.side
        registered = MODELS.get(self.choices.model)
        if registered is not None:
            return registered.preparation.side
        return PREPARATIONS.get(self.choices.preparation, PUBLISHED).side

    def grid(self, plane: EncodedPlane, detail: Detail) -> RegionGrid:
        """The regions of a plane at a detail."""
        from napari_samv1.engine.regions import RegionGrid

        return RegionGrid.at(plane.shape_yx, self.side, detail)

    def window_at(self, plane: EncodedPlane, detail: Detail, point_yx: ArrayLike) -> Window | None:
        """The window that answers prompts at a point; None for the whole plane."""
        return None if detail == "whole" else self.grid(plane, detail).nearest(point_yx)

    def cancel(self) -> None:
        """Cancel the running or waiting encoding."""
        self._drop_encoding()
        self._on_change()

    def stop(self) -> bool:
        """End the thread; a running encoding ends after its block."""
        self._wanted = None
        return self._worker.stop()

    def status(
        self, plane: EncodedPlane | None, detail: Detail = "whole", point_yx: ArrayLike = (0, 0)
    ) -> EncodingStatus:
        """Status of the encoding that answers the next prompt: the plane's, or a region's around a point."""
        if plane is None:
            return EncodingStatus(Encoding.NO_IMAGE, "no image", can_encode=False)
        hint = self._hint(plane, detail)
        if self.region_progress is not None:
            return EncodingStatus(Encoding.ENCODING, "encoding a region", hint, *self.region_progress)
        if self.is_encoding(plane):
            if self._encoding is None:
                return EncodingStatus(Encoding.WAITING, "waiting for the model …", hint)
            done, total = self._progress
            return EncodingStatus(Encoding.ENCODING, f"encoding{self._time_left()}", hint, done, total)
        window = self.window_at(plane, detail, point_yx)
        found: Stored | Viewed | None = self._stored.get(plane.key)
        needed, at = self._time_needed(plane.shape_yx), ""
        if window is not None:
            found = self._views.get(plane.key) if self.is_encoded(plane, window) else None
            needed = self._time_needed(window[2:])
            at = "" if detail == "whole" else f" here at {detail_in_words(float(detail))}"
        if found is None:
            return EncodingStatus(Encoding.NOT_ENCODED, f"not encoded{at}{needed}", hint)
        if found.data_revision != plane.data_revision:
            return EncodingStatus(Encoding.STALE, f"the image's data changed since{needed}", hint)
        if found.display_key != plane.display_key:
            differing = (name for name, now in plane.seen.made_of.items() if found.made_of[name] != now)
            changed = next(differing, "contrast")
            sentence = f"{changed} changed since encoding; still in use{needed}"
            return EncodingStatus(Encoding.STALE, sentence, hint)
        # pixels changed in place go unnoticed, as napari has no event for it
        return EncodingStatus(Encoding.READY, f"ready{at}", hint)

    def _begin(self, plane: EncodedPlane, model: ReadyModel) -> None:
        if self._needs_model_only:
            self._wanted = None
            self._on_encoded(plane.key)
            return
        self._progress = (0, model.predictor.model.config.depth)
        self._started = time.monotonic()
        window = self._window
        by_view = window is not None or not plane.is_read_wholly
        # a new view, because pixels may have been changed in place
        view = self.viewed(plane, renew=True).view if by_view else None

        def job(ticket: Ticket) -> tuple[EncodedPlane, Embedding | None, Mapping[Hashable, str]]:
            if view is not None:
                made = view.encode(window or (0, 0, *plane.shape_yx), ticket.count)
                return plane, None if window else made, plane.hashes()
            seen = plane.seen_pixels()
            embedding = model.predictor.embed(
                seen.pixels, intensity=seen.intensity, gamma=seen.gamma, on_progress=ticket.count
            )
            if seen.display is not None:
                embedding = replace(embedding, key=replace(embedding.key, display=seen.display))
            return plane, embedding, seen.hashes

        self._encoding = self._worker.submit(ENCODE, job)

    def _drop_encoding(self) -> None:
        self._wanted = None
        self.stop_ahead()
        if self._encoding is not None:
            self._encoding.cancel()
            self._worker.cancel(ENCODE)
            self._encoding = None

    def _forget_encodings(self) -> None:
        self._stored.clear()
        self._views.clear()
        if self._store is not None:
            self._store.clear()

    def _finished(self, outcome: Outcome) -> None:
        if outcome.key == LOAD:
            self._loaded(outcome)
        elif outcome.key == ENCODE:
            self._encoded(outcome)
        elif not outcome.cancelled:
            if outcome.error is not None:
                logger.info("a region could not be encoded ahead", exc_info=outcome.error)
            else:
                self._on_ahead()
            self._on_change()

    def _loaded(self, outcome: Outcome) -> None:
        if outcome.cancelled or (outcome.value is not None and outcome.value[0].choices != self.choices):
            return
        self._loading = None
        if outcome.error is not None:
            self.load_error = sentence_of(outcome.error)
            self._wanted = None
            self._on_error(outcome.error)
        else:
            self.model, environment = outcome.value
            loaded = self.model.predictor.model
            self._computation = Computation(loaded.name, self.model.choices.model, environment)
            if self._wanted is not None:
                self._begin(self._wanted, self.model)
        self._on_change()

    def _encoded(self, outcome: Outcome) -> None:
        if outcome.cancelled:
            return
        wanted, self._wanted, self._encoding = self._wanted, None, None
        if outcome.error is not None:
            self._on_error(outcome.error)
            self._on_change()
            return
        plane, embedding, pixels = outcome.value
        self.pixels.update(pixels)
        if wanted is None or wanted.key != plane.key:
            return
        if embedding is not None:
            self._learn(plane)
            self._stored[plane.key] = Stored(
                embedding, plane.display_key, plane.seen.made_of, plane.data_revision
            )
            self._stored.move_to_end(plane.key)
            self._bound()
        self._on_encoded(plane.key)

    def _bound(self) -> None:
        """Drop the least recently used whole encodings until all encodings fit into their memory."""
        from napari_samv1.engine.store import most_bytes

        regions = 0 if self._store is None else self._store.nbytes
        sizes = [int(getattr(one.embedding, "nbytes", 0)) for one in self._stored.values()]
        held, most = regions + sum(sizes), most_bytes(regions + sum(sizes))
        while held > most and len(self._stored) > 1:
            _, oldest = self._stored.popitem(last=False)
            held -= int(getattr(oldest.embedding, "nbytes", 0))

    def _progressed(self, key: Hashable, progress: Any) -> None:
        if key == ENCODE and self._encoding is not None and not self._encoding.cancelled:
            self._progress = progress
            self._on_change()

    def _learn(self, plane: EncodedPlane) -> None:
        """Measure the speed of an encoding for the next estimate."""
        if self.model is None:
            return
        seconds = max(time.monotonic() - self._started, 1e-3)
        operations = self.model.seconds_for(plane.shape_yx) * self.model.rate
        self.model = replace(self.model, rate=operations / seconds)

    def _time_needed(self, hw: tuple[int, int]) -> str:
        if self.model is None:
            return ""
        seconds = self.model.seconds_for(hw)
        return f" (takes {_about(seconds)})" if seconds >= WORTH_TELLING_SECONDS else ""

    def _time_left(self) -> str:
        done, total = self._progress
        elapsed = time.monotonic() - self._started
        if self.model is None or self._wanted is None:
            return ""
        seconds = self.model.seconds_for(self._wanted.shape_yx) - elapsed
        if done:
            seconds = elapsed / done * (total - done)
        return f", {_about(seconds)} left" if seconds >= WORTH_TELLING_SECONDS else " …"

    def _hint(self, plane: EncodedPlane, detail: Detail) -> str:
        if self.model is None or detail != "whole":
            return ""
        frame = self.model.frame_for(plane.shape_yx)
        scale = min(frame.scale_yx)
        if scale >= TINY_OBJECT_SCALE:
            return ""
        return (
            f"The model sees this image {1 / scale:.1f}x smaller: objects under about "
            f"{math.ceil(frame.patch / scale)} pixels across are tiny to it. Zoom in, or choose a detail."
        )


def _about(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {round(seconds / 60)} min"
