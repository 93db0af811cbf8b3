"""Import the modules of background jobs, in one thread at a time."""

from __future__ import annotations

import threading

_one_thread = threading.Lock()


def import_for_jobs() -> None:
    """Import torch, the network and the session files; a second thread waits for the first.

    Two threads that import modules of one package at the same time can each hold the lock that the other
    waits for, and Python then fails one of the imports. Call it in a background thread, as it takes seconds.
    """
    with _one_thread:
        import napari_samv1.app.everything
        import napari_samv1.checkpoints.download
        import napari_samv1.checkpoints.load
        import napari_samv1.engine.jobs
        import napari_samv1.engine.predictor
        import napari_samv1.engine.workload
        import napari_samv1.storage.session.codec
        import napari_samv1.storage.session.folder
        import napari_samv1.storage.session.format_1
        import napari_samv1.storage.session.recovery  # noqa: F401 - to have them loaded
