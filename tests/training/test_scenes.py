"""The synthetic scenes: reproducible, and labelled consistently."""

import numpy as np
import pytest
from scipy import ndimage

from napari_samv1.training.scenes.kinds import KINDS, LATE_SHARES, draw_scene
from napari_samv1.training.scenes.optics import halo
from napari_samv1.training.scenes.scene import GROUP, OBJECT, PART


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_draws_the_same_scene(kind):
    first = draw_scene(np.random.default_rng(3), (96, 120), kind)
    again = draw_scene(np.random.default_rng(3), (96, 120), kind)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.levels, again.levels)


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_is_an_8_bit_rgb_image_with_objects(kind):
    scenes = [draw_scene(np.random.default_rng(seed), (128, 96), kind) for seed in range(3)]
    for scene in scenes:
        assert scene.image.shape == (128, 96, 3)
        assert scene.image.dtype == np.uint8
        assert scene.levels.shape == (3, 128, 96)
        assert scene.levels.dtype == np.uint16
    assert any(scene.levels[OBJECT].any() for scene in scenes)


@pytest.mark.parametrize("seed", range(4))
def test_a_part_lies_in_one_object_and_an_object_in_at_most_one_group(seed):
    levels = draw_scene(np.random.default_rng(seed), (160, 160), "nested").levels
    for part in np.unique(levels[PART])[1:]:
        assert len(np.unique(levels[OBJECT][levels[PART] == part])) == 1
    assert not (levels[PART][levels[OBJECT] == 0]).any()
    for one in np.unique(levels[OBJECT])[1:]:
        assert len(np.unique(levels[GROUP][levels[OBJECT] == one])) == 1


@pytest.mark.parametrize("seed", range(4))
def test_every_nucleus_of_a_nested_scene_is_one_piece(seed):
    parts = draw_scene(np.random.default_rng(seed), (160, 160), "nested").levels[PART]
    for part in np.unique(parts)[1:]:
        assert ndimage.label(parts == part)[1] == 1


def test_an_unknown_share_of_kinds_is_drawn_by_default():
    kinds = {draw_scene(np.random.default_rng(seed), (48, 48)).kind for seed in range(12)}
    assert len(kinds) > 2


def test_a_third_of_the_late_pool_are_crowds_and_nested_cells_and_a_crowd_is_many_neighbours():
    kinds = [draw_scene(np.random.default_rng(seed), (48, 48), shares=LATE_SHARES).kind for seed in range(60)]
    assert kinds.count("crowd") > len(kinds) / len(KINDS)
    assert kinds.count("crowd") + kinds.count("nested") > len(kinds) / 3
    counts = [
        len(np.unique(draw_scene(np.random.default_rng(seed), (256, 256), "crowd").levels[OBJECT])) - 1
        for seed in range(5)
    ]
    assert np.median(counts) > 20


def test_a_halo_dims_the_object_and_glows_beyond_it_and_loses_no_light():
    light = np.zeros((101, 101), np.float32)
    light[40:61, 40:61] = 1
    seen = halo(np.random.default_rng(0), light, radius=10)
    assert seen.sum() == pytest.approx(light.sum(), rel=1e-3)
    assert 0.3 < seen[50, 50] < 1
    assert seen[50, 65] > 0.001
