"""The window that tests share is as new for each, and what stays behind in it is found."""

from __future__ import annotations

import numpy as np
import pytest
from napari.settings import get_settings
from qtpy.QtWidgets import QWidget

from napari_samv1.layers.on_screen import camera_of, canvas_hw


def test_the_next_test_has_the_same_window_as_new(shared_window):
    viewer = shared_window.viewer()
    size, theme = viewer.window._qt_window.size(), viewer.theme
    viewer.add_image(np.zeros((3, 40, 60)), scale=(2, 1, 1))
    viewer.window.add_dock_widget(QWidget(), name="something")
    viewer.dims.ndisplay = 3
    camera_of(viewer).angles = (1, 2, 3)
    viewer.title = "another"
    get_settings().appearance.theme = "light"
    viewer.window._qt_window.resize(size * 0.9)
    shared_window.renew()
    assert shared_window.viewer() is viewer
    assert (list(viewer.layers), dict(viewer.window.dock_widgets)) == ([], {})
    assert (viewer.dims.ndim, viewer.dims.ndisplay, viewer.title) == (2, 2, "napari")
    assert tuple(camera_of(viewer).angles) == (0, 0, 0)
    assert (viewer.window._qt_window.size(), viewer.theme) == (size, theme)


def test_what_goes_on_listening_is_found(shared_window):
    viewer = shared_window.viewer()
    viewer.dims.events.point.connect(canvas_hw)
    with pytest.raises(AssertionError, match="canvas_hw"):
        shared_window.renew()
    viewer.dims.events.point.disconnect(canvas_hw)


def test_a_window_that_is_kept_alive_is_found(shared_window):
    kept = shared_window.viewer().window._qt_viewer
    with pytest.raises(AssertionError, match="alive"):
        shared_window.close()
    del kept
    assert len(shared_window.viewer().layers) == 0
