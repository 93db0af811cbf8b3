"""Outlines of encoded regions."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_samv1.layers.image import displayed_plane
from napari_samv1.layers.region_outlines import RegionOutlines


@pytest.fixture
def viewer():
    return ViewerModel()


def test_all_outlines_are_as_wide_as_a_small_part_of_their_region(viewer):
    image = viewer.add_layer(Image(np.zeros((9_000, 12_000), np.uint8), name="slide"))
    outlines = RegionOutlines(viewer)
    plane = displayed_plane(viewer, image)
    outlines.show(image, plane, [(0, 0, 1200, 1200)])
    # one more, as after a look elsewhere
    outlines.show(image, plane, [(0, 0, 1200, 1200), (600, 600, 1200, 1200), (0, 0, 240, 240)])
    assert viewer.layers["encoded regions"].edge_width == [4, 4, 1]
    assert len(viewer.layers["encoded regions"].data) == 3
