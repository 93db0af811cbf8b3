"""Out-of-memory errors: recognising them, releasing memory, and the message."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

Made = TypeVar("Made")


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if memory ran out: CUDA has an error class for it, the CPU and MPS only a message."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError)
        and any(words in str(error) for words in ("out of memory", "not enough memory"))
    )


def if_there_is_memory(work: Callable[[], Made]) -> Made | None:
    """Return the result of some work, or None if memory runs out."""
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # memory held by the failed attempt is released only here, behind the exception
    return None


def release(device: torch.device) -> None:
    """Free the memory that a failed attempt held, for the next attempt and for other programs."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def free_bytes(device: torch.device) -> int:
    """Bytes of a GPU for new tensors: free memory, and memory that torch holds in reserve."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    raise ValueError(f"expected a CUDA or MPS device, got {str(device)!r}")


def total_bytes(device: torch.device) -> int:
    """All memory of a CUDA device."""
    return int(torch.cuda.get_device_properties(device).total_memory)


def too_little(task: str, device: torch.device) -> MemoryError:
    """Error that names the task for which memory does not suffice, and the remedy."""
    remedy = "close other programs, or choose a smaller model"
    if device.type != "cpu":
        remedy = (
            "close other programs that use it, choose a smaller model, or the device cpu, which is slower"
        )
    return MemoryError(f"memory does not suffice on {device} to {task}: {remedy}")
