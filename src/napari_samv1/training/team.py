"""Processes that make every step together: each with its crops, all with one gradient.

On a CPU, two processes of one thread each make nearly twice the steps of one process of two threads, because
most of a small network's step is many short operations, which threads slow down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import BrokenBarrierError
from typing import Any

import torch
from torch import Tensor, multiprocessing, nn

PATIENCE_SECONDS = 1800.0
"""Longest wait for another process: the first may be scoring meanwhile."""


@dataclass(frozen=True, eq=False)
class Seat:
    """One process's place among ``size``; it can be passed to a process that is being started.

    ``gradients`` (size, numbers) and ``present`` (size, parameters) lie in memory that all processes share.
    """

    rank: int
    size: int
    gradients: Tensor
    present: Tensor
    barrier: Any

    @classmethod
    def alone(cls) -> Seat:
        """The seat of a run in a single process."""
        return cls(0, 1, torch.empty(0), torch.empty(0), None)

    def share_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace every gradient by its mean over all seats; wait for the other processes.

        A gradient that no process has stays absent; in a process that lacks one, it counts as zero.

        Raises
        ------
        RuntimeError
            If another process has ended, or does not come within half an hour.
        """
        if self.size == 1:
            return
        numbers, place = self.gradients[self.rank], 0
        for index, parameter in enumerate(parameters):
            room = numbers[place : place + parameter.numel()]
            place += parameter.numel()
            self.present[self.rank, index] = parameter.grad is not None
            if parameter.grad is None:
                room.zero_()
            else:
                room.copy_(parameter.grad.flatten())
        self._wait()
        mean, present, place = self.gradients.mean(0), self.present.any(0).tolist(), 0
        self._wait()  # no process writes the next gradients before all have read these
        for parameter, is_present in zip(parameters, present, strict=True):
            some = mean[place : place + parameter.numel()].view_as(parameter)
            parameter.grad = some.to(parameter.device) if is_present else None
            place += parameter.numel()

    def leave(self) -> None:
        """Tell the other processes at once that this one makes no further step."""
        if self.size > 1:
            self.barrier.abort()

    def _wait(self) -> None:
        try:
            self.barrier.wait(PATIENCE_SECONDS)
        except BrokenBarrierError:
            raise RuntimeError(
                "another process of this run has ended; run the same command again to continue"
            ) from None


def seats(size: int, parameters: Sequence[nn.Parameter]) -> list[Seat]:
    """Places for ``size`` processes that train equal copies of ``parameters``."""
    if size == 1:
        return [Seat.alone()]
    gradients = torch.zeros(size, sum(p.numel() for p in parameters)).share_memory_()
    present = torch.zeros(size, len(parameters), dtype=torch.bool).share_memory_()
    barrier = multiprocessing.get_context("spawn").Barrier(size)
    return [Seat(rank, size, gradients, present, barrier) for rank in range(size)]
