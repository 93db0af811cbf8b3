"""Losses and targets, against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_samv1.training.losses import dense_loss, mask_iou, mask_loss, widened
from napari_samv1.training.targets import dense_targets


def test_iou_counts_pixels_over_the_threshold():
    logits = torch.tensor([[2.0, 1.0], [-1.0, -3.0]])
    wanted = torch.tensor([[1.0, 0.0], [1.0, 0.2]])
    assert mask_iou(logits, wanted).item() == pytest.approx(1 / 3)
    assert mask_iou(-torch.ones(2, 2), torch.zeros(2, 2)).item() == 0


def test_logits_of_zero_cost_twice_log_two_plus_the_dice_of_an_even_guess():
    wanted = torch.zeros(1, 1, 20, 20)
    wanted[..., :5, :4] = 1
    dice = 1 - (2 * 10 + 1) / (200 + 20 + 1)
    assert mask_loss(torch.zeros(1, 1, 20, 20), wanted).item() == pytest.approx(
        2 * math.log(2) + dice, rel=1e-5
    )


def test_a_right_mask_costs_nearly_nothing_and_a_wrong_one_much():
    wanted = torch.zeros(1, 1, 24, 24)
    wanted[..., 4:12, 4:12] = 1
    right, wrong = 40 * wanted - 20, 20 - 40 * wanted
    assert mask_loss(right, wanted).item() < 1e-4
    assert mask_loss(wrong, wanted).item() > 10


def test_a_neighbour_s_pixel_weighs_as_much_as_the_object_s_own_once_it_is_taken():
    wanted = torch.zeros(1, 1, 64, 64)
    wanted[..., 8:16, 8:16] = 1
    logits = 40 * wanted - 20
    logits[..., 40:42, 40:42] = 20
    far = 64 * 64 - 14 * 14
    weight = 72 / far + 1
    total = 14 * 14 + 72 + 4
    dice = 1 - (2 * 64 + 1) / (64 + 4 + 64 + 1)
    assert mask_loss(logits, wanted).item() == pytest.approx(2 * 4 * 20 * weight / total + dice, rel=1e-4)


@pytest.mark.parametrize("reach", [0, 1, 2, 3, 6])
@pytest.mark.parametrize("hw", [(40, 31), (4, 9), (1, 1)])
def test_widening_is_a_dilation_by_a_square(reach, hw):
    masks = np.random.default_rng(reach).random((2, 3, *hw)) < 0.02
    masks[0, 0, -1, -1] = True
    dilated = ndimage.maximum_filter(masks, size=(1, 1, 2 * reach + 1, 2 * reach + 1), mode="constant")
    kept = torch.from_numpy(masks.copy())
    assert np.array_equal(widened(kept, reach).numpy(), dilated)
    assert np.array_equal(kept.numpy(), masks)


def test_dense_targets_point_from_every_pixel_to_its_object_s_centre():
    levels = np.zeros((3, 16, 16), np.uint16)
    levels[1, 2:9, 4:11] = 7
    levels[0, 4:6, 6:8] = 7
    inside, rim, part, dy, dx, log_radius = dense_targets(levels, 1)
    radius = math.sqrt(49 / math.pi)
    assert inside.sum() == 49
    assert part.sum() == 4
    assert rim[2, 7] == 1
    assert rim[5, 7] == 0
    assert dy[2, 7] == pytest.approx(3 / radius, rel=1e-5)
    assert dx[2, 7] == pytest.approx(0)
    assert dx[5, 10] == pytest.approx(-3 / radius, rel=1e-5)
    assert log_radius[5, 7] == pytest.approx(math.log(radius / 12), rel=1e-5)
    assert log_radius[0, 0] == 0


def test_the_dense_loss_is_lowest_at_its_target():
    levels = np.zeros((3, 32, 32), np.uint16)
    levels[1, 5:20, 5:25] = 1
    wanted = torch.from_numpy(dense_targets(levels, 2))[None]
    perfect = torch.cat([30 * wanted[:, :3] - 15, wanted[:, 3:]], dim=1)
    assert dense_loss(perfect, wanted).item() < 1e-3
    assert dense_loss(perfect + 1, wanted).item() > dense_loss(perfect, wanted).item()
