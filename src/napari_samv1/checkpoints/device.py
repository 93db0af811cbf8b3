"""Device and precision of a network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, get_args

import torch

Precision = Literal["auto", "float32", "bfloat16"]
# x86: dot products or tiles; ARM: the processor's own flag
NATIVE_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def choose_device(wanted: str | torch.device = "auto") -> torch.device:
    """The device asked for, if it can be used here; ``"auto"`` is CUDA, then MPS, then the CPU."""
    if wanted == "auto":
        has_mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda', 'cuda:1', ... or 'mps', got {wanted!r}"
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device {str(device)!r} is not available: torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA devices here; use device='auto' or 'cpu'"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device 'mps' needs macOS on Apple silicon; use device='auto' or 'cpu'")
    if device.type not in {"cpu", "cuda", "mps"}:
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or 'mps', got {wanted!r}")
    return device


def choose_dtype(wanted: Precision, device: torch.device) -> torch.dtype:
    """The precision asked for; ``"auto"`` is bfloat16 where the device computes in it, else float32."""
    if wanted not in get_args(Precision):
        raise ValueError(
            f"dtype must be one of {', '.join(get_args(Precision))} (float16 overflows in the largest "
            f"encoder), got {wanted!r}"
        )
    if wanted != "auto":
        return torch.float32 if wanted == "float32" else torch.bfloat16
    is_native = (
        cuda_has_bfloat16(device) if device.type == "cuda" else device.type == "cpu" and cpu_has_bfloat16()
    )
    return torch.bfloat16 if is_native else torch.float32


def cuda_has_bfloat16(device: torch.device) -> bool:
    """Return True from Ampere on; earlier devices emulate bfloat16, slowly."""
    if torch.version.hip:
        return bool(torch.cuda.is_bf16_supported())
    return torch.cuda.get_device_capability(device) >= (8, 0)


def cpu_has_bfloat16() -> bool:
    """Return True if the processor multiplies in bfloat16, which makes it faster than float32."""
    if sys.platform == "darwin":
        return False  # torch has no fast bfloat16 products there, even if the processor has
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:
        return any(capabilities().get(flag, False) for flag in NATIVE_BFLOAT16)
    try:  # before torch 2.12 only Linux tells the capabilities
        return not NATIVE_BFLOAT16.isdisjoint(
            Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split()
        )
    except OSError:
        return False
