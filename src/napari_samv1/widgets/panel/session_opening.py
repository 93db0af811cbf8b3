"""Search for a saved session's images: in the viewer by their pixels, in files, or by a question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QObject

from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.app.worker import Outcome, Ticket, Worker
from napari_samv1.layers.ome_tiff import open_file
from napari_samv1.layers.reopening import (
    Placed,
    channels_of,
    could_be,
    place,
    plane_of,
    show_as,
    shown_channels,
)
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.find_image import local_file, local_sample
from napari_samv1.widgets.panel.session_card import Answer, QuestionCard

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_samv1.layers.image import DisplayedPlane
    from napari_samv1.records.display import Channel
    from napari_samv1.storage.session.record import ImageRecord, PlaneRecord, SessionRecord

FIND = "find the images of a session"

Reading = tuple["DisplayedPlane", str]
"""A plane to read, and the hash that its pixels should have."""


@dataclass
class _Sought:
    """State of the search for an image or a channel that a session needs."""

    record: ImageRecord
    is_channel: bool = False
    image: Image | None = None
    others: list[Image] = field(default_factory=list)  # of the same shape, with other pixels
    opened: bool = False
    problem: str = ""

    @property
    def planes(self) -> Sequence[PlaneRecord]:
        return self.record.planes

    @property
    def name(self) -> str:
        return self.planes[0].source.name

    @property
    def title(self) -> str:
        source = self.planes[0].source
        return f"“{source.name}” ({' x '.join(map(str, source.image_shape))}, {source.dtype})"


class SessionOpener(QObject):
    """Finds the images of one session at a time, then hands them to ``on_found``.

    Pixels are read and compared on the worker's thread. If an image's pixels differ from the annotated ones,
    or an image is missing, ``card`` asks the user.
    """

    def __init__(self, viewer: Viewer, worker: Worker, card: QuestionCard) -> None:
        super().__init__()
        self._viewer, self._worker, self._card = viewer, worker, card
        self._sought: list[_Sought] = []
        self._shown: Mapping[str, Channel] = {}
        self._opened: list[Image] = []  # from files or samples of the session
        self._on_found: Callable[[Sequence[Placed]], None] = _ignore
        self._on_cancel: Callable[[], None] = _do_nothing

    def find(
        self,
        record: SessionRecord,
        on_found: Callable[[Sequence[Placed]], None],
        on_cancel: Callable[[], None],
    ) -> None:
        """Find the images of a session; cancel a running search."""
        self._worker.cancel(FIND)
        self._sought = [_Sought(image) for image in record.images if image.planes]
        self._sought += [_Sought(channel, is_channel=True) for channel in channels_of(record)]
        self._shown = shown_channels(record)
        self._opened = []
        self._on_found, self._on_cancel = on_found, on_cancel
        self._look()

    def found(self, outcome: Outcome) -> None:
        """Take the worker's comparison of pixels, and continue the search."""
        if outcome.cancelled:
            return
        if outcome.error is not None:
            self._ask_about_missing(str(outcome.error))
            return
        for sought, image, is_same in outcome.value:
            if is_same and sought.image is None and not self._is_taken(image):
                sought.image = image
                if image in self._opened:
                    show_as(image, self._shown.get(sought.planes[0].source.pixels))
            elif image not in sought.others:
                sought.others.append(image)
        if self._open_files():
            self._look()
        else:
            self._ask_about_pixels()

    @property
    def missing_channels(self) -> tuple[str, ...]:
        """Names of channels that were not found, without which the session opens all the same."""
        return tuple(sought.name for sought in self._sought if sought.is_channel and sought.image is None)

    def _look(self) -> None:
        """Compare the pixels of all images in the viewer that could be needed."""
        readings = []
        for sought in self._sought:
            if sought.image is not None:
                continue
            for image in self._candidates(sought):
                try:
                    planes = [(plane_of(image, record), record.source) for record in sought.planes]
                except NoPlaneError:
                    continue
                hashes = [
                    (plane, source.pixels) for plane, source in planes if plane is not None and source.pixels
                ]
                fits = all(plane is not None for plane, _ in planes)
                # without a hash, compare names
                guess = fits and image.name == sought.name
                readings.append((sought, image, fits, guess, hashes))

        def compare(ticket: Ticket) -> list[tuple[_Sought, Image, bool]]:
            compared = []
            for sought, image, fits, guess, hashes in readings:
                ticket.check()
                is_same = fits and (_is_same(hashes, ticket) if hashes else guess)
                compared.append((sought, image, is_same))
            return compared

        self._worker.submit(FIND, compare)

    def _candidates(self, sought: _Sought) -> list[Image]:
        images = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image)
            and could_be(layer, sought.planes[0].source)
            and not any(layer is other for other in sought.others)
        ]
        return sorted(images, key=lambda image: image.name != sought.name)

    def _is_taken(self, image: Image) -> bool:
        return any(sought.image is image for sought in self._sought)

    def _open_files(self) -> bool:
        """Open the files or samples of missing images; True if any opened."""
        came = False
        origins = set()
        for sought in self._sought:
            if sought.image is not None or sought.opened:
                continue
            sought.opened = True
            source = sought.planes[0].source
            if (source.path, source.sample) in origins:
                continue  # a file of several channels
            origins.add((source.path, source.sample))
            before = set(map(id, self._viewer.layers))
            try:
                self._open(sought)
            except SessionError as error:
                sought.problem = str(error)
            new = [layer for layer in self._viewer.layers if id(layer) not in before]
            fitting = [
                layer
                for layer in new
                if isinstance(layer, Image) and could_be(layer, sought.planes[0].source)
            ]
            self._opened += [layer for layer in new if isinstance(layer, Image)]
            for image in fitting:
                # a damaged session may hold an invalid place: the image then stays where it is
                with suppress(ValueError, ArithmeticError, np.linalg.LinAlgError):
                    place(image, sought.planes)
            came = came or bool(fitting)
        return came

    def _open(self, sought: _Sought) -> None:
        source = sought.planes[0].source
        # readers of other plugins may raise any error
        try:
            if source.sample:
                self._viewer.open_sample(*local_sample(source))
            else:
                open_file(self._viewer, local_file(source))
        except SessionError:
            raise
        except Exception as error:
            origin = f"sample {source.sample}" if source.sample else source.path
            raise SessionError(f"{origin} could not be opened: {error or type(error).__name__}") from error

    def _ask_about_pixels(self) -> None:
        for sought in self._sought:
            others = [image for image in sought.others if not self._is_taken(image)]
            fitting = [image for image in others if self._reaches(image, sought)]
            # a channel with other pixels is another channel
            if sought.image is not None or not fitting or sought.is_channel:
                continue
            image = fitting[0]
            if all(record.source.pixels for record in sought.planes):
                doubt = f"holds other pixels than the annotated {sought.title}"
            else:
                doubt = f"may not be the annotated {sought.title}, whose pixels the session does not record"
            self._ask(
                f"Image “{image.name}” {doubt}. Use it anyway? The objects stay as they are; "
                f"edited ones are computed again from this image.",
                [
                    ("Use this image", partial(self._take, sought, image)),
                    ("No", partial(self._pass_over, sought)),
                ],
            )
            return
        self._ask_about_missing()

    def _reaches(self, image: Image, sought: _Sought) -> bool:
        try:
            return all(plane_of(image, record) is not None for record in sought.planes)
        except NoPlaneError:
            return False

    def _take(self, sought: _Sought, image: Image) -> None:
        sought.image = image
        self._ask_about_pixels()

    def _pass_over(self, sought: _Sought) -> None:
        sought.others = []
        self._ask_about_pixels()

    def _ask_about_missing(self, problem: str = "") -> None:
        images = [sought for sought in self._sought if not sought.is_channel]
        missing = [sought for sought in images if sought.image is None]
        placed = [(sought.image, sought.record) for sought in images if sought.image is not None]
        if not missing and not problem:
            self._on_found(placed)
            return
        names = " and ".join(sought.title for sought in missing)
        reasons = [problem, *(sought.problem for sought in missing)]
        because = "".join(f" {reason[0].upper()}{reason[1:]}." for reason in reasons if reason)
        answers: list[Answer] = [("Try again", self._try_again), ("Cancel", self._on_cancel)]
        if placed:
            answers.insert(1, ("Leave out", lambda: self._on_found(placed)))
        noun = "image" if len(missing) == 1 else "images"
        self._ask(f"This session needs {noun} {names}.{because} Open it in napari, then try again.", answers)

    def _try_again(self) -> None:
        for sought in self._sought:
            sought.opened, sought.problem, sought.others = False, "", []
        self._look()

    def _ask(self, sentence: str, answers: Sequence[Answer]) -> None:
        self._card.ask(sentence, answers)


def _is_same(readings: Sequence[Reading], ticket: Ticket) -> bool:
    for plane, pixels in readings:
        ticket.check()
        if not plane.has_pixels(pixels):
            return False
    return True


def _ignore(_placed: Sequence[Placed]) -> None:
    """Default callback: does nothing."""


def _do_nothing() -> None:
    """Default callback: does nothing."""
