"""The simulated user."""

import numpy as np
import pytest
import torch

from napari_samv1.engine.hint import SURE
from napari_samv1.training.prompting import (
    NESTED,
    ONE_LEVEL,
    correction,
    deepest,
    first_round,
    from_rough,
    refinement,
    where_only,
)

HW = (64, 96)


@pytest.fixture
def levels():
    """A part in an object in a group that holds a second object."""
    planes = np.zeros((3, *HW), np.uint16)
    planes[1, 10:40, 10:40] = 1
    planes[1, 10:40, 45:60] = 2
    planes[0, 18:30, 18:30] = 1
    planes[2, 10:40, 10:60] = 1
    return planes


def test_the_deepest_point_of_a_square_is_its_middle():
    mask = np.zeros((20, 30), bool)
    mask[3:14, 5:16] = True
    assert deepest(mask) == (8, 10)


def test_the_deepest_point_stays_away_from_the_frame():
    assert deepest(np.ones((11, 21), bool))[0] == 5


@pytest.mark.parametrize("seed", range(6))
def test_a_click_lies_in_every_mask_that_it_may_mean(levels, seed):
    asked = first_round(np.random.default_rng(seed), levels, 8, (32, 48), kind="point")
    assert asked.single
    assert asked.wanted.shape == (8, 4, 32, 48)
    for point, wanted in zip(asked.points_xy01[:, 0], asked.wanted, strict=True):
        x, y = (point * torch.tensor([48, 32])).long()
        assert (wanted[:, y, x] > 0).all()


def test_a_click_on_the_part_means_part_object_and_group_in_this_order(levels):
    found = set()
    for seed in range(20):
        asked = first_round(np.random.default_rng(seed), levels, 8, HW, kind="point")
        for wanted in asked.wanted:
            areas = tuple(int(a) for a in wanted[1:].sum((1, 2)))
            found.add(areas)
    assert (144, 900, 1500) in found  # in the part
    assert (900, 900, 1500) in found  # beside it, in the object
    assert all(fine <= middle <= coarse for fine, middle, coarse in found)


def test_clicks_that_may_mean_several_things_count_more_for_the_masks_that_tell_them_apart(levels):
    alone = np.zeros_like(levels)
    alone[1] = levels[1]
    nested = first_round(np.random.default_rng(0), levels, 6, HW, kind="point")
    flat = first_round(np.random.default_rng(0), alone, 6, HW, kind="point")
    assert nested.weights.tolist() == [pytest.approx(NESTED)] * 6
    assert flat.weights.tolist() == [pytest.approx(ONE_LEVEL)] * 6


@pytest.mark.parametrize("index", [1, 2, 3])
def test_a_hint_says_which_of_the_masks_is_meant(levels, index):
    asked = first_round(np.random.default_rng(3), levels, 6, HW, kind="point")
    again = refinement(asked, index, slice(0, 3))
    assert torch.equal(again.points_xy01, asked.points_xy01[:3])
    for mask in range(4):
        assert torch.equal(again.wanted[:, mask], asked.wanted[:3, index])


@pytest.mark.parametrize("kind", ["point", "box"])
def test_a_rough_mask_is_near_the_object_it_is_a_hint_for_and_seldom_equal_to_it(levels, kind):
    ious = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        asked = first_round(rng, levels, 6, HW, kind=kind)
        again, hint = from_rough(rng, asked, slice(0, 4))
        assert hint.shape == (4, 1, *HW)
        assert hint.abs().unique().tolist() == pytest.approx([SURE])
        assert torch.equal(again.wanted[:, 2], asked.wanted[:4, 0])
        rough, real = hint[:, 0] > 0, asked.wanted[:4, 0] > 0.5
        ious += ((rough & real).sum((1, 2)) / (rough | real).sum((1, 2))).tolist()
        if kind == "box":
            assert torch.equal(again.boxes_xy01, asked.boxes_xy01[:4])
        for box, mask in zip(again.boxes_xy01[:, 0], rough, strict=True):
            rows, columns = np.nonzero(mask.numpy())
            around = [[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]]
            if kind == "point":
                assert (box * torch.tensor([HW[1], HW[0]])).tolist() == pytest.approx(np.array(around))
    assert min(ious) > 0.2
    assert 0.5 < np.median(ious) < 0.95


@pytest.mark.parametrize("seed", range(4))
def test_a_box_holds_about_its_object(levels, seed):
    asked = first_round(np.random.default_rng(seed), levels, 6, HW, kind="box")
    for box, wanted in zip(asked.boxes_xy01[:, 0], asked.wanted[:, 0], strict=True):
        rows, columns = np.nonzero(wanted.numpy() > 0.5)
        assert box[0, 0] * HW[1] == pytest.approx(columns.min(), abs=0.13 * np.ptp(columns) + 2)
        assert box[1, 1] * HW[0] == pytest.approx(rows.max() + 1, abs=0.13 * np.ptp(rows) + 2)


def test_a_correction_is_positive_where_something_is_missing_and_negative_where_too_much(levels):
    asked = first_round(np.random.default_rng(0), levels, 4, HW, kind="box")
    nothing = correction(np.random.default_rng(1), asked, torch.full((4, *HW), -1.0), 2, slice(0, 4))
    assert (nothing.labels == 1).all()
    everything = correction(np.random.default_rng(1), asked, torch.full((4, *HW), 1.0), 2, slice(0, 4))
    assert (everything.labels == 0).all()
    assert nothing.points_xy01.shape == (4, 2, 2)
    assert not nothing.single


def test_where_only_answers_a_box_with_its_inside():
    levels = np.zeros((3, 40, 40), np.uint16)
    levels[1, 10:30, 5:25] = 1
    asked = first_round(np.random.default_rng(1), levels, 1, (40, 40), kind="box")
    inside = where_only(asked).wanted[0, 0]
    box = asked.boxes_xy01[0, 0] * 40
    assert inside.sum().item() == pytest.approx(float((box[1] - box[0]).prod()), rel=0.15)


def test_an_image_without_objects_asks_for_nothing():
    assert first_round(np.random.default_rng(0), np.zeros((3, 32, 32), np.uint16), 4, (16, 16)) is None


def test_an_object_thinner_than_a_pixel_of_the_mask_is_corrected_by_clicks_on_it():
    planes = np.zeros((3, *HW), np.uint16)
    planes[1, 10:40, 21] = 1
    rng = np.random.default_rng(0)
    asked = first_round(rng, planes, 2, (32, 48), kind="point")
    assert (asked.wanted[:, 0] <= 0.5).all()
    nothing = torch.full((2, 32, 48), -5.0)
    again = correction(rng, asked, nothing, 3, slice(0, 2))
    assert (again.labels == 1).all()
    columns = (again.points_xy01[..., 0] * 48).long()
    assert (columns == 10).all()
