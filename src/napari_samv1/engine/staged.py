"""Encodings stage by stage: recorded on a GPU, compiled if wanted."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from napari_samv1.engine.compiled import compiled_block
from napari_samv1.engine.progress import OnProgress
from napari_samv1.model.capture import Recording, can_record, record
from napari_samv1.model.image_encoder.stage import RunBlock, run_block
from napari_samv1.model.image_encoder.tables import EncoderTables
from napari_samv1.model.layers import room_measured
from napari_samv1.model.memory import release, total_bytes
from napari_samv1.model.sam import Sam
from napari_samv1.model.weights import Places, Unchanged

logger = logging.getLogger(__name__)

MOST = 3
"""Largest number of recorded encodings that a network keeps."""

SHARE = 4
"""Divisor that gives the share of the device's memory that all recordings may hold."""

Key = tuple[tuple[int, ...], torch.dtype, tuple[int, ...]]
"""Shape and dtype of the pixels, and each stage's window."""


@dataclass(frozen=True, eq=False)
class RecordedEncoding:
    """Recordings of all stages: the first reads ``pixels_bchw``, each other one the output before it.

    The tables, and the weights by ``unchanged``, are held here because the recordings read them.
    """

    pixels_bchw: Tensor
    stages: tuple[Recording, ...]
    tables: EncoderTables | None
    unchanged: Unchanged

    @property
    def nbytes(self) -> int:
        """Bytes on the device."""
        return self.pixels_bchw.nbytes + sum(stage.nbytes for stage in self.stages)


class StagedEncoder:
    """Encoder that runs a network stage by stage, with progress after each.

    Where the device can record, the second image of a shape is recorded and later ones replay it: for a
    single image, recording would be slower. Where recording fails, images of that shape stay unrecorded.
    Threads may share an encoder: one at a time uses the recordings, the others run without them.
    """

    def __init__(self, network: Sam, *, compiled: bool = False) -> None:
        # not the network: it is the weak key of this encoder, and would never be freed
        self._encoder = network.image_encoder
        self._places = Places(network.image_encoder.modules())
        self._run: RunBlock = compiled_block() if compiled else run_block
        self._lock = Lock()
        self._recorded: OrderedDict[Key, RecordedEncoding] = OrderedDict()
        self._seen: set[Key] = set()
        self._unrecordable: set[Key] = set()

    @torch.inference_mode()
    def encode(
        self,
        pixels_bchw: Tensor,
        *,
        window_sizes: Sequence[int] | None = None,
        on_progress: OnProgress | None = None,
    ) -> Tensor:
        """Prepared pixels B 3 H W -> image tokens B C h w.

        ``on_progress(blocks_done, blocks)`` is called after every stage, on a GPU as soon as it is launched;
        an exception from it ends the encoding.
        """
        encoder = self._encoder
        windows = encoder.checked(pixels_bchw, window_sizes)
        blocks = sum(len(stage.windowed) + 1 for stage in encoder.stages)  # type: ignore[arg-type, misc]

        def tell(index: int) -> None:
            if on_progress is not None:
                on_progress(blocks * (index + 1) // len(encoder.stages), blocks)

        if can_record(pixels_bchw.device) and self._lock.acquire(blocking=False):
            try:
                recorded = self._recording(pixels_bchw, windows)
                if recorded is not None:
                    recorded.pixels_bchw.copy_(pixels_bchw)
                    for index, stage in enumerate(recorded.stages):
                        stage.replay()
                        tell(index)
                    # a copy, because the next encoding overwrites the output
                    return recorded.stages[-1].output.clone()
            finally:
                self._lock.release()
        x = pixels_bchw
        tables = encoder.tables(pixels_bchw, windows)
        with room_measured(pixels_bchw.device):
            for index in range(len(encoder.stages)):
                x = encoder.run_stage(index, x, windows, tables, run=self._run)
                tell(index)
        return x

    def forget(self) -> None:
        """Drop all recordings, and their memory."""
        with self._lock:
            self._recorded.clear()

    @property
    def recorded(self) -> int:
        """Number of recordings kept."""
        return len(self._recorded)

    def _recording(self, pixels_bchw: Tensor, windows: tuple[int, ...]) -> RecordedEncoding | None:
        parameters = self._places.parameters()
        key = (tuple(pixels_bchw.shape), pixels_bchw.dtype, windows)
        found = self._recorded.pop(key, None)
        if found is not None and found.unchanged.are(parameters):
            self._recorded[key] = found  # the newest last
            return found
        del found  # recorded with other weights
        if key not in self._seen:
            self._seen.add(key)
            return None
        if key in self._unrecordable:
            return None
        try:
            made = self._record(pixels_bchw, windows, parameters)
        # drivers raise several kinds of error; encodings go on unrecorded
        except (RuntimeError, MemoryError) as error:
            self._unrecordable.add(key)
            logger.warning("encodings of %s pixels go on unrecorded, more slowly: %s", key[0][-2:], error)
            made = None
        if made is None:
            release(pixels_bchw.device)
            return None
        self._recorded[key] = made
        most = total_bytes(pixels_bchw.device) // SHARE
        while len(self._recorded) > MOST or (
            len(self._recorded) > 1 and sum(one.nbytes for one in self._recorded.values()) > most
        ):
            self._recorded.popitem(last=False)
        return made

    def _record(
        self, pixels_bchw: Tensor, windows: tuple[int, ...], parameters: Sequence[Tensor]
    ) -> RecordedEncoding:
        encoder, device = self._encoder, pixels_bchw.device
        tables = encoder.tables(pixels_bchw, windows)
        input_bchw = pixels_bchw.clone()
        x, stages, pool = input_bchw, list[Recording](), None
        with room_measured(device):
            for index in range(len(encoder.stages)):
                made = record(self._stage(index, x, windows, tables), device, pool)
                stages.append(made)
                x, pool = made.output, made.pool
        return RecordedEncoding(input_bchw, tuple(stages), tables, Unchanged(parameters))

    def _stage(
        self, index: int, x: Tensor, windows: Sequence[int], tables: EncoderTables | None
    ) -> Callable[[], Tensor]:
        return lambda: self._encoder.run_stage(index, x, windows, tables, run=self._run)


_ENCODERS: WeakKeyDictionary[Sam, dict[bool, StagedEncoder]] = WeakKeyDictionary()
_ENCODERS_LOCK = Lock()


def staged_encoder(network: Sam, *, compiled: bool = False) -> StagedEncoder:
    """Staged encoder of a network, shared by all its users."""
    with _ENCODERS_LOCK:
        encoders = _ENCODERS.setdefault(network, {})
        if compiled not in encoders:
            encoders[compiled] = StagedEncoder(network, compiled=compiled)
        return encoders[compiled]


def forget_recordings(network: Sam) -> None:
    """Drop all recordings of a network's encodings, where memory is short."""
    with _ENCODERS_LOCK:
        encoders = list(_ENCODERS.get(network, {}).values())
    for one in encoders:
        one.forget()
