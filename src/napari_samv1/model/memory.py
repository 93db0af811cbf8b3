"""Out-of-memory errors: recognising them, releasing memory, and the message."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

Made = TypeVar("Made")


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if memory ran out: CUDA has an error of its own, the CPU and MPS only say so in words."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError)
        and any(words in str(error) for words in ("out of memory", "not enough memory"))
    )


def if_there_is_memory(work: Callable[[], Made]) -> Made | None:
    """Do some work; None where memory runs out for it."""
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # memory held by the failed attempt is released only here, behind the exception
    return None


def release(device: torch.device) -> None:
    """Give back what failed attempts held, so that others and the next attempt can have it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def free_bytes(device: torch.device) -> int:
    """Memory of a GPU that tensors can still have: what is free, and what torch keeps for the next ones."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    raise ValueError(f"expected a CUDA or MPS device, got {str(device)!r}")


def total_bytes(device: torch.device) -> int:
    """All memory of a CUDA device."""
    return int(torch.cuda.get_device_properties(device).total_memory)


def too_little(what: str, device: torch.device) -> MemoryError:
    """The error that says for what memory does not suffice, and what to do."""
    remedy = "close other programs, or choose a smaller model"
    if device.type != "cpu":
        remedy = (
            "close other programs that use it, choose a smaller model, or the device cpu, which is slower"
        )
    return MemoryError(f"memory does not suffice on {device} to {what}: {remedy}")
