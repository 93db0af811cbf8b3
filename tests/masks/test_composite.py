"""Masks drawn region by region, at any level."""

from __future__ import annotations

import numpy as np
import pytest

from napari_samv1.masks.composite import Composite, reduced
from napari_samv1.masks.tiled import SIDE, TiledMask, joined
from napari_samv1.records.mask_crop import EMPTY, MaskCrop
from napari_samv1.records.settings import KEEP, OVERWRITE, Rule

UINT32 = np.dtype(np.uint32)


def box(y0, x0, y1, x1):
    return MaskCrop((y0, x0), np.ones((y1 - y0, x1 - x0), dtype=bool))


def blocks_with_any(mask, factor):
    """The oracle: a whole mask, cut into blocks one by one."""
    height, width = (-(-size // factor) for size in mask.shape)
    return np.array(
        [
            [mask[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor].any() for x in range(width)]
            for y in range(height)
        ]
    )


def test_a_region_shows_the_higher_object_where_two_meet():
    composite = Composite([(1, box(0, 0, 4, 4), OVERWRITE), (2, box(2, 2, 6, 6), OVERWRITE)])
    np.testing.assert_array_equal(
        composite.read((slice(1, 4), slice(1, 5)), UINT32), [[1, 1, 1, 0], [1, 2, 2, 2], [1, 2, 2, 2]]
    )


def test_an_object_inside_another_is_drawn_where_that_one_shows():
    composite = Composite([(1, box(0, 0, 4, 4), OVERWRITE), (2, box(2, 2, 6, 6), Rule("inside", 1))])
    shown = composite.read((slice(0, 6), slice(0, 6)), UINT32)
    assert (shown == 2).sum() == 4
    assert (shown == 1).sum() == 12


def test_a_level_shows_an_object_of_one_pixel():
    composite = Composite([(7, box(1000, 2047, 1001, 2048), KEEP)])
    shown = composite.read((slice(0, 8), slice(0, 16)), UINT32, (256, 256))
    assert np.argwhere(shown).tolist() == [[3, 7]]


@pytest.mark.parametrize("factor", [2, 4, 16])
@pytest.mark.parametrize("origin", [(0, 0), (5, 3), (16, 31)])
def test_a_reduced_mask_is_that_of_the_whole_image(factor, origin):
    whole = np.zeros((80, 90), dtype=bool)
    part = np.random.default_rng(factor).random((37, 23)) < 0.05
    part[0] = part[:, 0] = True
    whole[origin[0] : origin[0] + 37, origin[1] : origin[1] + 23] = part
    small = blocks_with_any(whole, factor)
    np.testing.assert_array_equal(
        reduced(MaskCrop.from_mask(whole), (factor, factor)).to_mask(small.shape), small
    )


def test_a_read_looks_at_the_objects_it_touches_only(monkeypatch):
    from napari_samv1.masks import composite as module

    painted = [
        (n + 1, box(n // 100 * 50, n % 100 * 50, n // 100 * 50 + 20, n % 100 * 50 + 20), KEEP)
        for n in range(10_000)
    ]
    composite = Composite(painted)
    looked_at = []
    real = module.compose
    monkeypatch.setattr(
        module, "compose", lambda ground, origin, met: looked_at.extend(met) or real(ground, origin, met)
    )
    shown = composite.read((slice(0, 100), slice(0, 100)), UINT32)
    assert sorted(label for label, _, _ in looked_at) == [1, 2, 101, 102]
    assert (shown == 102).sum() == 400


def test_a_later_composite_reduces_only_what_changed(monkeypatch):
    from napari_samv1.masks import composite as module

    count = []
    real = module.reduced
    monkeypatch.setattr(module, "reduced", lambda crop, factors: count.append(1) or real(crop, factors))
    first = [(n + 1, box(n * 10, 0, n * 10 + 5, 5), KEEP) for n in range(50)]
    before = Composite(first)
    everything = slice(0, 64), slice(0, 1)
    before.read(everything, UINT32, (8, 8))
    assert len(count) == 50
    after = Composite([*first[:-1], (50, box(490, 0, 492, 2), KEEP)], before)
    after.read(everything, UINT32, (8, 8))
    assert len(count) == 51


def test_a_tiled_mask_holds_what_was_added_and_nothing_outside_the_plane():
    shape = (3 * SIDE + 10, 2 * SIDE)
    tiled, expected = TiledMask(shape), np.zeros(shape, dtype=bool)
    rng = np.random.default_rng(1)
    for _ in range(20):
        top, left = rng.integers(0, shape)
        part = rng.random((40, 60)) < 0.5
        tiled.add(MaskCrop((int(top), int(left)), part))
        height, width = min(40, shape[0] - top), min(60, shape[1] - left)
        expected[top : top + height, left : left + width] |= part[:height, :width]
    np.testing.assert_array_equal(tiled.crop().to_mask(shape), expected)
    np.testing.assert_array_equal(joined(tiled.crops()).to_mask(shape), expected)
    np.testing.assert_array_equal(tiled.within((slice(100, 400), slice(50, 300))), expected[100:400, 50:300])
    for factor in (4, 512):
        small = blocks_with_any(expected, factor)
        whole = slice(0, small.shape[0]), slice(0, small.shape[1])
        np.testing.assert_array_equal(tiled.within(whole, (factor, factor)), small)


def test_a_tiled_mask_begins_empty():
    tiled = TiledMask((100, 100))
    assert tiled.box is None
    assert tiled.crop() is EMPTY
