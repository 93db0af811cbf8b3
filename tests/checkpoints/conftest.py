"""Checkpoints as the published code would write them, and a cache folder of the test's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import xxhash
from torch import Tensor

from napari_samv1.checkpoints.registry import MODELS, KnownModel
from napari_samv1.model.config import SamConfig

SMALL = SamConfig(
    width=32,
    depth=4,
    heads=2,
    stages=2,
    patch=4,
    grid=6,
    window=3,
    channels=16,
    hint_channels=8,
    decoder_mlp=24,
)


def published_shapes(config: SamConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes written down from the published files, not from our table."""
    width, channels, hint = config.width, config.channels, config.hint_channels
    shapes: dict[str, tuple[int, ...]] = {}

    def add(name: str, *weight: int, bias: int | None = None) -> None:
        shapes[f"{name}.weight"] = weight
        shapes[f"{name}.bias"] = (weight[0] if bias is None else bias,)

    shapes["image_encoder.pos_embed"] = (1, config.grid, config.grid, width)
    add("image_encoder.patch_embed.proj", width, 3, config.patch, config.patch)
    per_stage = config.depth // config.stages
    for n in range(config.depth):
        block = f"image_encoder.blocks.{n}"
        rows = 2 * (config.grid if n % per_stage == per_stage - 1 else config.window) - 1
        for axis in "hw":
            shapes[f"{block}.attn.rel_pos_{axis}"] = (rows, width // config.heads)
        add(f"{block}.norm1", width)
        add(f"{block}.norm2", width)
        add(f"{block}.attn.qkv", 3 * width, width)
        add(f"{block}.attn.proj", width, width)
        add(f"{block}.mlp.lin1", config.mlp_ratio * width, width)
        add(f"{block}.mlp.lin2", width, config.mlp_ratio * width)
    shapes["image_encoder.neck.0.weight"] = (channels, width, 1, 1)
    add("image_encoder.neck.1", channels)
    shapes["image_encoder.neck.2.weight"] = (channels, channels, 3, 3)
    add("image_encoder.neck.3", channels)

    shapes["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"] = (2, channels // 2)
    for n in range(4):
        shapes[f"prompt_encoder.point_embeddings.{n}.weight"] = (1, channels)
    shapes["prompt_encoder.not_a_point_embed.weight"] = (1, channels)
    shapes["prompt_encoder.no_mask_embed.weight"] = (1, channels)
    add("prompt_encoder.mask_downscaling.0", hint // 4, 1, 2, 2)
    add("prompt_encoder.mask_downscaling.1", hint // 4)
    add("prompt_encoder.mask_downscaling.3", hint, hint // 4, 2, 2)
    add("prompt_encoder.mask_downscaling.4", hint)
    add("prompt_encoder.mask_downscaling.6", channels, hint, 1, 1)

    decoder = "mask_decoder.transformer"
    attentions = [(f"{decoder}.final_attn_token_to_image", channels // 2)]
    for n in range(config.decoder_depth):
        layer = f"{decoder}.layers.{n}"
        attentions.append((f"{layer}.self_attn", channels))
        attentions.append((f"{layer}.cross_attn_token_to_image", channels // 2))
        attentions.append((f"{layer}.cross_attn_image_to_token", channels // 2))
        for norm in range(1, 5):
            add(f"{layer}.norm{norm}", channels)
        add(f"{layer}.mlp.lin1", config.decoder_mlp, channels)
        add(f"{layer}.mlp.lin2", channels, config.decoder_mlp)
    for attention, inner in attentions:
        for part in "qkv":
            add(f"{attention}.{part}_proj", inner, channels)
        add(f"{attention}.out_proj", channels, inner)
    add(f"{decoder}.norm_final_attn", channels)
    shapes["mask_decoder.iou_token.weight"] = (1, channels)
    shapes["mask_decoder.mask_tokens.weight"] = (4, channels)
    add("mask_decoder.output_upscaling.0", channels, channels // 4, 2, 2, bias=channels // 4)
    add("mask_decoder.output_upscaling.1", channels // 4)
    add("mask_decoder.output_upscaling.3", channels // 4, channels // 8, 2, 2, bias=channels // 8)
    for n in range(4):
        mlp = f"mask_decoder.output_hypernetworks_mlps.{n}.layers"
        add(f"{mlp}.0", channels, channels)
        add(f"{mlp}.1", channels, channels)
        add(f"{mlp}.2", channels // 8, channels)
    head = "mask_decoder.iou_prediction_head.layers"
    add(f"{head}.0", 256, channels)
    add(f"{head}.1", 256, 256)
    add(f"{head}.2", 4, 256)
    return shapes


@pytest.fixture
def small_config() -> SamConfig:
    return SMALL


@pytest.fixture
def shapes_of() -> Callable[[SamConfig], dict[str, tuple[int, ...]]]:
    return published_shapes


@pytest.fixture
def small_tensors() -> dict[str, Tensor]:
    """Random weights of a small network, under the published names."""
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in published_shapes(SMALL).items()}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees the user's own downloads."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("NAPARI_SAMV1_CACHE", str(folder))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return folder


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., KnownModel]:
    """Add a row to the table of known models whose published content is given."""

    def add(
        content: bytes, url: str = "https://example.org/model.pt", algorithm: str = "sha256"
    ) -> KnownModel:
        digest = hashlib.sha256(content) if algorithm == "sha256" else xxhash.xxh3_128(content)
        row = KnownModel(
            name="sample",
            summary="a model for tests",
            filename="sample.pt",
            megabytes=-(-len(content) // 1_000_000),
            licence="CC0",
            citation="nobody",
            url=url,
            digest=f"{algorithm}:{digest.hexdigest()}",
        )
        monkeypatch.setitem(MODELS, row.name, row)
        return row

    return add
