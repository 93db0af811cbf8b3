"""Layers used by several parts of the network."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_samv1.model.memory import free_bytes


def standard_normal(*shape: int) -> Tensor:
    """Draw numbers as ``torch.randn``; none on the meta device, for which torch would import sympy."""
    numbers = torch.empty(shape)
    return numbers if numbers.is_meta else numbers.normal_()


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of B C H W."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x_bchw: Tensor) -> Tensor:
        x_bhwc = x_bchw.permute(0, 2, 3, 1)
        normalised = functional.layer_norm(x_bhwc, self.weight.shape, self.weight, self.bias, self.eps)
        return normalised.permute(0, 3, 1, 2)


_DIVISOR: ContextVar[int] = ContextVar("divisor", default=1)


@contextmanager
def in_smaller_chunks(divisor: int = 8) -> Iterator[None]:
    """Let this thread compute in smaller chunks on every device, to save memory; results stay equal."""
    token = _DIVISOR.set(divisor)
    try:
        yield
    finally:
        _DIVISOR.reset(token)


def at_once(most: int) -> int:
    """Return the largest chunk at a time: ``most``, or less within ``in_smaller_chunks``."""
    # torch.compile cannot trace a context variable, and is not used where memory is short
    return most if torch.compiler.is_compiling() else max(1, most // _DIVISOR.get())


def at_once_on(device: torch.device, most: int) -> int:
    """Return the largest chunk on a device: ``most`` on a CPU, for its cache; elsewhere by free memory.

    On a GPU, smaller chunks gain nothing, and each costs several launches.
    """
    if device.type == "cpu" or is_short_of_memory():
        return at_once(most)
    return max(most, _room_on(device))


def is_short_of_memory() -> bool:
    """Return True within ``in_smaller_chunks``."""
    return not torch.compiler.is_compiling() and _DIVISOR.get() > 1


ROOM_SHARE = 8
"""Divisor that gives the share of free memory for one tensor, beside others of its size."""

_ROOM: ContextVar[int | None] = ContextVar("room", default=None)


@contextmanager
def room_measured(device: torch.device) -> Iterator[None]:
    """Measure a device's free memory once for all that this thread computes in the context."""
    token = _ROOM.set(None if device.type == "cpu" else _measure_room(device))
    try:
        yield
    finally:
        _ROOM.reset(token)


def _room_on(device: torch.device) -> int:
    if torch.compiler.is_compiling():
        return sys.maxsize
    measured = _ROOM.get()
    return _measure_room(device) if measured is None else measured


def _measure_room(device: torch.device) -> int:
    """Return the largest number of float32 elements of one tensor on a device."""
    return free_bytes(device) // (4 * ROOM_SHARE)


IMAGES = 16


def linear(tokens: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``functional.linear``: tokens (..., C), weight C' C.

    On a CPU with AVX-512 it is computed as a convolution of one pixel. torch leaves a float32 matrix product
    to MKL, which makes no use of AVX-512 on AMD's processors, but a convolution to oneDNN, which does: twice
    as fast there. Products under autocast go to oneDNN in any case.
    """
    if tokens.device.type != "cpu" or not _CONVOLUTION_IS_FASTER or torch.is_autocast_enabled("cpu"):
        return functional.linear(tokens, weight, bias)
    rows = tokens.reshape(-1, tokens.shape[-1])
    # with one thread, torch sends only batches of 16 images to oneDNN
    images = IMAGES if len(rows) % IMAGES == 0 else 1
    pixels_bchw = rows.view(images, 1, -1, rows.shape[1]).permute(0, 3, 1, 2)
    result_bchw = functional.conv2d(pixels_bchw, weight[:, :, None, None], bias)
    return result_bchw.permute(0, 2, 3, 1).reshape(*tokens.shape[:-1], len(weight))


_CONVOLUTION_IS_FASTER = torch.backends.mkldnn.is_available() and (
    torch.backends.cpu.get_cpu_capability() == "AVX512"
)


class Linear(nn.Linear):
    """``nn.Linear``, computed by ``linear``."""

    def forward(self, tokens: Tensor) -> Tensor:
        return linear(tokens, self.weight, self.bias)


class Conv2d(nn.Conv2d):
    """torch's, and exact in float32 on CUDA too: a matrix product there.

    cuDNN rounds the factors of float32 convolutions to ten binary digits, unless a setting of the process
    forbids it.
    """

    def forward(self, x_bchw: Tensor) -> Tensor:
        if not rounds_convolutions(x_bchw.device, x_bchw.dtype):
            return super().forward(x_bchw)
        return self.by_product(x_bchw)

    def by_product(self, x_bchw: Tensor) -> Tensor:
        """The convolution as a product of the weights and the unfolded patches: B C H W -> B C' H' W'."""
        (tall, wide), (down, across) = self.kernel_size, self.stride
        above, beside = (int(size) for size in self.padding)
        seen_bkn = functional.unfold(x_bchw, (tall, wide), 1, (above, beside), (down, across))
        made_bcn = self.weight.flatten(1) @ seen_bkn
        if self.bias is not None:
            made_bcn = made_bcn + self.bias[:, None]
        height, width = x_bchw.shape[2:]
        return made_bcn.unflatten(
            2, ((height + 2 * above - tall) // down + 1, (width + 2 * beside - wide) // across + 1)
        )


def rounds_convolutions(device: torch.device, dtype: torch.dtype) -> bool:
    """Return True if cuDNN may round a convolution of float32 outside of autocast."""
    return device.type == "cuda" and dtype == torch.float32 and not torch.is_autocast_enabled("cuda")


HIDDEN_AT_ONCE = 2**21
"""Largest number of hidden values of an MLP at a time on a CPU, 8 MB in float32: they stay in its cache."""


class Mlp(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, width: int, hidden: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.expand = Linear(width, hidden)
        self.contract = Linear(hidden, width)
        self.activation = activation

    def forward(self, tokens: Tensor) -> Tensor:
        rows = tokens.reshape(-1, tokens.shape[-1])
        count = max(1, at_once(HIDDEN_AT_ONCE) // self.expand.out_features // IMAGES) * IMAGES
        is_split = tokens.device.type == "cpu" or is_short_of_memory()
        if not is_split or len(rows) <= count:
            return self._run(tokens)
        return torch.cat([self._run(some) for some in rows.split(count)]).view(tokens.shape)

    def _run(self, tokens: Tensor) -> Tensor:
        return self.contract(self.activation(self.expand(tokens)))
