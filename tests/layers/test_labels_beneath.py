from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_samv1.layers.image import displayed_plane
from napari_samv1.layers.labels.writer import LabelWriter
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.settings import OVERWRITE, ObjectSettings
from one_plane import OnePlane

HW = (20, 30)


@pytest.fixture
def viewer():
    return ViewerModel()


def stroke(rows: slice, columns: slice) -> MaskCrop:
    mask = np.zeros(HW, dtype=bool)
    mask[rows, columns] = True
    return MaskCrop.from_mask(mask)


def test_labels_from_elsewhere_are_told_from_objects_also_where_they_are_covered(viewer):
    foreign = np.zeros(HW, dtype=np.uint16)
    foreign[5:15, 5:15] = 50
    image, labels = viewer.add_image(np.zeros(HW)), viewer.add_labels(foreign.copy())
    session = OnePlane()
    session.document.defaults = ObjectSettings(rule=OVERWRITE)
    session.paint(3, stroke(slice(0, 10), slice(0, 10)))
    writer = LabelWriter(labels, image, displayed_plane(viewer, image))
    np.testing.assert_array_equal(writer.labels_beneath(), foreign)
    writer.write(session)
    assert labels.data[7, 7] == 3
    np.testing.assert_array_equal(writer.labels_beneath(), foreign)


def test_there_is_nothing_beneath_without_labels_from_elsewhere_or_on_another_grid(viewer):
    image = viewer.add_image(np.zeros(HW))
    session = OnePlane()
    session.paint(3, stroke(slice(0, 10), slice(0, 10)))
    for labels in (
        viewer.add_labels(np.zeros(HW, dtype=np.uint16)),
        viewer.add_labels(np.full((10, 15), 5), scale=(2, 2), translate=(0.5, 0.5)),
        viewer.add_labels(np.full((25, 30), 5)),
    ):
        writer = LabelWriter(labels, image, displayed_plane(viewer, image))
        writer.write(session)
        assert writer.labels_beneath() is None
