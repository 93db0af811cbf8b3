"""Replay: make every mask of a session again, without napari, and compare."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from napari_samv1.annotation.pieces import Answer, Piece, paint_over
from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.load import load_model
from napari_samv1.checkpoints.registry import MODELS
from napari_samv1.engine.answers import derive
from napari_samv1.engine.embedding import Embedding, EmbeddingKey
from napari_samv1.engine.predictor import Predictor
from napari_samv1.images.source import Source
from napari_samv1.records.computation import Computation, Environment
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import MaskCrop, joint_region
from napari_samv1.records.place import Plane
from napari_samv1.records.preparation import Sizing
from napari_samv1.records.scaled import scaled_crop, scaled_prompts
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.find_image import open_image, read_plane
from napari_samv1.storage.session.record import PlaneRecord, SessionRecord

if TYPE_CHECKING:
    from napari_samv1.checkpoints.record import LoadedModel

Path = str | os.PathLike[str]
Load = Callable[..., "LoadedModel"]

SIZINGS: tuple[Sizing, ...] = ("native", "padded", "stretched")


@dataclass(frozen=True)
class Replayed:
    """What came of one object. ``differing`` counts pixels, None where the mask could not be made again.

    ``note`` is a sentence on what was not as recorded, or "".
    """

    plane: int
    object_id: int
    area: int
    differing: int | None
    note: str = ""

    @property
    def identical(self) -> bool:
        """Not one pixel differs."""
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

    Runs on the recorded number of threads, which is put back at the end. ``image``, ``model`` and ``device``
    replace what is recorded; image and weights must be the same by their hashes all the same.

    Raises
    ------
    SessionError, CheckpointError
        If an image or a model is not to be had, or is another one.
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
    """What the caller gave in place of what is recorded, and the models that were loaded so far."""

    image: Path | None
    model: Path | None
    device: str | None
    load: Load
    loaded: dict[object, LoadedModel] = field(default_factory=dict)

    def model_of(self, key: EmbeddingKey, computation: Computation) -> LoadedModel:
        """The very model that gave an answer."""
        source = self.model if self.model is not None else _recorded_model(computation)
        device = key.device if self.device is None else self.device
        wanted = source, device, key.dtype, key.preparation
        if wanted not in self.loaded:
            try:
                self.loaded[wanted] = self.load(
                    source, device=device, dtype=key.dtype, preparation=key.preparation
                )
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
    pixels = _Pixels(plane, means.image)

    def made_by(piece: Piece) -> tuple[str, str]:
        return repr(_key(piece)), repr(_computation(piece))

    for _, group in groupby(sorted(answered, key=made_by), key=made_by):
        objects = list(group)
        key, computation = _key(objects[0]), _computation(objects[0])
        torch.set_num_threads(computation.environment.threads)
        predictor = Predictor(means.model_of(key, computation))
        embedding = _embed(predictor, pixels, key)
        note = _difference(embedding, key, computation.environment)
        for piece in objects:
            yield _compare(predictor, embedding, piece, note, plane.shape_yx)


def _unanswered(piece: Piece) -> _Result:
    if piece.derived.empty:
        # nothing but brush strokes, which are pixels already
        return piece.id, piece.mask.area, 0, ""
    note = "Its mask was still awaited when the session was saved."
    return piece.id, piece.mask.area, None, note


class _Pixels:
    """The recorded pixels: the plane, or the coarser level of it that older versions showed the model.

    Of regions, and of planes too large to be read whole, the image itself.
    """

    def __init__(self, plane: PlaneRecord, file: Path | None) -> None:
        self._plane, self._file = plane, file
        self._read: dict[tuple[int, int], NDArray[Any]] = {}
        self._source: Source | None = None

    def of(self, key: EmbeddingKey) -> NDArray[Any]:
        """The pixels that an encoding was made from."""
        shape_yx = key.frame.image_hw
        if shape_yx not in self._read:
            self._read[shape_yx] = read_plane(self._plane.source, shape_yx, self._file)
        return self._read[shape_yx]

    def are_read_in_part(self, key: EmbeddingKey) -> bool:
        """Whether an encoding was made without reading the whole plane at full resolution."""
        frame, source = key.frame, self._plane.source
        is_whole = frame.window_yxhw == (0, 0, *frame.image_hw)
        return not is_whole or (source.level > 0 and frame.image_hw == source.shape_yx)

    def encoded(self, predictor: Predictor, key: EmbeddingKey) -> Embedding:
        """An encoding made from a part of the image's pixels."""
        if self._source is None:
            self._source = open_image(self._plane.source, self._file)
        plane = Plane(self._plane.source.index)
        view = predictor.on_image(self._source, plane=plane, intensity=key.intensity, gamma=key.gamma)
        return view.encode(key.frame.window_yxhw)


def _compare(
    predictor: Predictor, embedding: Embedding, piece: Piece, note: str, shape_yx: tuple[int, int]
) -> _Result:
    derived = _derived(predictor, embedding, piece, shape_yx)
    mask = paint_over(derived.mask, piece.painted_in, piece.painted_out)
    differing = count_differing(mask, piece.mask)
    notes = [note] if differing and note else []
    if derived.chosen != piece.chosen:
        notes.append(f"Candidate {derived.chosen} is the best now, {piece.chosen} was.")
    return piece.id, piece.mask.area, differing, " ".join(notes)


def _derived(predictor: Predictor, embedding: Embedding, piece: Piece, shape_yx: tuple[int, int]) -> Answer:
    """The piece decoded at the place that it had in a batch of that size: sums may round by both.

    What was asked at a coarser level is asked there again, and enlarged as it was when it was opened.
    """
    answer = piece.answer
    if answer is None:
        raise ValueError(f"object {piece.id} has no answer")
    (place, size), request, coarse_yx = answer.batch, answer.request, embedding.frame.image_hw
    factors = shape_yx[0] / coarse_yx[0], shape_yx[1] / coarse_yx[1]
    if coarse_yx != shape_yx:
        prompts = scaled_prompts(request.prompts, (1 / factors[0], 1 / factors[1]), coarse_yx)
        request = replace(request, prompts=prompts)
    predictions = predictor.answer_each(embedding, [request.prompts] * size)
    made = derive(predictions[place], request, answer.settings)
    return made if coarse_yx == shape_yx else replace(made, mask=scaled_crop(made.mask, factors, shape_yx))


def _is_answered(piece: Piece) -> bool:
    return piece.answer is not None and piece.answer.made_by is not None


def _computation(piece: Piece) -> Computation:
    if piece.answer is None or piece.answer.made_by is None:
        raise ValueError(f"object {piece.id} has no answer")
    return piece.answer.made_by


def count_differing(first: MaskCrop, second: MaskCrop) -> int:
    """How many pixels only one of two masks holds."""
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


def _embed(predictor: Predictor, pixels: _Pixels, key: EmbeddingKey) -> Embedding:
    if pixels.are_read_in_part(key):
        return pixels.encoded(predictor, key)
    sizing, side = _arrangement(key, predictor.model.config.patch)
    return predictor.embed(pixels.of(key), sizing=sizing, side=side, intensity=key.intensity, gamma=key.gamma)


def _arrangement(key: EmbeddingKey, patch: int) -> tuple[Sizing, int]:
    """The sizing and the side that lead to the recorded frame: the model's own, or somebody's choice."""
    sides = dict.fromkeys((key.preparation.side, max(key.frame.input_hw), max(key.frame.resized_hw)))
    for sizing in dict.fromkeys((key.preparation.sizing, *SIZINGS)):
        for side in sides:
            try:
                if Frame.plan(key.frame.image_hw, side=side, patch=patch, sizing=sizing) == key.frame:
                    return sizing, side
            except ValueError:
                continue
    raise SessionError(f"it is not known how the image was arranged for the model: {key.frame}")


def _difference(embedding: Embedding, key: EmbeddingKey, recorded: Environment) -> str:
    """What is not as it was when the session was made, as a sentence, or ""."""
    now, changed = Environment.now(), []
    if embedding.key.device != key.device:
        changed.append(f"device {key.device} then, {embedding.key.device} now")
    for name in ("package", "torch", "numpy", "threads", "processor", "platform"):
        then, here = getattr(recorded, name), getattr(now, name)
        if then != here:
            changed.append(f"{name} {then} then, {here} now")
    if embedding.key.pixels != key.pixels:
        changed.append("the prepared input of the model is another one")
    return f"Not as recorded: {'; '.join(changed)}." if changed else ""
