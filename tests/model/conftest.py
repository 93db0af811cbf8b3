"""The oracle: transformers' SamModel, an independent implementation, holding the same random weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from napari_samv1.model import Sam, SamConfig

# our names -> transformers' names
NAMES: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r"^image_encoder\.patch_embedding\.", "vision_encoder.patch_embed."),
    (r"^image_encoder\.position_encoding\.table_hwc$", "vision_encoder.pos_embed"),
    (r"\.norm_attention\.", ".layer_norm1."),
    (r"\.norm_mlp\.", ".layer_norm2."),
    (r"\.attention\.qkv\.", ".attn.qkv."),
    (r"\.attention\.projection\.", ".attn.proj."),
    (r"\.attention\.relative_position\.height$", ".attn.rel_pos_h"),
    (r"\.attention\.relative_position\.width$", ".attn.rel_pos_w"),
    (r"\.mlp\.expand\.", ".mlp.lin1."),
    (r"\.mlp\.contract\.", ".mlp.lin2."),
    (r"^image_encoder\.channel_projection\.narrow\.", "vision_encoder.neck.conv1."),
    (r"^image_encoder\.channel_projection\.norm_narrow\.", "vision_encoder.neck.layer_norm1."),
    (r"^image_encoder\.channel_projection\.smooth\.", "vision_encoder.neck.conv2."),
    (r"^image_encoder\.channel_projection\.norm_smooth\.", "vision_encoder.neck.layer_norm2."),
    (r"^prompt_encoder\.background$", "prompt_encoder.point_embed.0.weight"),
    (r"^prompt_encoder\.foreground$", "prompt_encoder.point_embed.1.weight"),
    (r"^prompt_encoder\.box_start$", "prompt_encoder.point_embed.2.weight"),
    (r"^prompt_encoder\.box_end$", "prompt_encoder.point_embed.3.weight"),
    (r"^prompt_encoder\.not_a_point$", "prompt_encoder.not_a_point_embed.weight"),
    (r"^coordinate_encoder\.frequencies$", "shared_image_embedding.positional_embedding"),
    (r"^mask_decoder\.mask_hint_encoder\.no_mask$", "prompt_encoder.no_mask_embed.weight"),
    (r"^mask_decoder\.mask_hint_encoder\.halve\.", "prompt_encoder.mask_embed.conv1."),
    (r"^mask_decoder\.mask_hint_encoder\.norm_halve\.", "prompt_encoder.mask_embed.layer_norm1."),
    (r"^mask_decoder\.mask_hint_encoder\.quarter\.", "prompt_encoder.mask_embed.conv2."),
    (r"^mask_decoder\.mask_hint_encoder\.norm_quarter\.", "prompt_encoder.mask_embed.layer_norm2."),
    (r"^mask_decoder\.mask_hint_encoder\.widen\.", "prompt_encoder.mask_embed.conv3."),
    (r"^mask_decoder\.iou_token$", "mask_decoder.iou_token.weight"),
    (r"^mask_decoder\.mask_tokens$", "mask_decoder.mask_tokens.weight"),
    (r"\.self_attention\.", ".self_attn."),
    (r"\.token_to_image\.", ".cross_attn_token_to_image."),
    (r"\.image_to_token\.", ".cross_attn_image_to_token."),
    (r"\.final_token_to_image\.", ".final_attn_token_to_image."),
    (r"\.(query|key|value)\.", lambda m: f".{m[1][0]}_proj."),
    (r"^(mask_decoder.*)\.projection\.", r"\1.out_proj."),
    (r"\.norm_self\.", ".layer_norm1."),
    (r"\.norm_token\.", ".layer_norm2."),
    (r"\.norm_image\.", ".layer_norm4."),
    (r"\.norm_final\.", ".layer_norm_final_attn."),
    (r"\.mask_generator\.upscale_first\.", ".upscale_conv1."),
    (r"\.mask_generator\.upscale_second\.", ".upscale_conv2."),
    (r"\.mask_generator\.norm_first\.", ".upscale_layer_norm."),
    (r"\.mask_generator\.weights\.", ".output_hypernetworks_mlps."),
    (r"\.iou_mlp\.", ".iou_prediction_head."),
    (r"\.layers\.0\.(weight|bias)$", r".proj_in.\1"),
    (r"\.layers\.2\.(weight|bias)$", r".proj_out.\1"),
    (r"(mlps\.\d+|head)\.layers\.1\.(weight|bias)$", r"\1.layers.0.\2"),
]


def oracle_name(name: str, config: SamConfig) -> str:
    block = re.match(r"^image_encoder\.stages\.(\d+)\.(?:windowed\.(\d+)\.block|whole)\.", name)
    if block:
        within = config.blocks_per_stage - 1 if block[2] is None else int(block[2])
        index = int(block[1]) * config.blocks_per_stage + within
        name = f"vision_encoder.layers.{index}.{name[block.end() :]}"
    # the decoder's layers call their third norm by what it follows, as the encoder's blocks do their second
    name = re.sub(r"^(mask_decoder\.transformer\.layers\.\d+)\.norm_mlp\.", r"\1.layer_norm3.", name)
    for pattern, replacement in NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def randomised(config: SamConfig, seed: int = 0) -> Sam:
    """A network with every parameter random, position tables and norms included."""
    torch.manual_seed(seed)
    sam = Sam(config).eval().requires_grad_(False)
    for name, parameter in sam.named_parameters():
        spread = 0.3 if "position" in name else 0.02 if "bias" in name else None
        if spread is not None:
            parameter.normal_(0, spread)
        elif "norm" in name:
            parameter.normal_(1, 0.1)
    return sam


def twin(sam: Sam):  # type: ignore[no-untyped-def]
    """transformers' model with the weights of ``sam``; every one of its tensors is set."""
    from transformers import SamConfig as OracleConfig
    from transformers import SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

    config = sam.config
    sizes: dict[str, Any] = {
        "hidden_size": config.channels,
        "image_size": config.side,
        "patch_size": config.patch,
    }
    oracle = SamModel(
        OracleConfig(
            vision_config=SamVisionConfig(
                hidden_size=config.width,
                output_channels=config.channels,
                num_hidden_layers=config.depth,
                num_attention_heads=config.heads,
                image_size=config.side,
                patch_size=config.patch,
                window_size=config.window,
                mlp_dim=config.width * config.mlp_ratio,
                global_attn_indexes=[
                    (stage + 1) * config.blocks_per_stage - 1 for stage in range(config.stages)
                ],
                num_pos_feats=config.channels // 2,
            ),
            prompt_encoder_config=SamPromptEncoderConfig(**sizes, mask_input_channels=config.hint_channels),
            mask_decoder_config=SamMaskDecoderConfig(
                hidden_size=config.channels,
                mlp_dim=config.decoder_mlp,
                num_hidden_layers=config.decoder_depth,
                num_attention_heads=config.decoder_heads,
                # the published decoder's transformer; the library's own default is another
                layer_norm_eps=1e-5,
            ),
        )
    ).eval()
    theirs = dict(oracle.state_dict())
    for name, tensor in sam.state_dict().items():
        target = oracle_name(name, config)
        theirs.pop(target).copy_(tensor.reshape(oracle.state_dict()[target].shape))
    tied = theirs.pop("prompt_encoder.shared_embedding.positional_embedding", None)
    if tied is not None:
        tied.copy_(sam.coordinate_encoder.frequencies)
    assert not theirs, f"the oracle holds tensors of its own: {sorted(theirs)}"
    return oracle.requires_grad_(False)


@pytest.fixture(scope="session")
def small_config() -> SamConfig:
    return SamConfig(
        # two decoder heads: some prompts are folded into, some are not
        width=24,
        depth=8,
        heads=2,
        patch=4,
        grid=9,
        window=4,
        channels=32,
        decoder_heads=2,
        decoder_mlp=48,
        hint_channels=8,
    )


@pytest.fixture(scope="session")
def small_sam(small_config: SamConfig) -> Sam:
    return randomised(small_config)


@pytest.fixture(scope="session")
def small_oracle(small_sam: Sam):  # type: ignore[no-untyped-def]
    return twin(small_sam)


@pytest.fixture(scope="session")
def make_random() -> Callable[[SamConfig], Sam]:
    return randomised


@pytest.fixture(scope="session")
def make_twin() -> Callable[[Sam], object]:
    return twin


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, relative to the range of the expected values."""
    return float((ours - theirs).abs().max() / (theirs.max() - theirs.min()))


@pytest.fixture(scope="session")
def error() -> Callable[[Tensor, Tensor], float]:
    return relative_error
