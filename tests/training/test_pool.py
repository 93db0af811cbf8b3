"""The pool of scenes on disk."""

import numpy as np
import pytest

from napari_samv1.training import pool as pool_room
from napari_samv1.training.pool import Pool, draw_pool, draw_shard


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(pool_room, "SHARD", 3)


def test_a_shard_depends_on_seed_and_number_alone(tmp_path, small_shards):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        draw_shard(tmp_path / folder, 5, 1, 48)
    draw_shard(tmp_path / "two", 5, 0, 48)
    one, two = Pool(tmp_path / "one"), Pool(tmp_path / "two")
    assert (len(one), len(two)) == (3, 6)
    assert np.array_equal(one[1][0], two[4][0])
    assert np.array_equal(one[1][1], two[4][1])


def test_no_half_written_shard_is_left_to_be_read(tmp_path, small_shards):
    draw_shard(tmp_path, 5, 0, 48)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images_00000.npy", "labels_00000.npy"]


def test_a_pool_grows_and_refuses_scenes_that_are_drawn_otherwise(tmp_path, monkeypatch):
    folder = tmp_path / "pool"
    draw_pool(folder, seed=5, scenes=64, side=32)
    before = Pool(folder)[63][0].copy()
    draw_pool(folder, seed=5, scenes=128, side=32)
    assert len(Pool(folder)) == 128
    assert len(Pool(folder, scenes=64)) == 64
    assert np.array_equal(Pool(folder)[63][0], before)
    with pytest.raises(ValueError, match="another seed;"):
        draw_pool(folder, seed=6, scenes=128, side=32)
    with pytest.raises(ValueError, match="another side, shares;"):
        draw_pool(folder, seed=5, scenes=128, side=48, shares={"coins": 1.0})
    monkeypatch.setattr(pool_room, "fingerprint", lambda: "another version")
    with pytest.raises(ValueError, match="another drawing;"):
        draw_pool(folder, seed=5, scenes=128, side=32)
    (folder / "pool.json").unlink()
    with pytest.raises(ValueError, match="delete it"):
        draw_pool(folder, seed=5, scenes=128, side=32)


def test_an_empty_folder_says_how_to_fill_it(tmp_path):
    with pytest.raises(ValueError, match="napari-samv1 train"):
        Pool(tmp_path)
