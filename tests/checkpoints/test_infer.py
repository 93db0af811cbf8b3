from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.infer import infer_config
from napari_samv1.model.config import TINY, VIT_B, VIT_H, VIT_L, SamConfig

ODD = SamConfig(
    width=48, depth=6, heads=3, stages=3, patch=7, grid=9, window=5, mlp_ratio=2, channels=32,
    hint_channels=8, decoder_depth=3, decoder_mlp=40,
)  # fmt: skip
CONFIGS = {"tiny": TINY, "vit_b": VIT_B, "vit_l": VIT_L, "vit_h": VIT_H, "odd": ODD}


@pytest.fixture
def meta_tensors(shapes_of):
    return lambda config: {
        name: torch.empty(shape, device="meta") for name, shape in shapes_of(config).items()
    }


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_sizes_are_read_off_the_shapes(config, meta_tensors):
    assert infer_config(meta_tensors(config)) == config


def test_where_every_block_is_global_the_window_is_the_default(meta_tensors):
    config = SamConfig(width=32, depth=3, heads=2, stages=3, grid=6, window=5)
    assert infer_config(meta_tensors(config)) == replace(config, window=14)


def test_other_than_four_masks_is_refused(meta_tensors):
    tensors = meta_tensors(ODD) | {"mask_decoder.mask_tokens.weight": torch.empty(5, 32)}
    with pytest.raises(CheckpointError, match="4 masks, got one with 5"):
        infer_config(tensors)


def test_a_missing_tensor_is_named(meta_tensors):
    tensors = meta_tensors(ODD)
    del tensors["image_encoder.pos_embed"]
    with pytest.raises(CheckpointError, match=r"there is no image_encoder\.pos_embed"):
        infer_config(tensors)


def test_global_blocks_that_end_no_stage_are_refused(meta_tensors):
    tensors = meta_tensors(ODD)
    first, second = (f"image_encoder.blocks.{n}.attn.rel_pos_h" for n in (0, 1))
    tensors[first], tensors[second] = tensors[second], tensors[first]
    with pytest.raises(CheckpointError, match=r"got 6 blocks of which \[0, 3, 5\] are global"):
        infer_config(tensors)


def test_windows_of_two_sizes_are_refused(meta_tensors):
    tensors = meta_tensors(ODD) | {"image_encoder.blocks.2.attn.rel_pos_h": torch.empty(7, 16)}
    with pytest.raises(CheckpointError, match="7, 9 rows"):
        infer_config(tensors)


@pytest.mark.parametrize("shape", [(), (3,), (0, 16)])
def test_a_misshapen_tensor_is_named(meta_tensors, shape):
    tensors = meta_tensors(ODD) | {"image_encoder.blocks.0.attn.rel_pos_h": torch.empty(shape)}
    with pytest.raises(CheckpointError, match=r"blocks\.0\.attn\.rel_pos_h should have 2 axes"):
        infer_config(tensors)
