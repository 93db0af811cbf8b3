"""Work on a GPU recorded once and launched as one: a CUDA graph.

An encoding is hundreds of small kernels, and launching them one by one takes longer than computing them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Recording:
    """Recorded work. ``replay`` repeats it: it reads its inputs' memory as it is now and writes ``output``.

    ``nbytes`` is its memory on the device. Recordings that are replayed one after the other, in the order
    of their recording, may share memory through ``pool``.
    """

    replay: Callable[[], None] = field(repr=False)
    output: Tensor = field(repr=False)
    nbytes: int
    pool: object = field(default=None, repr=False)


def can_record(device: torch.device) -> bool:
    """Return True if a device can record work: CUDA alone."""
    return device.type == "cuda"


def record(work: Callable[[], Tensor], device: torch.device, pool: object = None) -> Recording:
    """Do the work once, so that libraries are set up for it, then once more to record it.

    Raises
    ------
    RuntimeError
        If the device cannot record this work, or memory runs out.
    """
    with torch.cuda.device(device):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            work()
        torch.cuda.current_stream().wait_stream(stream)
        before = torch.cuda.memory_reserved()
        graph = torch.cuda.CUDAGraph()
        # other threads go on as they like
        with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):  # type: ignore[arg-type]
            output = work()
        held = max(0, torch.cuda.memory_reserved() - before)
    return Recording(graph.replay, output, held, graph.pool())
