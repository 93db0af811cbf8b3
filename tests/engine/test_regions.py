"""Which region answers a prompt, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_samv1.engine.prediction import Prediction
from napari_samv1.engine.regions import Attempt, RegionGrid, RegionRule, mask_reach
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.prompts import Prompts

SIZES = st.integers(1, 400)


def click(y: float, x: float) -> Prompts:
    return Prompts([(y, x)], [1])


def prediction(plane_hw, window, rectangle) -> Prediction:
    """A mask of the window's pixels ``rectangle`` (slices), one logit for each of 64 x 64 model pixels."""
    frame = Frame.plan(plane_hw, side=64, patch=4, window_yxhw=window)
    logits = np.full((4, *frame.logits_hw), -1.0, np.float32)
    logits[(slice(None), *rectangle)] = 1
    return Prediction(logits, np.ones(4, np.float32), frame, True)


def test_regions_are_half_over_each_other_and_end_with_the_plane():
    grid = RegionGrid.at((100, 250), 64, 1.0)
    assert [own.tolist() for own in grid.starts] == [[0, 32, 36], [0, 32, 64, 96, 128, 160, 186]]
    assert len(grid) == len(list(grid)) == 21
    assert RegionGrid.at((100, 250), 64, 0.5).starts[1].tolist() == [0, 64, 122]
    assert list(RegionGrid.at((100, 250), 64, 0.5))[1] == (0, 64, 100, 128)


@given(SIZES, SIZES, st.integers(2, 100), st.floats(0, 1), st.floats(0, 1))
def test_every_pixel_has_a_region_that_holds_it_well_inside(height, width, extent, down, along):
    grid = RegionGrid((height, width), min(extent, max(height, width)))
    place = down * (height - 1), along * (width - 1)
    window = grid.nearest(place)
    assert window in set(grid)
    for own, start, size, whole in zip(place, window[:2], window[2:], (height, width), strict=True):
        assert start >= 0
        assert start + size <= whole
        # at least a quarter of a region away from edges that are not the plane's
        margin = grid.extent / 4 - 1
        assert start == 0 or own >= start + margin
        assert start + size == whole or own <= start + size - 1 - margin


def test_the_region_whose_middle_is_nearest_answers():
    grid = RegionGrid.at((1000, 1000), 64, 1.0)
    assert grid.nearest((31.5, 500)) == (0, 480, 64, 64)
    # its middle is at 31.5, the next one's at 63.5
    assert grid.nearest((47.4, 0))[0] == 0
    assert grid.nearest((47.6, 0))[0] == 32
    assert grid.nearest((999, 999)) == (936, 936, 64, 64)


def test_a_plane_that_is_not_larger_than_a_region_is_one_region():
    assert list(RegionGrid.at((64, 30), 64, 1.0)) == [(0, 0, 64, 30)]
    assert RegionGrid.at((64, 30), 64, 1.0).is_whole
    assert not RegionGrid.at((65, 30), 64, 1.0).is_whole
    assert list(RegionGrid.at((1, 1), 64, "whole")) == [(0, 0, 1, 1)]
    rule = RegionRule((64, 30), 64)
    assert rule.first(click(3, 4), "auto") == Attempt("whole", (0, 0, 64, 30))
    assert rule.first(click(3, 4), 2.0).window == (0, 0, 32, 30)


@pytest.mark.parametrize("detail", [0, -1, float("nan"), "fine", True, 60.0])
def test_a_detail_that_is_none_is_refused(detail):
    with pytest.raises(ValueError, match="detail"):
        RegionRule((1000, 1000), 64).first(click(1, 1), detail)


def test_prompts_that_do_not_fit_into_a_region_start_at_the_first_detail_at_which_they_do():
    rule = RegionRule((1000, 1000), 64)
    assert rule.first(click(500, 500), "auto").detail == 1.0
    far = Prompts([(500, 500), (500, 560)], [1, 0])
    assert rule.first(far, "auto") == Attempt(0.5, (448, 448, 128, 128))
    box = Prompts(boxes_yx=[(10, 10, 900, 900)])
    assert rule.first(box, 1.0).detail == "whole"
    area = Prompts(area=MaskCrop((490, 400), np.ones((3, 110), bool)))
    assert rule.first(area, 1.0).detail == 0.5
    assert rule.first(Prompts(), 1.0).detail == "whole"


def test_a_mask_inside_of_its_region_stands():
    rule, first = RegionRule((1000, 1000), 64), Attempt(1.0, (480, 480, 64, 64))
    inside = prediction((1000, 1000), first.window, np.s_[5:60, 1:63])
    assert rule.next(click(500, 500), first, inside) is None
    nothing = prediction((1000, 1000), first.window, np.s_[0:0, 0:0])
    assert rule.next(click(500, 500), first, nothing) is None


def test_a_mask_at_an_edge_is_decoded_in_the_region_nearest_to_it_and_then_coarser():
    rule, first = RegionRule((1000, 1000), 64), Attempt(1.0, (480, 480, 64, 64))
    # columns 520 to 543 at the right edge; their middle is nearest to the region from 512 on
    at_edge = prediction((1000, 1000), first.window, np.s_[10:50, 40:64])
    second = rule.next(click(510, 530), first, at_edge)
    assert second == Attempt(1.0, (480, 512, 64, 64), frozenset({first.window}))
    again = prediction((1000, 1000), second.window, np.s_[10:50, 0:30])
    third = rule.next(click(510, 530), second, again)
    assert third == Attempt(0.5, (448, 448, 128, 128))
    everywhere = prediction((1000, 1000), third.window, np.s_[:, :])
    assert rule.next(click(510, 530), third, everywhere).detail == 0.125


def test_a_mask_at_the_images_own_edge_stands():
    rule, corner = RegionRule((1000, 1000), 64), Attempt(1.0, (0, 936, 64, 64))
    assert rule.next(click(3, 990), corner, prediction((1000, 1000), corner.window, np.s_[:40, 30:])) is None


def test_a_region_that_does_not_hold_the_prompts_is_not_tried():
    rule, first = RegionRule((1000, 1000), 64), Attempt(1.0, (480, 480, 64, 64))
    at_edge = prediction((1000, 1000), first.window, np.s_[10:50, 50:64])
    left = Prompts([(510, 540), (510, 490)], [1, 0])
    assert rule.next(left, first, at_edge).detail == 0.5


def test_islands_do_not_count():
    logits = prediction((1000, 1000), (480, 480, 64, 64), np.s_[20:40, 20:40])
    logits.logits[:, 0, 0] = 1
    assert mask_reach(logits).edges == 0
    assert mask_reach(logits).box == (500, 500, 519, 519)


@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(0, 1), st.floats(0, 1))
def test_masks_that_fill_every_region_end_at_the_whole_plane(height, width, down, along):
    rule = RegionRule((height, width), 64)
    prompts = click(down * (height - 1), along * (width - 1))
    attempt = rule.first(prompts, "auto")
    for _ in range(20):
        full = prediction((height, width), attempt.window, np.s_[:, :])
        following = rule.next(prompts, attempt, full)
        if following is None:
            break
        attempt = following
    assert attempt.detail == "whole" or mask_reach(full).edges == 0
