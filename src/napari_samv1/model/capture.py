"""Work on a GPU recorded once and launched as one: a CUDA graph.

An encoding is hundreds of small kernels, and launching them one by one takes longer than computing them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from napari_samv1.model.memory import release

_RECORDING = Lock()


@dataclass(frozen=True, eq=False)
class Pool:
    """Memory of recordings, and their stream: recordings on another one could not reuse it."""

    memory: Any
    stream: Any


@dataclass(frozen=True, eq=False)
class Recording:
    """Recorded work. ``replay`` repeats it: it reads its inputs' memory as it is now and writes ``output``.

    ``nbytes`` is its memory on the device. Recordings that are replayed one after the other, in the order
    of their recording, may share memory through ``pool``.
    """

    replay: Callable[[], None] = field(repr=False)
    output: Tensor = field(repr=False)
    nbytes: int
    pool: Pool | None = field(default=None, repr=False)


def can_record(device: torch.device) -> bool:
    """Return True if a device can record work: CUDA alone."""
    return device.type == "cuda"


def record(work: Callable[[], Tensor], device: torch.device, pool: Pool | None = None) -> Recording:
    """Do the work once, so that libraries are set up for it, then once more to record it.

    Raises
    ------
    RuntimeError
        If the device cannot record this work, or memory runs out.
    """
    # a process may record one graph at a time
    with _RECORDING, torch.cuda.device(device):
        memory, stream = (None, torch.cuda.Stream()) if pool is None else (pool.memory, pool.stream)
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            work()
        torch.cuda.current_stream().wait_stream(stream)
        # a recording begins by freeing cached memory, which must not lower ``held``
        torch.cuda.synchronize()
        release(device)
        before = torch.cuda.memory_reserved()
        graph = torch.cuda.CUDAGraph()
        # other threads may use the device meanwhile
        with torch.cuda.graph(graph, pool=memory, stream=stream, capture_error_mode="thread_local"):
            output = work()
        held = max(0, torch.cuda.memory_reserved() - before)
        return Recording(graph.replay, output, held, Pool(graph.pool(), stream))
