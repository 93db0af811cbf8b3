"""Folders of a run's scenes, states and curves."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def work_folder(given: Path | None) -> Path:
    """The folder asked for, or one in the user's cache."""
    return given or Path(platformdirs.user_cache_dir("napari-samv1", appauthor=False)) / "training"
