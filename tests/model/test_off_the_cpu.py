"""The network as a GPU runs it: shapes, precisions and devices, on torch's device without data."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from napari_samv1.checkpoints.load import takes_dtype
from napari_samv1.model import Sam, SamConfig, layers
from napari_samv1.model.layers import Conv2d, rounds_convolutions

NOWHERE = torch.device("meta")
CONFIG = SamConfig(width=256, depth=4, heads=4, window=7, decoder_mlp=64)


@pytest.fixture
def network(monkeypatch):
    monkeypatch.setattr(layers, "free_bytes", lambda device: 10**10)
    with NOWHERE:
        made = Sam(CONFIG).eval().requires_grad_(False)
    for name, parameter in made.named_parameters():
        if takes_dtype(name, CONFIG):
            parameter.data = parameter.data.to(torch.bfloat16)
    return made


@torch.inference_mode()
def test_an_encoding_in_bfloat16_keeps_to_its_device_and_ends_in_float32(network):
    for height, width in ((1024, 1024), (768, 1024), (320, 256)):
        tokens = network.encode(torch.empty(1, 3, height, width, device=NOWHERE))
        assert tokens.shape == (1, CONFIG.channels, height // 16, width // 16)
        assert (tokens.device, tokens.dtype) == (NOWHERE, torch.float32)


@torch.inference_mode()
def test_a_decoder_in_float16_takes_what_an_encoder_gives_and_answers_in_float32(network):
    halved = network.decoding_in(torch.float16)
    image = halved.prepare_image(torch.empty(1, CONFIG.channels, 48, 64, device=NOWHERE))
    points = torch.empty(5, 1, 2, device=NOWHERE)
    labels = torch.ones(5, 1, dtype=torch.long, device=NOWHERE)
    tokens = halved.encode_prompts(points, labels, torch.empty(5, 2, 2, 2, device=NOWHERE))
    for hint in (None, torch.empty(5, 1, 192, 256, device=NOWHERE)):
        logits, iou = halved.decode(image, tokens, hint)
        assert (logits.shape, iou.shape) == ((5, 4, 192, 256), (5, 4))
        assert {logits.dtype, iou.dtype} == {torch.float32}
        assert {logits.device, iou.device} == {NOWHERE}


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Conv2d(3, 24, 16, stride=16), (2, 3, 64, 48)),  # patches
        (Conv2d(24, 16, 1, bias=False), (1, 24, 9, 7)),  # the channel projection's two
        (Conv2d(16, 16, 3, padding=1, bias=False), (2, 16, 9, 7)),
        (Conv2d(1, 4, 2, stride=2), (3, 1, 36, 28)),  # a hint
    ],
)
def test_a_convolution_as_a_product_is_the_convolution(layer, shape):
    pixels = torch.randn(shape)
    expected = nn.functional.conv2d(pixels, layer.weight, layer.bias, layer.stride, layer.padding)
    torch.testing.assert_close(layer.by_product(pixels), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(layer(pixels), expected)


def test_only_cuda_rounds_convolutions_in_float32():
    cuda = torch.device("cuda")
    assert rounds_convolutions(cuda, torch.float32)
    assert not rounds_convolutions(cuda, torch.float16)
    for device in ("cpu", "mps"):
        assert not rounds_convolutions(torch.device(device), torch.float32)


def test_the_network_has_no_convolution_that_cuda_would_round(network):
    found = [one for one in copy.deepcopy(network).modules() if isinstance(one, nn.Conv2d)]
    assert len(found) == 6
    assert {type(one) for one in found} == {Conv2d}
