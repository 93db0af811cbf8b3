"""Folders of downloaded weight files and of embeddings kept on disk."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from napari_samv1.checkpoints.errors import CheckpointError

VARIABLE = "NAPARI_SAMV1_CACHE"


def cache_folder() -> Path:
    """Folder in ``NAPARI_SAMV1_CACHE``, or else the platform's folder for caches; it may not exist."""
    chosen = os.environ.get(VARIABLE, "").strip()
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(platformdirs.user_cache_dir("napari-samv1", appauthor=False))


def models_folder() -> Path:
    """Return the folder of weight files."""
    return cache_folder() / "models"


def embeddings_folder() -> Path:
    """Return the default folder of embeddings kept on disk."""
    return cache_folder() / "embeddings"


def weights_path(filename: str) -> Path:
    """Return the path of a weight file of this name; a name that leads out of the folder is refused."""
    is_plain = filename not in {"", ".", ".."} and not set(filename) & set('/\\:\0<>|?*"')
    if not is_plain:
        raise CheckpointError(f"expected the plain name of a file, without any folder, got {filename!r}")
    return models_folder() / filename
