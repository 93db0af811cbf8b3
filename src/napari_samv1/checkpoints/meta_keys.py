"""Table of our parameter names and the published ones, for both directions.

The published files name layers by their place in the code that wrote them (``neck.2``), ours by their
function. A few published vectors have a leading axis of one, which ours lack.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from string import Formatter

from torch import Tensor

from napari_samv1.model.config import SamConfig
from napari_samv1.model.mask_decoder.decoder import MASKS

# In the tables, {block} is `stages.1.windowed.0.block` or `stages.1.whole` on our side and the block's number
# on the published one; the other places are plain numbers, the same on both sides.
WEIGHT_AND_BIAS = (
    ("image_encoder.patch_embedding.projection", "image_encoder.patch_embed.proj"),
    ("image_encoder.{block}.norm_attention", "image_encoder.blocks.{block}.norm1"),
    ("image_encoder.{block}.attention.qkv", "image_encoder.blocks.{block}.attn.qkv"),
    ("image_encoder.{block}.attention.projection", "image_encoder.blocks.{block}.attn.proj"),
    ("image_encoder.{block}.norm_mlp", "image_encoder.blocks.{block}.norm2"),
    ("image_encoder.{block}.mlp.expand", "image_encoder.blocks.{block}.mlp.lin1"),
    ("image_encoder.{block}.mlp.contract", "image_encoder.blocks.{block}.mlp.lin2"),
    ("image_encoder.channel_projection.norm_narrow", "image_encoder.neck.1"),
    ("image_encoder.channel_projection.norm_smooth", "image_encoder.neck.3"),
    ("mask_decoder.mask_hint_encoder.halve", "prompt_encoder.mask_downscaling.0"),
    ("mask_decoder.mask_hint_encoder.norm_halve", "prompt_encoder.mask_downscaling.1"),
    ("mask_decoder.mask_hint_encoder.quarter", "prompt_encoder.mask_downscaling.3"),
    ("mask_decoder.mask_hint_encoder.norm_quarter", "prompt_encoder.mask_downscaling.4"),
    ("mask_decoder.mask_hint_encoder.widen", "prompt_encoder.mask_downscaling.6"),
    *(
        (
            f"mask_decoder.transformer.{ours}.{our_part}",
            f"mask_decoder.transformer.{published}.{published_part}",
        )
        for ours, published in (
            ("layers.{layer}.self_attention", "layers.{layer}.self_attn"),
            ("layers.{layer}.token_to_image", "layers.{layer}.cross_attn_token_to_image"),
            ("layers.{layer}.image_to_token", "layers.{layer}.cross_attn_image_to_token"),
            ("final_token_to_image", "final_attn_token_to_image"),
        )
        for our_part, published_part in (
            ("query", "q_proj"),
            ("key", "k_proj"),
            ("value", "v_proj"),
            ("projection", "out_proj"),
        )
    ),
    ("mask_decoder.transformer.layers.{layer}.norm_self", "mask_decoder.transformer.layers.{layer}.norm1"),
    ("mask_decoder.transformer.layers.{layer}.norm_token", "mask_decoder.transformer.layers.{layer}.norm2"),
    ("mask_decoder.transformer.layers.{layer}.norm_mlp", "mask_decoder.transformer.layers.{layer}.norm3"),
    ("mask_decoder.transformer.layers.{layer}.norm_image", "mask_decoder.transformer.layers.{layer}.norm4"),
    (
        "mask_decoder.transformer.layers.{layer}.mlp.expand",
        "mask_decoder.transformer.layers.{layer}.mlp.lin1",
    ),
    (
        "mask_decoder.transformer.layers.{layer}.mlp.contract",
        "mask_decoder.transformer.layers.{layer}.mlp.lin2",
    ),
    ("mask_decoder.transformer.norm_final", "mask_decoder.transformer.norm_final_attn"),
    ("mask_decoder.mask_generator.upscale_first", "mask_decoder.output_upscaling.0"),
    ("mask_decoder.mask_generator.norm_first", "mask_decoder.output_upscaling.1"),
    ("mask_decoder.mask_generator.upscale_second", "mask_decoder.output_upscaling.3"),
    (
        "mask_decoder.mask_generator.weights.{mask}.layers.{step}",
        "mask_decoder.output_hypernetworks_mlps.{mask}.layers.{step}",
    ),
    ("mask_decoder.iou_mlp.layers.{step}", "mask_decoder.iou_prediction_head.layers.{step}"),
)
TENSORS = (
    (
        "image_encoder.{block}.attention.relative_position.height",
        "image_encoder.blocks.{block}.attn.rel_pos_h",
    ),
    (
        "image_encoder.{block}.attention.relative_position.width",
        "image_encoder.blocks.{block}.attn.rel_pos_w",
    ),
    ("image_encoder.channel_projection.narrow.weight", "image_encoder.neck.0.weight"),
    ("image_encoder.channel_projection.smooth.weight", "image_encoder.neck.2.weight"),
    ("coordinate_encoder.frequencies", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    ("mask_decoder.mask_tokens", "mask_decoder.mask_tokens.weight"),
)
WITH_LEADING_AXIS = (
    ("image_encoder.position_encoding.table_hwc", "image_encoder.pos_embed"),
    ("prompt_encoder.background", "prompt_encoder.point_embeddings.0.weight"),
    ("prompt_encoder.foreground", "prompt_encoder.point_embeddings.1.weight"),
    ("prompt_encoder.box_start", "prompt_encoder.point_embeddings.2.weight"),
    ("prompt_encoder.box_end", "prompt_encoder.point_embeddings.3.weight"),
    ("prompt_encoder.not_a_point", "prompt_encoder.not_a_point_embed.weight"),
    ("mask_decoder.mask_hint_encoder.no_mask", "prompt_encoder.no_mask_embed.weight"),
    ("mask_decoder.iou_token", "mask_decoder.iou_token.weight"),
)

HAS_LEADING_AXIS = frozenset(published for _, published in WITH_LEADING_AXIS)
MLP_STEPS = 3


def published_names(config: SamConfig) -> dict[str, str]:
    """Our name -> published name, for every tensor of a network of these sizes."""
    rows = [*TENSORS, *WITH_LEADING_AXIS]
    for ours, published in WEIGHT_AND_BIAS:
        rows += [(f"{ours}.{part}", f"{published}.{part}") for part in ("weight", "bias")]
    return {ours: published for row in rows for ours, published in _numbered(row, config)}


def to_published(tensors: Mapping[str, Tensor], config: SamConfig) -> dict[str, Tensor]:
    """A network's state under the published names and in the published shapes, without copying."""
    names = published_names(config)
    return {
        names[ours]: tensor.unsqueeze(0) if names[ours] in HAS_LEADING_AXIS else tensor
        for ours, tensor in tensors.items()
    }


def to_ours(tensors: Mapping[str, Tensor], config: SamConfig) -> dict[str, Tensor]:
    """Published tensors under our names and in our shapes, without copying."""
    names = {published: ours for ours, published in published_names(config).items()}
    return {
        names[published]: tensor.squeeze(0) if published in HAS_LEADING_AXIS else tensor
        for published, tensor in tensors.items()
    }


def _numbered(row: tuple[str, str], config: SamConfig) -> list[tuple[str, str]]:
    """Fill in one row of a table with every number that its places can take."""
    numbers = {
        "block": [(_block_path(n, config), str(n)) for n in range(config.depth)],
        "layer": [(str(n), str(n)) for n in range(config.decoder_depth)],
        "mask": [(str(n), str(n)) for n in range(MASKS)],
        "step": [(str(n), str(n)) for n in range(MLP_STEPS)],
    }
    ours, published = row
    places = [field for _, field, _, _ in Formatter().parse(published) if field]
    return [
        (
            ours.format(**{place: number for place, (number, _) in zip(places, chosen, strict=True)}),
            published.format(**{place: number for place, (_, number) in zip(places, chosen, strict=True)}),
        )
        for chosen in product(*(numbers[place] for place in places))
    ]


def _block_path(block: int, config: SamConfig) -> str:
    stage, within = divmod(block, config.blocks_per_stage)
    is_whole = within == config.blocks_per_stage - 1
    return f"stages.{stage}.whole" if is_whole else f"stages.{stage}.windowed.{within}.block"
