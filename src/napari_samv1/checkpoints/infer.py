"""Sizes of a network, from the shapes of its published tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.model.config import SamConfig
from napari_samv1.model.mask_decoder.decoder import MASKS

MOST_BLOCKS = 128


def infer_config(tensors: Mapping[str, Tensor]) -> SamConfig:
    """Infer the configuration of a network from its tensors under their published names.

    The decoder's number of heads leaves no trace in the file; it is 8, as in every published model. If every
    block is global, the window is the default one.
    """
    shapes = _Shapes(tensors)
    masks = shapes.of("mask_decoder.mask_tokens.weight", 2)[0]
    if masks != MASKS:
        raise CheckpointError(f"expected a model that answers with {MASKS} masks, got one with {masks}")
    width, _, patch, _ = shapes.of("image_encoder.patch_embed.proj.weight", 4)
    grid = shapes.of("image_encoder.pos_embed", 4)[1]
    depth = _count(tensors, r"image_encoder\.blocks\.(\d+)\.")
    if depth > MOST_BLOCKS:
        raise CheckpointError(
            f"an encoder of {depth} blocks is none of Segment Anything, whose largest has 32"
        )
    tables = [shapes.of(f"image_encoder.blocks.{n}.attn.rel_pos_h", 2) for n in range(depth)]
    head_width = tables[0][1] if tables else 0
    if not head_width or width % head_width:
        raise CheckpointError(
            f"the encoder's width {width} is not a multiple of its heads' width {head_width}"
        )
    stages, window = _stages_and_window([rows for rows, _ in tables], grid)
    try:
        return SamConfig(
            width=width,
            depth=depth,
            heads=width // head_width,
            stages=stages,
            patch=patch,
            grid=grid,
            window=window,
            mlp_ratio=shapes.of("image_encoder.blocks.0.mlp.lin1.weight", 2)[0] // width,
            channels=shapes.of("image_encoder.neck.0.weight", 4)[0],
            hint_channels=shapes.of("prompt_encoder.mask_downscaling.3.weight", 4)[0],
            decoder_depth=_count(tensors, r"mask_decoder\.transformer\.layers\.(\d+)\."),
            decoder_mlp=shapes.of("mask_decoder.transformer.layers.0.mlp.lin1.weight", 2)[0],
        )
    except ValueError as error:
        raise CheckpointError(f"the tensors do not make a Segment Anything network: {error}") from error


class _Shapes:
    """Shapes by name, with an error sentence for a missing tensor."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors

    def of(self, name: str, axes: int) -> tuple[int, ...]:
        if name not in self.tensors:
            some = ", ".join(list(self.tensors)[:3]) or "none"
            raise CheckpointError(
                f"this is not a whole Segment Anything model: among its {len(self.tensors)} tensors "
                f"({some}, ...) there is no {name}"
            )
        shape = tuple(self.tensors[name].shape)
        if len(shape) != axes or 0 in shape:
            raise CheckpointError(f"{name} should have {axes} axes, none of them empty, got shape {shape}")
        return shape


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """Count the layers that have tensors; a gap in their numbers shows as a missing tensor later."""
    return len({found.group(1) for name in tensors if (found := re.match(pattern, name))})


def _stages_and_window(rows: list[int], grid: int) -> tuple[int, int]:
    """Infer both from the rows of each block's table: ``2 n - 1`` for ``n`` positions; n = grid is global."""
    whole = [index for index, count in enumerate(rows) if count == 2 * grid - 1]
    depth, stages = len(rows), len(whole)
    windowed = {count for count in rows if count != 2 * grid - 1}
    if not stages or depth % stages or whole != [(n + 1) * depth // stages - 1 for n in range(stages)]:
        raise CheckpointError(
            f"expected the blocks in equal stages that each end in a global one, got {depth} blocks of which "
            f"{whole or 'none'} are global"
        )
    if not windowed:
        return stages, SamConfig.window
    if len(windowed) > 1 or min(windowed) % 2 == 0:
        raise CheckpointError(
            f"expected one window size in all windowed blocks, got tables of relative positions with "
            f"{', '.join(map(str, sorted(windowed)))} rows"
        )
    return stages, (windowed.pop() + 1) // 2
