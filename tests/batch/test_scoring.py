from __future__ import annotations

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.optimize import linear_sum_assignment

from napari_samv1.batch.scoring import THRESHOLDS, score, score_files, table
from napari_samv1.images.source import ReadError


def row(*runs):
    """A label image of one row, from (label, length) pairs."""
    return np.concatenate([np.full(length, label) for label, length in runs])[None]


def test_hand_computed_precision():
    truth = row((1, 10), (0, 5), (2, 10), (0, 5), (3, 10))
    # 1 exactly, 2 with 7 of 10 pixels (IoU 0.7), 3 missed, one that is none
    labels = row((5, 10), (0, 5), (9, 7), (0, 13), (0, 2), (4, 3))
    labels = np.concatenate([labels[:, :22], row((0, 5), (4, 3)), row((0, 10))], axis=1)[:, :40]
    found = score(labels, truth)
    by_threshold = dict(zip(THRESHOLDS, found.average_precision, strict=True))
    assert found.found == 3
    assert found.wanted == 3
    assert by_threshold[0.5] == pytest.approx(2 / (2 + 1 + 1))
    assert by_threshold[0.7] == pytest.approx(2 / 4)
    assert by_threshold[0.75] == pytest.approx(1 / (1 + 2 + 2))
    assert found.msa == pytest.approx((5 * 2 / 4 + 5 * 1 / 5) / 10)


def test_an_object_cut_in_two_halves_counts_once():
    # both halves have an IoU of exactly one half with it
    found = score(row((1, 5), (2, 5)), row((7, 10)))
    assert found.true_positives[0] == 1
    assert found.average_precision[0] == pytest.approx(1 / 2)


@given(arrays(np.uint16, (12, 12), elements=st.integers(0, 5)))
def test_labels_are_perfect_against_themselves_whatever_their_numbers(labels):
    numbers = np.random.default_rng(0).permutation(np.arange(1, 70000, 11))[:6]
    renumbered = np.where(labels > 0, numbers[labels], 0)
    assert score(renumbered, labels).average_precision == (1.0,) * 10


def test_nothing_found_where_nothing_is_is_perfect_and_where_something_is_is_zero():
    nothing, something = np.zeros((4, 4), int), np.eye(4, dtype=int)
    assert score(nothing, nothing).msa == 1
    assert score(nothing, something).msa == 0
    assert score(something, nothing).msa == 0


def test_planes_of_a_stack_are_numbered_apart():
    plane = row((1, 5), (0, 3), (2, 4))
    stack = np.stack([plane, np.where(plane == 1, 2, np.where(plane == 2, 1, 0))])
    assert score(np.stack([plane, plane]), stack).msa == 1


@given(arrays(np.uint8, (2, 8, 8), elements=st.integers(0, 4)))
def test_matches_are_those_of_all_pairs(both):
    labels, truth = both
    ious = np.array(
        [
            [np.sum((labels == i) & (truth == j)) / np.sum((labels == i) | (truth == j)) for j in true_ids]
            for true_ids in [np.setdiff1d(truth, 0)]
            for i in np.setdiff1d(labels, 0)
        ]
    ).reshape(len(np.setdiff1d(labels, 0)), len(np.setdiff1d(truth, 0)))
    for threshold, hits in zip(THRESHOLDS, score(labels, truth).true_positives, strict=True):
        rows, columns = linear_sum_assignment(ious >= threshold, maximize=True)
        assert hits == np.sum(ious[rows, columns] >= threshold)


def test_many_objects_need_no_table_of_all_pairs():
    labels = np.arange(1, 300 * 300 + 1).reshape(300, 300)
    assert score(labels, labels).true_positives == (90_000,) * 10


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 4\) cannot be scored against a truth of \(4, 5\)"):
        score(np.zeros((4, 4), int), np.zeros((4, 5), int))


def test_folders_are_paired_by_their_names(tmp_path):
    plane = row((1, 5), (0, 3), (2, 4)).astype(np.uint16)
    for folder, suffix in (("own", ".tif"), ("true", ".tiff")):
        for name in ("a", "deep/b"):
            path = tmp_path / folder / f"{name}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, plane)
    scores = score_files(tmp_path / "own", tmp_path / "true")
    assert [one.name for one in scores] == ["a", "deep/b"]
    assert table(scores).splitlines()[-1].split()[:3] == ["total", "4", "4"]
    # as segment names its outputs, and what macOS leaves beside files
    (tmp_path / "true" / "a.tiff").rename(tmp_path / "true" / "a.ome.tif")
    (tmp_path / "true" / "._a.tif").write_bytes(b"")
    assert [one.name for one in score_files(tmp_path / "own", tmp_path / "true")] == ["a", "deep/b"]
    np.save(tmp_path / "own" / "a.npy", plane)
    with pytest.raises(ReadError, match=r"a\.npy and .*a\.tif have the same name"):
        score_files(tmp_path / "own", tmp_path / "true")
    (tmp_path / "own" / "a.npy").unlink()
    (tmp_path / "own" / "a.tif").unlink()
    with pytest.raises(ReadError, match="no labels for a"):
        score_files(tmp_path / "own", tmp_path / "true")


def test_labels_of_a_palette_are_its_places_and_colours_are_refused(tmp_path):
    plane = row((1, 5), (0, 3), (2, 4)).astype(np.uint8)
    picture = Image.fromarray(plane, "P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    picture.save(tmp_path / "labels.png")
    np.save(tmp_path / "truth.npy", plane)
    [found] = score_files(tmp_path / "labels.png", tmp_path / "truth.npy")
    assert (found.found, found.wanted, found.msa) == (2, 2, 1)
    picture.convert("RGB").save(tmp_path / "colours.png")
    tifffile.imwrite(tmp_path / "colours.tif", np.asarray(picture.convert("RGB")), photometric="rgb")
    for name in ("colours.png", "colours.tif"):
        with pytest.raises(ReadError, match="is no label image: it has colours"):
            score_files(tmp_path / name, tmp_path / "truth.npy")
