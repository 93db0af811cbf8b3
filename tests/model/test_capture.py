"""How CUDA is asked to record, by its own signatures: there is no card here to record on."""

from __future__ import annotations

from contextlib import nullcontext
from threading import Thread
from unittest.mock import MagicMock, create_autospec

import pytest
import torch

from napari_samv1.model import capture
from napari_samv1.model.capture import record

DEVICE = torch.device("cuda")


class Cuda:
    """torch.cuda with its own signatures: notes what is done, in order, and what memory is held."""

    def __init__(self, monkeypatch):
        self.done: list[str] = []
        self.streams: list[MagicMock] = []
        self.graphs: list[MagicMock] = []
        self.given: list[dict] = []
        self.reserved, self.cached = 1000, 300
        self.error: Exception | None = None
        for name, stand_in in {
            "device": lambda device: nullcontext(),
            "stream": lambda stream: nullcontext(),
            "current_stream": MagicMock,
            "Stream": self._stream,
            "CUDAGraph": self._cuda_graph,
            "graph": create_autospec(torch.cuda.graph, side_effect=self._graph),
            "synchronize": create_autospec(torch.cuda.synchronize),
            "empty_cache": create_autospec(torch.cuda.empty_cache, side_effect=self._empty_cache),
            "memory_reserved": create_autospec(torch.cuda.memory_reserved, side_effect=lambda: self.reserved),
        }.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)

    def _stream(self):
        self.streams.append(MagicMock())
        return self.streams[-1]

    def _cuda_graph(self):
        self.graphs.append(MagicMock(spec=["replay", "pool"]))
        return self.graphs[-1]

    def _empty_cache(self):
        self.reserved -= self.cached
        self.cached = 0

    def _graph(self, graph, **given):
        self.given.append(given)
        cuda = self

        class Capturing:
            def __enter__(self):
                torch.cuda.empty_cache()
                cuda.done.append("capture")
                if cuda.error is not None:
                    raise cuda.error

            def __exit__(self, *_):
                cuda.done.append("end")
                cuda.reserved += 50

        return Capturing()


@pytest.fixture
def cuda(monkeypatch):
    return Cuda(monkeypatch)


def test_work_is_done_once_before_it_is_recorded_and_its_memory_is_what_the_recording_took(cuda):
    output = torch.ones(2)

    def work():
        cuda.done.append("work")
        return output

    made = record(work, DEVICE)
    assert cuda.done == ["work", "capture", "work", "end"]
    assert made.output is output
    assert made.nbytes == 50
    assert made.replay == cuda.graphs[0].replay


def test_recordings_of_one_pool_are_made_on_one_stream(cuda):
    first = record(lambda: torch.ones(1), DEVICE)
    second = record(lambda: torch.ones(1), DEVICE, first.pool)
    other = record(lambda: torch.ones(1), DEVICE)
    own, shared, new = cuda.given
    assert own["pool"] is None
    assert shared["pool"] is cuda.graphs[0].pool.return_value
    assert shared["stream"] is own["stream"] is cuda.streams[0]
    assert new["stream"] is cuda.streams[1]
    assert second.pool.stream is cuda.streams[0]
    assert other.pool.stream is cuda.streams[1]
    assert {given["capture_error_mode"] for given in cuda.given} == {"thread_local"}


def test_where_recording_fails_the_next_one_may_begin(cuda):
    cuda.error = RuntimeError("operation not permitted when stream is capturing")
    with pytest.raises(RuntimeError, match="when stream is capturing"):
        record(lambda: torch.ones(1), DEVICE)
    cuda.error = None
    assert record(lambda: torch.ones(1), DEVICE).nbytes == 50


def test_one_thread_records_at_a_time(cuda):
    inside: list[bool] = []

    def work():
        inside.append(capture._RECORDING.locked())
        return torch.ones(1)

    threads = [Thread(target=record, args=(work, DEVICE)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside == [True] * 4
    assert cuda.done == ["capture", "end"] * 2
