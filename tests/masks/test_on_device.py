"""Masks, boxes and areas where the logits are: the same as one after the other on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_samv1.masks import on_device
from napari_samv1.masks.on_device import areas_of_each, areas_together, cut_each, cut_together
from napari_samv1.masks.threshold import areas_above, cut_and_areas
from napari_samv1.records.frame import Frame

FRAMES = {
    "reduced": Frame((700, 900), (0, 0, 700, 900), (398, 512), (400, 512), patch=1),
    "enlarged": Frame((90, 130), (0, 0, 90, 130), (354, 512), (384, 512), patch=1),
    "a window": Frame((2000, 3000), (700, 1100, 600, 560), (512, 478), (512, 480), patch=1),
}


def discs(frame, count=9):
    """Noisy discs of many sizes, one that fills the map, and one that is nowhere."""
    rng = np.random.default_rng(0)
    height, width = (size // 4 for size in frame.input_hw)
    y, x = np.mgrid[:height, :width]
    maps = [
        radius - np.hypot(y - rng.uniform(0, height), x - rng.uniform(0, width))
        for radius in rng.uniform(2, 70, count)
    ]
    maps += [np.full((height, width), 40.0), np.full((height, width), -40.0)]
    return (np.stack(maps) + rng.standard_normal((len(maps), height, width))).astype(np.float32)


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES.keys())
@pytest.mark.parametrize("pixels_at_once", [1, 2_000_000, 1 << 26])
@pytest.mark.parametrize("threshold", [0.0, 7.5])
def test_masks_cut_together_are_those_cut_one_by_one(frame, pixels_at_once, threshold, monkeypatch):
    monkeypatch.setattr(on_device, "PIXELS_AT_ONCE", pixels_at_once)
    logits = discs(frame)
    thresholds = (threshold + 1, threshold - 1)
    found = cut_together(torch.from_numpy(logits), frame, threshold, thresholds)
    areas = areas_together(torch.from_numpy(logits), frame, thresholds)
    for one, own, (crop, both) in zip(logits, areas, found, strict=True):
        expected, (smaller, larger) = cut_and_areas(one, frame, threshold, thresholds)
        # a sum may round otherwise among others: a pixel on the very edge
        difference = crop.to_mask(frame.image_hw) ^ expected.to_mask(frame.image_hw)
        assert np.count_nonzero(difference) <= 1
        np.testing.assert_allclose(both, (smaller, larger), atol=1)
        np.testing.assert_allclose(own, (smaller, larger), atol=1)
    assert not found[-1][0].area
    top, left, height, width = frame.window_yxhw
    assert found[-2][0].origin_yx == (top, left)
    assert found[-2][0].mask.shape == (height, width)


def test_on_a_cpu_they_are_cut_one_by_one_bit_for_bit(monkeypatch):
    frame = FRAMES["reduced"]
    logits = discs(frame)
    monkeypatch.setattr(on_device, "_Blocks", None)
    for given in (logits, torch.from_numpy(logits)):
        for one, (crop, areas) in zip(logits, cut_each(given, frame, 0.0, (1, -1)), strict=True):
            expected, expected_areas = cut_and_areas(one, frame, 0.0, (1, -1))
            assert crop.origin_yx == expected.origin_yx
            np.testing.assert_array_equal(crop.mask, expected.mask)
            assert areas == expected_areas
        assert areas_of_each(given, frame, (0.5,)) == [areas_above(one, frame, (0.5,)) for one in logits]


def test_another_device_cuts_them_together():
    frame = FRAMES["reduced"]

    class Elsewhere:
        device = torch.device("cuda")

        def split(self, size):
            assert size == on_device.PIXELS_AT_ONCE // (700 * 900)
            return []

    assert cut_each(Elsewhere(), frame, 0.0) == []
    assert areas_of_each(Elsewhere(), frame, (0.0,)) == []


def test_only_boxes_leave_the_device(monkeypatch):
    crossed = []
    cpu = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: crossed.append(self.nbytes) or cpu(self))
    frame = Frame((1024, 1024), (0, 0, 1024, 1024), (1024, 1024), (1024, 1024), patch=1)
    y, x = np.mgrid[:256, :256]
    logits = np.stack([10.0 - np.hypot(y - 40, x - 50)] * 64).astype(np.float32)
    found = cut_together(torch.from_numpy(logits), frame, 0.0, (1, -1))
    assert len(crossed) <= 4
    assert sum(crossed) < 2 * sum(crop.mask.size for crop, _ in found)


def test_where_memory_runs_out_the_cpu_cuts_them(monkeypatch):
    frame = FRAMES["reduced"]
    logits = discs(frame)

    class Elsewhere:
        device = torch.device("cuda")

        def cpu(self):
            return torch.from_numpy(logits)

    def fails(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(on_device, "cut_together", fails)
    monkeypatch.setattr(on_device, "areas_together", fails)
    found = cut_each(Elsewhere(), frame, 0.0, (1, -1))
    for (crop, areas), (expected, expected_areas) in zip(
        found, cut_each(logits, frame, 0.0, (1, -1)), strict=True
    ):
        np.testing.assert_array_equal(crop.to_mask(frame.image_hw), expected.to_mask(frame.image_hw))
        assert areas == expected_areas
    assert areas_of_each(Elsewhere(), frame, (0.5,)) == areas_of_each(logits, frame, (0.5,))


def test_other_errors_of_a_device_are_not_hidden(monkeypatch):
    class Elsewhere:
        device = torch.device("cuda")

    def fails(*_):
        raise RuntimeError("an illegal memory access")

    monkeypatch.setattr(on_device, "cut_together", fails)
    with pytest.raises(RuntimeError, match="illegal"):
        cut_each(Elsewhere(), FRAMES["reduced"], 0.0)
