"""Curves: every step once, means over some steps, a picture of them."""

import numpy as np
import pytest
from PIL import Image

from napari_samv1.training.curves import SHOWN, curves_picture, read_curves, thinned, write_curves


@pytest.fixture
def csv_path(tmp_path):
    path = tmp_path / "curves.csv"
    lines = [f"{step},{2 * step},{step / 100},{'' if step % 2 else 0.5}" for step in [*range(1, 61), 60]]
    lines[-1] = "60,999,0.9,0.5"  # made again after a cut
    path.write_text("\n".join(["step,seconds,point_iou,box_iou", *lines]))
    return path


def test_the_later_row_of_a_step_counts_and_absent_figures_stay_absent(csv_path):
    rows = read_curves(csv_path)
    assert [row["step"] for row in rows] == list(range(1, 61))
    assert rows[-1]["point_iou"] == 0.9
    assert "box_iou" not in rows[0]


def test_thinned_rows_are_means_under_the_last_step(csv_path):
    thin = thinned(read_curves(csv_path), every=25)
    assert [row["step"] for row in thin] == [25, 50, 60]
    assert [row["seconds"] for row in thin] == [50, 100, 999]
    assert thin[0]["point_iou"] == pytest.approx(0.13)
    assert thin[0]["box_iou"] == 0.5


def test_thinned_rows_are_read_again_as_they_were_written(csv_path, tmp_path):
    thin = thinned(read_curves(csv_path))
    write_curves(thin, tmp_path / "thin.csv")
    again = read_curves(tmp_path / "thin.csv")
    assert [row.keys() for row in again] == [row.keys() for row in thin]
    assert [row["point_iou"] for row in again] == pytest.approx([row["point_iou"] for row in thin])


def test_the_picture_shows_a_line_for_each_figure_that_there_is(csv_path, tmp_path):
    curves_picture(thinned(read_curves(csv_path), every=5), tmp_path / "curves.png")
    drawn = np.asarray(Image.open(tmp_path / "curves.png"))
    colours = {name: tuple(bytes.fromhex(colour[1:])) for name, (_, colour) in SHOWN.items()}
    amount = {name: int((drawn == colour).all(axis=2).sum()) for name, colour in colours.items()}
    assert amount["point_iou"] > 500
    assert amount["box_iou"] > 500
    assert amount["corrected_iou"] < 200  # its name alone
    # the line of the boxes lies at one half
    rows = np.nonzero((drawn == colours["box_iou"]).all(axis=2)[:, 100:600])[0]
    assert np.median(rows) == pytest.approx(180, abs=2)
