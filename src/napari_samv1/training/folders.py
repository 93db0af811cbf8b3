"""Folders of a run's scenes, states and curves."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def work_folder(chosen: Path | None) -> Path:
    """Return the chosen folder, or one in the user's cache."""
    return chosen or Path(platformdirs.user_cache_dir("napari-samv1", appauthor=False)) / "training"
