"""Filled polygons, against scikit-image's, which looks at every edge from every pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon

from napari_samv1.masks import fill as module
from napari_samv1.masks.fill import fill


def expected(outline: Any, shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    outline = np.asarray(outline, dtype=np.float64)
    mask[polygon(outline[:, 0], outline[:, 1], shape)] = True
    return mask


def filled(outline: Any, shape: tuple[int, int]) -> np.ndarray:
    return fill(np.asarray(outline, dtype=np.float64), shape).to_mask(shape)


# halves, where centres lie on edges and vertices and every number is exact, and anything
halves = st.integers(-8, 60).map(lambda value: value / 2)
places = st.tuples(halves, halves) | st.tuples(st.floats(-5, 30), st.floats(-5, 30))


@given(st.lists(places, min_size=1, max_size=12), st.integers(1, 25), st.integers(1, 25))
@settings(max_examples=600)
def test_the_pixels_are_scikit_image_s(outline, height, width):
    np.testing.assert_array_equal(filled(outline, (height, width)), expected(outline, (height, width)))


@pytest.mark.parametrize(
    "outline",
    [
        [(2, 2), (2, 9), (9, 9), (9, 2)],
        [(2.5, 2.5), (2.5, 9.5), (9.5, 9.5)],
        [(0, 0), (10, 10), (0, 10), (10, 0)],  # crosses itself
        [(5, 5)],
        [(5, 2), (5, 8)],  # no area
        [(-50, -50), (-50, 80), (80, 80), (80, -50)],
        [(30, 30), (30, 40), (40, 40)],  # outside
        [(-1e9, 3.5), (1e9, 3.5), (1e9, 8.25), (-1e9, 8.25)],
    ],
)
def test_special_outlines(outline):
    np.testing.assert_array_equal(filled(outline, (12, 15)), expected(outline, (12, 15)))


def test_a_long_outline_is_filled_in_bands_and_parts(monkeypatch):
    monkeypatch.setattr(module, "PIXELS_AT_A_TIME", 1000)
    monkeypatch.setattr(module, "CROSSINGS_AT_A_TIME", 50)
    angles = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    radius = 40 + 15 * np.sin(9 * angles)
    outline = np.stack([60 + radius * np.sin(angles), 55 + radius * np.cos(angles)], axis=1)
    np.testing.assert_array_equal(filled(outline, (120, 110)), expected(outline, (120, 110)))
