"""One napari window for the tests of a file, as new for each: to open and close one takes as long as a test.

A test that opens windows of its own asks for ``make_napari_viewer``, and the shared one is closed before.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from qtpy.QtCore import QEvent
from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QApplication, QDialog

from napari_samv1.layers.on_screen import camera_of


class SharedWindow:
    """A visible window, opened when a test first asks for it and closed at the end of its file."""

    def __init__(self) -> None:
        self._viewer: Any = None
        self._patches = pytest.MonkeyPatch()
        self._size: Any = None
        self._circles = 0

    def viewer(self) -> Any:
        """The viewer, without layers and docks; another one where the last was closed by its test."""
        if self._viewer is not None and not hasattr(self._viewer.window, "_qt_window"):
            self.close()
        if self._viewer is None:
            self._open()
        return self._viewer

    def _open(self) -> None:
        import napari
        from app_model import Application
        from napari._app_model._app import NapariApplication, _napari_names
        from napari._qt._qapp_model.qactions import init_qactions
        from napari.plugins import _initialize_plugins
        from napari.settings import get_settings

        # as napari's own fixture: an application and settings of its own, and no thread for the status bar
        get_settings().reset()
        _initialize_plugins.cache_clear()
        init_qactions.cache_clear()
        Application.destroy("shared window")
        app = NapariApplication("shared window")
        app.injection_store.namespace = _napari_names
        self._patches.setattr(NapariApplication, "get_app_model", lambda *_: app)
        self._patches.setattr("napari._qt.threads.status_checker.StatusChecker.start", lambda *_: None)
        # the real pointer stays beside it: tests send the mouse's events themselves
        QCursor.setPos(QApplication.primaryScreen().geometry().bottomRight())
        # no window is there now: what is, is not searched for garbage each time that layers are removed
        gc.collect()
        gc.freeze()
        self._viewer = napari.Viewer(show_welcome_screen=False)
        QApplication.processEvents()
        self._size = self._viewer.window._qt_window.size()
        self._circles = len(self._viewer.events.mouse_over_canvas.callbacks)

    def renew(self) -> None:
        """Take away what a test left in the window, and assert that nothing goes on listening to it."""
        if self._viewer is None or not hasattr(self._viewer.window, "_qt_window"):
            return
        if len(self._viewer.events.mouse_over_canvas.callbacks) > self._circles:
            # Mesa crashes in some later drawing, once napari's circle of the brush was in this window
            self.close()
            return
        from napari.settings import get_settings

        viewer = self._viewer
        viewer.window.remove_dock_widget("all")
        viewer.dims.ndisplay = 2
        viewer.layers.clear()
        for model in (viewer.dims, camera_of(viewer), viewer.cursor):
            model.reset()
        viewer.title, viewer.status, viewer.help = "napari", "Ready", ""
        viewer.mouse_over_canvas = False
        get_settings().reset()
        for dialog in viewer.window._qt_window.findChildren(QDialog):
            dialog.close()
        viewer.window._qt_window.resize(self._size)
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QApplication.processEvents()
        assert QApplication.activePopupWidget() is None
        left = ours_on(viewer)
        assert not left, left

    def close(self, *, look_for_leaks: bool = True) -> None:
        """Close the window; what keeps it alive is a leak."""
        if self._viewer is None:
            return
        from napari._qt._qapp_model.qactions import init_qactions
        from napari._qt.qt_viewer import QtViewer
        from napari.plugins import _initialize_plugins

        if hasattr(self._viewer.window, "_qt_window"):
            with patch.object(self._viewer.window._qt_window, "_save_current_window_settings"):
                self._viewer.close()
        self._viewer = None
        self._patches.undo()
        _initialize_plugins.cache_clear()
        init_qactions.cache_clear()
        gc.collect()
        alive = len(QtViewer._instances)
        QtViewer._instances.clear()
        assert not look_for_leaks or alive == 0, "something keeps a closed window alive"


def ours_on(viewer: Any) -> list[str]:
    """The callbacks of this package on a viewer, its layer list and its models."""
    models = (viewer, viewer.layers, viewer.layers.selection, viewer.dims, camera_of(viewer), viewer.cursor)
    emitters = [
        emitter for model in models for emitter in model.events.emitters.values() if emitter is not None
    ]
    callbacks = [callback for emitter in emitters for callback in emitter.callbacks]
    for kind in ("drag", "move", "wheel", "double_click"):
        callbacks += getattr(viewer, f"mouse_{kind}_callbacks")
    callbacks += viewer.keymap.values()
    return [repr(callback) for callback in callbacks if _module(callback).startswith("napari_samv1")]


def _module(callback: Any) -> str:
    if isinstance(callback, tuple):  # a method, as a weak reference to its object and a name
        return type(callback[0]()).__module__
    return getattr(callback, "func", callback).__module__


@pytest.fixture(scope="module")
def window_of_this_file(qapp: QApplication) -> Iterator[SharedWindow]:
    """The holder of the window."""
    window = SharedWindow()
    yield window
    window.close()


@pytest.fixture
def shared_window(
    window_of_this_file: SharedWindow, request: pytest.FixtureRequest
) -> Iterator[SharedWindow]:
    """The holder of the window, which is as new."""
    yield window_of_this_file
    if request.node.rep_call.failed:
        # its traceback keeps what it likes
        window_of_this_file.close(look_for_leaks=False)
    else:
        window_of_this_file.renew()


@pytest.fixture
def make_napari_viewer(close_the_shared_window: None, make_napari_viewer: Any) -> Any:
    """napari's own fixture, which looks for leaks after each test."""
    return make_napari_viewer


@pytest.fixture
def close_the_shared_window(window_of_this_file: SharedWindow) -> None:
    window_of_this_file.close()
