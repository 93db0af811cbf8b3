"""Everything region by region, on a slide of known objects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import find_objects

from napari_samv1.engine.automatic.by_region import (
    find_in_region,
    joined,
    region_windows,
    typical_diameter,
)
from napari_samv1.engine.automatic.everything import in_regions
from napari_samv1.engine.automatic.progress import Share
from napari_samv1.engine.automatic.proposals import Proposals
from napari_samv1.engine.progress import Cancelled
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.calibration import Calibration
from napari_samv1.records.mask_crop import MaskCrop
from slide import SEEDED, SIDE, Centres, KnownView, Slide, found_in, matches


@pytest.fixture(scope="module")
def slide():
    return Slide()


@pytest.fixture(scope="module")
def found(slide):
    return found_in(slide.labels)


def test_every_object_is_found_once_and_whole_wherever_it_lies(slide, found):
    assert_each_once_and_whole(slide, found)


def test_the_order_of_the_regions_does_not_matter(slide, found):
    for order in (lambda windows: windows[::-1], lambda windows: sorted(windows, key=hash)):
        again = found_in_order(slide, order)
        assert [(x.box, x.packed) for x in again] == [(x.box, x.packed) for x in found.objects]


@pytest.mark.parametrize("offset", [(17, 40), (64, 1), (5, 97)])
def test_cutting_the_image_elsewhere_finds_the_same_objects(slide, found, offset):
    y, x = offset
    assert_same_where_cut(slide, found, (slice(y, y + 300), slice(x, x + 300)))


@pytest.mark.full
def test_ten_thousand_objects_are_each_one_label_in_any_order_and_wherever_the_slide_is_cut():
    slide = Slide((3000, 3000), large=False, tries=40_000)
    assert slide.count > 10_000
    found = found_in(slide.labels)
    assert_each_once_and_whole(slide, found)
    again = found_in_order(slide, lambda windows: windows[::-1])
    assert [(x.box, x.packed) for x in again] == [(x.box, x.packed) for x in found.objects]
    assert_same_where_cut(slide, found, (slice(61, None), slice(107, None)))


def assert_each_once_and_whole(slide, found):
    best = matches(found, slide.labels)
    assert len(found.objects) == slide.count
    assert np.mean(best > 0.8) > 0.99
    # a fifth of the objects lies on the border of a region
    step = SIDE // 2
    borders = [
        any(extent.start // step != (extent.stop - 1) // step for extent in region)
        for region in find_objects(slide.labels)
    ]
    assert sum(borders) > slide.count / 5
    assert np.mean(best[borders] > 0.8) > 0.99


def found_in_order(slide, order):
    view, proposer, objects = KnownView(slide.labels), Centres(slide.labels), []
    for window in order(region_windows(view, SEEDED)):
        find_in_region(view, window, SEEDED, proposer, Share(None, 0, 1), objects)
    return joined(objects, SEEDED, slide.labels.shape, calibration=Calibration())


def assert_same_where_cut(slide, found, part):
    cut = slide.labels[part]
    in_cut, in_whole = found_in(cut).labels(), found.labels()[part]
    areas = np.bincount(slide.labels.ravel())
    same = []
    for number, box in enumerate(find_objects(cut), start=1):
        mask = None if box is None else cut[box] == number
        if mask is None or mask.sum() < areas[number]:
            continue  # cut off
        around = tuple(slice(max(0, one.start - 20), one.stop + 20) for one in box)
        first, second = (
            shown[around] == np.bincount(shown[box][mask]).argmax() for shown in (in_cut, in_whole)
        )
        same.append(np.sum(first & second) / np.sum(first | second) > 0.8)
    assert np.mean(same) >= 0.995


def test_an_object_that_no_region_holds_is_decoded_at_a_coarser_detail(slide, found):
    [large] = [one for one in found.objects if one.area > 10_000]
    assert large.region.window_yxhw[2] > SIDE
    assert large.area == pytest.approx(np.count_nonzero(slide.labels == 1), rel=0.02)
    assert all(one.region.window_yxhw[2:] == (SIDE, SIDE) for one in found.objects if one is not large)


def test_a_seed_between_two_regions_is_asked_in_one(slide):
    class Everywhere:
        calibration = Calibration()

        def __call__(self, embedding):
            y, x = np.meshgrid(np.arange(0, 320, 8.0), np.arange(0, 320, 8.0), indexing="ij")
            points = np.stack([y.ravel(), x.ravel()], axis=1)
            points = points[embedding.frame.contains(points)]
            return Proposals(
                points, np.ones(len(points), np.float32), np.full(len(points), np.nan, np.float32)
            )

    view, objects = KnownView(np.ones((320, 320), np.int32)), []
    for window in region_windows(view, SEEDED):
        find_in_region(view, window, SEEDED, Everywhere(), Share(None, 0, 1), objects)
    asked = [one.point_yx for one in objects]
    assert len(asked) == len(set(asked)) == 40 * 40


def test_where_objects_are_small_a_finer_region_takes_the_place_of_a_region(slide):
    auto = replace(SEEDED, detail="auto")
    found = found_in(slide.labels, auto, Centres(slide.labels, radius=3.0))
    fine = [one for one in found.objects if one.region.window_yxhw[2] == SIDE // 2]
    assert len(found.objects) == slide.count
    assert len(fine) > 0.9 * slide.count
    large = found_in(slide.labels, auto, Centres(slide.labels, radius=9.0))
    assert not [one for one in large.objects if one.region.window_yxhw[2] < SIDE]
    asked = found_in(slide.labels, SEEDED, Centres(slide.labels, radius=3.0))
    assert not [one for one in asked.objects if one.region.window_yxhw[2] < SIDE]


class Colony(Centres):
    """Takes all objects for one where the image is shrunk to less than half, and is so sure of it."""

    def __init__(self, labels, *, radius, sure, closer):
        super().__init__(labels, radius, closer)
        self.sure = sure

    def __call__(self, embedding):
        if min(embedding.frame.scale_yx) >= 0.5:
            return super().__call__(embedding)
        y, x = np.argwhere(self.labels == 2)[0]
        whole = MaskCrop.from_mask(np.ones(embedding.frame.logits_hw, bool))
        one = np.ones(1, np.float32)
        return Proposals(np.array([[y, x]], float), self.sure * one, 60 * one, regions=(whole,))


@pytest.mark.parametrize(
    ("sure", "closer", "is_closer"), [(0.4, 0.6, True), (0.4, 0.45, False), (0.75, 1.0, False)]
)
def test_what_is_not_seen_surely_is_looked_at_closer_if_it_is_surer_there(slide, sure, closer, is_closer):
    view = KnownView(slide.labels)
    view.predictor.proposer = Colony(slide.labels, radius=40.0, sure=sure, closer=closer)
    found = in_regions(view, replace(SEEDED, detail="auto"), view.predictor.proposer, None)
    assert len(found.objects) == (slide.count if is_closer else 1)


def test_a_few_specks_do_not_count_as_small_objects():
    radii = np.array([2, 2, 2, 30], np.float32)
    assert typical_diameter(Proposals(np.zeros((4, 2)), np.ones(4, np.float32), radii)) == 60


def test_a_model_with_a_head_looks_at_an_image_whole_first(slide):
    auto = replace(SEEDED, detail="auto")
    view = KnownView(slide.labels)
    view.predictor.proposer = Centres(slide.labels, radius=40.0)
    assert region_windows(view, auto) == [(0, 0, *slide.labels.shape)]
    found = in_regions(view, auto, view.predictor.proposer, None)
    assert {one.region.window_yxhw for one in found.objects} == {(0, 0, *slide.labels.shape)}
    assert len(region_windows(view, replace(auto, mode="grid"))) > 1
    assert len(region_windows(view, SEEDED)) > 1


def test_an_image_that_fits_a_region_is_one_region():
    labels = Slide((100, 90), large=False).labels
    found = found_in(labels)
    assert {one.region.window_yxhw for one in found.objects} == {(0, 0, 100, 90)}


def test_a_grid_of_points_finds_them_too_region_by_region():
    slide = Slide((300, 300), large=False)
    grid = AutomaticSettings(mode="grid", detail=1.0, points_per_side=16, stability_score_thresh=0.5)
    found = in_regions(KnownView(slide.labels), grid, None, None)
    assert found.mode == "grid"
    best = matches(found, slide.labels)
    assert np.mean(best > 0.8) > 0.9
    assert len(found.objects) <= slide.count


def test_what_is_cancelled_keeps_the_regions_that_are_done(slide, found):
    seen = []

    def stop_half_way(done, total):
        seen.append(done / total)
        if done > total / 2:
            raise Cancelled

    some = in_regions(KnownView(slide.labels), SEEDED, Centres(slide.labels), stop_half_way)
    assert not some.complete
    assert 0 < len(some.objects) < len(found.objects)
    assert seen == sorted(seen)
    assert found.complete


def test_labels_of_a_window_are_those_of_the_whole(found):
    window = (100, 37, 200, 130)
    assert np.array_equal(found.labels(window), found.labels()[100:300, 37:167])


def test_the_table_has_a_row_for_each_object(found):
    table = found.table()
    assert list(table["label"]) == list(range(1, len(found.objects) + 1))
    assert list(table["area"]) == [one.area for one in found.objects]
    middle = table.iloc[3][["centroid_row", "centroid_column"]].to_numpy(dtype=float)
    own = np.argwhere(found.objects[3].crop.to_mask(found.image_hw)).mean(axis=0)
    np.testing.assert_allclose(middle, own)
