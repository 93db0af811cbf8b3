"""Filters by size, roundness and border; a run within a window."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_samv1.engine.automatic.by_region import find_in_region, joined, region_windows
from napari_samv1.engine.automatic.everything import in_regions
from napari_samv1.engine.automatic.progress import Share
from napari_samv1.engine.automatic.shapes import at_border, roundness
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.calibration import Calibration
from napari_samv1.records.mask_crop import MaskCrop
from slide import SEEDED, Centres, KnownView, Slide


def disc(radius: int) -> MaskCrop:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return MaskCrop.from_mask(y**2 + x**2 <= radius**2, (5, 7))


def test_roundness_is_that_of_the_shape_whatever_its_size():
    for radius in (6, 12, 40):
        assert roundness(disc(radius)) == pytest.approx(1, abs=0.1)
    for side in (12, 40):
        square = MaskCrop.from_mask(np.ones((side, side), bool))
        assert roundness(square) == pytest.approx(math.pi / 4, abs=0.09)
    # 4 pi a b / (2 (a + b))^2 of a rectangle of 10 x 1
    bar = MaskCrop.from_mask(np.ones((100, 10), bool))
    assert roundness(bar) == pytest.approx(math.pi * 1000 / 110**2, abs=0.06)
    assert roundness(MaskCrop.from_mask(np.zeros((0, 0), bool))) == 0


@pytest.fixture(scope="module")
def slide():
    return Slide(hw=(300, 280), large=False)


@pytest.fixture(scope="module")
def everything(slide):
    return in_regions(KnownView(slide.labels), SEEDED, Centres(slide.labels), None)


def places(objects):
    return [(one.box, one.area) for one in objects]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"min_area": 200}, lambda one: one.area >= 200),
        ({"max_area": 200}, lambda one: one.area <= 200),
        ({"keep_border": False}, lambda one: not at_border(one, (300, 280))),
        ({"min_roundness": 0.9}, lambda one: roundness(one.crop) >= 0.9),
    ],
)
def test_a_run_with_a_filter_finds_what_passes_it(slide, everything, given, wanted):
    settings = AutomaticSettings(mode="seeds", detail=1.0, stability_score_thresh=0.0, **given)
    found = in_regions(KnownView(slide.labels), settings, Centres(slide.labels), None)
    kept = [one for one in everything.objects if wanted(one)]
    assert 0 < len(kept) < len(everything.objects)
    assert places(found.objects) == places(kept)


def test_the_border_is_the_first_and_the_last_pixel(everything):
    for one in everything.objects:
        mask = one.crop.to_mask((300, 280))
        edge = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
        assert at_border(one, (300, 280)) == edge


@pytest.mark.parametrize("window", [(40, 50, 120, 90), (0, 0, 30, 280), (299, 279, 1, 1)])
def test_within_a_window_the_same_objects_are_found_as_in_all_of_it(slide, everything, window):
    top, left, height, width = window
    view, proposer = KnownView(slide.labels), Centres(slide.labels)
    looked_at = region_windows(view, SEEDED, window)
    assert set(looked_at) <= set(region_windows(view, SEEDED))
    objects = []
    for one in looked_at:
        find_in_region(view, one, SEEDED, proposer, Share(None, 0, 1), objects, window)
    found = joined(objects, SEEDED, view.plane_hw, calibration=Calibration())

    def inside(one):
        y, x = one.point_yx
        return top - 0.5 < y <= top + height - 0.5 and left - 0.5 < x <= left + width - 0.5

    assert all(inside(one) for one in found)
    assert {one.box for one in everything.objects if inside(one)} <= {one.box for one in found}


def test_a_small_window_needs_few_regions(slide):
    view = KnownView(slide.labels)
    assert len(region_windows(view, SEEDED, (140, 130, 10, 10))) <= 4
    assert len(region_windows(view, SEEDED)) > 4


@pytest.mark.parametrize(
    "given",
    [{"max_area": 10, "min_area": 20}, {"min_roundness": 1.5}, {"keep_border": 1}, {"min_area": -1}],
)
def test_filters_outside_of_their_ranges_are_refused(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        AutomaticSettings(**given)
