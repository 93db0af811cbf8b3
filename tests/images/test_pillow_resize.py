"""Resizing on a device is Pillow's, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from napari_samv1.images import pillow_resize, prepare
from napari_samv1.images.pillow_resize import ORDERS, resize_8bit, resize_on
from napari_samv1.records.frame import Frame
from napari_samv1.records.preparation import PUBLISHED

CPU = torch.device("cpu")
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@pytest.mark.parametrize("how", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    ("shape", "hw"),
    [
        ((100, 80), (37, 29)),
        ((37, 29), (100, 80)),
        ((64, 64), (64, 31)),
        ((64, 64), (31, 64)),
        ((300, 411), (47, 64)),
        ((5, 7), (1, 1)),
        ((1, 1), (9, 4)),
        ((333, 512), (666, 1024)),
        ((12, 1000), (1, 384)),
    ],
)
def test_every_pixel_is_equal(how, shape, hw):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    pixels[: shape[0] // 2, : shape[1] // 3] = (0, 255, 128)  # overshoot at its edges
    expected = np.asarray(Image.fromarray(pixels).resize(hw[::-1], FILTERS[how]))
    found = [resize_on(CPU, pixels, hw, how, order) for order in ORDERS]
    # Pillow's order of the axes is another in another version
    assert any(np.array_equal(one, expected) for one in found)


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch):
    monkeypatch.setattr(pillow_resize, "_ORDERS", {})


@pytest.mark.parametrize("hw", [(64, 32), (32, 64)])
def test_pillow_resizes_the_first_image_of_a_size_and_the_device_those_that_follow(hw, monkeypatch):
    orders = []
    resize = pillow_resize.resize_on

    def on_device(device, pixels, to, how, order):
        orders.append(order)
        return resize(device, pixels, to, how, order)

    monkeypatch.setattr(pillow_resize, "resize_on", on_device)
    size = (hw[0] * 7 + 3, hw[1] * 7 + 3, 3)
    plain = np.full(size, 7, np.uint8)
    images = [np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8) for seed in range(3)]
    tried = []
    for image in (plain, *images):
        orders.clear()
        expected = np.asarray(Image.fromarray(image).resize(hw[::-1], FILTERS["bilinear"]))
        np.testing.assert_array_equal(resize_8bit(image, hw, "bilinear", CPU), expected)
        tried.append(len(orders))
    # a plain image does not tell in which order
    assert tried == [2, 2, 1, 1]


def test_where_the_device_differs_pillow_resizes_all(monkeypatch):
    calls = []

    def wrong(device, pixels, hw, how, order):
        calls.append(order)
        return np.zeros((*hw, 3), np.uint8)

    monkeypatch.setattr(pillow_resize, "resize_on", wrong)
    for seed in range(3):
        image = np.random.default_rng(seed).integers(0, 256, (90, 70, 3), dtype=np.uint8)
        expected = np.asarray(Image.fromarray(image).resize((20, 30), FILTERS["bicubic"]))
        np.testing.assert_array_equal(resize_8bit(image, (30, 20), "bicubic", CPU), expected)
    assert len(calls) == 2


def test_a_view_that_is_not_contiguous_is_resized():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)[5:35:2, ::-1]
    expected = np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((20, 9), FILTERS["bilinear"]))
    found = [resize_on(CPU, pixels, (9, 20), "bilinear", order) for order in ORDERS]
    assert any(np.array_equal(one, expected) for one in found)


def test_a_gpu_resizes_large_images_and_pillow_all_others(monkeypatch):
    asked = []

    def on_gpu(pixels, hw, how, device):
        asked.append((pixels.shape, device.type))
        return resize_8bit(pixels, hw, how, CPU)

    monkeypatch.setattr(prepare, "resize_8bit", on_gpu)
    gpu = torch.device("cuda")
    for height, on in ((2100, gpu), (2100, CPU), (500, gpu)):
        image = np.random.default_rng(0).integers(0, 256, (height, 1000, 3), dtype=np.uint8)
        frame = Frame.plan((height, 1000), side=64, patch=16)
        expected = prepare.prepare(image, frame, PUBLISHED)
        assert torch.equal(prepare.prepare(image, frame, PUBLISHED, device=on), expected)
    assert asked == [((2100, 1000, 3), "cuda")]
