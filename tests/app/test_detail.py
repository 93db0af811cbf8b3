"""The detail for what is on the screen, and the regions around it."""

from __future__ import annotations

import math

import pytest

from napari_samv1.app.detail import MOST_AHEAD, detail_for, next_ahead
from napari_samv1.engine.regions import RegionGrid

HW = (3000, 4000)


@pytest.mark.parametrize(
    ("shown", "detail"),
    [(3999, "whole"), (3300, "whole"), (1700, 0.25), (900, 0.5), (448, 1.0), (100, 1.0)],
)
def test_a_region_is_about_as_large_as_what_is_shown_and_never_finer_than_native(shown, detail):
    assert detail_for((0, 0, 0.7 * shown, shown - 1), HW, 448) == detail


def test_an_image_that_a_region_would_hold_is_encoded_whole():
    assert detail_for((0, 0, 300, 300), (400, 440), 448) == "whole"


def test_regions_on_the_screen_come_nearest_to_its_middle_first_and_no_more_than_nine():
    grid = RegionGrid.at(HW, 448, 1.0)
    part = (1000.0, 1500.0, 1899.0, 2799.0)
    middle = 1449.5, 2149.5
    done = set()
    while (window := next_ahead(grid, part, done)) is not None:
        done.add(window)
        away = [math.dist((top + 224, left + 224), middle) for top, left, _, _ in done]
        # whatever comes later lies no nearer
        assert math.dist((window[0] + 224, window[1] + 224), middle) == max(away)
        assert window[0] <= part[2]
        assert window[0] + 448 > part[0]
        assert window[1] <= part[3]
        assert window[1] + 448 > part[1]
    assert len(done) == MOST_AHEAD == 9
    nearest = min(grid, key=lambda own: math.dist((own[0] + 224, own[1] + 224), middle))
    assert nearest in done
