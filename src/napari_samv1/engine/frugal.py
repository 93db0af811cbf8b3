"""Encoding and decoding where memory is short: in smaller pieces, then on the CPU."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from napari_samv1.engine.progress import OnProgress
from napari_samv1.engine.staged import forget_recordings, staged_encoder
from napari_samv1.model.capture import can_record
from napari_samv1.model.layers import in_smaller_chunks
from napari_samv1.model.memory import if_there_is_memory, release, too_little
from napari_samv1.model.sam import Sam

Item = TypeVar("Item")
Made = TypeVar("Made")

OnBlock = Callable[[int, Tensor], None]


def encode_frugally(
    network: Sam,
    pixels_bchw: Tensor,
    *,
    window_sizes: Sequence[int] | None = None,
    on_block: OnBlock | None = None,
    on_progress: OnProgress | None = None,
    compiled: bool = False,
) -> Tensor:
    """Encode; if memory does not suffice, in smaller pieces, and if it still does not, on the CPU.

    Each fallback warns, and reports blocks from the first one again. ``on_block(index, tokens_bhwc)`` is
    called after every block. Without it, ``compiled`` encodings and those on a GPU run stage by stage:
    ``on_progress(blocks_done, blocks)`` is then called after every stage, and otherwise after every block.

    Raises
    ------
    MemoryError
        If memory does not suffice on the CPU either.
    """

    blocks = network.config.depth

    def report(index: int, tokens_bhwc: Tensor) -> None:
        if on_block is not None:
            on_block(index, tokens_bhwc)
        if on_progress is not None:
            on_progress(index + 1, blocks)

    def encode(sam: Sam, pixels: Tensor) -> Tensor:
        with torch.inference_mode():
            return sam.encode(pixels, window_sizes=window_sizes, on_block=report)

    def encode_first() -> Tensor:
        if on_block is None and (compiled or can_record(device)):
            staged = staged_encoder(network, compiled=compiled)
            return staged.encode(pixels_bchw, window_sizes=window_sizes, on_progress=on_progress)
        return encode(network, pixels_bchw)

    device = pixels_bchw.device
    tokens = if_there_is_memory(encode_first)
    if tokens is not None:
        return tokens
    forget_recordings(network)
    release(device)
    with in_smaller_chunks():
        tokens = if_there_is_memory(lambda: encode(network, pixels_bchw))
        if tokens is not None:
            _tell(f"Memory ran short on {device}: the image was encoded in smaller pieces, which is slower.")
            return tokens
        release(device)
        if device.type != "cpu":
            tokens = if_there_is_memory(lambda: encode(_on_cpu(network), pixels_bchw.cpu()))
            if tokens is not None:
                _tell(f"Memory did not suffice on {device}: the image was encoded on the CPU.")
                return tokens
    raise MemoryError(
        "memory does not suffice to encode the image: close other programs, or choose a smaller model"
    )


def in_halves(
    items: Sequence[Item], work: Callable[[Sequence[Item]], list[Made]], device: torch.device
) -> list[Made]:
    """Work on items together; where memory does not suffice, on halves of them, down to single ones.

    Raises
    ------
    MemoryError
        If memory does not suffice for a single item.
    """
    made = if_there_is_memory(lambda: work(items))
    if made is not None:
        return made
    release(device)
    if len(items) == 1:
        raise too_little("make a mask", device)
    _tell(f"Memory ran short on {device}: masks were made in smaller batches, which is slower.")
    half = (len(items) + 1) // 2
    return [one for part in (items[:half], items[half:]) for one in in_halves(part, work, device)]


def _on_cpu(network: Sam) -> Sam:
    """Copy of the network on the CPU."""
    with torch.device("meta"):
        copy = Sam(network.config)
    copy.load_state_dict({name: tensor.cpu() for name, tensor in network.state_dict().items()}, assign=True)
    return copy.eval().requires_grad_(False)


def _tell(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=4)
