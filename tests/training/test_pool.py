"""The pool of scenes on disk."""

import numpy as np
import pytest

from napari_samv1.training import pool as pool_room
from napari_samv1.training.pool import Pool, draw_pool, draw_shard


def test_a_shard_depends_on_seed_and_number_alone(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        draw_shard(tmp_path / folder, 5, 1, 48, shard=3)
    draw_shard(tmp_path / "two", 5, 0, 48, shard=3)
    one, two = Pool(tmp_path / "one"), Pool(tmp_path / "two")
    assert (len(one), len(two)) == (3, 6)
    assert np.array_equal(one[1][0], two[4][0])
    assert np.array_equal(one[1][1], two[4][1])


def test_no_half_written_shard_is_left_to_be_read(tmp_path):
    draw_shard(tmp_path, 5, 0, 48, shard=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images_00000.npy", "labels_00000.npy"]


def test_a_pool_grows_and_refuses_scenes_that_are_drawn_otherwise(tmp_path, monkeypatch):
    folder = tmp_path / "pool"
    draw_pool(folder, seed=5, scenes=4, side=32, shard=4)
    before = Pool(folder)[3][0].copy()
    draw_pool(folder, seed=5, scenes=8, side=32, shard=4)
    assert len(Pool(folder)) == 8
    assert len(Pool(folder, scenes=4)) == 4
    assert np.array_equal(Pool(folder)[3][0], before)
    with pytest.raises(ValueError, match="another seed;"):
        draw_pool(folder, seed=6, scenes=8, side=32, shard=4)
    with pytest.raises(ValueError, match="another side, shares;"):
        draw_pool(folder, seed=5, scenes=8, side=48, shard=4, shares={"coins": 1.0})
    with pytest.raises(ValueError, match="another shard;"):
        draw_pool(folder, seed=5, scenes=8, side=32, shard=2)
    monkeypatch.setattr(pool_room, "fingerprint", lambda: "another version")
    with pytest.raises(ValueError, match="another drawing;"):
        draw_pool(folder, seed=5, scenes=8, side=32, shard=4)
    (folder / "pool.json").unlink()
    with pytest.raises(ValueError, match="delete it"):
        draw_pool(folder, seed=5, scenes=8, side=32, shard=4)


def test_an_empty_folder_says_how_to_fill_it(tmp_path):
    with pytest.raises(ValueError, match="napari-samv1 train"):
        Pool(tmp_path)


def test_a_pool_has_as_many_scenes_as_are_asked_for(tmp_path):
    seen = []
    draw_pool(tmp_path / "a", seed=5, scenes=6, side=32, shard=4, on_progress=lambda *done: seen.append(done))
    assert seen[-1] == (6, 6)
    pool = Pool(tmp_path / "a", scenes=6)
    assert len(pool) == 6
    assert [len(np.load(path)) for path in sorted((tmp_path / "a").glob("images_*.npy"))] == [4, 2]
    fifth = pool[4][0].copy()
    with pytest.raises(IndexError):
        pool[6]

    # the same scenes, and more of them
    draw_pool(tmp_path / "a", seed=5, scenes=7, side=32, shard=4)
    assert np.array_equal(Pool(tmp_path / "a")[4][0], fifth)
    assert len(Pool(tmp_path / "a")) == 7
    assert len(Pool(tmp_path / "a", scenes=5)) == 5
    # fewer are no reason to draw
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").iterdir()}
    draw_pool(tmp_path / "a", seed=5, scenes=2, side=32, shard=4)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "a").iterdir()} == written


def test_scenes_are_drawn_on_all_cores(tmp_path, monkeypatch):
    counts = []
    executor = pool_room.ProcessPoolExecutor

    def counting(count, **given):
        counts.append(count)
        return executor(1, **given)

    monkeypatch.setattr(pool_room, "ProcessPoolExecutor", counting)
    monkeypatch.setattr(pool_room.os, "sched_getaffinity", lambda _: set(range(3)), raising=False)
    draw_pool(tmp_path / "many", seed=5, scenes=5, side=32, shard=1)
    draw_pool(tmp_path / "few", seed=5, scenes=2, side=32, shard=1)
    draw_pool(tmp_path / "told", seed=5, scenes=2, side=32, shard=1, workers=1)
    assert counts == [3, 2, 1]
