"""The loaded model and the encodings it made, kept per image plane; a background thread does the work."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, Protocol

from numpy.typing import NDArray

from napari_samv1.app import models
from napari_samv1.app.models import Choices, ReadyModel
from napari_samv1.app.worker import Deliver, Outcome, Ticket, Worker
from napari_samv1.images.hashing import hash_pixels
from napari_samv1.records.computation import Computation, Environment

if TYPE_CHECKING:
    from napari_samv1.engine.embedding import Embedding

LOAD, ENCODE = "load", "encode"
KEPT_EMBEDDINGS = 32
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
    """All that a view shows of the encoding of a plane."""

    state: Encoding
    sentence: str
    hint: str = ""
    done: int = 0
    total: int = 0
    can_encode: bool = True


class EncodedPlane(Protocol):
    """A plane of an image as the canvas displays it: all that an encoding needs to know of it."""

    @property
    def key(self) -> Hashable: ...
    @property
    def display_key(self) -> Hashable: ...
    @property
    def data_revision(self) -> int: ...
    @property
    def shape_yx(self) -> tuple[int, int]: ...
    @property
    def intensity(self) -> tuple[float, float] | Literal["dtype"] | None: ...
    @property
    def gamma(self) -> float: ...
    @property
    def level_hint(self) -> str: ...
    def read(self) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Stored:
    """An encoding and how the plane was displayed when it was made."""

    embedding: Embedding
    display_key: Hashable
    data_revision: int


class Encoder:
    """Loads the chosen model and encodes planes; tells by ``on_change`` and ``on_error``.

    ``on_encoded`` is called with a plane's key when its encoding is there.
    """

    def __init__(
        self,
        choices: Choices,
        *,
        on_change: Callable[[], None],
        on_encoded: Callable[[Hashable], None],
        on_error: Callable[[Exception], None],
        deliver: Deliver,
    ) -> None:
        self.choices = choices
        self.model: ReadyModel | None = None
        self.load_error = ""
        self._computation: Computation | None = None
        self._on_change = on_change
        self._on_encoded = on_encoded
        self._on_error = on_error
        self._worker = Worker("encoding", self._finished, self._progressed, deliver=deliver)
        self._stored: OrderedDict[Hashable, Stored] = OrderedDict()
        # of every plane ever encoded, by its key: what a session's record knows its image by
        self.pixels: dict[Hashable, str] = {}
        self._wanted: EncodedPlane | None = None
        self._loading: Ticket | None = None
        self._encoding: Ticket | None = None
        self._progress = (0, 0)
        self._started = 0.0

    @property
    def computation(self) -> Computation | None:
        """The model in use and this process, for the record of its answers."""
        if self.model is None:
            return None
        if self._computation is None:
            loaded = self.model.predictor.model
            self._computation = Computation(loaded.name, self.model.choices.model, Environment.now())
        return self._computation

    @property
    def busy(self) -> bool:
        return self._worker.busy

    @property
    def is_loading(self) -> bool:
        return self._loading is not None

    def choose(self, choices: Choices) -> None:
        """Load another model; what the last one encoded is forgotten."""
        self.choices = choices
        self.model = None
        self.load_error = ""
        self._stored.clear()
        self._drop_encoding()
        if self._loading is not None:
            self._loading.cancel()
        self._loading = self._worker.submit(LOAD, lambda ticket: models.load(choices, ticket))
        self._on_change()

    def forget_model(self, choices: Choices) -> None:
        """Stand without a model: the chosen one's file is not there yet."""
        self.choices = choices
        self.model = None
        self._stored.clear()
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

    def is_encoding(self, plane: EncodedPlane) -> bool:
        """Whether this plane's encoding is under way or waits for the model."""
        return self._wanted is not None and self._wanted.key == plane.key

    def encode(self, plane: EncodedPlane) -> None:
        """Encode this plane now, or as soon as the model is there; another one under way is given up."""
        self._drop_encoding()
        self._wanted = plane
        if self.model is not None:
            self._begin(plane, self.model)
        elif self._loading is None:
            self.choose(self.choices)
            self._wanted = plane
        self._on_change()

    def cancel(self) -> None:
        """Give the running or waiting encoding up."""
        self._drop_encoding()
        self._on_change()

    def stop(self) -> bool:
        """End the thread; a running encoding ends after its block."""
        self._wanted = None
        return self._worker.stop()

    def status(self, plane: EncodedPlane | None) -> EncodingStatus:
        """What the panel says about the encoding of this plane."""
        if plane is None:
            return EncodingStatus(Encoding.NO_IMAGE, "no image", can_encode=False)
        hint = self._hint(plane)
        if self.is_encoding(plane):
            if self._encoding is None:
                return EncodingStatus(Encoding.WAITING, "waiting for the model …", hint)
            done, total = self._progress
            return EncodingStatus(Encoding.ENCODING, f"encoding{self._time_left()}", hint, done, total)
        stored = self._stored.get(plane.key)
        if stored is None:
            return EncodingStatus(Encoding.NOT_ENCODED, f"not encoded{self._time_needed(plane)}", hint)
        if stored.data_revision != plane.data_revision:
            return EncodingStatus(
                Encoding.STALE, f"the image's data changed since{self._time_needed(plane)}", hint
            )
        if stored.display_key != plane.display_key:
            return EncodingStatus(
                Encoding.STALE,
                f"contrast changed since encoding; still in use{self._time_needed(plane)}",
                hint,
            )
        # pixels may have been changed in place, of which napari says nothing
        return EncodingStatus(Encoding.READY, "ready", hint)

    def _begin(self, plane: EncodedPlane, model: ReadyModel) -> None:
        self._progress = (0, model.predictor.model.config.depth)
        self._started = time.monotonic()

        def job(ticket: Ticket) -> tuple[EncodedPlane, Embedding, str]:
            pixels = plane.read()
            embedding = model.predictor.embed(
                pixels,
                intensity=plane.intensity,
                gamma=plane.gamma,
                on_progress=lambda done, total: ticket.report((done, total)),
            )
            return plane, embedding, hash_pixels(pixels)

        self._encoding = self._worker.submit(ENCODE, job)

    def _drop_encoding(self) -> None:
        self._wanted = None
        if self._encoding is not None:
            self._encoding.cancel()
            self._worker.cancel(ENCODE)
            self._encoding = None

    def _finished(self, outcome: Outcome) -> None:
        if outcome.key == LOAD:
            self._loaded(outcome)
        else:
            self._encoded(outcome)

    def _loaded(self, outcome: Outcome) -> None:
        if outcome.cancelled or (outcome.value is not None and outcome.value.choices != self.choices):
            return
        self._loading = None
        if outcome.error is not None:
            self.load_error = str(outcome.error)
            self._wanted = None
            self._on_error(outcome.error)
        else:
            self.model, self._computation = outcome.value, None
            if self._wanted is not None:
                self._begin(self._wanted, outcome.value)
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
        self.pixels[plane.key] = pixels
        if wanted is None or wanted.key != plane.key:
            return
        self._learn(plane)
        self._stored[plane.key] = Stored(embedding, plane.display_key, plane.data_revision)
        self._stored.move_to_end(plane.key)
        while len(self._stored) > KEPT_EMBEDDINGS:
            self._stored.popitem(last=False)
        self._on_encoded(plane.key)
        self._on_change()

    def _progressed(self, key: Hashable, progress: Any) -> None:
        if key == ENCODE and self._encoding is not None and not self._encoding.cancelled:
            self._progress = progress
            self._on_change()

    def _learn(self, plane: EncodedPlane) -> None:
        """Take the measured speed for the next estimate."""
        if self.model is None:
            return
        seconds = max(time.monotonic() - self._started, 1e-3)
        operations = self.model.seconds_for(plane.shape_yx) * self.model.rate
        self.model = replace(self.model, rate=operations / seconds)

    def _time_needed(self, plane: EncodedPlane) -> str:
        if self.model is None:
            return ""
        seconds = self.model.seconds_for(plane.shape_yx)
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

    def _hint(self, plane: EncodedPlane) -> str:
        hints = [plane.level_hint] if plane.level_hint else []
        if self.model is not None:
            frame = self.model.frame_for(plane.shape_yx)
            scale = min(frame.scale_yx)
            if scale < TINY_OBJECT_SCALE:
                smallest = math.ceil(frame.patch / scale)
                hints.append(
                    f"The model sees this image {1 / scale:.1f}x smaller: objects under about "
                    f"{smallest} pixels across are tiny to it. Crop the image if yours are."
                )
        return " ".join(hints)


def _about(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {round(seconds / 60)} min"
