from __future__ import annotations

import pytest
import torch

from napari_samv1.checkpoints.meta_keys import published_names, to_ours, to_published
from napari_samv1.model.config import TINY, VIT_B, VIT_H, VIT_L
from napari_samv1.model.sam import Sam

CONFIGS = {"tiny": TINY, "vit_b": VIT_B, "vit_l": VIT_L, "vit_h": VIT_H}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_every_tensor_has_its_published_name_and_shape(config, shapes_of):
    with torch.device("meta"):
        network = Sam(config)
    published = to_published(network.state_dict(), config)
    assert {name: tuple(tensor.shape) for name, tensor in published.items()} == shapes_of(config)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_names_survive_the_way_there_and_back(config):
    with torch.device("meta"):
        state = Sam(config).state_dict()
    again = to_ours(to_published(state, config), config)
    assert {name: tensor.shape for name, tensor in again.items()} == {
        name: tensor.shape for name, tensor in state.items()
    }


def test_published_vit_b_has_314_tensors():
    assert len(published_names(VIT_B)) == 314


@pytest.mark.parametrize(
    ("ours", "published"),
    [
        ("image_encoder.stages.0.windowed.1.block.norm_mlp.bias", "image_encoder.blocks.1.norm2.bias"),
        ("image_encoder.stages.3.whole.attention.qkv.weight", "image_encoder.blocks.11.attn.qkv.weight"),
        ("prompt_encoder.foreground", "prompt_encoder.point_embeddings.1.weight"),
        ("mask_decoder.iou_token", "mask_decoder.iou_token.weight"),
    ],
)
def test_names_by_hand(ours, published):
    assert published_names(VIT_B)[ours] == published
