"""The scores mean what they say."""

import numpy as np
import pytest

from napari_samv1.training.evaluate.images import TestImage, coins, from_folder, held_out
from napari_samv1.training.evaluate.objects import iou, targets
from napari_samv1.training.evaluate.report import calibration_picture, summary, table
from napari_samv1.training.evaluate.score import ImageScores
from napari_samv1.training.evaluate.wand import best_wand


def test_the_coins_are_24_round_objects():
    found = targets(coins().labels)
    assert len(found) == 24
    for one in found:
        area = one.mask.sum()
        radius = np.sqrt(area / np.pi)
        y, x = np.nonzero(one.mask)
        away = np.hypot(y - y.mean(), x - x.mean())
        assert away.max() < 1.35 * radius
        assert 900 < area < 3400


def test_targets_click_inside_and_box_at_pixel_edges():
    labels = np.zeros((30, 40), np.int64)
    labels[5:12, 10:21] = 3
    (one,) = targets(labels)
    assert one.centre_yx[0] == 8
    assert one.mask[one.centre_yx]
    assert one.box_yx == (4.5, 9.5, 11.5, 20.5)
    assert np.array_equal(one.sloppy_box(np.random.default_rng(0), 0.0).boxes_yx[0], one.box_yx)


def test_iou_of_half_overlap_is_a_third():
    first, second = np.zeros((2, 4, 4), bool)
    first[:, :2] = True
    second[:, 1:3] = True
    assert iou(first, second) == pytest.approx(1 / 3)
    assert iou(first & ~first, second & ~second) == 0


def test_the_wand_is_perfect_on_flat_objects():
    image = np.full((40, 40), 20, np.uint8)
    image[5:15, 5:15] = 200
    image[25:35, 22:38] = 120
    scores = best_wand(image, targets((image > 50) * np.where(image > 150, 1, 2)))
    assert scores == pytest.approx([1, 1])


def test_held_out_scenes_are_the_same_every_time():
    first, again = held_out("nuclei", 2, side=64), held_out("nuclei", 2, side=64)
    assert [one.name for one in first] == [one.name for one in again]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, again, strict=True))


def test_a_folder_of_pairs_is_read_and_a_lone_label_file_is_told(tmp_path):
    from skimage import io

    io.imsave(tmp_path / "cells.png", np.zeros((8, 8), np.uint8), check_contrast=False)
    io.imsave(tmp_path / "cells_labels.png", np.eye(8, dtype=np.uint8), check_contrast=False)
    (only,) = from_folder(tmp_path)
    assert isinstance(only, TestImage)
    assert only.name == "cells"
    assert only.labels.max() == 1
    io.imsave(tmp_path / "lone_labels.png", np.eye(8, dtype=np.uint8), check_contrast=False)
    with pytest.raises(ValueError, match=r"one image lone\.\*"):
        from_folder(tmp_path)


@pytest.fixture
def scores():
    click = np.array([0.9, 0.5, 0.7])
    return ImageScores(
        name="made up",
        click=click,
        best_of_3=click + 0.05,
        box=click + 0.1,
        sloppy_box=click,
        wand=np.array([0.4, 0.6, 0.2]),
        predicted=click,
        stability=1 - click,
        hinted=click,
        curve=np.stack([click] * 8 + [np.ones(3)], axis=1),
        carried=np.stack([click] * 9, axis=1),
        rough=click - 0.1,
        refined=click,
    )


def test_the_table_shows_means_and_how_often_the_wand_is_beaten(scores):
    row = table([("made up", [scores])]).splitlines()[-1]
    assert row == "| made up | 3 | 0.70 | 0.75 | 0.80 | 0.70 | 1.00 | 0.40 | 67 % |"


def test_the_summary_holds_correlations(scores):
    means = summary([("made up", [scores])])["made up"]
    assert means["share_over_wand"] == pytest.approx(2 / 3, abs=1e-4)
    assert means["predicted_correlation"] == 1
    assert means["stability_correlation"] == -1
    assert means["curve"][-1] == 1
    assert means["carried"][-1] == pytest.approx(0.7)
    assert means["refined"] - means["rough"] == pytest.approx(0.1)


def test_the_calibration_picture_is_written(scores, tmp_path):
    calibration_picture([scores], tmp_path / "new" / "calibration.png")
    assert (tmp_path / "new" / "calibration.png").stat().st_size > 500
