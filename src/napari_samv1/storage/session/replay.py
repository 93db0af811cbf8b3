"""Replay: make every mask of a session again, without napari, and compare."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from napari_samv1.annotation.pieces import Answer, Piece, paint_over
from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.load import load_model
from napari_samv1.checkpoints.registry import MODELS
from napari_samv1.engine.answers import derive
from napari_samv1.engine.embedding import Embedding, EmbeddingKey
from napari_samv1.engine.plane_pixels import PlanePixels
from napari_samv1.engine.predictor import Predictor
from napari_samv1.engine.store import MemoryStore
from napari_samv1.engine.view import ImageView
from napari_samv1.images.displayed import displayed
from napari_samv1.images.projected import projected
from napari_samv1.images.source import Source
from napari_samv1.images.stacked import OnePlaneSource, StackedSource
from napari_samv1.records.computation import Computation, Environment
from napari_samv1.records.display import Channel, Display
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import MaskCrop, joint_region
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.preparation import Sizing
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.find_image import open_plane, open_slices
from napari_samv1.storage.session.record import PlaneRecord, SessionRecord

if TYPE_CHECKING:
    from napari_samv1.checkpoints.record import LoadedModel

Path = str | os.PathLike[str]
Load = Callable[..., "LoadedModel"]

SIZINGS: tuple[Sizing, ...] = ("native", "padded", "stretched")


@dataclass(frozen=True)
class Replayed:
    """Replay of one object. ``differing`` counts pixels, None where the mask could not be made again.

    ``note`` is a sentence on differences from the record, or "".
    """

    plane: int
    object_id: int
    area: int
    differing: int | None
    note: str = ""

    @property
    def identical(self) -> bool:
        """True if no pixel differs."""
        return self.differing == 0

    def __str__(self) -> str:
        if self.differing is None:
            outcome = "not repeated"
        elif self.identical:
            outcome = f"identical ({self.area} pixels)"
        else:
            outcome = f"{self.differing} pixels differ of {self.area}"
        return f"object {self.object_id}: {outcome}" + (f". {self.note}" if self.note else "")


def replay(
    record: SessionRecord,
    *,
    image: Path | None = None,
    model: Path | None = None,
    device: str | None = None,
    load: Load = load_model,
) -> Iterator[Replayed]:
    """Make each object's mask again from its image, prompts, model and settings, as it was made.

    Runs with the recorded number of threads, and restores the present one at the end. ``image``, ``model``
    and ``device`` replace the recorded ones; the hashes of image and weights must agree with the record.

    Raises
    ------
    SessionError, CheckpointError
        If an image or a model is missing, or differs from the recorded one.
    """
    threads = torch.get_num_threads()
    means = _Means(image, model, device, load)
    try:
        for number, plane in enumerate(record.planes, start=1):
            for result in _replay_plane(plane, means):
                yield Replayed(number, *result)
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class _Means:
    """The caller's replacements for recorded models and images, and the models loaded so far."""

    image: Path | None
    model: Path | None
    device: str | None
    load: Load
    loaded: dict[object, LoadedModel] = field(default_factory=dict)

    def model_of(self, key: EmbeddingKey, computation: Computation) -> LoadedModel:
        """Load the model that gave an answer, with the same weights."""
        source = self.model if self.model is not None else _recorded_model(computation)
        device = key.device if self.device is None else self.device
        wanted = source, device, key.dtype, key.preparation, computation.decoder
        if wanted not in self.loaded:
            try:
                model = self.load(source, device=device, dtype=key.dtype, preparation=key.preparation)
                self.loaded[wanted] = model.decoding_in(computation.decoder)
            except ValueError as error:
                raise SessionError(f"the masks were made on {key.device} in {key.dtype}: {error}") from error
        if self.loaded[wanted].sha256 != key.weights:
            raise SessionError(
                f"{source} holds other weights than {computation.model} had (sha256 {key.weights[:12]}…): "
                f"give the file with --model"
            )
        return self.loaded[wanted]


_Result = tuple[int, int, int | None, str]


def _replay_plane(plane: PlaneRecord, means: _Means) -> Iterator[_Result]:
    answered = [piece for piece in plane.pieces if _is_answered(piece)]
    for piece in plane.pieces:
        if not _is_answered(piece):
            yield _unanswered(piece)
    if not answered:
        return
    source, place = open_plane(plane.source, plane.shape_yx, means.image)
    channels: dict[Channel, Source] = {}

    def made_by(piece: Piece) -> tuple[str, str]:
        return repr(_key(piece)), repr(_computation(piece))

    for _, group in groupby(sorted(answered, key=made_by), key=made_by):
        objects = list(group)
        key, computation = _key(objects[0]), _computation(objects[0])
        torch.set_num_threads(computation.environment.threads)
        predictor = Predictor(means.model_of(key, computation))
        seen = source, place
        if key.display is not None:
            sources = [_opened(channel, plane, channels, means) for channel in key.display.channels]
            seen = StackedSource(tuple(sources)), Plane()
        embedding = _embed(predictor, *seen, plane.shape_yx, key)
        note = _difference(embedding, key, computation.environment)
        for piece in objects:
            yield _compare(predictor, embedding, piece, note)


def _opened(channel: Channel, plane: PlaneRecord, opened: dict[Channel, Source], means: _Means) -> Source:
    """Pixels of a channel, from the plane's image or from another one, opened once."""
    if channel in opened:
        return opened[channel]
    recorded, file = plane.source, means.image
    if channel.pixels not in ("", plane.source.pixels):
        named = [one for one in plane.channels if one.pixels == channel.pixels]
        if not named:
            raise SessionError("the session does not name the image of one of the channels")
        recorded, file = named[0], None
    if channel.projection is None:
        source: Source
        source, place = open_plane(recorded, plane.shape_yx, file)
    else:
        slices, place = open_slices(recorded, plane.shape_yx, file)
        source = projected(slices, channel.projection)
    found = opened[channel] = OnePlaneSource(source, place)
    return found


def _unanswered(piece: Piece) -> _Result:
    if piece.derived.empty:
        # brush strokes alone are stored as pixels
        return piece.id, piece.mask.area, 0, ""
    note = "Its mask was not yet computed when the session was saved."
    if piece.origin == "automatic" and piece.answer is not None:
        note = "Its mask was cleaned up or proposed when it was found: find everything again."
    return piece.id, piece.mask.area, None, note


def _compare(predictor: Predictor, embedding: Embedding, piece: Piece, note: str) -> _Result:
    derived = _derived(predictor, embedding, piece)
    mask = paint_over(derived.mask, piece.painted_in, piece.painted_out)
    differing = count_differing(mask, piece.mask)
    notes = [note] if differing and note else []
    if derived.chosen != piece.chosen:
        notes.append(f"Candidate {derived.chosen} is the best now, {piece.chosen} was then.")
    return piece.id, piece.mask.area, differing, " ".join(notes)


def _derived(predictor: Predictor, embedding: Embedding, piece: Piece) -> Answer:
    """Decode a piece at its recorded place in a batch of the recorded size, as both affect rounding."""
    answer = piece.answer
    if answer is None:
        raise ValueError(f"object {piece.id} has no answer")
    place, size = answer.batch
    predictions = predictor.answer_each(embedding, [answer.request.prompts] * size)
    return derive(predictions[place], answer.request, answer.settings)


def _is_answered(piece: Piece) -> bool:
    return piece.answer is not None and piece.answer.made_by is not None


def _computation(piece: Piece) -> Computation:
    if piece.answer is None or piece.answer.made_by is None:
        raise ValueError(f"object {piece.id} has no answer")
    return piece.answer.made_by


def count_differing(first: MaskCrop, second: MaskCrop) -> int:
    """Count the pixels that only one of two masks holds."""
    region = joint_region(first.region, second.region)
    return int(np.count_nonzero(first.within(region) != second.within(region)))


def _key(piece: Piece) -> EmbeddingKey:
    if piece.answer is None:
        raise ValueError(f"object {piece.id} has no answer")
    return cast(EmbeddingKey, piece.answer.request.embedding_key)


def _recorded_model(computation: Computation) -> str:
    source = computation.source or computation.model
    if source not in MODELS and ("://" in source or source.startswith(("\\\\", "//"))):
        raise CheckpointError(f"the model was {source}: give its file with --model")
    return source


def _embed(
    predictor: Predictor, source: Source, plane: Plane, shape_yx: tuple[int, int], key: EmbeddingKey
) -> Embedding:
    """Make the encoding again that answered: of the whole plane, or of a region with recorded limits."""
    if key.frame.is_whole and source.in_memory:
        sizing, side = _arrangement(key, predictor.model.config.patch)
        image = source.read(Region(plane, (0, 0, *shape_yx)), shape_yx)
        if key.display is not None:
            made = predictor.embed(displayed(image, key.display), sizing=sizing, side=side)
            return replace(made, key=replace(made.key, display=key.display))
        return predictor.embed(image, sizing=sizing, side=side, intensity=key.intensity, gamma=key.gamma)
    pixels = PlanePixels(
        predictor.model,
        source,
        plane,
        shape_yx,
        intensity=key.intensity,
        gamma=key.gamma,
        limits=key.limits,
        display=None if key.display is None else partial(_recorded_display, key.display),
    )
    if pixels.frame(key.frame.window_yxhw) != key.frame:
        raise SessionError(f"the region's arrangement for the model cannot be repeated: {key.frame}")
    return ImageView(predictor, pixels, MemoryStore()).encode(key.frame.window_yxhw)


def _recorded_display(display: Display) -> Display:
    return display


def _arrangement(key: EmbeddingKey, patch: int) -> tuple[Sizing, int]:
    """Sizing and side that lead to the recorded frame: the model's defaults, or a user's choice."""
    sides = dict.fromkeys((key.preparation.side, max(key.frame.input_hw), max(key.frame.resized_hw)))
    for sizing in dict.fromkeys((key.preparation.sizing, *SIZINGS)):
        for side in sides:
            try:
                if Frame.plan(key.frame.image_hw, side=side, patch=patch, sizing=sizing) == key.frame:
                    return sizing, side
            except ValueError:
                continue
    raise SessionError(f"the image's arrangement for the model cannot be repeated: {key.frame}")


def _difference(embedding: Embedding, key: EmbeddingKey, recorded: Environment) -> str:
    """Sentence on differences from the recorded environment, or ""."""
    now, changed = Environment.now(), []
    if embedding.key.device != key.device:
        changed.append(f"device {key.device} then, {embedding.key.device} now")
    for name in ("package", "torch", "numpy", "threads", "processor", "platform"):
        then, here = getattr(recorded, name), getattr(now, name)
        if then != here:
            changed.append(f"{name} {then} then, {here} now")
    if embedding.key.pixels != key.pixels:
        changed.append("the prepared input of the model differs")
    return f"Not as recorded: {'; '.join(changed)}." if changed else ""
