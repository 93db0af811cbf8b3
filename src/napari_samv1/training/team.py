"""Processes that make every step together: each its own crops, all of them one gradient.

On a processor, two processes of one thread each make nearly twice the steps of one process of two threads:
most of a small network's step is many short operations, which threads only hinder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import BrokenBarrierError
from typing import Any

import torch
from torch import Tensor, multiprocessing, nn

PATIENCE_SECONDS = 1800.0
"""The first process may be scoring meanwhile."""


@dataclass(frozen=True, eq=False)
class Seat:
    """One process's place among ``size``; can be handed to a process that is being started.

    ``gradients`` (size, numbers) and ``given`` (size, parameters) lie in memory that all of them see.
    """

    rank: int
    size: int
    gradients: Tensor
    given: Tensor
    barrier: Any

    @classmethod
    def alone(cls) -> Seat:
        """The seat of a run in a single process."""
        return cls(0, 1, torch.empty(0), torch.empty(0), None)

    def share_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace every gradient by the mean over all seats, in all of them; waits for the others.

        A gradient that no process has stays absent, one that some lack counts as zero there.

        Raises
        ------
        RuntimeError
            If another process has ended, or does not come within half an hour.
        """
        if self.size == 1:
            return
        mine, place = self.gradients[self.rank], 0
        for index, parameter in enumerate(parameters):
            room = mine[place : place + parameter.numel()]
            place += parameter.numel()
            self.given[self.rank, index] = parameter.grad is not None
            if parameter.grad is None:
                room.zero_()
            else:
                room.copy_(parameter.grad.flatten())
        self._wait()
        mean, given, place = self.gradients.mean(0), self.given.any(0).tolist(), 0
        self._wait()  # nobody writes the next step's before all have read this one's
        for parameter, is_given in zip(parameters, given, strict=True):
            some = mean[place : place + parameter.numel()].view_as(parameter)
            parameter.grad = some.to(parameter.device) if is_given else None
            place += parameter.numel()

    def leave(self) -> None:
        """Let the others know at once that this process makes no further step."""
        if self.size > 1:
            self.barrier.abort()

    def _wait(self) -> None:
        try:
            self.barrier.wait(PATIENCE_SECONDS)
        except BrokenBarrierError:
            raise RuntimeError(
                "another process of this run has ended; start the same command again to go on"
            ) from None


def seats(size: int, parameters: Sequence[nn.Parameter]) -> list[Seat]:
    """Places for ``size`` processes that train equal copies of ``parameters``."""
    if size == 1:
        return [Seat.alone()]
    gradients = torch.zeros(size, sum(p.numel() for p in parameters)).share_memory_()
    given = torch.zeros(size, len(parameters), dtype=torch.bool).share_memory_()
    barrier = multiprocessing.get_context("spawn").Barrier(size)
    return [Seat(rank, size, gradients, given, barrier) for rank in range(size)]
