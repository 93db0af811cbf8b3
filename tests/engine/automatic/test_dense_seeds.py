"""Seeds from maps that are right: made of labels, not by a network."""

import numpy as np
import pytest
from scipy import ndimage

from automatic_maps import SURE, right_maps
from napari_samv1.engine.automatic.dense_seeds import seeds_in
from napari_samv1.records.frame import Frame

HW = (160, 192)
FRAME = Frame(HW, (0, 0, *HW), HW, HW, 8)


def discs(centres, radius, hw=HW):
    labels = np.zeros(hw, np.uint16)
    y, x = np.ogrid[: hw[0], : hw[1]]
    for number, (cy, cx) in enumerate(centres, 1):
        labels[(np.hypot(y - cy, x - cx) < radius) & (labels == 0)] = number
    return labels


def hit(labels, points_yx):
    rows, columns = np.round(points_yx).astype(int).T
    return labels[rows, columns]


SCATTERED = [(30, 30), (30, 100), (90, 40), (110, 120), (60, 160), (135, 170)]
TOUCHING = [(40, 30 + 22 * i) for i in range(7)] + [(62, 41 + 22 * i) for i in range(6)]


@pytest.mark.parametrize(("centres", "radius"), [(SCATTERED, 17), (SCATTERED, 5), (TOUCHING, 12)])
def test_every_object_has_one_sure_seed_inside_it(centres, radius):
    labels = discs(centres, radius)
    found = seeds_in(right_maps(labels), FRAME, FRAME.logits_hw)
    assert sorted(hit(labels, found.points_yx[: found.sure])) == list(range(1, len(centres) + 1))
    assert (np.diff(found.scores[: found.sure]) <= 0).all()


def test_a_radius_is_that_of_the_largest_disc_in_an_object_in_the_images_pixels():
    frame = Frame((320, 384), (0, 0, 320, 384), HW, HW, 8)  # twice as large as the model sees it
    found = seeds_in(right_maps(discs(SCATTERED, 17)), frame, frame.logits_hw)
    np.testing.assert_allclose(found.radii, 2 * 17, rtol=0.15)
    rod = np.zeros(HW, np.uint16)
    rod[70:82, 30:150] = 1
    narrow = seeds_in(right_maps(rod), FRAME, FRAME.logits_hw)
    np.testing.assert_allclose(narrow.radii[: narrow.sure], 6, rtol=0.2)


def test_regions_are_where_objects_are():
    labels = discs(SCATTERED, 17)
    found = seeds_in(right_maps(labels), FRAME, FRAME.logits_hw)
    for number, region in zip(hit(labels, found.points_yx), found.regions, strict=True):
        own, seen = labels[::2, ::2] == number, region.to_mask(FRAME.logits_hw)
        assert np.count_nonzero(own & seen) / np.count_nonzero(own | seen) > 0.9


def test_what_rims_enclose_is_proposed_where_nothing_votes():
    labels = 1 + (np.indices(HW) // 32 * np.array([10, 1])[:, None, None]).sum(0).astype(np.uint16)
    maps = right_maps(labels)
    maps[0] = np.where(maps[1] > 0, SURE, -0.5)  # hardly inside of anything
    maps[2:5] = [np.full(maps.shape[1:], -SURE), *np.zeros((2, *maps.shape[1:]))]
    found = seeds_in(maps, FRAME, FRAME.logits_hw)
    unvoted = found.where(np.arange(len(found)) >= found.sure)
    assert set(hit(labels, unvoted.points_yx)) == set(np.unique(labels))


def test_nothing_is_found_in_padding_or_where_nothing_is():
    labels = discs(SCATTERED, 17)
    found = seeds_in(right_maps(labels), FRAME, (40, 96))
    assert len(found)
    assert (found.points_yx[:, 0] < 80).all()
    nothing = seeds_in(right_maps(np.zeros(HW, np.uint16)), FRAME, FRAME.logits_hw)
    assert len(nothing) == 0
    assert nothing.regions == ()


def test_the_order_of_rows_and_columns_does_not_matter():
    labels = discs(TOUCHING, 12)
    found = seeds_in(right_maps(labels), FRAME, FRAME.logits_hw)
    turned = Frame(HW[::-1], (0, 0, *HW[::-1]), HW[::-1], HW[::-1], 8)
    also = seeds_in(right_maps(labels.T.copy()), turned, turned.logits_hw)
    assert set(hit(labels, also.points_yx[:, ::-1])) == set(hit(labels, found.points_yx))
    assert ndimage.label(labels > 0)[1] < len(TOUCHING)  # they do touch
