"""Objects much smaller than the others need a higher predicted IoU."""

from dataclasses import replace

import numpy as np
import pytest

from napari_samv1.engine.automatic.by_region import joined
from napari_samv1.engine.automatic.found import FoundObject
from napari_samv1.engine.automatic.specks import least_ious
from napari_samv1.masks.packed import PackedCrop
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.calibration import Calibration
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.prompts import Prompts


def square(row, side, iou):
    mask = MaskCrop((row, 0), np.ones((side, side), bool))
    region = Region(Plane(), (0, 0, 1000, 100))
    prompts = Prompts(points_yx=[(row, 0)], labels=[1])
    return FoundObject(PackedCrop.of(mask), side * side, iou, 1.0, prompts, 0, region)


def test_the_least_rises_with_each_halving_below_half_the_median():
    areas = [800, 800, 800, 400, 200, 100, 1, 100_000, 800]
    expected = [0.5, 0.5, 0.5, 0.5, 0.7, 0.75, 0.75, 0.5, 0.5]
    np.testing.assert_allclose(least_ious(areas, 0.5), expected)


def test_a_strict_threshold_stays_below_one():
    assert least_ious([100] * 9 + [1], 0.9)[-1] == pytest.approx(0.95)
    assert least_ious([100] * 9 + [1], 1.0)[-1] == 1.0


@pytest.mark.parametrize("areas", [[], [1], [100, 100, 100, 1]])
def test_few_objects_have_no_typical_size(areas):
    np.testing.assert_array_equal(least_ious(areas, 0.5), [0.5] * len(areas))


def test_a_speck_is_dropped_and_a_sure_small_object_kept():
    large = [square(40 * row, 20, 0.6) for row in range(6)]
    speck, small = square(500, 5, 0.7), square(600, 5, 0.8)
    own = Calibration(iou=0.5, stability=0.5)
    found = [*large, speck, small]
    kept = joined(found, AutomaticSettings(mode="seeds"), (1000, 100), calibration=own)
    assert {one.box for one in kept} == {one.box for one in (*large, small)}
    everything = replace(AutomaticSettings(mode="seeds"), pred_iou_thresh=0.0, stability_score_thresh=0.0)
    assert len(joined(found, everything, (1000, 100), calibration=own)) == 8


def test_a_grid_keeps_specks_as_the_published_generator_does():
    found = [square(40 * row, 20, 0.95) for row in range(6)] + [square(500, 5, 0.9)]
    assert len(joined(found, AutomaticSettings(mode="grid"), (1000, 100), calibration=None)) == 7
